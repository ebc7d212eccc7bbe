"""Actions clipped so that a budget stays reachable: AMC's way of keeping to one.

Source: He et al., "AMC", ECCV 2018: whatever an agent wants of a layer is lowered to the most that still meets the
budget if all layers behind it are pruned as far as they may be. So every walk ends within the budget, none is wasted.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from searchers.algorithms.walk import Walk
from searchers.space import Genomes, Space
from workloads.errors import StudyError

HALVINGS = 8  # of what an action is lowered by: finer than any knob has values

Floats = npt.NDArray[np.float64]
Within = Callable[[Genomes], npt.NDArray[np.bool_]]


class Clip:
    """What lowers actions.

    An action is the place of a value among a gene's values, as a share, 0..1. A knob's first value is taken to cost
    least; if it does not, walks stay within the budget, but more of them than need be are lowered.

    Parameters
    ----------
    space : Space
    within : callable
        Says of many candidates, shape (n, genes), which of them meet the budget.

    Raises
    ------
    StudyError
        If the candidate of all first values does not meet it: then nothing can be promised.
    """

    def __init__(self, space: Space, within: Within) -> None:
        self._walk, self._within = Walk(space), within
        if not self._reachable(np.empty((1, 0)))[0]:
            raise StudyError("clipped actions", "budget", "missed", "one that the first value of every knob meets")

    def lowered(self, actions: Floats, wanted: Floats) -> Floats:
        """Return the next action of many walks.

        Parameters
        ----------
        actions : ndarray, shape (n, steps so far)
            Clipped before, so that the budget can still be met.
        wanted : ndarray, shape (n,)

        Returns
        -------
        ndarray, shape (n,)
            As wanted where the budget can be met then, too; else about the highest below it with which it can.
        """
        lowered = wanted.copy()
        over = np.flatnonzero(~self._reachable(np.concatenate([actions, wanted[:, None]], axis=1)))
        # The lowest action is always possible: it is what the budget was reached with before.
        low, high = np.zeros(len(over)), wanted[over]
        for _ in range(HALVINGS if len(over) else 0):
            middle = (low + high) / 2
            possible = self._reachable(np.concatenate([actions[over], middle[:, None]], axis=1))
            low, high = np.where(possible, middle, low), np.where(possible, high, middle)
        lowered[over] = low
        return lowered

    def walk(self, wanted: Floats) -> Floats:
        """Return whole walks, shape (n, genes), lowered action by action."""
        actions = np.empty((len(wanted), 0))
        for step in range(wanted.shape[1]):
            actions = np.concatenate([actions, self.lowered(actions, wanted[:, step])[:, None]], axis=1)
        return actions

    def _reachable(self, actions: Floats) -> npt.NDArray[np.bool_]:
        """Return whether walks, all of whose steps to come take the first value, meet the budget."""
        whole = np.zeros((len(actions), self._walk.steps))
        whole[:, : actions.shape[1]] = actions
        return self._within(self._walk.genomes(whole))
