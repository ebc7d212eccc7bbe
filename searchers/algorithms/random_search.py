"""Random search: what every other algorithm has to beat at the same number of evaluations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from searchers.space import Genomes, Space


class RandomSearch:
    """Draws every gene uniformly and learns nothing.

    A candidate's randomness is named by the study's seed, its generation and its place, so it does not depend
    on who evaluates what.
    """

    def __init__(self, space: Space, *, objectives: int, seed: int, population: int) -> None:
        self._space, self._seed, self._population = space, seed, population
        self._generation = 0

    def ask(self) -> Genomes:
        """Return the next generation."""
        return self._space.random(random_shares(self._seed, self._generation, self._population, len(self._space)))

    def tell(self, genomes: Genomes, objectives: npt.NDArray[np.float64], violations: npt.NDArray[np.float64]) -> None:
        """Move on to the next generation."""
        self._generation += 1


def random_shares(seed: int, generation: int, population: int, genes: int) -> Genomes:
    """Return uniform shares 0 <= x < 1, shape (population, genes), each row seeded by its own name."""
    return np.array(
        [
            np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(generation, place))).random(genes)
            for place in range(population)
        ]
    )
