"""The measured attention oracle: what small Transformers reach when SpAtten prunes and rounds their attention.

Every row of ``measured/characters.csv`` is a trained network run under a policy, with the machine's functional model
inside (``training/train_characters.py``). A model additive in what is dropped and rounded is fitted to the mean over
networks (``training/fit_characters.py``); more kept, or more bits, never give less.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from accel.config import read_toml
from searchers.oracles.accuracy import PTQ_MINMAX, Estimates, Floats, Keep, Oracle, Policy, Subject

TABLE = Path(__file__).parent / "measured" / "characters.csv"
FITTED = Path(__file__).parent / "fitted" / "characters.toml"
NAME = "majority-transformer"
GUESSING = 12.5  # eight classes [%]
TERMS = (
    "tokens dropped", "tokens dropped, squared", "heads dropped", "values dropped", "values dropped, squared",
    "noise of keys and values, all keys' bits read first", "noise of keys and values, rest of the bits read if needed",
)  # fmt: skip
LEAST_KEEP = {"token_keep": 0.25, "head_keep": 0.5, "value_keep": 0.3}
FEWEST_BITS, MOST_BITS = 3, 12


class Measured(NamedTuple):
    """A policy, and what each network reached under it [%]."""

    policy: Keep
    percent: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Of the networks [%]."""
        return sum(self.percent) / len(self.percent)


def measured() -> list[Measured]:
    """Return the policies of the table that at least two networks were run under."""
    reached: dict[Keep, list[float]] = {}
    with TABLE.open(encoding="utf-8", newline="") as file:
        for _, _, tokens, heads, values, high, low, correct, tested in list(csv.reader(file))[1:]:
            keep = Keep(float(tokens), float(heads), float(values), int(high), int(low))
            reached.setdefault(keep, []).append(100 * int(correct) / int(tested))
    return [Measured(keep, tuple(percent)) for keep, percent in reached.items() if len(percent) > 1]


def terms(policies: Sequence[Keep]) -> Floats:
    """Return what the additive model counts in policies, shape (n, 7), in the order of ``TERMS``."""
    rows = [(p.token_keep, p.head_keep, p.value_keep, p.msb_bits, p.lsb_bits) for p in policies]
    keeps, (high, low) = np.split(np.array(rows, float).reshape(len(rows), 5).T, (3,))
    tokens, heads, values = 1 - keeps
    noise = 64 * 4.0**-high  # 1 at 3 bits
    return np.stack([tokens, tokens**2, heads, values, values**2, noise * (low == 0), noise * (low > 0)], axis=1)


class Characters(Oracle):
    """The additive model."""

    name, quantity, unit = "characters", "accuracy on the most frequent capital, top-1", "%"
    regimes, monotone_in_bits = (PTQ_MINMAX,), True

    def __init__(self) -> None:
        fitted = read_toml(FITTED)
        self._factors, self._constant = np.array(fitted["factors"], float), float(fitted["constant"])
        self._sigma = float(fitted["sigma"])
        count = fitted["policies"]
        self.provenance = f"fitted to {count} policies of SpAtten that trained Transformers were run under"

    def _estimate(self, networks: Sequence[Subject], policies: Sequence[Policy], regime: str) -> Estimates:
        refused = {
            index: reason
            for index, (network, policy) in enumerate(zip(networks, policies, strict=True))
            if (reason := _reason(network, policy))
        }
        known = [index for index in range(len(networks)) if index not in refused]
        values = np.full(len(networks), np.nan)
        asked = [policy for index in known if isinstance(policy := policies[index], Keep)]
        if asked:
            values[known] = self.predict(asked)
        return Estimates(values, np.full(len(values), self._sigma), np.zeros(len(values), bool), refused=refused)

    def predict(self, policies: Sequence[Keep]) -> Floats:
        """Return what the model says of policies, shape (n,) [%]."""
        predicted: Floats = (self._constant + terms(policies) @ self._factors).clip(GUESSING, 100.0)
        return predicted


def _reason(network: Subject, policy: Policy) -> str:
    """Say why nothing is known of a policy; nothing if something is."""
    if network.name != NAME:
        return f"{network.name} was not run, only {NAME}"
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
