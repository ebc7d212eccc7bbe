"""Directed patterns of given row lengths that lie in communities: pages of sites, citations within a subject."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workloads.sparse.generators import Indices, distinct, scattered

Weights = NDArray[np.float64]
STEPS = 50
SMALLEST_POWER, LARGEST_POWER = -4.0, 8.0
ROUNDS = 16
WEIGHTED_ROUNDS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Community:
    """A pattern in which rows mostly point to rows of their own community, and some to popular ones anywhere.

    Every community has a hub, its longest row, and the longer that is the more rows the community has: a site's index
    names its pages. How popular a column is grows with its own row's length, by a power that is chosen so that A @ A
    takes the published number of multiplies.

    Attributes
    ----------
    spread : float
        Rows of a community for each element of its hub.
    smallest : int
        Rows that a community has at the least.
    inside : float
        Share of the elements that point into the own community, 0..1.
    """

    spread: float
    smallest: int
    inside: float

    def keys(self, rows: int, lengths: Indices, multiplies: int | None, generator: np.random.Generator) -> Indices:
        """Return the elements as ``row * rows + column``, ascending.

        Parameters
        ----------
        rows : int
        lengths : array of int64, shape (rows that are not empty,)
            Elements of each row that is not empty.
        multiplies : int, optional
            Multiplications of A @ A to come near; without it all columns are equally popular.
        generator : numpy.random.Generator
        """
        placed, starts = self._communities(
            np.concatenate([np.zeros(rows - len(lengths), np.int64), lengths]), generator
        )
        community = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        power = 0.0 if multiplies is None else self._power(placed, starts, multiplies)
        bounds = np.concatenate([[0.0], np.cumsum(_weights(placed, power))])
        keys, missing = np.empty(0, np.int64), placed
        for turn in range(ROUNDS):
            row = np.repeat(np.arange(rows), missing)
            own = generator.random(len(row)) < self.inside
            low = np.where(own, starts[community[row]], 0)
            high = np.where(own, starts[community[row] + 1], rows)
            at = generator.random(len(row))
            if turn < WEIGHTED_ROUNDS:
                drawn = bounds[low] + (bounds[high] - bounds[low]) * at
                column = (np.searchsorted(bounds, drawn, side="right") - 1).clip(0, rows - 1)
            else:  # a row that has the popular columns takes any others
                column = (low + (high - low) * at).astype(np.int64)
            keys = distinct(np.concatenate([keys, row * rows + column]))
            missing = placed - np.bincount(keys // rows, minlength=rows)
        return scattered(placed, rows, generator, keys)

    def _communities(self, lengths: Indices, generator: np.random.Generator) -> tuple[Indices, Indices]:
        """Return the lengths in order of community, each hub first, and the first row of each community and the end."""
        rows = len(lengths)
        falling = np.sort(lengths)[::-1]
        ends = np.cumsum(np.maximum(np.ceil(self.spread * falling), self.smallest).astype(np.int64))
        hubs = max(int(np.searchsorted(ends, rows, side="right")), 1)
        sizes = np.diff(ends[:hubs], prepend=0)
        sizes[-1] += rows - sizes.sum()
        hub_of, sizes = _shuffled_alike(falling[:hubs], sizes, generator)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        placed = np.empty(rows, np.int64)
        first = np.zeros(rows, bool)
        first[starts[:-1]] = True
        placed[first], placed[~first] = hub_of, generator.permutation(falling[hubs:])
        return placed, starts

    def _power(self, lengths: Indices, starts: Indices, multiplies: int) -> float:
        """Return the power of a row's length that its popularity grows with."""
        low, high = SMALLEST_POWER, LARGEST_POWER
        sizes = np.diff(starts)
        elements = np.add.reduceat(lengths, starts[:-1])
        for _ in range(STEPS):
            power = (low + high) / 2
            weights = _weights(lengths, power)
            share = weights / np.repeat(np.add.reduceat(weights, starts[:-1]), sizes)
            # A row takes a column once however popular that is, so the number of rows bounds what a column gets.
            members = np.repeat(sizes, sizes)
            near = members * -np.expm1(-self.inside * np.repeat(elements / sizes, sizes) * share)
            far = len(lengths) * -np.expm1(-(1 - self.inside) * lengths.mean() * weights / weights.sum())
            popular = near + far
            expected = popular @ lengths * (lengths.sum() / max(popular.sum(), 1e-300))
            low, high = (power, high) if expected < multiplies else (low, power)
        return low


def _weights(lengths: Indices, power: float) -> Weights:
    weights: Weights = np.power(1.0 + lengths, power, dtype=np.float64)
    return weights


def _shuffled_alike(first: Indices, second: Indices, generator: np.random.Generator) -> tuple[Indices, Indices]:
    order = generator.permutation(len(first))
    return first[order], second[order]
