"""Oracles that users bring: a callable, a table, an ONNX predictor."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from searchers.oracles.accuracy import Accuracy, Bits, Keep, Subject
from searchers.oracles.own import features
from searchers.oracles.registry import find_oracle
from workloads.errors import OracleError
from workloads.networks.tiny_residual import TinyResidual

HEADER = "network,regime,weights,activations,value,sigma\n"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    made = ModuleType("my_oracle")
    monkeypatch.setitem(sys.modules, "my_oracle", made)
    return made


def test_a_callable_answers_with_pairs_or_accuracies(module: ModuleType) -> None:
    module.ask = lambda networks, policies, regime: [(70, 1.5), Accuracy(71, 1, True, "inside", "me")][: len(networks)]
    pair, own = find_oracle("my_oracle:ask").evaluate([Subject("a"), Subject("b")], [None, None], "qat")
    assert str(pair) == "70.00 ± 1.50 [my_oracle:ask]"
    assert own.provenance == "me"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda *_: [], "answers = 0, need one for each of 1 networks"),
        (lambda *_: [3.0], "answer = 3.0, need an Accuracy, or value and sigma"),
        (lambda *_: [(float("nan"), 1.0)], "need finite numbers, sigma from 0"),
        (lambda *_: [(70.0, -1.0)], "need finite numbers, sigma from 0"),
    ],
)
def test_what_a_callable_must_not_answer(module: ModuleType, answer: object, said: str) -> None:
    module.ask = answer
    with pytest.raises(OracleError, match=said):
        find_oracle("my_oracle:ask").evaluate([Subject("a")], [None], "qat")


@pytest.mark.parametrize("name", ["no_such_module:ask", "my_oracle:no_such", ":ask", "my_oracle:", "my_oracle:number"])
def test_a_name_that_is_no_callable(module: ModuleType, name: str) -> None:
    module.number = 3
    with pytest.raises(OracleError, match=f"oracle: name = {name}, need "):
        find_oracle(name)


def test_a_table_is_looked_up(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text(HEADER + "net,qat,4,8,70.5,0.3\nnet,qat,4 2,8 8,60,1\nnet,fp32,,,72,0.1\n", encoding="utf-8")
    oracle = find_oracle("own-table", path)
    policies = [Bits((8, 8), (4, 4)), Bits((8, 8), (4, 2)), Bits((8, 8), (2, 2))]
    uniform, mixed, absent = oracle.evaluate([Subject("net")] * 3, policies, "qat")
    assert (uniform.value, uniform.sigma, mixed.value) == (70.5, 0.3, 60)
    assert absent.domain == "no row of net with this policy under qat"
    assert oracle.evaluate([Subject("net")], [None], "fp32")[0].value == 72


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "results.csv: columns = , need network, regime"),
        ("a,b\n", "results.csv: columns = a, b, need network, regime"),
        (HEADER + "net,int8,4,4,70,1\n", "line 2: regime = int8, need one of fp32"),
        (HEADER + "net,qat,four,4,70,1\n", "line 2: row = .* need whole widths"),
        (HEADER + "net,qat,4\n", "line 2: row = .* need whole widths"),
        (HEADER + "net,qat,4,4,nan,1\n", "line 2: value and sigma = .nan, 1.0., need finite numbers"),
        (HEADER + 2 * "net,qat,4,4,70,1\n", "line 3: network = net, need one row for the same policy"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "results.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(OracleError, match=said):
        find_oracle("own-table", path)


def test_files_that_are_missing_or_not_asked_for(tmp_path: Path) -> None:
    with pytest.raises(OracleError, match="oracle own-table: file is missing, need a table of results"):
        find_oracle("own-table")
    with pytest.raises(OracleError, match=r"nowhere.csv: .*need a CSV file"):
        find_oracle("own-table", tmp_path / "nowhere.csv")
    with pytest.raises(OracleError, match=r"oracle published: file = .*, need no file"):
        find_oracle("published", tmp_path)


def predictor(path: Path, width: int, outputs: int) -> Path:
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    given = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", width])
    made = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", outputs])
    weight = numpy_helper.from_array(np.ones((width, outputs), np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "sum", [given], [made], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_an_onnx_predictor_is_given_architecture_and_policy(tmp_path: Path) -> None:
    family = TinyResidual()
    subject, policy = Subject(family.name, family.largest), Bits((8, 8, 4, 4), (2, 3, 4, 6))
    given = features(subject, policy)
    oracle = find_oracle("own-onnx", predictor(tmp_path / "sum.onnx", len(given), 2))
    answer, refused = oracle.evaluate([subject, subject], [policy, Keep()], "qat")
    assert answer.value == answer.sigma == sum(given)
    assert refused.domain == f"19 features, the model takes {len(given)}"


def test_onnx_files_that_are_no_predictor(tmp_path: Path) -> None:
    oracle = find_oracle("own-onnx", predictor(tmp_path / "one.onnx", 5, 1))
    with pytest.raises(OracleError, match=r"output = .1, 1., need shape .1, 2."):
        oracle.evaluate([Subject("a")], [Keep()], "qat")
    (tmp_path / "no.onnx").write_bytes(b"nothing")
    with pytest.raises(OracleError, match=r"no.onnx: .* need an ONNX model"):
        find_oracle("own-onnx", tmp_path / "no.onnx")
