"""Timeloop problems as layers, and what is said of a file that is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from workloads.errors import WorkloadError
from workloads.layers import Layer
from workloads.source import open_layers

yaml = pytest.importorskip("yaml", reason="needs the extra timeloop")
SHAPE = """problem:
  shape:
    name: conv3
    dimensions: [C, M, R, S, N, P, Q]
    coefficients:
    - {name: Wstride, default: 2}
    - {name: Hstride, default: 2}
    data-spaces:
    - name: Weights
      projection: [[[C]], [[M]], [[R]], [[S]]]
"""
INSTANCE = "  instance: {C: 16, M: 32, R: 3, S: 5, N: 4, P: 14, Q: 7}\n"
FLAT = "problem: {shape: cnn-layer, C: 3, M: 96, R: 11, S: 11, N: 1, P: 55, Q: 55, Wstride: 4, Hstride: 4}\n"


def write(folder: Path, text: str) -> str:
    path = folder / "problem.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_convolution(tmp_path: Path) -> None:
    (layer,) = open_layers(write(tmp_path, SHAPE + INSTANCE)).layers()
    assert layer == Layer(
        name="conv3", kind="conv", batch=4, in_h=17, in_w=29, in_c=16, out_h=7, out_w=14, out_c=32, kernel_h=5,
        kernel_w=3, stride=2,
    )  # fmt: skip


def test_sizes_beside_the_shape(tmp_path: Path) -> None:
    (layer,) = open_layers(write(tmp_path, FLAT)).layers()
    assert (layer.name, layer.in_h, layer.in_w, layer.stride) == ("cnn-layer", 227, 227, 4)
    assert layer.macs == 55 * 55 * 96 * 3 * 121


def test_groups_depthwise_and_products(tmp_path: Path) -> None:
    (grouped,) = open_layers(write(tmp_path, "problem: {C: 4, M: 8, G: 3, R: 1, S: 1, N: 1, P: 5, Q: 5}")).layers()
    assert (grouped.in_c, grouped.out_c, grouped.groups, grouped.macs) == (12, 24, 3, 25 * 3 * 8 * 4)
    (deep,) = open_layers(write(tmp_path, "problem: {C: 12, R: 3, S: 3, N: 1, P: 5, Q: 5}")).layers()
    assert (deep.kind, deep.groups, deep.macs) == ("depthwise", 12, 25 * 12 * 9)
    (product,) = open_layers(write(tmp_path, "problem: {M: 5, N: 6, K: 7}") + ":act_bits=4").layers()
    assert (product.kind, product.in_h, product.in_c, product.out_c, product.act_bits) == ("linear", 5, 7, 6, 4)


def test_a_dilated_window(tmp_path: Path) -> None:
    (layer,) = open_layers(
        write(tmp_path, FLAT.replace("Hstride: 4", "Hstride: 4, Wdilation: 2, Hdilation: 2"))
    ).layers()
    assert (layer.dilation, layer.reach_h, layer.in_h) == (2, 21, 54 * 4 + 21)


REFUSED = [
    (FLAT.replace("Hstride: 4", "Hstride: 4, Hdilation: 2"), "Hdilation = 2, need Wdilation = 1"),
    ("problem: {C: 3, M: 9}", "problem.shape.dimensions = C, M, need C, M, R, S, N, P, Q"),
    (SHAPE, "C is missing, need a whole number, at least 1"),
    (SHAPE + INSTANCE.replace("16", "x"), "C = x, need a whole number, at least 1"),
    (SHAPE + INSTANCE.replace("16", "0"), "C = 0, need a whole number, at least 1"),
    (SHAPE + INSTANCE.replace("16", "[1, 2]"), "C = a list, need a whole number, at least 1"),
    (SHAPE + INSTANCE.replace("16", "1.5"), "C = 1.5, need a whole number, at least 1"),
    (SHAPE + INSTANCE.replace("16", "true"), "C = True, need a whole number, at least 1"),
    (SHAPE + INSTANCE.replace("Q: 7", "Q: 7, Hstride: 3"), "Hstride = 3, need Wstride = 2"),
    (SHAPE + INSTANCE.replace("M: 32", "M: 3000000"), "out_c = 3000000, need 1..1048576"),
    (SHAPE.replace("[C, M, R, S, N, P, Q]", "7") + INSTANCE, "problem.shape.dimensions = a int, need a list of names"),
    (SHAPE.replace("- {name: Wstride, default: 2}", "- 7") + INSTANCE, "coefficients = a list, need a list of names"),
    (SHAPE + "  instance: 7\n", "problem.instance = a int, need a mapping of sizes"),
    ("problem: 7\n", "problem = a int, need a mapping"),
    ("[1, 2]\n", "a list, need a Timeloop problem as YAML"),
    ("", "nothing, need a Timeloop problem as YAML"),
    ("problem: {C: [\n", "no YAML (line 2), need a Timeloop problem as YAML"),
    ("problem: !!python/object/apply:os.system [true]\n", "no YAML (line 1), need a Timeloop problem as YAML"),
    ("a: &a [x, x]\nb: &b [*a, *a]\nproblem: {M: *b, N: 1, K: 1}\n", "M = a list, need a whole number"),
    ("[" * 20000, "no YAML"),
    ("\0", "no YAML"),
    ("x" * 70000, "size = 70000 bytes, need at most 65536"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=range(len(REFUSED)))
def test_files_that_are_no_problems(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(WorkloadError) as caught:
        open_layers(write(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(WorkloadError, match=r"no pyyaml, need pip install 'sextant\[timeloop\]'"):
        open_layers(write(tmp_path, FLAT))
