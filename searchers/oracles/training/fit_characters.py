"""Fit the additive model to the measured attention policies, and say how well it does on policies it has not seen.

    python -m searchers.oracles.training.fit_characters

Least squares in which no factor may be positive: what is dropped or rounded never helps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from searchers.oracles.accuracy import Floats
from searchers.oracles.characters import FITTED, GUESSING, TERMS, Measured, measured, terms
from searchers.oracles.training import additive

RIDGE = 0.1  # on factors, with accuracies in standard deviations


SIGNS = -np.ones(len(TERMS))


def cross_validated(policies: Sequence[Measured]) -> tuple[Floats, Floats]:
    """Return what the model says of each policy when fitted to others, and what was measured [%]."""
    counted, percent = _rows(policies)
    return additive.cross_validated(counted, percent, SIGNS, RIDGE).clip(GUESSING, 100.0), percent


def main() -> None:
    """Write ``fitted/characters.toml``."""
    policies = measured()
    predicted, percent = cross_validated(policies)
    head = [
        "# Fitted by training/fit_characters.py to measured/characters.csv; "
        f"sigma by {additive.FOLDS}-fold cross-validation.",
        f"policies = {len(policies)}",
    ]
    model = additive.fit(*_rows(policies), SIGNS, RIDGE)
    additive.write_fitted(FITTED, head, *model, TERMS, predicted - percent)


def _rows(policies: Sequence[Measured]) -> tuple[Floats, Floats]:
    return terms([found.policy for found in policies]), np.array([found.mean for found in policies])


if __name__ == "__main__":
    main()
