"""Grid search: every candidate once, in an order that spreads any budget evenly over the space."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from searchers.space import Genomes, Space

REAL_LEVELS = 5  # of a real gene, both ends among them


class GridSearch:
    """Walks the grid of all values in steps whose number shares no divisor with the grid's size.

    So every point is visited once before any is visited again, and the first n are spread like multiples of the golden
    ratio (Weyl's sequence) over the space in lexicographic order. The seed says where to start.
    """

    def __init__(self, space: Space, *, objectives: int, seed: int, population: int) -> None:
        self._space, self._population = space, population
        self._levels = [int(levels) or REAL_LEVELS for levels in space.levels]
        self._size = math.prod(self._levels)
        step = max(1, self._size * 618033988749894848 // 10**18)
        while math.gcd(step, self._size) != 1:
            step += 1
        self._step = step
        self._next = int(np.random.default_rng(seed).integers(2**63)) * self._size // 2**63

    def ask(self) -> Genomes:
        """Return the next points of the grid; no more at once than there are."""
        count = min(self._population, self._size)
        points = [(self._next + place * self._step) % self._size for place in range(count)]
        return self._space.canonical(np.array([self._genome(point) for point in points]))

    def tell(self, genomes: Genomes, objectives: npt.NDArray[np.float64], violations: npt.NDArray[np.float64]) -> None:
        """Move on."""
        self._next = (self._next + len(genomes) * self._step) % self._size

    def _genome(self, point: int) -> list[float]:
        """Return a point of the grid, the last gene changing fastest."""
        genome = []
        for levels, places in zip(reversed(self._levels), reversed(self._space.places.tolist()), strict=True):
            point, place = divmod(point, levels)
            genome.append(float(place) if places else place / (levels - 1))
        return self._space.picked(genome[::-1])
