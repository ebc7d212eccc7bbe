"""SCALE-Sim topologies as layers, and what is said of a file that is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from workloads.errors import WorkloadError
from workloads.layers import Layer
from workloads.source import open_layers

CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,"
GEMM = "Layer, M, N, K,"


def write(folder: Path, *lines: str) -> str:
    path = folder / "topology.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_convolutions(tmp_path: Path) -> None:
    path = write(
        tmp_path, CONV, "Conv1, 230, 230, 7, 7, 3, 64, 2,", "", "DP2, 8, 9, 3, 3, 5, 1, 2,", "DP3,8,8,3,3,5,2,1"
    )
    first, second, third = open_layers(path).layers()
    assert first == Layer(
        name="Conv1", kind="conv", in_h=230, in_w=230, in_c=3, out_h=113, out_w=113, out_c=64, kernel_h=7, kernel_w=7,
        stride=2,
    )  # fmt: skip
    assert (second.kind, second.out_h, second.out_w, second.groups) == (
        "depthwise",
        4,
        4,
        5,
    )  # a part of a window counts
    assert (third.kind, third.out_c, third.groups, third.macs) == ("conv", 10, 5, 36 * 10 * 9)


def test_products(tmp_path: Path) -> None:
    path = write(tmp_path, GEMM, "fc, 5, 6, 7,", "heads, 5, 6, 7, 12,", "ratio, 5, 6, 7, 1:1,")
    first, heads, ratio = open_layers(path).layers()
    assert (first.kind, first.in_h, first.in_c, first.out_c) == ("linear", 5, 7, 6)
    assert (heads.kind, heads.groups, heads.macs) == ("matmul", 12, 12 * 5 * 6 * 7)
    assert ratio.macs == first.macs


def test_options(tmp_path: Path) -> None:
    path = write(tmp_path, CONV, "a, 8, 8, 3, 3, 4, 4, 1,")
    (layer,) = open_layers(f"{path}:batch=3,act_bits=4,wgt_bits=2").layers()
    assert (layer.batch, layer.act_bits, layer.wgt_bits) == (3, 4, 2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a, 8, 8, 9, 3, 4, 4, 1,", "line 2: filter height = 9, need 1..8, the size of the IFMAP"),
        ("a, 8, 8, 3, 9, 4, 4, 1,", "line 2: filter width = 9, need 1..8, the size of the IFMAP"),
        ("a, 8, 8, x, 3, 4, 4, 1,", "line 2: filter height = 'x', need a whole number"),
        ("a, 8, 8, 3, 3, 0, 4, 1,", "line 2: channels = 0, need at least 1"),
        ("a, 8, 8, 3, 3, 4, 4, 0,", "line 2: stride = 0, need at least 1"),
        ("a, 8, 8, 3, 3, 4, 4, 1, 2,", "line 2: stride width = 2, need 1, as in height"),
        ("a, 8, 8, 3, 3, 4, 4, 1, 2:4,", "line 2: sparsity = 2:4, need 1:1, these machines multiply dense layers"),
        ("a, 8, 8, 3, 3, 4, 4, 1, 1, 1, 1,", "line 2: cells = 11, need a SCALE-Sim topology"),
        ("a, 8, 8, 3, 3, 4, 4,", "line 2: cells = 7, need a SCALE-Sim topology"),
        (", 8, 8, 3, 3, 4, 4, 1,", "line 2: name is missing, need a name for every layer"),
        ("a, 8,", "line 2: N = '', need a whole number"),
        ("a, 8, 8, 3, 2:4", "line 2: sparsity = 2:4, need 1:1"),
        ("a, 99999999, 8, 3, 3, 4, 4, 1,", "line 2: in_h = 99999999, need 1..1048576"),
        ("", "rows is missing, need at least one layer"),
    ],
)
def test_lines_that_are_no_layers(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(WorkloadError) as caught:
        open_layers(write(tmp_path, CONV, line))
    assert message in str(caught.value)
