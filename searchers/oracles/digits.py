"""The measured vision oracle: what tiny-residual networks reach on corrupted digits, trained with their quantization.

Hundreds of networks were really trained, each by itself and from two seeds (``training/train_digits.py``);
``measured/digits.csv`` holds what they reached. A model that is additive in what a network is made of, and monotone in
its bits, is fitted to the table (``training/fit_digits.py``) and answers for all networks of the family.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from accel.config import read_toml
from searchers.oracles.accuracy import INSIDE, QAT, Accuracy, Bits, Estimates, Floats, Oracle, Policy, Subject
from workloads.networks.tiny_residual import BITS, BLOCKS, MOST_BLOCKS, NAME, STAGES, Architecture

TABLE = Path(__file__).parent / "measured" / "digits.csv"
FITTED = Path(__file__).parent / "fitted" / "digits.toml"
COLUMNS = ("network", "seed", "depths", "kernels", "expansions", "kept_quarters", "activations", "weights")
QUANTITY, UNIT = "accuracy on corrupted digits, top-1", "%"
GUESSING = 10.0  # ten classes [%]
LARGE_KERNEL, LEAST_EXPANSION, QUARTERS = 5, 1.5, 4
TERMS = (
    "second block of stage 1", "second block of stage 2", "blocks of 5 x 5", "channels of block 1 of stage 1",
    "channels of block 1 of stage 2", "channels of second blocks", "activation noise of block 1 of stage 1",
    "activation noise of block 1 of stage 2", "activation noise of second blocks", "weight noise of block 1 of stage 1",
    "weight noise of block 1 of stage 2", "weight noise of second blocks",
)  # fmt: skip
NOISE_TERMS = slice(6, 12)


@dataclass(frozen=True, slots=True)
class Measured:
    """A network of the table.

    Attributes
    ----------
    index : int
        Its number in ``training.train_digits.draw_network``.
    architecture : Architecture
    bits : Bits
    percent : tuple of float
        What it reached from each seed.
    """

    index: int
    architecture: Architecture
    bits: Bits
    percent: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Of the seeds [%]."""
        return sum(self.percent) / len(self.percent)


@lru_cache(maxsize=1)
def measured() -> tuple[Measured, ...]:
    """Return the networks of the table that were trained from at least two seeds."""
    reached: dict[tuple[str, ...], list[float]] = {}
    with TABLE.open(encoding="utf-8", newline="") as file:
        for index, _, *words, correct, tested in list(csv.reader(file))[1:]:
            reached.setdefault((index, *words), []).append(100 * int(correct) / int(tested))
    return tuple(_measured(words, percent) for words, percent in reached.items() if len(percent) > 1)


def _measured(words: tuple[str, ...], percent: Sequence[float]) -> Measured:
    depths, kernels, expansions, quarters, activations, weights = (tuple(map(int, word)) for word in words[1:])
    keeps = tuple(quarter / QUARTERS for quarter in quarters)
    architecture = Architecture(depths, kernels, expansions, keeps)
    return Measured(int(words[0]), architecture, Bits(activations, weights), tuple(percent))


def words_of(architecture: Architecture, bits: Bits) -> tuple[str, ...]:
    """Return a network as the table writes it: a word for every column behind the seed, a digit for every place."""
    quarters = tuple(QUARTERS * keep for keep in architecture.keeps)
    places = (
        architecture.depths,
        architecture.kernels,
        architecture.expansions,
        quarters,
        bits.activations,
        bits.weights,
    )
    return tuple("".join(str(int(value)) for value in values) for values in places)


def seed_sigma(networks: Sequence[Measured]) -> float:
    """Return the standard deviation of one training around its network's mean, pooled over networks [points]."""
    squares = [np.var(network.percent, ddof=1) for network in networks]
    return float(np.sqrt(np.mean(squares)))


def terms(architectures: Sequence[Architecture], policies: Sequence[Bits]) -> Floats:
    """Return what the additive model counts in networks, shape (n, 12), in the order of ``TERMS``."""
    rows = [
        (*a.depths, *a.kernels, *a.expansions, *a.keeps, *p.activations, *p.weights)
        for a, p in zip(architectures, policies, strict=True)
    ]
    numbers = np.array(rows, float).reshape(len(rows), STAGES + 5 * BLOCKS)
    depths, places = numbers[:, :STAGES], numbers[:, STAGES:].reshape(-1, 5, BLOCKS)
    used = (np.arange(BLOCKS) % MOST_BLOCKS < depths.repeat(MOST_BLOCKS, 1)).astype(float)
    kernels, expansions, keeps, activations, weights = places.transpose(1, 0, 2)
    doublings = np.log2(expansions * keeps / LEAST_EXPANSION) * used
    found = np.empty((len(rows), len(TERMS)))
    found[:, :STAGES] = used[:, 1::MOST_BLOCKS]
    found[:, 2] = ((kernels == LARGE_KERNEL) * used).sum(1)
    noises = (used * 16 * 4.0**-bits for bits in (activations, weights))  # 1 at 2 bits
    for first, part in zip((3, 6, 9), (doublings, *noises), strict=True):
        found[:, first : first + STAGES] = part[:, ::MOST_BLOCKS]
        found[:, first + STAGES] = part[:, 1::MOST_BLOCKS].sum(1)
    return found


class Digits(Oracle):
    """The additive model."""

    name, quantity, unit, regimes, monotone_in_bits = "digits", QUANTITY, UNIT, (QAT,), True

    def __init__(self) -> None:
        fitted = read_toml(FITTED)
        self._factors, self._constant = np.array(fitted["factors"], float), float(fitted["constant"])
        self._sigma = float(fitted["sigma"])
        self.provenance = f"fitted to {fitted['networks']} networks trained on corrupted digits, two seeds each"

    def _estimate(self, networks: Sequence[Subject], policies: Sequence[Policy], regime: str) -> Estimates:
        refused, outside = _judged(networks, policies)
        values = np.full(len(networks), np.nan)
        known = [index for index in range(len(networks)) if index not in refused] if refused else slice(None)
        asked: tuple[Sequence[Subject], Sequence[Policy]] = (networks, policies)
        if isinstance(known, list):
            asked = [networks[index] for index in known], [policies[index] for index in known]
        if asked[0]:
            values[known] = self.predict([network.architecture for network in asked[0]], asked[1])  # type: ignore[arg-type]
        return Estimates(values, np.full(len(values), self._sigma), np.zeros(len(values), bool), outside, refused)

    def predict(self, architectures: Sequence[Architecture], policies: Sequence[Bits]) -> Floats:
        """Return what the model says of networks of the family, shape (n,) [%]."""
        predicted: Floats = (self._constant + terms(architectures, policies) @ self._factors).clip(GUESSING, 100.0)
        return predicted


def _judged(networks: Sequence[Subject], policies: Sequence[Policy]) -> tuple[dict[int, str], dict[int, str]]:
    """Return why networks are refused, and why others are not quite inside."""
    refused, outside = {}, {}
    for index, (network, policy) in enumerate(zip(networks, policies, strict=True)):
        if type(network.architecture) is not Architecture:
            refused[index] = f"{network.name} is not of the {NAME} family"
        elif type(policy) is not Bits or len(policy.activations) != BLOCKS or len(policy.weights) != BLOCKS:
            refused[index] = (
                f"the policy does not give one width for each of {BLOCKS} block places, and 8 bits elsewhere"
            )
        elif not _TRAINED.issuperset(policy.activations + policy.weights):
            widths = policy.activations + policy.weights
            if min(widths) < BITS[0] or max(widths) > BITS[-1]:
                refused[index] = f"{min(widths)} to {max(widths)} bits, trained were {BITS[0]} to {BITS[-1]}"
            else:
                outside[index] = "between the widths that were trained"
    return refused, outside


_TRAINED = frozenset(BITS)


class DigitsTable(Oracle):
    """Networks that were trained, as measured; nothing in between."""

    name, quantity, unit, regimes = "digits-table", QUANTITY, UNIT, (QAT,)

    def __init__(self) -> None:
        networks = measured()
        sigma = seed_sigma(networks)
        self.provenance = "trained on corrupted digits"
        self._answers: dict[tuple[object, Policy], Accuracy] = {
            (network.architecture, network.bits): Accuracy(
                network.mean,
                sigma / len(network.percent) ** 0.5,
                False,
                INSIDE,
                f"measured: trained on corrupted digits from {len(network.percent)} seeds",
            )
            for network in networks
        }

    def evaluate(self, networks: Sequence[Subject], policies: Sequence[Policy], regime: str) -> list[Accuracy]:
        """Look networks up."""
        answers = super().evaluate(networks, policies, regime)
        if regime not in self.regimes:
            return answers
        keys = [(network.architecture, policy) for network, policy in zip(networks, policies, strict=True)]
        return [self._answers.get(key, answer) for key, answer in zip(keys, answers, strict=True)]

    def _estimate(self, networks: Sequence[Subject], policies: Sequence[Policy], regime: str) -> Estimates:
        unknown = np.full(len(networks), np.nan)
        refused = {index: f"this network was not trained; {len(self._answers)} were" for index in range(len(networks))}
        return Estimates(unknown, unknown, np.ones(len(networks), bool), refused=refused)


def subjects(networks: Sequence[Measured]) -> tuple[list[Subject], list[Policy]]:
    """Return networks of the table as an oracle is asked about them."""
    return [Subject(NAME, network.architecture) for network in networks], [network.bits for network in networks]
