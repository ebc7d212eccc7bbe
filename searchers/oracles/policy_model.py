"""What small Transformers reach when SpAtten prunes and rounds their attention: the measured table, and a model of it.

Every row of a table is a trained network run under a policy, with the machine's functional model inside
(``training/policies.py``). A model additive in what is dropped and rounded is fitted to the mean over networks
(``training/fit_policies.py``); more kept, or more bits, are never worse. Its standard deviation is that of a network
and policies that it was not fitted to.
"""

from __future__ import annotations

import csv
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from accel.config import read_toml
from searchers.oracles.accuracy import PTQ_MINMAX, Estimates, Floats, Keep, Oracle, Policy, Subject

FOLDER = Path(__file__).parent
HEADS = 4  # of every layer; there are three, and the first drops none
TERMS = (
    "tokens dropped", "tokens dropped, squared", "heads dropped in the second layer", "heads dropped in the third",
    "values dropped", "values dropped, squared",
    "noise of keys and values, all keys' bits read first", "noise of keys and values, rest of the bits read if needed",
)  # fmt: skip
LEAST_KEEP = {"token_keep": 0.25, "head_keep": 0.5, "value_keep": 0.3}
FEWEST_BITS, MOST_BITS = 3, 12


class Measured(NamedTuple):
    """A policy, and what each network reached under it, in the table's unit."""

    policy: Keep
    reached: tuple[float, ...]


def terms(policies: Sequence[Keep]) -> Floats:
    """Return what the additive model counts in policies, shape (n, 8), in the order of ``TERMS``.

    Heads are few, so those that the machine's cascade really drops are counted: half-way around ``head_keep``, whole.
    """
    rows = [(p.token_keep, p.head_keep, p.value_keep, p.msb_bits, p.lsb_bits) for p in policies]
    (token_keep, head_keep, value_keep), (high, low) = np.split(np.array(rows, float).reshape(len(rows), 5).T, (3,))
    tokens, values = 1 - token_keep, 1 - value_keep
    reach = np.minimum(head_keep, 1 - head_keep) / 2
    second, third = (1 - np.maximum(1, np.floor(HEADS * (head_keep + step))) / HEADS for step in (reach, -reach))
    noise = 64 * 4.0**-high  # 1 at 3 bits
    return np.stack(
        [tokens, tokens**2, second, third, values, values**2, noise * (low == 0), noise * (low > 0)], axis=1
    )


class PolicyModel(Oracle):
    """The additive model of one table.

    Attributes
    ----------
    network : str
        What was trained, as studies name it.
    bounds : (float, float)
        What no prediction is below or above.
    """

    regimes, monotone_in_bits = (PTQ_MINMAX,), True
    network: ClassVar[str]
    bounds: ClassVar[tuple[float, float]]

    def __init__(self) -> None:
        fitted = read_toml(self.fitted())
        self._factors, self._constant = np.array(fitted["factors"], float), float(fitted["constant"])
        self._sigma = float(fitted["sigma"])
        policies, networks = fitted["policies"], fitted["networks"]
        self.provenance = (
            f"fitted to {policies} policies of SpAtten that {networks} trained Transformers were run under"
        )

    @classmethod
    def fitted(cls) -> Path:
        """Return the file of the model."""
        return FOLDER / "fitted" / f"{cls.name}.toml"

    @classmethod
    def table(cls) -> Path:
        """Return the file of the table."""
        return FOLDER / "measured" / f"{cls.name}.csv"

    @staticmethod
    @abstractmethod
    def value(row: Mapping[str, str]) -> float:
        """Return what a row of the table measured."""

    @classmethod
    def measured(cls) -> list[Measured]:
        """Return the policies of the table that all of its networks were run under."""
        reached: dict[Keep, dict[str, float]] = {}
        with cls.table().open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                tokens, heads, values = (float(row[name]) for name in LEAST_KEEP)
                keep = Keep(tokens, heads, values, int(row["msb_bits"]), int(row["lsb_bits"]))
                reached.setdefault(keep, {})[row["network"]] = cls.value(row)
        networks = max(map(len, reached.values()))
        return [Measured(keep, tuple(of.values())) for keep, of in reached.items() if len(of) == networks]

    def _estimate(self, networks: Sequence[Subject], policies: Sequence[Policy], regime: str) -> Estimates:
        refused = {
            index: reason
            for index, (network, policy) in enumerate(zip(networks, policies, strict=True))
            if (reason := self._reason(network, policy))
        }
        known = [index for index in range(len(networks)) if index not in refused]
        values = np.full(len(networks), np.nan)
        asked = [policy for index in known if isinstance(policy := policies[index], Keep)]
        if asked:
            values[known] = self.predict(asked)
        return Estimates(values, np.full(len(values), self._sigma), np.zeros(len(values), bool), refused=refused)

    def predict(self, policies: Sequence[Keep]) -> Floats:
        """Return what the model says of policies, shape (n,)."""
        predicted: Floats = (self._constant + terms(policies) @ self._factors).clip(*self.bounds)
        return predicted

    def _reason(self, network: Subject, policy: Policy) -> str:
        """Say why nothing is known of a policy; nothing if something is."""
        if network.name != self.network:
            return f"{network.name} was not run, only {self.network}"
        if not isinstance(policy, Keep):
            return "the policy does not say what attention keeps"
        for field, least in LEAST_KEEP.items():
            share = getattr(policy, field)
            if not least <= share <= 1:
                return f"{field} = {share}, run were {least} to 1"
        high, low = policy.msb_bits, policy.lsb_bits
        if high < FEWEST_BITS or low < 0 or high + low > MOST_BITS:
            return f"{high} + {low} bits, run were at least {FEWEST_BITS} first ones, {MOST_BITS} together at most"
        return ""
