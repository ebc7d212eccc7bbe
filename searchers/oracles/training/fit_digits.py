"""Fit the additive model to the measured digits networks, and say how well it does on networks it has not seen.

    python -m searchers.oracles.training.fit_digits

Least squares in which no factor may be negative but that of noise, which may not be positive; a little ridge.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls

from searchers.oracles.accuracy import Floats
from searchers.oracles.digits import FITTED, NOISE_TERMS, TERMS, Measured, measured, terms

RIDGE = 1.0  # on factors, with accuracies in standard deviations
FOLDS, SEED = 10, 0


def fit(counted: Floats, percent: Floats) -> tuple[Floats, float]:
    """Return the factor of each term and the constant."""
    signs = np.ones(len(TERMS))
    signs[NOISE_TERMS] = -1
    middle, spread = counted.mean(0), float(percent.std())
    centred = (counted - middle) * signs
    design = np.concatenate([centred, np.sqrt(RIDGE) * np.eye(len(TERMS))])
    target = np.concatenate([(percent - percent.mean()) / spread, np.zeros(len(TERMS))])
    factors = nnls(design, target)[0] * signs * spread
    return factors, float(percent.mean() - middle @ factors)


def cross_validated(networks: Sequence[Measured]) -> tuple[Floats, Floats]:
    """Return what the model says of each network when fitted to others, and what was measured [%]."""
    counted = terms([network.architecture for network in networks], [network.bits for network in networks])
    percent = np.array([network.mean for network in networks])
    predicted = np.empty(len(networks))
    order = np.random.default_rng(SEED).permutation(len(networks))
    for fold in range(FOLDS):
        held = order[fold::FOLDS]
        others = np.setdiff1d(order, held)
        factors, constant = fit(counted[others], percent[others])
        predicted[held] = constant + counted[held] @ factors
    return predicted, percent


def main() -> None:
    """Write ``fitted/digits.toml``."""
    networks = measured()
    counted = terms([network.architecture for network in networks], [network.bits for network in networks])
    factors, constant = fit(counted, np.array([network.mean for network in networks]))
    predicted, percent = cross_validated(networks)
    sigma = float(np.sqrt(np.mean(np.square(predicted - percent))))
    lines = [
        f"# Fitted by training/fit_digits.py to measured/digits.csv; sigma by {FOLDS}-fold cross-validation.",
        f"networks = {len(networks)}",
        f"sigma = {sigma:.4g}  # points",
        f"constant = {constant:.6g}  # %",
        "factors = [  # points",
        *(f"    {factor:.6g},  # {term}" for factor, term in zip(factors, TERMS, strict=True)),
        "]",
    ]
    FITTED.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
