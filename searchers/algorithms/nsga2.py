"""NSGA-II and NSGA-III: non-dominated sorting with crowding or with directions, constraints before objectives.

Source: Deb et al., "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", IEEE TEC 2002; Deb and Jain, "An
Evolutionary Many-Objective Optimization Algorithm Using Reference-Point-Based Nondominated Sorting", IEEE TEC 2014;
directions of Das and Dennis, SIAM J. Optimization 1998; pymoo's implementations with operators for genomes of choices,
as the evolutions of Once-for-All and APQ use them: every gene is taken from one parent or the other, and a few are
drawn anew.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
from pymoo.algorithms.moo import nsga2 as pymoo_nsga2
from pymoo.algorithms.moo import nsga3 as pymoo_nsga3
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.sampling import Sampling
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.ux import UniformCrossover
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.util.ref_dirs import get_reference_directions

from searchers.algorithms.random_search import random_shares
from searchers.space import Genomes, Space

CROSSOVER_PROBABILITY = 0.9
MUTATED_GENES = 4.0  # expected number of genes drawn anew in a child
NEIGHBOUR_SHARE = 0.5  # of the mutations of a discrete gene that move to a neighbouring value


class _Genetic(ABC):
    """A genetic algorithm of pymoo behind the ask/tell contract."""

    def __init__(self, space: Space, *, objectives: int, seed: int, population: int) -> None:
        self._space, self._seed, self._population = space, seed, population
        self._generation = 0
        problem = Problem(
            n_var=len(space),
            n_obj=objectives,
            n_ieq_constr=1,
            xl=np.zeros(len(space)),
            xu=np.where(space.places > 0, space.places - 1, 1).astype(float),
        )
        self._algorithm = self._make(
            objectives,
            population,
            sampling=_FirstGeneration(space, seed),
            crossover=UniformCrossover(prob=CROSSOVER_PROBABILITY),
            mutation=_Redraw(space),
            eliminate_duplicates=Distinct(),
        )
        self._algorithm.setup(problem, termination=NoTermination(), seed=seed, verbose=False)
        self._asked: Population | None = None

    @abstractmethod
    def _make(self, objectives: int, population: int, **operators: Any) -> Any:
        """Return pymoo's algorithm."""

    def ask(self) -> Genomes:
        """Return the next generation: random at first, then children of the best."""
        self._asked = self._algorithm.ask()
        if self._asked is None:  # every child there can be exists already: the space is nearly exhausted
            shares = random_shares(self._seed, self._generation, self._population, len(self._space))
            return self._space.random(shares)
        genomes: Genomes = self._space.canonical(self._asked.get("X").astype(float))
        return genomes

    def tell(self, genomes: Genomes, objectives: npt.NDArray[np.float64], violations: npt.NDArray[np.float64]) -> None:
        """Let the fittest of parents and children survive."""
        self._generation += 1
        if self._asked is None:
            return
        self._asked.set("X", genomes, "F", objectives, "G", violations[:, None])
        for individual in self._asked:
            individual.evaluated.update(("F", "G"))
        self._algorithm.tell(infills=self._asked)


class NSGA2(_Genetic):
    """pymoo's NSGA-II."""

    def _make(self, objectives: int, population: int, **operators: Any) -> Any:
        return pymoo_nsga2.NSGA2(pop_size=population, **operators)


class NSGA3(_Genetic):
    """pymoo's NSGA-III: instead of by crowding, the survivors are chosen near evenly spread directions."""

    def _make(self, objectives: int, population: int, **operators: Any) -> Any:
        partitions = 1
        while objectives > 1 and math.comb(objectives + partitions, objectives - 1) <= population:
            partitions += 1
        directions = (
            np.ones((1, 1))
            if objectives == 1
            else get_reference_directions("das-dennis", objectives, n_partitions=partitions)
        )
        return pymoo_nsga3.NSGA3(
            ref_dirs=directions,
            pop_size=max(population, len(directions)),
            selection=TournamentSelection(func_comp=_less_lacking),
            **operators,
        )


def _less_lacking(pop: Any, P: Any, *, random_state: Any, **_: Any) -> Any:  # noqa: N803 - pymoo's name
    """Return the winner of each pair, shape (n, 1): what lacks less, and of equals one at random.

    In place of pymoo's own, which breaks ties between infeasible candidates without the seed (its issue 794).
    """
    lacking = pop.get("CV")[:, 0][P]
    either = random_state.integers(2, size=len(P))
    winner = np.where(lacking[:, 0] == lacking[:, 1], either, lacking.argmin(axis=1))
    return P[np.arange(len(P)), winner][:, None]


class _FirstGeneration(Sampling):  # type: ignore[misc]
    """The same first generation as random search with the same seed."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__()
        self._space, self._seed = space, seed

    def _do(self, problem: Any, n_samples: int, **_: Any) -> Genomes:
        return self._space.random(random_shares(self._seed, 0, n_samples, len(self._space)))


class Distinct(DuplicateElimination):  # type: ignore[misc]
    """Leaves out children that are there already: what pymoo's own does with the distances of all pairs."""

    def do(self, pop: Any, *others: Any, **_: Any) -> Any:
        """Return the individuals that are in no other population, each once."""
        there = {_content(individual) for other in others for individual in other}
        new = []
        for place, individual in enumerate(pop):
            content = _content(individual)
            if content not in there:
                there.add(content)
                new.append(place)
        return pop[new]


def _content(individual: Any) -> bytes:
    """Return an individual's genes as bytes: equal for equal genes, as there is no zero but +0."""
    content: bytes = (individual.X + 0.0).tobytes()
    return content


class _Redraw(Mutation):  # type: ignore[misc]
    """Draws a few genes of each child anew, or moves them to a neighbouring value."""

    def __init__(self, space: Space) -> None:
        super().__init__(prob=1.0)
        self._space = space

    def _do(self, problem: Any, X: Genomes, *, random_state: Any, **_: Any) -> Genomes:  # noqa: N803 - pymoo's name
        chosen = random_state.random(X.shape) < min(1.0, MUTATED_GENES / X.shape[1])
        anew = np.where(
            self._space.places > 0,
            np.floor(random_state.random(X.shape) * self._space.places),
            random_state.random(X.shape),
        )
        step = np.where(random_state.random(X.shape) < 0.5, -1.0, 1.0)
        neighbour = (random_state.random(X.shape) < NEIGHBOUR_SHARE) & (self._space.places > 0)
        return self._space.canonical(np.where(chosen, np.where(neighbour, X + step, anew), X))
