"""Least squares of terms whose factors have a sign each, with a little ridge; and how well it does on held-out rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from searchers.oracles.accuracy import Floats

FOLDS, SEED = 10, 0

Integers = npt.NDArray[np.int64]


def fit(counted: Floats, percent: Floats, signs: Floats, ridge: float) -> tuple[Floats, float]:
    """Return the factor of each term and the constant.

    Parameters
    ----------
    counted : ndarray, shape (n, terms)
    percent : ndarray, shape (n,)
    signs : ndarray, shape (terms,)
        1 where a factor may not be negative, -1 where it may not be positive.
    ridge : float
        On factors, with accuracies in standard deviations.
    """
    middle, spread = counted.mean(0), float(percent.std())
    design = np.concatenate([(counted - middle) * signs, np.sqrt(ridge) * np.eye(len(signs))])
    target = np.concatenate([(percent - percent.mean()) / spread, np.zeros(len(signs))])
    factors = nnls(design, target)[0] * signs * spread
    return factors, float(percent.mean() - middle @ factors)


def folds(count: int) -> Iterator[tuple[Integers, Integers]]:
    """Return which of so many rows are held out, and which are not; every row is held out once."""
    order = np.random.default_rng(SEED).permutation(count)
    for fold in range(FOLDS):
        held = order[fold::FOLDS]
        yield held, np.setdiff1d(order, held)


def cross_validated(counted: Floats, percent: Floats, signs: Floats, ridge: float) -> Floats:
    """Return what the model says [%], shape (rows,), of each row when fitted to others; arguments as of ``fit``."""
    predicted = np.empty(len(percent))
    for held, others in folds(len(percent)):
        factors, constant = fit(counted[others], percent[others], signs, ridge)
        predicted[held] = constant + counted[held] @ factors
    return predicted


def write_fitted(
    path: Path, head: Sequence[str], factors: Floats, constant: float, names: Sequence[str], errors: Floats, unit: str
) -> None:
    """Write a fitted model: first lines, sigma from the errors (rows,) on what was held out, factors (terms,)."""
    sigma = float(np.sqrt(np.mean(np.square(errors))))
    lines = [
        *head,
        f"sigma = {sigma:.4g}  # {unit}",
        f"constant = {constant:.6g}  # {unit}",
        f"factors = [  # {unit}",
        *(f"    {factor:.6g},  # {name}" for factor, name in zip(factors, names, strict=True)),
        "]",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
