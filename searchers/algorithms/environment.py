"""A study as an environment of gymnasium, for agents of one's own: an episode is a candidate, a step is a gene.

Needs the extra ``rl``. The reward comes with the last step: minus the first objective (its logarithm where it spans
orders of magnitude); a candidate outside the limits gets minus ``OUTSIDE`` and what it lacks, one that cannot be built
minus twice ``OUTSIDE``. With clipped actions, as in AMC, there are no such candidates.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from searchers.algorithms.clipping import Clip
from searchers.algorithms.walk import FEATURES, Walk
from searchers.quantities import QUANTITIES
from searchers.space import Genomes
from searchers.study import Study

OUTSIDE = 100.0

Observation = npt.NDArray[np.float32]


class StudyEnvironment(gymnasium.Env[Observation, Observation]):  # type: ignore[misc]
    """Choose a study's candidates gene by gene.

    Parameters
    ----------
    study : Study
    clipped : bool
        Lower actions so that the study's limits can still be met (``searchers.algorithms.clipping``); what was done is
        ``info["action"]``.

    Raises
    ------
    StudyError
        If actions are to be clipped and the first values of all knobs do not meet the limits.

    Attributes
    ----------
    observation_space : Box, shape (7,), 0..1
        See ``searchers.algorithms.walk.Walk.seen``.
    action_space : Box, shape (1,), 0..1
        The value as a share of the values there are.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - gymnasium's name and type

    def __init__(self, study: Study, *, clipped: bool = False) -> None:
        self._study = study
        self._clip = Clip(study.problem.space, self._within) if clipped else None
        self._walk = Walk(study.problem.space)
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (FEATURES,), np.float32)
        self.action_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
        self._actions = np.empty((1, 0))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a candidate."""
        super().reset(seed=seed)
        self._actions = np.empty((1, 0))
        return self._seen(), {}

    def step(self, action: Observation) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Choose the next gene by an action (1,); after the last ``info`` holds the candidate's quantities."""
        chosen = np.asarray(action, dtype=float).reshape(1)
        if self._clip is not None:
            chosen = self._clip.lowered(self._actions, chosen)
        self._actions = np.append(self._actions, chosen[None], axis=1)
        info: dict[str, Any] = {"action": float(chosen[0])}
        if self._actions.shape[1] < self._walk.steps:
            return self._seen(), 0.0, False, False, info
        (outcome,) = self._study.problem.evaluate(self._walk.genomes(self._actions))
        info |= {"quantities": outcome.quantities, "reason": outcome.reason}
        return self._seen(), self._reward(outcome), True, False, info

    def _within(self, genomes: Genomes) -> npt.NDArray[np.bool_]:
        return np.array([self._study.feasible(outcome) for outcome in self._study.problem.evaluate(genomes)])

    def _seen(self) -> Observation:
        seen: Observation = self._walk.seen(self._actions)[0].astype(np.float32)
        return seen

    def _reward(self, outcome: Any) -> float:
        if not outcome.quantities:
            return -2.0 * OUTSIDE
        lacking = self._study.violation(outcome)
        if lacking > 0.0:
            return -OUTSIDE - lacking
        (cost, *_), first = self._study.costs(outcome), QUANTITIES[self._study.objectives[0]]
        return -math.log(cost) if first.log and cost > 0.0 else -cost
