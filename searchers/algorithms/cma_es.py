"""CMA-ES: a normal distribution over the genes that learns where good candidates lie, and which genes go together.

Source: Hansen and Ostermeier 2001, in cmaes' implementation; NAAS (Lin et al., DAC 2021) searches accelerators and
mappings with it. It only compares candidates, so it is told their places in the order of
``searchers.algorithms.ranking``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from searchers.algorithms.ranking import ranks
from searchers.space import Genomes, Space

FIRST_SPREAD = 0.3  # of every gene, as a share of its range
LEAST_POPULATION = 5


class CMAES:
    """cmaes behind the ask/tell contract; it starts again elsewhere when it has converged.

    A gene is a share of its range, 0..1. A discrete one takes the value whose part of the range the share falls into.
    """

    def __init__(self, space: Space, *, objectives: int, seed: int, population: int) -> None:
        self._space, self._seed, self._population = space, seed, population
        self._starts = 0
        self._start()

    def _start(self) -> None:
        from cmaes import CMA

        # A distribution of one variable has no covariance to learn: a second gene stands by, unused.
        self._genes = max(2, len(self._space))
        sequence = np.random.SeedSequence(self._seed, spawn_key=(self._starts,))
        random = np.random.default_rng(sequence)
        mean = np.full(self._genes, 0.5) if self._starts == 0 else random.random(self._genes)
        self._cma = CMA(
            mean=mean,
            sigma=FIRST_SPREAD,
            bounds=np.tile([0.0, 1.0], (self._genes, 1)),
            seed=int(random.integers(2**31)),
            population_size=max(self._population, LEAST_POPULATION),
            n_max_resampling=1,  # of hundreds of genes some are outside in every sample: they are moved to the edge
        )
        self._starts += 1

    def ask(self) -> Genomes:
        """Return a sample of the distribution."""
        self._shares = np.array([self._cma.ask() for _ in range(self._population)])
        shares = np.clip(self._shares[:, : len(self._space)], 0.0, np.nextafter(1.0, 0.0))
        return self._space.random(shares)

    def tell(self, genomes: Genomes, objectives: npt.NDArray[np.float64], violations: npt.NDArray[np.float64]) -> None:
        """Move the distribution towards the better half."""
        places = ranks(objectives, violations).astype(float)
        told = list(zip(self._shares, places.tolist(), strict=True))
        while len(told) < self._cma.population_size:  # the least it takes: the worst stand for those that are missing
            told.append((told[int(places.argmax())][0], float(len(told))))
        self._cma.tell(told)
        if self._cma.should_stop():
            self._start()
