"""DDPG as HAQ and AMC use it: an actor walks through the genes, a critic learns what walks are worth.

Source: Lillicrap et al., ICLR 2016; Wang et al., "HAQ", CVPR 2019: two hidden layers of 300, learning rates 1e-3,
discount 1, batches of 64, target rate 0.01, exploration noise of 0.5 that decays by 0.99 an episode after a warm-up;
stable-baselines3's implementation, which has one learning rate for both.

Each walk has weights for the objectives, drawn at random and seen by the actor, so that one actor learns the front.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from searchers.algorithms.clipping import Clip
from searchers.algorithms.walk import FEATURES, Walk
from searchers.space import Genomes, Space

HIDDEN = [300, 300]
LEARNING_RATE, TARGET_RATE, BATCH = 1e-3, 0.01, 64
NOISE, NOISE_DECAY = 0.5, 0.99
WALKS_REMEMBERED = 128
UPDATES_PER_WALK = 4
OUTSIDE = 10.0  # reward lost outside the limits, in standard deviations of the first generation's objectives

Floats = npt.NDArray[np.float64]


class DDPG:
    """stable-baselines3's DDPG behind the ask/tell contract; the first generation is random.

    Parameters
    ----------
    clip : Clip, optional
        Lowers what the actor wants, as in AMC, so that every walk ends within a budget.
    """

    def __init__(self, space: Space, *, objectives: int, seed: int, population: int, clip: Clip | None = None) -> None:
        import gymnasium
        import stable_baselines3
        import torch
        from stable_baselines3.common.logger import Logger

        self._walk, self._population, self._objectives = Walk(space), population, objectives
        self._random = np.random.default_rng(np.random.SeedSequence(seed))
        self._walks, self._clip = 0, clip
        self._scale: tuple[Floats, Floats] | None = None
        seen = gymnasium.spaces.Box(-1.0, 1.0, (FEATURES + objectives,), np.float32)
        acts = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
        torch.set_num_threads(1)  # sums in one order on every machine
        self._states: tuple[Any, Any, Any] | None = None
        with self._own_randomness():
            self._agent: Any = stable_baselines3.DDPG(
                "MlpPolicy", _Spaces.of(seen, acts), learning_rate=LEARNING_RATE, tau=TARGET_RATE, gamma=1.0,
                batch_size=BATCH, buffer_size=WALKS_REMEMBERED * self._walk.steps,
                policy_kwargs={"net_arch": HIDDEN}, seed=seed % 2**31, device="cpu",
            )  # fmt: skip
        self._agent.set_logger(Logger(None, []))

    def ask(self) -> Genomes:
        """Return candidates the actor walks to, with noise."""
        self._weights = self._random.dirichlet(np.ones(self._objectives), self._population)
        actions = np.empty((self._population, 0))
        self._seen = [self._observed(actions)]
        spread = NOISE * NOISE_DECAY ** max(0, self._walks - self._population)
        for _ in range(self._walk.steps):
            if self._walks:
                with self._own_randomness():
                    wanted, _ = self._agent.predict(self._seen[-1].astype(np.float32), deterministic=True)
                chosen = _truncated(self._random, wanted[:, 0].astype(float), spread)
            else:
                chosen = self._random.random(self._population)
            if self._clip is not None:
                chosen = self._clip.lowered(actions, chosen)
            actions = np.concatenate([actions, chosen[:, None]], axis=1)
            self._seen.append(self._observed(actions))
        self._actions = actions
        return self._walk.genomes(actions)

    def tell(self, genomes: Genomes, objectives: Floats, violations: Floats) -> None:
        """Remember the walks and what they led to, and learn."""
        rewards = self._rewards(objectives, violations)
        self._walks += self._population
        buffer = self._agent.replay_buffer
        scaled = 2.0 * self._actions - 1.0  # as stable-baselines3 keeps actions
        with self._own_randomness():
            for walk in range(self._population):
                for step in range(self._walk.steps):
                    last = step == self._walk.steps - 1
                    buffer.add(
                        self._seen[step][walk : walk + 1], self._seen[step + 1][walk : walk + 1],
                        scaled[walk : walk + 1, step : step + 1], np.array([rewards[walk] if last else 0.0]),
                        np.array([last]), [{}],
                    )  # fmt: skip
            self._agent.train(gradient_steps=UPDATES_PER_WALK * self._population, batch_size=BATCH)

    def _observed(self, actions: Floats) -> Floats:
        return np.concatenate([self._walk.seen(actions), self._weights], axis=1)

    def _rewards(self, objectives: Floats, violations: Floats) -> Floats:
        """Return minus the weighted objectives, in standard deviations of the first generation that met the limits."""
        if self._scale is None:
            inside = objectives[violations == 0.0]
            if not len(inside):
                return -OUTSIDE - np.log1p(violations)
            spread = inside.std(axis=0)
            self._scale = inside.mean(axis=0), np.where(spread > 0.0, spread, 1.0)
        mean, spread = self._scale
        costs = np.clip((objectives - mean) / spread, -OUTSIDE, OUTSIDE)
        outside = np.where(violations > 0.0, OUTSIDE + np.log1p(violations), 0.0)
        rewards: Floats = -(self._weights * costs).sum(axis=1) - outside
        return rewards

    @contextmanager
    def _own_randomness(self) -> Iterator[None]:
        """Lend stable-baselines3, which draws from global generators, states of our own, and put back the others'."""
        import torch

        others = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
        if self._states is not None:
            _set_states(self._states)
        try:
            yield
        finally:
            self._states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
            _set_states(others)


def _set_states(states: tuple[Any, Any, Any]) -> None:
    import torch

    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    torch.set_rng_state(states[2])


def _truncated(generator: np.random.Generator, mean: Floats, spread: float) -> Floats:
    """Draw from normal distributions cut off at 0 and 1."""
    from scipy.special import ndtr, ndtri

    low, high = ndtr(-mean / spread), ndtr((1.0 - mean) / spread)
    drawn = low + (high - low) * generator.random(len(mean))
    cut: Floats = np.clip(mean + spread * ndtri(np.clip(drawn, 1e-12, 1.0 - 1e-12)), 0.0, 1.0)
    return cut


class _Spaces:
    """An environment that only says what is seen and done; the walks are ours."""

    @staticmethod
    def of(seen: Any, acts: Any) -> Any:
        import gymnasium

        class Spaces(gymnasium.Env[Any, Any]):  # type: ignore[misc]
            observation_space, action_space = seen, acts

        return Spaces()
