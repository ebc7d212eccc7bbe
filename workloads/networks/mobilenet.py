"""MobileNetV1 and MobileNetV2 for ImageNet, width 1.0, images of 224 x 224.

Source: Howard et al., "MobileNets", 2017; Sandler et al., "MobileNetV2", CVPR 2018.
"""

from __future__ import annotations

from workloads.network import INPUT, Network
from workloads.networks.inverted_residual import Block, Head, Part, Stem, build_chain

# Output channels and stride of each depthwise separable block.
V1_BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip

# Expansion, output channels, repeats and first stride of each stage.
V2_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


def mobilenet_v1() -> Network:
    """Build MobileNetV1: 4.23 M parameters, 569 M multiply-accumulates."""
    network = Network("mobilenet_v1", (224, 224, 3))
    source = network.conv("first_conv", INPUT, 32, 3, stride=2)
    for index, (channels, stride) in enumerate(V1_BLOCKS, start=1):
        source = network.depthwise(f"block{index}.depthwise", source, 3, stride=stride)
        source = network.conv(f"block{index}.pointwise", source, channels, 1)
    network.linear("classifier", network.pool("pool", source), 1000)
    return network


def mobilenet_v2() -> Network:
    """Build MobileNetV2: 3.50 M parameters, 301 M multiply-accumulates."""
    parts: list[Part] = [Stem(32)]
    for stage, (expansion, channels, repeats, first_stride) in enumerate(V2_STAGES, start=1):
        for block in range(repeats):
            stride = first_stride if block == 0 else 1
            parts.append(Block(f"stage{stage}.block{block + 1}", 3, stride, expansion, channels))
    return build_chain("mobilenet_v2", 224, [*parts, Head("last_conv", 1280)])
