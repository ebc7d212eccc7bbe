"""The contract between a study and what proposes its candidates.

An algorithm is asked for a generation and told how it did, in turn, and does nothing else: it never evaluates,
stores or prints. It is deterministic: the same space, seed and answers give the same questions, which is how a
study resumes by telling it again what was already found.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

import numpy as np
import numpy.typing as npt

from searchers.space import Genomes, Space
from workloads.errors import StudyError


class Algorithm(Protocol):
    """Proposes candidates. All objectives are minimised."""

    def ask(self) -> Genomes:
        """Return the next generation, shape (n, genes), canonical for the space."""
        ...

    def tell(self, genomes: Genomes, objectives: npt.NDArray[np.float64], violations: npt.NDArray[np.float64]) -> None:
        """Take the outcome of a whole generation.

        Parameters
        ----------
        genomes : ndarray, shape (n, genes)
            As asked, in the same order.
        objectives : ndarray, shape (n, objectives)
            Finite; to be minimised.
        violations : ndarray, shape (n,)
            0 where every constraint holds, otherwise how much is lacking.
        """
        ...


AlgorithmFactory = Callable[..., Algorithm]

# Modules are imported when asked for: pymoo alone takes half a second.
ALGORITHMS = {
    "random": "searchers.algorithms.random_search.RandomSearch",
    "grid": "searchers.algorithms.grid.GridSearch",
    "halton": "searchers.algorithms.quasirandom.HaltonSearch",
    "sobol": "searchers.algorithms.quasirandom.SobolSearch",
    "nsga2": "searchers.algorithms.nsga2.NSGA2",
    "nsga3": "searchers.algorithms.nsga2.NSGA3",
    "evolution": "searchers.algorithms.evolution.Evolution",
    "cmaes": "searchers.algorithms.cma_es.CMAES",
    "tpe": "searchers.algorithms.tpe.TPE",
    "ddpg": "searchers.algorithms.ddpg.DDPG",
    "gradient": "searchers.algorithms.gradient.GradientSearch",
}
# What an algorithm needs beyond Sextant's own requirements: the package, and the extra that brings it.
EXTRAS = {"tpe": ("optuna", "tpe"), "ddpg": ("stable_baselines3", "rl"), "gradient": ("torch", "rl")}


def check_algorithm(name: object, where: str) -> None:
    """Refuse an algorithm that does not exist, or whose packages are not installed."""
    if not isinstance(name, str) or name not in ALGORITHMS:
        raise StudyError(where, "algorithm.name", name, "one of " + ", ".join(ALGORITHMS))
    package, extra = EXTRAS.get(name, ("", ""))
    if package and find_spec(package) is None:
        raise StudyError(where, "algorithm.name", name, f"{package}: pip install 'sextant[{extra}]'")


def make_algorithm(name: str, space: Space, *, objectives: int, seed: int, population: int) -> Algorithm:
    """Make an algorithm by name.

    Parameters
    ----------
    name : str
        One of ``ALGORITHMS``.
    space : Space
    objectives : int
        How many there are.
    seed : int
    population : int
        Candidates of one generation.

    Raises
    ------
    StudyError
        If there is no such algorithm, or what it needs is not installed.
    """
    check_algorithm(name, "study")
    module, attribute = ALGORITHMS[name].rsplit(".", 1)
    factory: AlgorithmFactory = getattr(import_module(module), attribute)
    return factory(space, objectives=objectives, seed=seed, population=population)
