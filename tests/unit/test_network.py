"""The graph of a network: inferred shapes, counts, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from workloads.errors import WorkloadError
from workloads.layers import ACT_BITS, BATCH, READS_INPUT, WGT_BITS
from workloads.network import INPUT, Network, Shape


@pytest.fixture
def network() -> Network:
    return Network("net", (32, 24, 3))


def test_shape_reads_as_a_size() -> None:
    assert str(Shape(32, 24, 3)) == "32 x 24 x 3"


def test_convolution_keeps_the_size_unless_told_otherwise(network: Network) -> None:
    assert network.shape(network.conv("same", INPUT, 16, 5)) == Shape(32, 24, 16)
    assert network.shape(network.conv("valid", INPUT, 16, 5, padding=0)) == Shape(28, 20, 16)
    assert network.shape(network.conv("half", INPUT, 16, 3, stride=2)) == Shape(16, 12, 16)


def test_parameters_of_a_convolution(network: Network) -> None:
    network.conv("normalised", INPUT, 16, 5)
    assert network.parameters == 25 * 3 * 16 + 2 * 16
    network.conv("biased", INPUT, 16, 5, bias=True, batch_norm=False)
    assert network.parameters == 2 * 25 * 3 * 16 + 3 * 16


def test_depthwise_filters_each_channel(network: Network) -> None:
    network.depthwise("filter", INPUT, 3)
    (layer,) = network.table().layers()
    assert (layer.kind, layer.groups, layer.out_c) == ("depthwise", 3, 3)
    assert network.macs == 32 * 24 * 3 * 9
    assert network.parameters == 3 * 9 + 2 * 3


def test_a_convolution_of_one_channel_is_not_depthwise() -> None:
    network = Network("net", (8, 8, 1))
    network.conv("filter", INPUT, 1, 3)
    assert network.table().layer(0).kind == "conv"


def test_linear_flattens(network: Network) -> None:
    network.linear("fc", INPUT, 10)
    (layer,) = network.table().layers()
    assert (layer.in_h, layer.in_w, layer.in_c, layer.out_c) == (1, 1, 32 * 24 * 3, 10)
    assert network.parameters == 32 * 24 * 3 * 10 + 10
    network.linear("plain", "fc", 4, bias=False)
    assert network.parameters == 32 * 24 * 3 * 10 + 10 + 40


def test_products_of_attention() -> None:
    network = Network("attention", (128, 1, 64))
    query, key, value = (network.conv(name, INPUT, 64, 1) for name in ("q", "k", "v"))
    scores = network.matmul("scores", query, key, heads=4, transpose=True)
    assert network.shape(scores) == Shape(128, 1, 4 * 128)
    context = network.matmul("context", scores, value, heads=4)
    assert network.shape(context) == Shape(128, 1, 64)
    macs = dict(zip(network.table().layer_names, network.table().macs.tolist(), strict=True))
    assert macs["scores"] == macs["context"] == 128 * 128 * 64


def test_pooling(network: Network) -> None:
    assert network.shape(network.pool("halves", INPUT, 2)) == Shape(16, 12, 3)
    assert network.shape(network.pool("overlapping", INPUT, 3, stride=2, padding=1)) == Shape(16, 12, 3)
    assert network.shape(network.pool("all", INPUT)) == Shape(1, 1, 3)


def test_elementwise_broadcasts_single_values(network: Network) -> None:
    weights = network.pool("all", INPUT)
    assert network.shape(network.elementwise("scale", weights, INPUT)) == Shape(32, 24, 3)
    assert network.shape(network.elementwise("add", INPUT, "scale")) == Shape(32, 24, 3)


def test_concatenate_joins_channels(network: Network) -> None:
    narrow, wide = network.conv("narrow", INPUT, 4, 1), network.conv("wide", INPUT, 8, 3)
    assert network.shape(network.concatenate("both", narrow, wide)) == Shape(32, 24, 12)


def test_table_holds_the_layers_in_the_order_they_were_added(network: Network) -> None:
    first = network.conv("first", INPUT, 16, 3, act_bits=8, wgt_bits=1)
    hidden = network.conv("second", network.pool("pool", first, 2), 16, 3)
    network.linear("fc", hidden, 10, act_bits=3, wgt_bits=2)
    table = network.table(batch=4)
    assert table.layer_names == ("first", "second", "fc")
    assert table.values[:, READS_INPUT].tolist() == [1, 0, 0]
    assert table.values[:, BATCH].tolist() == [4, 4, 4]
    assert table.values[:, ACT_BITS].tolist() == [8, 8, 3]
    assert table.values[:, WGT_BITS].tolist() == [1, 8, 2]
    assert table.macs.sum() == 4 * network.macs


def test_table_takes_other_bits(network: Network) -> None:
    network.conv("first", INPUT, 16, 3, wgt_bits=1)
    network.conv("second", "first", 16, 3)
    assert network.table(wgt_bits=[5, 6]).values[:, WGT_BITS].tolist() == [5, 6]
    assert network.table(act_bits=np.array([2, 3])).values[:, ACT_BITS].tolist() == [2, 3]
    assert network.table(act_bits=4).values[:, WGT_BITS].tolist() == [1, 8]


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (lambda net: net.conv("b", "nowhere", 8, 3), "net: source = nowhere, need an operation added before"),
        (lambda net: net.conv("a", INPUT, 8, 3), "net: name = a, need a different name for every operation"),
        (
            lambda net: net.conv("b", INPUT, 8, 33, padding=0),
            "net, b: kernel = 33, need 1..32 on a map of 32",
        ),
        (lambda net: net.pool("b", INPUT, 40), "net, b: kernel = 40, need 1..32 on a map of 32"),
        (
            lambda net: net.elementwise("b", INPUT, "a"),
            "net, b: shape = 32 x 24 x 8, need 32 x 24 x 3 or 1 x 1 x 3",
        ),
        (
            lambda net: net.concatenate("b", INPUT, net.pool("half", INPUT, 2)),
            "net, b: shapes = 32 x 24 x 3, 16 x 12 x 3, need maps of one size",
        ),
        (
            lambda net: net.matmul("b", INPUT, "a"),
            "net, b: shapes = 32 x 24 x 3 and 32 x 24 x 8, need an inner dimension that agrees",
        ),
        (
            lambda net: net.conv("b", INPUT, 8, 3, groups=2),
            "layer b: in_c = 3, need a multiple of groups = 2",
        ),
    ],
)
def test_what_does_not_fit_is_refused(network: Network, add: Callable[[Network], str], message: str) -> None:
    network.conv("a", INPUT, 8, 3)
    with pytest.raises(WorkloadError) as caught:
        add(network)
    assert str(caught.value) == message


def test_a_network_without_layers_has_no_table(network: Network) -> None:
    network.pool("pool", INPUT)
    with pytest.raises(WorkloadError, match="net: layers is missing, need at least one"):
        network.table()
