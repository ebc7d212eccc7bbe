"""The evolution of Once-for-All, HAT and APQ: the best quarter are parents of mutants and of crossed children.

Source: Cai et al., ICLR 2020; Wang et al., "HAT", ACL 2020; Wang et al., "APQ", CVPR 2020, and their code: population
100, a quarter of it parents, half of the children mutants of one parent, block by block with probability 0.1, half
crossed of two, block by block from one or the other; children outside the limits are rejected. With several
objectives, "best" is the order of ``searchers.algorithms.ranking``. Ours: what was told before is rejected, too, as
parents grow alike and changed genes often do not matter, so that most children would in the end be evaluated again.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from searchers.algorithms.ranking import ranks
from searchers.space import Genomes, Space, Vector, gene_count

PARENT_SHARE = 0.25
MUTANT_SHARE = 0.5
MUTATION_PROBABILITY = 0.1  # of a block
MOST_TRIES = 100  # rounds of children of which none may be new and acceptable, before any is taken

Accept = Callable[[Genomes], npt.NDArray[np.bool_]]


class Evolution:
    """Mutation and crossover by blocks, with rejection of what was told before.

    Parameters
    ----------
    accept : callable, optional
        Says which of many candidates are worth evaluating, by what can be told of them cheaply. The others are
        rejected before they are asked for. Without it, those that turn out to break a limit never become parents as
        long as there are better ones.
    """

    def __init__(
        self, space: Space, *, objectives: int, seed: int, population: int, accept: Accept | None = None
    ) -> None:
        self._space, self._population, self._accept = space, population, accept
        self._random = np.random.default_rng(np.random.SeedSequence(seed))
        self._block_of = blocks(space)
        self._genomes: Genomes = np.empty((0, len(space)))
        self._objectives = np.empty((0, objectives))
        self._violations = np.empty(0)
        self._known: set[bytes] = set()  # genomes that were told

    def ask(self) -> Genomes:
        """Return random candidates at first, then children of the best."""
        make = self._children if len(self._genomes) else self._drawn
        new: dict[bytes, Genomes] = {}
        for _ in range(MOST_TRIES):
            made = make(self._population)
            if self._accept is not None:
                made = made[self._accept(made)]
            new |= {genome.tobytes(): genome for genome in made if genome.tobytes() not in self._known}
            if len(new) >= self._population:
                break
        asked = [*new.values(), *make(self._population)] if len(new) < self._population else list(new.values())
        return np.array(asked[: self._population])

    def tell(self, genomes: Genomes, objectives: npt.NDArray[np.float64], violations: npt.NDArray[np.float64]) -> None:
        """Keep the best of parents and children as parents."""
        self._known |= {genome.tobytes() for genome in genomes}
        everyone = np.concatenate([self._genomes, genomes])
        costs, lacking = np.concatenate([self._objectives, objectives]), np.concatenate([self._violations, violations])
        _, first = np.unique(everyone, axis=0, return_index=True)
        first.sort()
        best = first[np.argsort(ranks(costs[first], lacking[first]))][: max(2, round(PARENT_SHARE * self._population))]
        self._genomes, self._objectives, self._violations = everyone[best], costs[best], lacking[best]

    def _drawn(self, count: int) -> Genomes:
        return self._space.random(self._random.random((count, len(self._space))))

    def _children(self, count: int) -> Genomes:
        """Return mutants, then children of two."""
        mutants = round(MUTANT_SHARE * count)
        chosen = self._random.integers(len(self._genomes), size=(2, count))
        first, second = self._genomes[chosen[0]], self._genomes[chosen[1]]
        number = int(self._block_of.max()) + 1
        changed = self._random.random((count, number))
        mutated = changed[:mutants] < MUTATION_PROBABILITY
        # A mutant that is its parent would be rejected.
        mutated[np.arange(mutants), self._random.integers(number, size=mutants)] |= ~mutated.any(axis=1)
        children = np.concatenate(
            [
                np.where(mutated[:, self._block_of], self._drawn(mutants), first[:mutants]),
                np.where(changed[mutants:, self._block_of] < 0.5, first[mutants:], second[mutants:]),
            ]
        )
        return self._space.canonical(children)


def blocks(space: Space) -> npt.NDArray[np.int64]:
    """Return which block each gene belongs to: genes at one place of vectors of one section and length are a block.

    So a block's kernel and expansion change together, a layer's widths, and an order as a whole.
    """
    numbers: dict[tuple[object, ...], int] = {}
    block_of = []
    for name, knob in space.knobs.items():
        length = gene_count(knob)
        for place in range(length):
            apart = isinstance(knob, Vector) and length > 1
            key = (name.partition(".")[0], length, place) if apart else (name,)
            block_of.append(numbers.setdefault(key, len(numbers)))
    return np.array(block_of)
