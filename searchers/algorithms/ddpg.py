"""DDPG as HAQ and AMC use it: an actor walks through the genes, a critic learns what walks are worth.

Source: Lillicrap et al., ICLR 2016; Wang et al., "HAQ", CVPR 2019, and He et al., "AMC", ECCV 2018, with the constants
of their published searches: every step of a walk is given what the whole walk was worth, less a moving average, at
discount 1; two hidden layers of 300, learning rates 1e-4 and 1e-3, batches of 64, target rate 0.01, updates after a
warm-up, exploration by a normal distribution cut off at 0 and 1 that narrows from walk to walk.

What differs: it is stable-baselines3's DDPG; a walk sees what ``searchers.algorithms.walk`` says of a space, not shapes
of layers; a generation of walks is told, and learned from, at once; and each walk has weights for the objectives,
drawn at random and seen by the actor, so that one actor learns the front. Both papers' agents make one update for every
step. Where a walk has hundreds of steps and costs a millisecond to evaluate, that is seconds a walk: studies make four.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from searchers.algorithms.clipping import Clip
from searchers.algorithms.walk import FEATURES, Walk
from searchers.space import Genomes, Space

HIDDEN = [300, 300]
ACTOR_RATE, CRITIC_RATE, TARGET_RATE, BATCH = 1e-4, 1e-3, 0.01, 64
BASELINE_RATE = 0.5  # of the moving average of rewards, a batch
NOISE = 0.5  # standard deviation of actions at first
LEAST_NOISE = 1e-9  # of no effect, but no zero to divide by
OUTSIDE = 10.0  # reward lost outside the limits, in standard deviations of the first generation's objectives

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Episodes:
    """What a published search makes of its walks.

    Attributes
    ----------
    warm_up : int
        Random walks before the first update; here the first generation at least.
    remembered : int
        Walks in the replay memory.
    noise_decay : float
        Factor of the exploration noise from one walk to the next.
    updates : int, optional
        A walk; else one for every step.
    """

    warm_up: int
    remembered: int
    noise_decay: float
    updates: int | None = None


AMC = Episodes(warm_up=100, remembered=100, noise_decay=0.95)
STUDY = Episodes(warm_up=20, remembered=128, noise_decay=0.99, updates=4)  # HAQ's but for the updates


class DDPG:
    """stable-baselines3's DDPG behind the ask/tell contract; the first generation is random.

    Parameters
    ----------
    clip : Clip, optional
        Lowers what the actor wants, as in AMC, so that every walk ends within a budget.
    episodes : Episodes
        Warm-up, memory, exploration and updates.
    """

    def __init__(
        self,
        space: Space,
        *,
        objectives: int,
        seed: int,
        population: int,
        clip: Clip | None = None,
        episodes: Episodes = STUDY,
    ) -> None:
        import torch

        self._walk, self._population, self._objectives = Walk(space), population, objectives
        self._random = np.random.default_rng(np.random.SeedSequence(seed))
        self._walks, self._clip = 0, clip
        self._warm_up, self._noise_decay = max(episodes.warm_up, population), episodes.noise_decay
        self._updates = population * (episodes.updates or self._walk.steps)
        self._scale: tuple[Floats, Floats] | None = None
        torch.set_num_threads(1)  # sums in one order on every machine
        self._states: tuple[Any, Any, Any] | None = None
        with self._own_randomness():
            self._agent = _make_agent(FEATURES + objectives, episodes.remembered * self._walk.steps, seed % 2**31)

    def ask(self) -> Genomes:
        """Return candidates the actor walks to, with noise; random ones until the warm-up is over."""
        self._weights = self._random.dirichlet(np.ones(self._objectives), self._population)
        actions = np.empty((self._population, 0))
        self._seen = [self._observed(actions)]
        learned = self._learned()
        spread = np.maximum(NOISE * self._noise_decay ** np.maximum(learned, 0), LEAST_NOISE)
        for _ in range(self._walk.steps):
            chosen = self._random.random(self._population)
            if learned[-1] >= 0:
                with self._own_randomness():
                    wanted, _ = self._agent.predict(self._seen[-1].astype(np.float32), deterministic=True)
                drawn = _truncated(chosen, wanted[:, 0].astype(float), spread)
                chosen = np.where(learned >= 0, drawn, chosen)
            if self._clip is not None:
                chosen = self._clip.lowered(actions, chosen)
            actions = np.concatenate([actions, chosen[:, None]], axis=1)
            self._seen.append(self._observed(actions))
        self._actions = actions
        return self._walk.genomes(actions)

    def tell(self, genomes: Genomes, objectives: Floats, violations: Floats) -> None:
        """Remember the walks and what they led to, and, once the warm-up is over, learn."""
        rewards = self._rewards(objectives, violations)
        buffer, steps = self._agent.replay_buffer, self._walk.steps
        scaled = 2.0 * self._actions - 1.0  # as stable-baselines3 keeps actions
        with self._own_randomness():
            for walk in range(self._population):
                for step in range(steps):
                    buffer.add(
                        self._seen[step][walk : walk + 1], self._seen[step + 1][walk : walk + 1],
                        scaled[walk : walk + 1, step : step + 1], rewards[walk : walk + 1],
                        np.array([step == steps - 1]), [{}],
                    )  # fmt: skip
            self._walks += self._population
            if self._walks >= self._warm_up:
                self._agent.train(gradient_steps=self._updates, batch_size=BATCH)

    def _learned(self) -> npt.NDArray[np.int64]:
        """Return how many walks after the warm-up each of the next generation is, shape (n,); below 0 in it."""
        return self._walks + np.arange(self._population) - self._warm_up

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


def _truncated(shares: Floats, mean: Floats, spread: Floats) -> Floats:
    """Return the quantiles, at shares 0..1, of normal distributions cut off at 0 and 1."""
    from scipy.special import ndtr, ndtri

    low, high = ndtr(-mean / spread), ndtr((1.0 - mean) / spread)
    drawn = low + (high - low) * shares
    cut: Floats = np.clip(mean + spread * ndtri(np.clip(drawn, 1e-12, 1.0 - 1e-12)), 0.0, 1.0)
    return cut


def _make_agent(features: int, remembered: int, seed: int) -> Any:
    """Return stable-baselines3's DDPG with a rate of its own for the actor, and rewards less what is usual."""
    import gymnasium
    import stable_baselines3
    from stable_baselines3.common.buffers import ReplayBuffer
    from stable_baselines3.common.logger import Logger
    from stable_baselines3.common.utils import update_learning_rate

    class Spaces(gymnasium.Env[Any, Any]):  # type: ignore[misc]
        """An environment that only says what is seen and done; the walks are ours."""

        observation_space = gymnasium.spaces.Box(-1.0, 1.0, (features,), np.float32)
        action_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)

    class Baselined(ReplayBuffer):  # type: ignore[misc]
        """Batches whose rewards are less the moving average of their means."""

        average: Any = None

        def sample(self, batch_size: int, env: Any = None) -> Any:
            drawn = super().sample(batch_size, env)
            mean = drawn.rewards.mean()
            self.average = mean if self.average is None else self.average + BASELINE_RATE * (mean - self.average)
            return drawn._replace(rewards=drawn.rewards - self.average)

    class TwoRates(stable_baselines3.DDPG):  # type: ignore[misc]
        """Sets the rates of actor and critic before updates, where stable-baselines3 has one for both."""

        def _update_learning_rate(self, optimizers: Any) -> None:
            for optimizer, rate in zip(optimizers, (ACTOR_RATE, CRITIC_RATE), strict=True):
                update_learning_rate(optimizer, rate)

    agent = TwoRates(
        "MlpPolicy", Spaces(), tau=TARGET_RATE, gamma=1.0, batch_size=BATCH, buffer_size=remembered,
        replay_buffer_class=Baselined, policy_kwargs={"net_arch": HIDDEN, "optimizer_kwargs": {"fused": True}},
        seed=seed, device="cpu",
    )  # fmt: skip
    agent.set_logger(Logger(None, []))
    return agent
