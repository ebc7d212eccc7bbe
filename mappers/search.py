"""The search for the best mapping of a layer on any array: branch and bound over decisions, proven best.

A machine says what its mappings are (tile sizes, loop orders, what stays where) as a row of decisions, what a row
costs, and what no row that begins in a certain way can beat; see ``Space``. The search decides every mapping of the
space: it computes its cost, or leaves it out because its bound is above the cost of another.

Fewest cycles win, then the least traffic; of equals the mapping the search started from, then the first in the order of
the space. So the answer depends neither on the bounds nor on the order in which branches are visited.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from accel.mapping import SearchEffort
from workloads.layers import IntArray

IMPOSSIBLE = 2**62  # the bound of what does not fit
BRANCHES = 2**13  # looked at together: enough for the arrays, few enough to know a good mapping early
TRIED = 256  # mappings whose cost is computed together


class Space(Protocol):
    """The mappings of one layer on one machine."""

    @property
    def axes(self) -> tuple[IntArray, ...]:
        """The choices of every decision, in the order in which they are taken; a mapping is one of each."""

    def bound(self, begun: IntArray) -> IntArray:
        """Return cycles and traffic that no mapping beats that begins with given decisions.

        Parameters
        ----------
        begun : ndarray of int64, shape (n, d)
            The first d decisions, d from 1 to all of them.

        Returns
        -------
        ndarray of int64, shape (n, 2)
            No less than those of fewer decisions; ``IMPOSSIBLE`` where no such mapping fits the machine.
        """

    def cost(self, mappings: IntArray) -> IntArray:
        """Return cycles and traffic, shape (n, 2), of mappings, shape (n, decisions), that fit."""


@dataclass(frozen=True, slots=True)
class Found:
    """A mapping and its cost.

    Attributes
    ----------
    mapping : tuple of int
        The choice of every decision.
    cycles, traffic : int
        As ``Space.cost`` has them.
    """

    mapping: tuple[int, ...]
    cycles: int
    traffic: int


def best_mapping(space: Space, start: Found | None, *, bounded: bool = True) -> tuple[Found | None, SearchEffort]:
    """Find the best mapping of a space.

    Parameters
    ----------
    space : Space
    start : Found or None
        A mapping that is possible anyway; the answer is never worse. None: there is none.
    bounded : bool
        Leave out what provably cannot win. The answer is the same either way.

    Returns
    -------
    found : Found or None
        None where nothing fits.
    effort : SearchEffort
    """
    search = _Search(space, start, bounded)
    search.descend(np.empty((1, 0), np.int64), np.zeros((1, 2), np.int64))
    return search.best, SearchEffort(math.prod(map(len, space.axes)), search.evaluated)


def tile_sizes(length: int, step: int = 1) -> IntArray:
    """Return the sizes a tile of one dimension may have, ascending.

    For every number of tiles the smallest tile there is, so every divisor, and that tile rounded up to whole steps
    of the array; at most the dimension.
    """
    fewest = np.unique(-(-length // np.arange(1, math.isqrt(length) + 1)))
    smallest = np.union1d(fewest, np.arange(1, fewest[0] + 1))
    sizes: IntArray = np.union1d(smallest, np.minimum(-(-smallest // step) * step, length)).astype(np.int64)
    return sizes


class _Search:
    """A search under way: the best mapping so far."""

    def __init__(self, space: Space, start: Found | None, bounded: bool) -> None:
        self._space, self._bounded = space, bounded
        self.best, self._place = start, -1  # the place of a mapping in the order of the space; a start is before all
        self.evaluated = 0

    def descend(self, begun: IntArray, bounds: IntArray) -> None:
        """Look at everything that begins with given decisions (n, d); the most promising of them come first."""
        if begun.shape[1] == len(self._space.axes):
            self._try(begun, bounds)
            return
        choices = self._space.axes[begun.shape[1]]
        together = max(1, BRANCHES // len(choices))
        for first in range(0, len(begun), together):
            here = begun[first : first + together][self._may_win(bounds[first : first + together])]
            grown = np.column_stack((np.repeat(here, len(choices), axis=0), np.tile(choices, len(here))))
            if len(grown):
                bounds_grown = self._space.bound(grown)
                order = np.lexsort(bounds_grown.T[::-1])
                order = order[self._may_win(bounds_grown[order])]
                self.descend(grown[order], bounds_grown[order])

    def _may_win(self, bounds: IntArray) -> npt.NDArray[np.bool_]:
        """Tell which bounds are no worse than the best cost so far."""
        cycles, traffic = bounds.T
        may_win: npt.NDArray[np.bool_] = cycles < IMPOSSIBLE
        if self.best is not None and self._bounded:
            equal = cycles == self.best.cycles
            may_win &= (cycles < self.best.cycles) | equal & (traffic <= self.best.traffic)
        return may_win

    def _try(self, mappings: IntArray, bounds: IntArray) -> None:
        """Compute costs, and keep the best mapping."""
        for first in range(0, len(mappings), TRIED):
            here = mappings[first : first + TRIED][self._may_win(bounds[first : first + TRIED])]
            if not len(here):
                continue
            costs = self._space.cost(here)
            self.evaluated += len(here)
            places = np.zeros(len(here), np.int64)
            for axis, chosen in zip(self._space.axes, here.T, strict=True):
                places = places * len(axis) + np.searchsorted(axis, chosen)
            index = np.lexsort((places, costs[:, 1], costs[:, 0]))[0]
            rank = (*costs[index].tolist(), int(places[index]))
            if self.best is None or rank < (self.best.cycles, self.best.traffic, self._place):
                self.best = Found(tuple(here[index].tolist()), *rank[:2])
                self._place = rank[2]
