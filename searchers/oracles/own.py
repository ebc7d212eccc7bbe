"""A user's own oracle: a Python callable, a table of results, or a predictor as ONNX.

A callable is named ``module:function`` and imported from where Python finds modules; a study file only names it and
holds no code. Whoever runs such a study trusts that module as any program they run. Tables and ONNX files are data.
"""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from searchers.oracles.accuracy import (
    INSIDE,
    REGIMES,
    Accuracy,
    Bits,
    Estimates,
    Floats,
    Keep,
    Oracle,
    Policy,
    Subject,
)
from workloads.errors import OracleError

Answer = Accuracy | tuple[float, float]
Question = Callable[[Sequence[Subject], Sequence[Policy], str], Sequence[Answer]]
COLUMNS = ("network", "regime", "weights", "activations", "value", "sigma")
Key = tuple[str, str, tuple[int, ...], tuple[int, ...]]
OUTPUTS = 2  # value and sigma


class Own(Oracle):
    """What of a user's oracle is the same for all kinds."""

    regimes = REGIMES
    quantity, unit = "accuracy of one's own", "as its maker says"

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]
        self.provenance = name


class CallableOracle(Own):
    """A function of networks, policies and regime that returns an ``Accuracy``, or value and sigma, for each."""

    def __init__(self, name: str, function: Question) -> None:
        super().__init__(name)
        self._function = function

    def evaluate(self, networks: Sequence[Subject], policies: Sequence[Policy], regime: str) -> list[Accuracy]:
        """Ask the function; what it must not answer is an error."""
        super().evaluate(networks, policies, regime)
        answers = self._function(networks, policies, regime)
        if len(answers) != len(networks):
            raise OracleError(self.name, "answers", len(answers), f"one for each of {len(networks)} networks")
        return [self._checked(answer) for answer in answers]

    def _checked(self, answer: Answer) -> Accuracy:
        if isinstance(answer, Accuracy):
            return answer
        try:
            value, sigma = map(float, answer)
        except (TypeError, ValueError):
            raise OracleError(self.name, "answer", answer, "an Accuracy, or value and sigma") from None
        return Accuracy(*_believable(self.name, value, sigma), False, INSIDE, self.name)

    def _estimate(self, networks: Sequence[Subject], policies: Sequence[Policy], regime: str) -> Estimates:
        unknown = np.full(len(networks), math.nan)
        return Estimates(unknown, unknown, np.zeros(len(networks), bool))


def from_callable(name: str) -> CallableOracle:
    """Return the oracle that ``module:function`` names.

    Raises
    ------
    OracleError
        If there is no such module or function.
    """
    module, _, function = name.partition(":")
    try:
        found: Any = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise OracleError("oracle", "name", name, f"module:function that can be imported ({error})") from None
    if not callable(found):
        raise OracleError("oracle", "name", name, "a function")
    return CallableOracle(name, found)


class TableOracle(Own):
    """Exact lookup in a table of results.

    Parameters
    ----------
    path : Path
        CSV with the columns ``network, regime, weights, activations, value, sigma``. Widths are whole numbers with
        spaces between, one for each place of the policy or one alone for all of them; empty where there is no policy.

    Raises
    ------
    OracleError
        If the table cannot be read, naming the line.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._rows: dict[Key, tuple[float, float]] = {}
        try:
            with path.open(encoding="utf-8", newline="") as file:
                reader = csv.DictReader(file)
                if tuple(reader.fieldnames or ()) != COLUMNS:
                    raise OracleError(str(path), "columns", ", ".join(reader.fieldnames or ()), ", ".join(COLUMNS))
                for row in reader:
                    self._read(f"{path}, line {reader.line_num}", row)
        except (OSError, UnicodeDecodeError) as error:
            raise OracleError(str(path), "", error, "a CSV file of results") from None

    def _read(self, where: str, row: dict[str, str]) -> None:
        if row["regime"] not in REGIMES:
            raise OracleError(where, "regime", row["regime"], "one of " + ", ".join(REGIMES))
        try:
            weights, activations = (tuple(map(int, row[name].split())) for name in ("weights", "activations"))
            value, sigma = float(row["value"]), float(row["sigma"])
        except (AttributeError, TypeError, ValueError):  # a short row has None
            raise OracleError(where, "row", row, "whole widths, value and sigma as numbers") from None
        key = row["network"], row["regime"], weights, activations
        if key in self._rows:
            raise OracleError(where, "network", row["network"], "one row for the same policy")
        self._rows[key] = _believable(where, value, sigma)

    def _estimate(self, networks: Sequence[Subject], policies: Sequence[Policy], regime: str) -> Estimates:
        found = np.full((len(networks), 2), math.nan)
        refused = {}
        for index, (network, policy) in enumerate(zip(networks, policies, strict=True)):
            row = next((self._rows[key] for key in _keys(network, policy, regime) if key in self._rows), None)
            if row is None:
                refused[index] = f"no row of {network.name} with this policy under {regime}"
            else:
                found[index] = row
        return Estimates(found[:, 0], found[:, 1], np.zeros(len(networks), bool), refused=refused)


def _keys(network: Subject, policy: Policy, regime: str) -> list[Key]:
    """Return how a row of a network may be written."""
    if not isinstance(policy, Bits):
        return [(network.name, regime, (), ())]
    keys = [(network.name, regime, policy.weights, policy.activations)]
    weights, activations = set(policy.weights), set(policy.activations)
    if len(weights) == len(activations) == 1:
        keys.append((network.name, regime, tuple(weights), tuple(activations)))
    return keys


class OnnxOracle(Own):
    """A predictor as ONNX, run by the reference implementation of the ``onnx`` package (extra ``onnx``).

    Parameters
    ----------
    path : Path
        Of a model with one input of shape (n, features) and one output of shape (n, 2): value and sigma. Features are
        the numbers of the network's architecture in the order of its fields, then those of the policy.

    Raises
    ------
    OracleError
        If the extra is missing, or the file is no such model.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        try:
            import onnx
            from onnx.reference import ReferenceEvaluator
        except ImportError:
            raise OracleError(str(path), "", "no package onnx", "it: pip install 'sextant[onnx]'") from None
        need = "an ONNX model of one input (n, features) and one output (n, 2)"
        try:
            model = onnx.load(path, load_external_data=False)
            onnx.checker.check_model(model)
            self._model = ReferenceEvaluator(model)
        except Exception as error:  # whatever a damaged file raises
            raise OracleError(str(path), "", error, need) from None
        if len(self._model.input_names) != 1 or len(self._model.output_names) != 1:
            raise OracleError(str(path), "inputs", ", ".join(self._model.input_names), need)
        shape = model.graph.input[0].type.tensor_type.shape.dim
        self._width = shape[1].dim_value if len(shape) == 2 else 0
        if self._width == 0:
            raise OracleError(str(path), "input", f"{len(shape)} dimensions", need)

    def _estimate(self, networks: Sequence[Subject], policies: Sequence[Policy], regime: str) -> Estimates:
        rows = [features(network, policy) for network, policy in zip(networks, policies, strict=True)]
        refused = {
            index: f"{len(row)} features, the model takes {self._width}"
            for index, row in enumerate(rows)
            if len(row) != self._width
        }
        found: Floats = np.full((len(rows), OUTPUTS), math.nan)
        asked = [index for index in range(len(rows)) if index not in refused]
        if asked:
            given = np.array([rows[index] for index in asked], np.float32)
            (output,) = self._model.run(None, {self._model.input_names[0]: given})
            if output.shape != (len(asked), OUTPUTS):
                raise OracleError(self.name, "output", output.shape, f"shape {(len(asked), OUTPUTS)}")
            found[asked] = output
            for value, sigma in found[asked].tolist():
                _believable(self.name, value, sigma)
        return Estimates(found[:, 0], found[:, 1], np.zeros(len(rows), bool), refused=refused)


def features(network: Subject, policy: Policy) -> tuple[float, ...]:
    """Return what an ONNX predictor is given of a network and its policy."""
    parts: list[Any] = []
    for described in (network.architecture, policy):
        if isinstance(described, Bits | Keep) or dataclasses.is_dataclass(described):
            parts += [getattr(described, field.name) for field in dataclasses.fields(described)]
    return tuple(float(number) for part in parts for number in (part if isinstance(part, tuple) else (part,)))


def _believable(where: str, value: float, sigma: float) -> tuple[float, float]:
    if not math.isfinite(value) or not math.isfinite(sigma) or sigma < 0:
        raise OracleError(where, "value and sigma", (value, sigma), "finite numbers, sigma from 0")
    return value, sigma
