"""Networks from files on the command line: every malformed one is a line, exit code 2, and soon."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import sextant
from tests.onnx_models import constant, model, node, save, two_convolutions, value
from tests.unit.test_timeloop import REFUSED
from tests.unit.test_topology_csv import CONV, GEMM
from tests.unit.test_transformer import BERT, VIT

SLOWEST_S = 2.0
TOPOLOGIES = [
    f"{CONV}\n{line}\n"
    for line in (
        "", "a", "a, 8", "a, 8, 8, 9, 3, 4, 4, 1,", "a, 8, 8, x, 3, 4, 4, 1,", "a, 8, 8, 3, 3, -4, 4, 1,",
        "a, 8, 8, 3, 3, 4, 4, 0,", "a, 8, 8, 3, 3, 4, 4, 1, 2,", "a, 8, 8, 3, 3, 4, 4, 1, 2:4,",
        ", 1, 1, 1, 1, 1, 1, 1", "a, 8, 8, 3, 3, 4, 4, 1, 1, 1, 1", "a, 1e9, 8, 3, 3, 4, 4, 1",
        f"a, {'9' * 5000}, 8, 3, 3, 4, 4, 1", '"a, 8, 8',
    )
]  # fmt: skip
TOPOLOGIES += [f"{GEMM}\na, {sizes},\n" for sizes in ("5, 6, ", "5, 6, 7, 0", f"{2**20}, {2**20}, {2**20}")]
TOPOLOGIES += ["Layer name"]
CONFIGS: list[Any] = [
    "", "{", "[]", "7", "[" * 5000, "{\"hidden_size\": NaN}", {}, {**BERT, "hidden_size": "64"},
    {**BERT, "hidden_size": 65}, {**BERT, "num_hidden_layers": 10**9}, {**BERT, "num_experts": 4},
    {**BERT, "model_type": 7}, {**BERT, "intermediate_size": 0}, {**BERT, "num_key_value_heads": 3},
    {**VIT, "patch_size": 0}, {**VIT, "image_size": 2**20, "patch_size": 1},
]  # fmt: skip
W = constant("w", 8, 4)


def models() -> list[bytes]:
    whole = two_convolutions(1).SerializeToString()
    made = [
        two_convolutions(),
        two_convolutions(0),
        two_convolutions(-1),
        two_convolutions(2**40),
        model([], [value("x", 1)], []),
        model([node("Relu", "x", "y")], [value("x", 1)], []),
        model([node("MatMul", "x", "y")], [value("x", 5, 8)], []),
        model([node("MatMul", "x nowhere", "y")], [value("x", 5, 8)], []),
        model([node("MatMul", "y w", "y")], [value("x", 5, 8)], [W]),
        model([node("MatMul", "x w", "y")], [value("x", 5, 9)], [W]),
        model([node("MatMul", "x w", "y")], [value("x")], [W]),
        model([node("Conv", "x w", "y")], [value("x", 1, 8, 3, 3)], [W]),
        model([node("Conv", "x w", "y", group=0)], [value("x", 1, 8, 3, 3)], [constant("w", 4, 8, 2, 2)]),
        model([node("Conv", "x w", "y", strides=[0, 0])], [value("x", 1, 8, 3, 3)], [constant("w", 4, 8, 2, 2)]),
        model([node("LSTM", "x w w", "y", "step")], [value("x", 5, 1, 8)], [W]),
        model([node("Gemm", "x w", "y", "step")], [value("x", 1, 5, 8)], [W]),
        model([node("NoSuch", "x", "y")], [value("x", 5, 8)], []),
        model([node("MatMul", "x w", "")], [value("x", 5, 8)], [W]),
    ]
    return [
        b"",
        b"\0" * 100,
        b"ONNX",
        whole[:-7],
        whole[: len(whole) // 2],
        whole[9:],
        *(m.SerializeToString() for m in made),
    ]


def refused(*arguments: object) -> str:
    """Run a command that must fail before it prints anything, and return its one line."""
    begun = time.thread_time()
    ran = sextant("simulate", "systolic", *arguments)
    assert time.thread_time() - begun < SLOWEST_S
    assert (ran.code, ran.out) == (2, ""), ran
    assert ran.err.startswith("sextant: ")
    assert ran.err.count("\n") == 1
    return ran.err


def files() -> list[tuple[str, bytes]]:
    made = [("problem.yaml", text.encode()) for text, _ in REFUSED]
    made += [("topology.csv", text.encode()) for text in TOPOLOGIES]
    made += [("config.json", (text if isinstance(text, str) else json.dumps(text)).encode()) for text in CONFIGS]
    made += [("model.onnx", data) for data in models()]
    made += [(f"latin.{kind}", b"Layer name,\xff\xfe\n\xff") for kind in ("csv", "yaml", "json", "onnx")]
    return made


FILES = files()


@pytest.mark.parametrize("index", range(len(FILES)))
def test_a_malformed_file_is_one_line(tmp_path: Path, index: int) -> None:
    name, data = FILES[index]
    path = tmp_path / name
    path.write_bytes(data)
    assert str(path) in refused(path)


@pytest.mark.parametrize("kind", ["csv", "yaml", "json", "onnx"])
def test_a_file_that_is_not_there_or_a_folder_is_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"missing.{kind}"
    assert str(path) in refused(path)
    path.mkdir()
    assert str(path) in refused(path)


def test_a_model_runs_on_every_machine_for_layers(tmp_path: Path) -> None:
    path = save(tmp_path, two_convolutions())
    for machine in ("bitfusion", "bitserial", "systolic"):
        ran = sextant("simulate", machine, f"{path}:batch=4", "--json")
        assert (ran.code, ran.err) == (0, "")
        assert [layer["name"] for layer in json.loads(ran.out)["layers"]] == ["conv1", "conv2", "fc"]


def test_skip_unsupported(tmp_path: Path) -> None:
    nodes = [node("MatMul", "x w", "h"), node("Einsum", "h", "y", "sum", equation="ij->ij")]
    path = save(tmp_path, model(nodes, [value("x", 5, 8)], [W]))
    assert "node sum: operator = Einsum" in refused(path)
    assert sextant("simulate", "systolic", path, "--skip-unsupported").code == 0
