"""Fit the additive model to the measured attention policies, and say how well it does on policies it has not seen.

    python -m searchers.oracles.training.fit_characters

Least squares in which no factor may be positive: what is dropped or rounded never helps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls

from searchers.oracles.accuracy import Floats
from searchers.oracles.characters import FITTED, GUESSING, TERMS, Measured, measured, terms

RIDGE = 0.1  # on factors, with accuracies in standard deviations
FOLDS, SEED = 10, 0


def fit(counted: Floats, percent: Floats) -> tuple[Floats, float]:
    """Return the factor of each term and the constant."""
    middle, spread = counted.mean(0), float(percent.std())
    design = np.concatenate([middle - counted, np.sqrt(RIDGE) * np.eye(len(TERMS))])
    factors = -nnls(design, np.concatenate([(percent - percent.mean()) / spread, np.zeros(len(TERMS))]))[0] * spread
    return factors, float(percent.mean() - middle @ factors)


def cross_validated(policies: Sequence[Measured]) -> tuple[Floats, Floats]:
    """Return what the model says of each policy when fitted to others, and what was measured [%]."""
    counted = terms([found.policy for found in policies])
    percent = np.array([found.mean for found in policies])
    predicted = np.empty(len(policies))
    order = np.random.default_rng(SEED).permutation(len(policies))
    for fold in range(FOLDS):
        held = order[fold::FOLDS]
        others = np.setdiff1d(order, held)
        factors, constant = fit(counted[others], percent[others])
        predicted[held] = (constant + counted[held] @ factors).clip(GUESSING, 100.0)
    return predicted, percent


def main() -> None:
    """Write ``fitted/characters.toml``."""
    policies = measured()
    factors, constant = fit(terms([found.policy for found in policies]), np.array([found.mean for found in policies]))
    predicted, percent = cross_validated(policies)
    sigma = float(np.sqrt(np.mean(np.square(predicted - percent))))
    lines = [
        f"# Fitted by training/fit_characters.py to measured/characters.csv; sigma by {FOLDS}-fold cross-validation.",
        f"policies = {len(policies)}",
        f"sigma = {sigma:.4g}  # points",
        f"constant = {constant:.6g}  # %",
        "factors = [  # points",
        *(f"    {factor:.6g},  # {term}" for factor, term in zip(factors, TERMS, strict=True)),
        "]",
    ]
    FITTED.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
