"""Published networks with the accuracy printed of them: exact lookup by name, nothing in between.

Every row of ``published/*.csv`` names its source. Networks of ``networks.csv`` carry their policy in their name; those
of ``quantized.csv`` were quantized with the same widths everywhere.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, pstdev
from typing import NamedTuple

import numpy as np

from searchers.oracles.accuracy import FP32, REGIMES, Accuracy, Bits, Estimates, Oracle, Policy, Subject

FOLDER = Path(__file__).parent / "published"
ONE_PRINTED_SIGMA = 0.2  # of a single printed figure: what repeated trainings of such networks differ by
IMAGENET = "imagenet"

Key = tuple[str, str, int, int]  # network, regime, widths of weights and activations; 0 where they are not uniform


class Pair(NamedTuple):
    """A published network, quantized everywhere alike.

    Attributes
    ----------
    network, regime, method, source : str
    depthwise : bool
        Whether it has depthwise layers.
    weight_bits, activation_bits : int
    reference, value : float
        ImageNet top-1 before and after [%].
    """

    network: str
    depthwise: bool
    regime: str
    method: str
    weight_bits: int
    activation_bits: int
    reference: float
    value: float
    source: str


def quantized_pairs() -> list[Pair]:
    """Return all published pairs of a quantized network and its reference."""
    return [
        Pair(network, depthwise == "1", regime, method, int(weights), int(activations), float(before), float(after), by)
        for network, depthwise, regime, method, weights, activations, before, after, by in _rows("quantized")
    ]


def _rows(name: str) -> Iterator[list[str]]:
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        yield from list(csv.reader(file))[1:]


class Published(Oracle):
    """Published networks of one task.

    Parameters
    ----------
    name : str
    imagenet : bool
        Whether ImageNet classifiers, or else translators.
    """

    provenance = "printed by the authors"
    regimes = REGIMES

    def __init__(self, name: str, *, imagenet: bool) -> None:
        self.name = name  # type: ignore[misc]
        self.quantity, self.unit = ("ImageNet accuracy, top-1", "%") if imagenet else ("BLEU", "points")
        found: dict[Key, list[tuple[float, str]]] = {}
        for network, task, regime, value, source in _rows("networks"):
            if (task == IMAGENET) == imagenet:
                found.setdefault((network, regime, 0, 0), []).append((float(value), source))
        for pair in quantized_pairs() if imagenet else ():
            widths = pair.weight_bits, pair.activation_bits
            found.setdefault((pair.network, pair.regime, *widths), []).append((pair.value, pair.source))
            found.setdefault((pair.network, FP32, 0, 0), []).append((pair.reference, pair.source))
        self._answers = {key: self._answer(printed) for key, printed in found.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """Return the networks it knows."""
        return tuple(dict.fromkeys(network for network, *_ in self._answers))

    def evaluate(self, networks: Sequence[Subject], policies: Sequence[Policy], regime: str) -> list[Accuracy]:
        """Look networks up by name, regime and widths; each answer names its own source."""
        answers = super().evaluate(networks, policies, regime)
        keys = [_key(network, policy, regime) for network, policy in zip(networks, policies, strict=True)]
        return [self._answers.get(key, answer) for key, answer in zip(keys, answers, strict=True)]

    def _estimate(self, networks: Sequence[Subject], policies: Sequence[Policy], regime: str) -> Estimates:
        refused = {}
        for index, (network, policy) in enumerate(zip(networks, policies, strict=True)):
            *_, weights, activations = _key(network, policy, regime)
            widths = f" at {weights} and {activations} bits" if weights else ""
            refused[index] = f"nothing is printed of {network.name} under {regime}{widths}"
        unknown = np.full(len(networks), np.nan)
        return Estimates(unknown, unknown, np.ones(len(networks), bool), refused=refused)

    @staticmethod
    def _answer(printed: list[tuple[float, str]]) -> Accuracy:
        """Join what is printed of one network: methods that differ are the doubt."""
        values = [value for value, _ in printed]
        sigma = max(ONE_PRINTED_SIGMA, pstdev(values))
        sources = "; ".join(dict.fromkeys(source for _, source in printed))
        return Accuracy(mean(values), sigma, False, "inside", f"printed: {sources}")


def _key(network: Subject, policy: Policy, regime: str) -> Key:
    if isinstance(policy, Bits) and regime != FP32:
        weights, activations = set(policy.weights), set(policy.activations)
        if len(weights) == len(activations) == 1:
            return network.name, regime, weights.pop(), activations.pop()
        return network.name, regime, -1, -1
    return network.name, regime, 0, 0


def imagenet() -> Published:
    """Return the lookup of ImageNet classifiers."""
    return Published("published", imagenet=True)


def translation() -> Published:
    """Return the lookup of translators."""
    return Published("published-bleu", imagenet=False)
