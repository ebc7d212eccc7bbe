"""Evaluating a generation on several threads; the kernels release the interpreter while they run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import numpy as np

from searchers.problem import Outcome, Problem
from searchers.space import Genomes


class Workers:
    """Threads that share one problem. Results are in the order of the candidates, whoever evaluated them.

    Parameters
    ----------
    problem : Problem
    count : int
        Threads, at least 1.
    """

    def __init__(self, problem: Problem, count: int) -> None:
        self._problem, self._count = problem, count
        self._pool = ThreadPoolExecutor(count) if count > 1 else None

    def evaluate(self, genomes: Genomes) -> list[Outcome]:
        """Evaluate candidates; a candidate's outcome does not depend on its neighbours."""
        if self._pool is None:
            return self._problem.evaluate(genomes)
        parts = [part for part in np.array_split(genomes, self._count) if len(part)]
        return [outcome for outcomes in self._pool.map(self._problem.evaluate, parts) for outcome in outcomes]

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
