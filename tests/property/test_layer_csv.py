"""Any layer table survives being written and read."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.layer_csv import read_layers, write_layers
from workloads.layers import Layer, LayerTable

bits = st.integers(1, 32)
# Anything a tool may call a layer, quotes, commas and other alphabets included, on one line.
names = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1)


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    kind = draw(st.sampled_from(("conv", "depthwise", "linear", "matmul")))
    in_h, in_w, kernel_h, kernel_w, stride = (draw(st.integers(1, 32)) for _ in range(5))
    groups = draw(st.integers(1, 32))
    in_c = groups if kind == "depthwise" else groups * draw(st.integers(1, 32))
    out_c = in_c if kind == "depthwise" else groups * draw(st.integers(1, 32))
    return Layer(
        name=draw(names),
        kind=kind,
        batch=draw(st.integers(1, 16)),
        in_h=in_h,
        in_w=in_w,
        in_c=in_c,
        out_h=draw(st.integers(1, (in_h + kernel_h - 2) // stride + 1)),
        out_w=draw(st.integers(1, (in_w + kernel_w - 2) // stride + 1)),
        out_c=out_c,
        kernel_h=kernel_h,
        kernel_w=kernel_w,
        stride=stride,
        groups=groups,
        act_bits=draw(bits),
        wgt_bits=draw(bits),
        reads_input=draw(st.integers(0, 1)),
    )


@given(st.lists(layers(), min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_round_trip(rows: list[Layer]) -> None:
    table = LayerTable.of("table", rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        write_layers(table, path)
        again = read_layers(path)
    assert again.name == table.name
    assert again.layers() == tuple(rows)
    assert (again.values == table.values).all()
