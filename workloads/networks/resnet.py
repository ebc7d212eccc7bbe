"""ResNet for ImageNet, with the layer names and shapes of torchvision.

Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016. As in torchvision, a bottleneck
takes its stride in the 3 x 3 convolution.
"""

from __future__ import annotations

from workloads.network import INPUT, Network


def resnet18() -> Network:
    """Build ResNet-18: 11.7 M parameters, 1.81 G multiply-accumulates."""
    return _resnet("resnet18", (2, 2, 2, 2), bottleneck=False)


def resnet50() -> Network:
    """Build ResNet-50: 25.6 M parameters, 4.09 G multiply-accumulates."""
    return _resnet("resnet50", (3, 4, 6, 3), bottleneck=True)


def _resnet(name: str, depths: tuple[int, ...], *, bottleneck: bool) -> Network:
    network = Network(name, (224, 224, 3))
    source = network.conv("conv1", INPUT, 64, 7, stride=2)
    source = network.pool("maxpool", source, 3, stride=2, padding=1)
    for stage, depth in enumerate(depths):
        for block in range(depth):
            stride = 2 if stage > 0 and block == 0 else 1
            source = _block(network, f"layer{stage + 1}.{block}", source, 64 << stage, stride, bottleneck)
    network.linear("fc", network.pool("avgpool", source), 1000)
    return network


def _block(network: Network, name: str, source: str, width: int, stride: int, bottleneck: bool) -> str:
    if bottleneck:
        result = network.conv(f"{name}.conv1", source, width, 1)
        result = network.conv(f"{name}.conv2", result, width, 3, stride=stride)
        result = network.conv(f"{name}.conv3", result, 4 * width, 1)
    else:
        result = network.conv(f"{name}.conv1", source, width, 3, stride=stride)
        result = network.conv(f"{name}.conv2", result, width, 3)
    if network.shape(source) != network.shape(result):
        source = network.conv(f"{name}.downsample", source, network.shape(result).c, 1, stride=stride)
    return network.elementwise(f"{name}.add", result, source)
