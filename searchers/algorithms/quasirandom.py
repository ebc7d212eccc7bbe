"""Halton's and Sobol's sequences: points that fill a space more evenly than random ones.

Source: scipy.stats.qmc; Halton 1960, Sobol 1967, scrambled as in Owen 2017 and Matousek 1998.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from searchers.space import Genomes, Space


class _Sequence:
    """Serves a scipy sequence in generations."""

    engine: str

    def __init__(self, space: Space, *, objectives: int, seed: int, population: int) -> None:
        from scipy.stats import qmc  # slow to import

        self._space, self._population = space, population
        self._sequence = getattr(qmc, self.engine)(d=len(space), scramble=True, rng=np.random.default_rng(seed))
        self._drawn: Genomes = np.empty((0, len(space)))
        # Sobol's points are balanced in blocks of powers of two, so they are drawn in such.
        self._block = 1 << (population - 1).bit_length()

    def ask(self) -> Genomes:
        """Return the next points of the sequence."""
        while len(self._drawn) < self._population:
            self._drawn = np.concatenate([self._drawn, self._sequence.random(self._block)])
        return self._space.random(np.minimum(self._drawn[: self._population], np.nextafter(1.0, 0.0)))

    def tell(self, genomes: Genomes, objectives: npt.NDArray[np.float64], violations: npt.NDArray[np.float64]) -> None:
        """Move on."""
        self._drawn = self._drawn[self._population :]


class HaltonSearch(_Sequence):
    """Halton's sequence, scrambled."""

    engine = "Halton"


class SobolSearch(_Sequence):
    """Sobol's sequence, scrambled."""

    engine = "Sobol"
