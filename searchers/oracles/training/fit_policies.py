"""Fit the additive models to the measured attention policies, and say how well they do on what they have not seen.

    python -m searchers.oracles.training.fit_policies

Least squares in which no factor may have the wrong sign: what is dropped or rounded never helps. Models are asked about
a network and policies when fitted to other networks under other policies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from searchers.oracles.accuracy import Floats
from searchers.oracles.characters import Characters
from searchers.oracles.language import Language
from searchers.oracles.policy_model import TERMS, Measured, PolicyModel, terms
from searchers.oracles.training import additive

RIDGE = 0.1  # on factors, with what was reached in standard deviations


def cross_validated(kind: type[PolicyModel]) -> tuple[Floats, Floats]:
    """Return what models say of networks and policies that they were not fitted to, and what was measured.

    Returns
    -------
    predicted, reached : ndarray of float64, shape (policies, networks)
    """
    counted, reached = _rows(kind.measured())
    predicted = np.empty(reached.shape)
    for held, others in additive.folds(len(counted)):
        for network in range(reached.shape[1]):
            of_others = np.delete(reached[others], network, axis=1).mean(1)
            factors, constant = additive.fit(counted[others], of_others, _signs(kind), RIDGE)
            predicted[held, network] = constant + counted[held] @ factors
    return predicted.clip(*kind.bounds), reached


def main() -> None:
    """Write ``fitted/characters.toml`` and ``fitted/language.toml``."""
    for kind in (Characters, Language):
        counted, reached = _rows(kind.measured())
        predicted, _ = cross_validated(kind)
        head = [
            f"# Fitted by training/fit_policies.py to measured/{kind.name}.csv; "
            f"sigma of left-out networks under left-out policies, {additive.FOLDS} folds.",
            f"policies = {reached.shape[0]}",
            f"networks = {reached.shape[1]}",
        ]
        model = additive.fit(counted, reached.mean(1), _signs(kind), RIDGE)
        additive.write_fitted(kind.fitted(), head, *model, TERMS, predicted - reached, kind.unit)


def _signs(kind: type[PolicyModel]) -> Floats:
    return np.full(len(TERMS), -1.0 if kind.more_is_better else 1.0)


def _rows(policies: Sequence[Measured]) -> tuple[Floats, Floats]:
    return terms([found.policy for found in policies]), np.array([found.reached for found in policies])


if __name__ == "__main__":
    main()
