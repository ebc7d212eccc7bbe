"""What BitFusion by APQ's rules gives for entries of APQ's published table."""

from __future__ import annotations

from collections.abc import Mapping

from accel.bitfusion_apq import PRESETS, estimate
from mappers.bitfusion_apq import best_plan
from workloads.layers import Layer, LayerTable

WIDTHS = ((4, 4), (6, 8), (8, 6), (8, 8))  # weights, activations


def pointwise(name: str, in_c: int, out_c: int, side: int) -> Layer:
    """Return a layer that mixes channels."""
    return Layer(name=name, kind="conv", in_h=side, in_w=side, in_c=in_c, out_h=side, out_w=side, out_c=out_c)


LAYERS = (
    pointwise("pw_192_1152_7", 192, 1152, 7),
    pointwise("pw_16_96_112", 16, 96, 112),
    Layer(
        name="dw_240_5x5_28", kind="depthwise", in_h=28, in_w=28, in_c=240, out_h=14, out_w=14, out_c=240, kernel_h=5,
        kernel_w=5, stride=2, groups=240,
    ),
)  # fmt: skip
ENDS = (
    Layer(
        name="head", kind="conv", in_h=224, in_w=224, in_c=3, out_h=112, out_w=112, out_c=32, kernel_h=3, kernel_w=3,
        stride=2, reads_input=1,
    ),
    pointwise("tail", 320, 1280, 7),
)  # fmt: skip


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/bitfusion_apq.toml``, by id."""
    ours: dict[str, float] = {}
    for wgt_bits, act_bits in WIDTHS:
        table = LayerTable.of("APQ", LAYERS).with_bits(act_bits, wgt_bits)
        ours |= _measure(table, f".w{wgt_bits}a{act_bits}")
    return ours | _measure(LayerTable.of("APQ", ENDS), "")


def _measure(table: LayerTable, suffix: str) -> dict[str, float]:
    config = PRESETS["paper"]
    ours = {}
    for layer in estimate(config, best_plan(config, table)).layers:
        ours[f"latency.{layer.name}{suffix}"] = layer.seconds * 1e3
        ours[f"energy.{layer.name}{suffix}"] = layer.total_energy_pj * 1e-9
    return ours
