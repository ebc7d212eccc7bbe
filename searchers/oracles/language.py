"""The measured attention oracle of a decoder: how little the next character of a made-up language is expected."""

from __future__ import annotations

import math
from collections.abc import Mapping

from searchers.oracles.policy_model import PolicyModel

NAME = "language-transformer"


class Language(PolicyModel):
    """What ``language_network`` reaches as it generates (``training/train_language.py``); less is better."""

    name, quantity, unit = "language", "loss of a language model at the next character", "bits"
    network, bounds, more_is_better = NAME, (0.0, math.inf), False

    @staticmethod
    def value(row: Mapping[str, str]) -> float:
        """Return the loss of a row [bits per character]."""
        return float(row["bits"])
