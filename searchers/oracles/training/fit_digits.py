"""Fit the additive model to the measured digits networks, and say how well it does on networks it has not seen.

    python -m searchers.oracles.training.fit_digits

Least squares in which no factor may be negative but that of noise, which may not be positive; a little ridge.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from searchers.oracles.accuracy import Floats
from searchers.oracles.digits import FITTED, NOISE_TERMS, TERMS, UNIT, Measured, measured, terms
from searchers.oracles.training import additive

RIDGE = 1.0  # on factors, with accuracies in standard deviations


SIGNS = np.ones(len(TERMS))
SIGNS[NOISE_TERMS] = -1


def cross_validated(networks: Sequence[Measured]) -> tuple[Floats, Floats]:
    """Return what the model says of each network when fitted to others, and what was measured [%]."""
    counted, percent = _rows(networks)
    return additive.cross_validated(counted, percent, SIGNS, RIDGE), percent


def main() -> None:
    """Write ``fitted/digits.toml``."""
    networks = measured()
    predicted, percent = cross_validated(networks)
    head = [
        f"# Fitted by training/fit_digits.py to measured/digits.csv; sigma by {additive.FOLDS}-fold cross-validation.",
        f"networks = {len(networks)}",
    ]
    model = additive.fit(*_rows(networks), SIGNS, RIDGE)
    additive.write_fitted(FITTED, head, *model, TERMS, predicted - percent, UNIT)


def _rows(networks: Sequence[Measured]) -> tuple[Floats, Floats]:
    counted = terms([network.architecture for network in networks], [network.bits for network in networks])
    return counted, np.array([network.mean for network in networks])


if __name__ == "__main__":
    main()
