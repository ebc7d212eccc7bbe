"""The eight networks the BitFusion paper reports, as its authors' simulator defines them.

Source: Sharma et al., "Bit Fusion", ISCA 2018, and its open simulator. These are the simulator's graphs. They
differ from the networks of the same names: ResNet-18 has 17 layers in pairs of 1 x 1 and 3 x 3, VGG-7 has two
branches added at the end, and AlexNet and ResNet-18 also come twice as wide (WRPN); the paper reports those.
"""

from __future__ import annotations

from workloads.network import INPUT, Network

BATCH = 16


def alexnet(width: int = 1) -> Network:
    """Build AlexNet, ``width`` times as wide (1 or 2)."""
    network = Network(_named("alexnet", width), (227, 227, 3))
    # The regular-width graph stores the first layer's weights in 4 bits, the wide one in 8.
    first_bits = 4 if width == 1 else 8
    halves = {"a": INPUT, "b": INPUT}
    for half in halves:
        halves[half] = _conv(network, f"conv1_{half}", INPUT, 48 * width, 11, 8, first_bits, stride=4, padding=0)
    for half, source in halves.items():
        pooled = network.pool(f"pool1_{half}", source, 2)
        halves[half] = _conv(network, f"conv2_{half}", pooled, 128 * width, 5, 4, 4)
    pooled_halves = [network.pool(f"pool2_{half}", source, 2) for half, source in halves.items()]
    joined = network.concatenate("concat2", *pooled_halves)
    halves = {"a": joined, "b": joined}
    for layer, channels in (("conv3", 192), ("conv4", 192), ("conv5", 128)):
        for half, source in halves.items():
            halves[half] = _conv(network, f"{layer}_{half}", source, channels * width, 3, 4, 4)
    pooled_halves = [network.pool(f"pool5_{half}", source, 2) for half, source in halves.items()]
    features = network.concatenate("concat5", *pooled_halves)
    hidden = network.linear("fc1", features, 4096 * width, act_bits=4, wgt_bits=4)
    hidden = network.linear("fc2", hidden, 4096 * width, act_bits=4, wgt_bits=4)
    network.linear("fc3", hidden, 1000, act_bits=8, wgt_bits=8)
    return network


def resnet18(width: int = 1) -> Network:
    """Build the 17-layer ResNet-18, ``width`` times as wide (1 or 2)."""
    network = Network(_named("resnet18", width), (224, 224, 3))
    source = _conv(network, "conv1_a", INPUT, 64 * width, 7, 8, 8, stride=2)
    source = network.pool("pool1_a", source, 2)
    for module, channels in ((2, 64), (3, 128), (4, 256), (5, 512)):
        for pair in (1, 2):
            stride = 2 if module > 2 and pair == 1 else 1
            pointwise = _conv(network, f"conv{module}_{pair}_a", source, channels * width, 1, 4, 4, stride=stride)
            source = _conv(network, f"conv{module}_{pair}_b", pointwise, channels * width, 3, 4, 4)
        # One sum closes a module and joins the two convolutions of its last pair.
        source = network.elementwise(f"add{module}", pointwise, source)
    return network


def cifar10() -> Network:
    """Build the quantised network for CIFAR-10."""
    return _six_convolutions("cifar10-bitfusion", channels=128, first=(8, 8), bits=2)


def svhn() -> Network:
    """Build the binary network for SVHN."""
    return _six_convolutions("svhn-bitfusion", channels=64, first=(8, 1), bits=1)


def lenet5() -> Network:
    """Build LeNet-5 with ternary weights."""
    network = Network("lenet5-bitfusion", (32, 32, 1))
    source = INPUT
    for index, channels in enumerate((32, 64)):
        source = _conv(network, f"conv{index}", source, channels, 5, 2, 2)
        source = network.pool(f"pool{index}", source, 2)
    hidden = network.linear("fc1", source, 512, act_bits=2, wgt_bits=2)
    network.linear("fc2", hidden, 10, act_bits=2, wgt_bits=2)
    return network


def vgg7() -> Network:
    """Build VGG-7 with ternary weights: two branches over the same image."""
    network = Network("vgg7-bitfusion", (32, 32, 3))
    halves = {"a": INPUT, "b": INPUT}
    for index, channels in ((1, 128), (2, 256), (3, 512)):
        for half, source in halves.items():
            made = _conv(network, f"conv{index}_{half}", source, channels, 3, 2, 2)
            halves[half] = network.pool(f"pool{index}_{half}", made, 2)
    network.linear("fc1", network.elementwise("add3", *halves.values()), 1024, act_bits=2, wgt_bits=2)
    return network


def rnn() -> Network:
    """Build one step of the recurrent network for Penn Treebank."""
    return _recurrent_step("rnn-bitfusion", 4096)


def lstm() -> Network:
    """Build one step of the long short-term memory for Penn Treebank."""
    return _recurrent_step("lstm-bitfusion", 3600)


def _named(network: str, width: int) -> str:
    return f"{network}-bitfusion" if width == 1 else f"{network}-bitfusion-{width}x"


def _conv(
    network: Network,
    name: str,
    source: str,
    out_c: int,
    kernel: int,
    act_bits: int,
    wgt_bits: int,
    *,
    stride: int = 1,
    padding: int | None = None,
) -> str:
    """Add a convolution as all these graphs have it: with a bias and no normalisation."""
    return network.conv(
        name,
        source,
        out_c,
        kernel,
        stride=stride,
        padding=padding,
        bias=True,
        batch_norm=False,
        act_bits=act_bits,
        wgt_bits=wgt_bits,
    )


def _six_convolutions(name: str, *, channels: int, first: tuple[int, int], bits: int) -> Network:
    network = Network(name, (32, 32, 3))
    source = INPUT
    for index in range(6):
        act_bits, wgt_bits = first if index == 0 else (bits, bits)
        source = _conv(network, f"conv{index}", source, channels << index // 2, 3, act_bits, wgt_bits)
        if index % 2:
            source = network.pool(f"pool{index}", source, 2)
    for index, width in ((6, 1024), (7, 1024), (8, 10)):
        source = network.linear(f"fc{index}", source, width, act_bits=bits, wgt_bits=bits)
    return network


def _recurrent_step(name: str, width: int) -> Network:
    network = Network(name, (1, 1, width))
    network.linear("matmul", INPUT, width, act_bits=4, wgt_bits=4)
    return network
