"""One layer, and tables of them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from workloads.errors import WorkloadError
from workloads.layers import (
    ACT_BITS,
    BATCH,
    COLUMNS,
    KINDS,
    READS_INPUT,
    WGT_BITS,
    Layer,
    LayerTable,
)


def conv(**changes: Any) -> Layer:
    """3 x 3 convolution with stride 2 of 224 x 224 x 3 to 112 x 112 x 32."""
    fields: dict[str, Any] = {
        "name": "first",
        "kind": "conv",
        "in_h": 224,
        "in_w": 224,
        "in_c": 3,
        "out_h": 112,
        "out_w": 112,
        "out_c": 32,
        "kernel_h": 3,
        "kernel_w": 3,
        "stride": 2,
    }
    return Layer(**(fields | changes))


def depthwise(**changes: Any) -> Layer:
    fields = {
        "kind": "depthwise",
        "in_c": 32,
        "out_c": 32,
        "groups": 32,
        "in_h": 112,
        "in_w": 112,
        "stride": 1,
    }
    return conv(**(fields | changes))


def test_columns_are_where_the_constants_say() -> None:
    row = conv(batch=5, act_bits=6, wgt_bits=7, reads_input=1).row()
    assert len(row) == len(COLUMNS) == 16
    assert (row[BATCH], row[ACT_BITS], row[WGT_BITS], row[READS_INPUT]) == (5, 6, 7, 1)
    assert [conv(kind=kind).row()[0] for kind in KINDS if kind != "depthwise"] == [0, 2, 3]


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (conv(), 112 * 112 * 32 * 27),
        (conv(batch=4), 4 * 112 * 112 * 32 * 27),
        (depthwise(), 112 * 112 * 32 * 9),
        (conv(in_c=4, groups=2), 112 * 112 * 32 * 9 * 2),
        (Layer(name="fc", kind="linear", in_h=1, in_w=1, in_c=512, out_h=1, out_w=1, out_c=1000), 512_000),
        (
            Layer(name="qk", kind="matmul", in_h=9, in_w=1, in_c=64, out_h=9, out_w=1, out_c=18, groups=2),
            9 * 18 * 32,
        ),
    ],
)
def test_multiply_accumulates(layer: Layer, macs: int) -> None:
    assert layer.macs == macs
    assert LayerTable.of("one", [layer]).macs.tolist() == [macs]


@pytest.mark.parametrize(
    ("make", "changes", "message"),
    [
        (conv, {"kind": "pool"}, "layer first: kind = pool, need one of conv, depthwise, linear, matmul"),
        (conv, {"in_h": 224.0}, "layer first: in_h = 224.0, need a whole number"),
        (conv, {"stride": True}, "layer first: stride = True, need a whole number"),
        (conv, {"in_c": -3}, "layer first: in_c = -3, need 1..1048576"),
        (conv, {"out_c": 2**20 + 1}, "layer first: out_c = 1048577, need 1..1048576"),
        (conv, {"act_bits": 0}, "layer first: act_bits = 0, need 1..32"),
        (conv, {"wgt_bits": 33}, "layer first: wgt_bits = 33, need 1..32"),
        (conv, {"reads_input": 2}, "layer first: reads_input = 2, need 0..1"),
        (conv, {"groups": 2}, "layer first: in_c = 3, need a multiple of groups = 2"),
        (conv, {"groups": 3}, "layer first: out_c = 32, need a multiple of groups = 3"),
        (depthwise, {"groups": 16}, "layer first: groups = 16, need in_c = 32 for a depthwise layer"),
        (depthwise, {"out_c": 64}, "layer first: out_c = 64, need in_c = 32 for a depthwise layer"),
        (conv, {"out_h": 114}, "layer first: out_h = 114, need 1..113 for in_h = 224, stride = 2"),
        (conv, {"out_w": 200}, "layer first: out_w = 200, need 1..113 for in_w = 224, stride = 2"),
    ],
)
def test_impossible_layers_are_refused(make: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(WorkloadError) as caught:
        make(**changes)
    assert str(caught.value) == message


def test_rows_give_the_layers_back() -> None:
    layers = (conv(reads_input=1, act_bits=3), depthwise(name="second", batch=1))
    table = LayerTable.of("two", layers)
    assert len(table) == 2
    assert table.values.dtype == np.int64
    assert table.layers() == layers
    assert table.layer(1) == layers[1]


def test_tables_join_in_order() -> None:
    one, two = LayerTable.of("one", [conv()]), LayerTable.of("two", [depthwise(name="second")])
    both = LayerTable.join("both", [one, two])
    assert (both.name, both.layer_names) == ("both", ("first", "second"))
    assert both.layers() == one.layers() + two.layers()


def test_a_table_needs_a_layer() -> None:
    need = "none: layers is missing, need at least one conv, depthwise, linear or matmul layer"
    with pytest.raises(WorkloadError, match=re.escape(need)):
        LayerTable.of("none", [])


def test_bits_are_set_for_all_layers_or_for_each() -> None:
    table = LayerTable.of("two", [conv(), depthwise(name="second")])
    changed = table.with_bits(4, [2, 6])
    assert changed.values[:, ACT_BITS].tolist() == [4, 4]
    assert changed.values[:, WGT_BITS].tolist() == [2, 6]
    assert table.values[:, WGT_BITS].tolist() == [8, 8]
    unchanged = [column for column in range(len(COLUMNS)) if column not in (ACT_BITS, WGT_BITS)]
    assert np.array_equal(changed.values[:, unchanged], table.values[:, unchanged])


@pytest.mark.parametrize(
    ("act_bits", "wgt_bits", "message"),
    [
        ([8, 0], 8, "two, layer second: act_bits = 0, need 1..32"),
        (8, [33, 8], "two, layer first: wgt_bits = 33, need 1..32"),
    ],
)
def test_impossible_bits_are_refused(act_bits: Any, wgt_bits: Any, message: str) -> None:
    table = LayerTable.of("two", [conv(), depthwise(name="second")])
    with pytest.raises(WorkloadError) as caught:
        table.with_bits(act_bits, wgt_bits)
    assert str(caught.value) == message


def test_batch_is_set_for_all_layers() -> None:
    table = LayerTable.of("two", [conv(), depthwise(name="second")])
    assert table.with_batch(16).values[:, BATCH].tolist() == [16, 16]
    assert table.with_batch(16).macs.tolist() == (16 * table.macs).tolist()
    for batch in (0, 2**20 + 1):
        with pytest.raises(WorkloadError, match=re.escape(f"two: batch = {batch}, need 1..1048576")):
            table.with_batch(batch)


def test_tables_are_read_only() -> None:
    table = LayerTable.of("one", [conv()])
    for frozen in (table, table.with_bits(4, 4), table.with_batch(2), LayerTable.join("joined", [table])):
        with pytest.raises(ValueError, match="read-only"):
            frozen.values[0, BATCH] = 3
