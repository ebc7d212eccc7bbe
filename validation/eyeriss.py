"""What the row-stationary array gives for the table BitFusion's authors compare with, and for the chip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from accel.eyeriss import PRESETS, Config, estimate
from accel.report import Report
from mappers.eyeriss import best_plan
from workloads.layers import Layer, LayerTable


def conv(name: str, out: int, in_c: int, out_c: int, kernel: int, stride: int = 1) -> Layer:
    """Return a square convolution of 16 images."""
    side = (out - 1) * stride + kernel
    return Layer(
        name=name, kind="conv", batch=16, in_h=side, in_w=side, in_c=in_c, out_h=out, out_w=out, out_c=out_c,
        kernel_h=kernel, kernel_w=kernel, stride=stride,
    )  # fmt: skip


def linear(name: str, in_c: int, out_c: int) -> Layer:
    """Return a fully connected layer of 16 images."""
    return Layer(name=name, kind="linear", batch=16, in_h=1, in_w=1, in_c=in_c, out_h=1, out_w=1, out_c=out_c)


# AlexNet as one half of its two groups; the first fully connected layer is a window over the last map.
LAYERS = (
    conv("alexnet_conv1", 55, 3, 48, 11, 4),
    conv("alexnet_conv2", 27, 48, 128, 5),
    conv("alexnet_conv3", 13, 256, 192, 3),
    conv("alexnet_fc1", 1, 256, 4096, 6),
    linear("alexnet_fc3", 4096, 1000),
    conv("resnet18_conv1", 112, 3, 64, 7, 2),
    conv("resnet18_1x1_56", 56, 64, 64, 1),
    conv("resnet18_3x3_56", 56, 64, 64, 3),
    conv("resnet18_3x3_7", 7, 512, 512, 3),
    conv("lenet5_conv1", 16, 32, 64, 5),
    linear("lstm", 3600, 3600),
)
ALEXNET_CONVOLUTIONS = (
    replace(conv("conv1", 55, 3, 96, 11, 4), batch=1),
    replace(conv("conv2", 27, 96, 256, 5), batch=1, groups=2),
    replace(conv("conv3", 13, 256, 384, 3), batch=1),
    replace(conv("conv4", 13, 384, 384, 3), batch=1, groups=2),
    replace(conv("conv5", 13, 384, 256, 3), batch=1, groups=2),
)


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/eyeriss.toml``, by id."""
    ours = {}
    baseline = PRESETS["bitfusion-baseline"]
    for layer in _run(baseline, LAYERS).layers:
        ours[f"cycles.{layer.name}"] = float(layer.counters["compute_cycles"])
        ours[f"register_files.{layer.name}"] = layer.energy_pj["register_files"] / baseline.mac_pj
    ours["alexnet.frames_per_second"] = 1 / _run(PRESETS["paper"], ALEXNET_CONVOLUTIONS).seconds
    return ours


def _run(config: Config, layers: tuple[Layer, ...]) -> Report:
    return estimate(config, best_plan(config, LayerTable.of("layers", layers)))
