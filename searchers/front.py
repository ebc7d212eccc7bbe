"""Fronts: which points no other beats, how much they dominate, and which of them to look at first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import moocore
import numpy as np
import numpy.typing as npt

from searchers.quantities import QUANTITIES
from searchers.storage.store import Point
from searchers.study import Study

FloatArray = npt.NDArray[np.float64]


def front_of(study: Study, points: Sequence[Point]) -> list[Point]:
    """Return the feasible points that no other beats, one of equals, sorted by the first objective."""
    feasible = [point for point in points if study.feasible(point.outcome)]
    if not feasible:
        return []
    costs = np.array([study.costs(point.outcome) for point in feasible])
    best = moocore.is_nondominated(costs, keep_weakly=False)
    front = [index for index in range(len(feasible)) if best[index]]
    return [feasible[index] for index in sorted(front, key=lambda index: tuple(costs[index]))]


@dataclass(frozen=True, slots=True)
class Scale:
    """A map of objectives to 0..1, on logarithms where they span orders of magnitude.

    Attributes
    ----------
    log : ndarray of bool, shape (m,)
    low, high : ndarray, shape (m,)
        What becomes 0 and 1, after the logarithm.
    """

    log: npt.NDArray[np.bool_]
    low: FloatArray
    high: FloatArray

    @classmethod
    def spanning(cls, study: Study, costs: FloatArray) -> Scale:
        """Return the scale from the best to the worst of each objective, shape (n, m)."""
        log = np.array([QUANTITIES[name].log and not QUANTITIES[name].more_is_better for name in study.objectives])
        bare = cls(log, np.zeros(len(log)), np.ones(len(log))).apply(costs)
        low, high = bare.min(axis=0), bare.max(axis=0)
        return cls(log, low, np.where(high > low, high, low + 1.0))

    def apply(self, costs: FloatArray) -> FloatArray:
        """Return scaled objectives, shape (n, m), as the costs are."""
        scaled: FloatArray = np.where(self.log, np.log10(np.where(self.log, costs, 1.0)), costs)
        return (scaled - self.low) / (self.high - self.low)


def hypervolume(scale: Scale, costs: FloatArray) -> float:
    """Return the share of the scale's box that points dominate, 0..1; points outside it count where they reach in.

    Source: Guerreiro, Fonseca, Paquete, "The Hypervolume Indicator", ACM Computing Surveys 2021; moocore's
    algorithms, O(n log n) for two and three objectives.
    """
    if not len(costs):
        return 0.0
    scaled = np.clip(scale.apply(costs), 0.0, None)
    return float(moocore.hypervolume(scaled, ref=np.ones(scaled.shape[1])))


def hypervolume_history(study: Study, points: Sequence[Point]) -> tuple[list[int], list[float]]:
    """Return evaluations and hypervolume after each generation, on the scale of all feasible points."""
    scored = [(point.generation, study.costs(point.outcome)) for point in points if study.feasible(point.outcome)]
    if not scored:
        return [], []
    scale = Scale.spanning(study, np.array([costs for _, costs in scored]))
    counts, volumes = [], []
    for generation in sorted({point.generation for point in points}):
        so_far = np.array([costs for number, costs in scored if number <= generation])
        counts.append(sum(point.generation <= generation for point in points))
        volumes.append(hypervolume(scale, so_far))
    return counts, volumes


def knee(study: Study, front: Sequence[Point]) -> int:
    """Return the place of the front's point nearest to the best of every objective, each scaled to 0..1."""
    costs = np.array([study.costs(point.outcome) for point in front])
    scaled = Scale.spanning(study, costs).apply(costs)
    return int(np.argmin((scaled**2).sum(axis=1)))
