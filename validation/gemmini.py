"""What Gemmini's closed form gives for layers measured in RTL simulation, each under the mapping it was measured at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from accel.gemmini import PRESETS, estimate
from mappers.gemmini import plan_of_mapping
from workloads.layers import Layer, LayerTable


def conv(name: str, out: int, in_c: int, out_c: int, kernel: int, stride: int = 1) -> Layer:
    """Return a square convolution."""
    side = (out - 1) * stride + kernel
    return Layer(
        name=name, kind="conv", in_h=side, in_w=side, in_c=in_c, out_h=out, out_w=out, out_c=out_c, kernel_h=kernel,
        kernel_w=kernel, stride=stride,
    )  # fmt: skip


# Every 196th of the measured layers, so that nothing was picked.
CASES = (
    (conv("0", 112, 3, 64, 7, 2), "L3[WIO] K8 Q28 - L2[WI] N1 K4X - L1[O] K2 S7 R7 Q4 P7 C3X - L0[W] P16"),
    (conv("196", 56, 256, 256, 1), "L3[WIO] P4 K256 Q2 C4 - L2[WI] N1 - L1[O] Q28 P7 C64X - L0[W] P2"),
    (conv("392", 14, 16, 512, 3, 2), "L3[WIO] K32 C16 P14 R3 Q2 - L2[WI] N1 K16X - L1[O] S3 Q7 - L0[W] N1"),
    (conv("588", 7, 32, 1024, 3), "L3[WIO] C2 S3 K32 R3 - L2[WI] N1 K32X - L1[O] Q7 P7 C16X - L0[W] N1"),
    (conv("784", 54, 64, 64, 3), "L3[WIO] K16 S3 P18 R3 C2 - L2[WI] N1 K4X - L1[O] C8 Q54 C4X - L0[W] P3"),
    (conv("980", 13, 384, 256, 3), "L3[WIO] S3 C32 K32 - L2[WI] N1 K4X - L1[O] K2 R3 C4 Q13 P13 C3X - L0[W] N1"),
    (conv("1176", 224, 64, 64, 3), "L3[WIO] S3 K8 P56 Q32 R3 - L2[WI] N1 K8X - L1[O] C4 Q7 P2 C16X - L0[W] P2"),
    (
        Layer(name="1372", kind="linear", in_h=1, in_w=1, in_c=256, out_h=1, out_w=1, out_c=128),
        "L3[WIO] K8 C128 - L2[WI] N1 K16X - L1[O] N1 C2X - L0[W] N1",
    ),
)


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/gemmini.toml``, by id."""
    ours = {}
    for layer, mapping in CASES:
        side, plan = plan_of_mapping(LayerTable.of(layer.name, [layer]), mapping)
        report = estimate(replace(PRESETS["paper"], array_side=side), plan)
        ours[f"cycles.layer_{layer.name}"] = float(report.cycles)
    return ours
