"""MobileNetV1 and MobileNetV2 for ImageNet, images of 224 x 224: width 1.0, and with fewer channels as published.

Source: Howard et al., "MobileNets", 2017; Sandler et al., "MobileNetV2", CVPR 2018. Channels that pruning kept: He et
al., "AMC", ECCV 2018, as in its authors' code (mit-han-lab/amc-models).
"""

from __future__ import annotations

from workloads.network import INPUT, Network
from workloads.networks.inverted_residual import Block, Head, Part, Stem, build_chain

# Output channels and stride of each depthwise separable block.
V1_BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip

# Output channels of the first convolution and of each block.
V1_CHANNELS = {
    "": (32, *(channels for channels, _ in V1_BLOCKS)),
    "0.75": (24, 48, 96, 96, 192, 192, 384, 384, 384, 384, 384, 384, 768, 768),
    "amc-0.5-flops": (24, 48, 96, 80, 192, 200, 328, 352, 368, 360, 328, 400, 736, 752),
    "amc-0.5-latency": (16, 48, 88, 80, 192, 168, 336, 360, 360, 352, 352, 368, 768, 680),
}

# Expansion, output channels, repeats and first stride of each stage.
V2_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


# AMC at 70 % of the multiply-accumulates: middle channels of each block but the first, and what else it changed.
V2_AMC_MIDDLES = (72, 104, 104, 136, 136, 136, 272, 272, 272, 272, 408, 400, 400, 712, 720, 712)
V2_AMC_FIRST, V2_AMC_LAST_BLOCK, V2_AMC_LAST = 24, 248, 848


def mobilenet_v1(variant: str = "") -> Network:
    """Build MobileNetV1: 4.23 M parameters, 569 M multiply-accumulates; or a variant of fewer channels."""
    first, *widths = V1_CHANNELS[variant]
    network = Network(f"mobilenet_v1-{variant}" if variant else "mobilenet_v1", (224, 224, 3))
    source = network.conv("first_conv", INPUT, first, 3, stride=2)
    for index, (channels, (_, stride)) in enumerate(zip(widths, V1_BLOCKS, strict=True), start=1):
        source = network.depthwise(f"block{index}.depthwise", source, 3, stride=stride)
        source = network.conv(f"block{index}.pointwise", source, channels, 1)
    network.linear("classifier", network.pool("pool", source), 1000)
    return network


def mobilenet_v2() -> Network:
    """Build MobileNetV2: 3.50 M parameters, 301 M multiply-accumulates."""
    return build_chain("mobilenet_v2", 224, [Stem(32), *_v2_blocks(), Head("last_conv", 1280)])


def mobilenet_v2_amc() -> Network:
    """Build MobileNetV2 as AMC pruned it: 2.33 M parameters, 211 M multiply-accumulates."""
    first, *blocks = _v2_blocks()
    parts: list[Part] = [Stem(V2_AMC_FIRST), first]
    in_c = first.out_c
    for block, middle in zip(blocks, V2_AMC_MIDDLES, strict=True):
        out_c = V2_AMC_LAST_BLOCK if block is blocks[-1] else block.out_c
        parts.append(block._replace(expansion=middle / in_c, out_c=out_c))
        in_c = out_c
    return build_chain("mobilenet_v2-amc-0.7-flops", 224, [*parts, Head("last_conv", V2_AMC_LAST)])


def _v2_blocks() -> list[Block]:
    return [
        Block(f"stage{stage}.block{block + 1}", 3, first_stride if block == 0 else 1, expansion, channels)
        for stage, (expansion, channels, repeats, first_stride) in enumerate(V2_STAGES, start=1)
        for block in range(repeats)
    ]
