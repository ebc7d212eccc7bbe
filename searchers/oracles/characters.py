"""The measured attention oracle of an encoder: which capital is the most frequent among letters."""

from __future__ import annotations

from collections.abc import Mapping

from searchers.oracles.policy_model import PolicyModel

NAME = "majority-transformer"
GUESSING = 12.5  # eight classes [%]


class Characters(PolicyModel):
    """What ``character_network`` reaches (``training/train_characters.py``)."""

    name, quantity, unit = "characters", "accuracy on the most frequent capital, top-1", "%"
    network, bounds = NAME, (GUESSING, 100.0)

    @staticmethod
    def value(row: Mapping[str, str]) -> float:
        """Return the accuracy of a row [%]."""
        return 100 * int(row["correct"]) / int(row["tested"])
