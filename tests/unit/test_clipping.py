"""Clipped actions: every walk ends within the budget, and nothing is lowered that need not be."""

from __future__ import annotations

import numpy as np
import pytest

from searchers.algorithms.algorithm import EXTRAS
from searchers.algorithms.clipping import Clip
from searchers.algorithms.walk import Walk
from searchers.problems.networks import FixedNetworks, PrunedNetwork
from searchers.space import Choice, Condition, Genomes, Integer, Real, Space, Vector
from workloads.errors import StudyError
from workloads.layers import LayerTable

KEEP = [round(0.2 + 0.05 * step, 2) for step in range(17)]
NETWORK = PrunedNetwork(FixedNetworks(["mobilenet_v1"]), KEEP)
SPACE = Space(NETWORK.knobs)


def macs(genomes: Genomes) -> np.ndarray:
    rows, _ = NETWORK.rows({"keep": SPACE.chosen(genomes, "keep")}, len(genomes))
    return np.array([LayerTable("", (), layers).macs.sum() for layers in rows])


WHOLE = float(macs(np.full((1, len(SPACE)), 16.0))[0])


@pytest.mark.parametrize("share", [0.12, 0.5, 0.9])
def test_500_random_walks_end_within_the_budget(share: float) -> None:
    clip = Clip(SPACE, lambda genomes: macs(genomes) <= share * WHOLE)
    wanted = np.random.default_rng(1).random((500, len(SPACE)))
    wanted[:50] = 1.0  # keep everything
    done = clip.walk(wanted)
    found = macs(Walk(SPACE).genomes(done))
    assert (found <= share * WHOLE).all()
    assert (done <= wanted).all()
    # A walk that wants everything ends near the budget: what is left does not make up one more step of the last layer.
    assert (found[:50] > 0.93 * share * WHOLE).all()


def test_what_meets_the_budget_is_left_alone() -> None:
    clip = Clip(SPACE, lambda genomes: macs(genomes) <= 0.5 * WHOLE)
    wanted = np.random.default_rng(2).random((200, len(SPACE)))
    fits = macs(Walk(SPACE).genomes(wanted)) <= 0.5 * WHOLE
    assert 0.2 < fits.mean() < 1.0
    assert np.array_equal(clip.walk(wanted)[fits], wanted[fits])


def test_an_action_is_lowered_no_further_than_to_the_highest_value_that_fits() -> None:
    space = Space({"size": Integer(1, 100), "more": Integer(1, 100)})
    clip = Clip(space, lambda genomes: genomes.sum(axis=1) + 2 <= 60)
    done = Walk(space).genomes(clip.walk(np.array([[0.99, 0.99], [0.2, 0.99], [0.0, 0.0]])))
    assert done.tolist() == [[58, 0], [20, 38], [0, 0]]


def test_every_kind_of_knob_can_be_clipped_though_costs_rise_and_fall() -> None:
    used = tuple(frozenset(depth for depth in (1, 2, 3) if depth > block) for block in range(3))
    space = Space(
        {"depth": Choice((1, 2, 3)), "kernel": Vector(Choice((3, 5, 7)), 3), "share": Real(0.0, 1.0)},
        {"kernel": Condition("depth", (0, 0, 0), used)},
    )
    weights = np.random.default_rng(3).normal(size=(20, len(space)))
    for row in weights:

        def within(genomes: Genomes, row: np.ndarray = row) -> np.ndarray:
            return np.sin(3.0 * genomes) @ row <= 0.3

        done = Clip(space, within).walk(np.random.default_rng(4).random((50, len(space))))
        assert within(Walk(space).genomes(done)).all()


def test_a_budget_that_nothing_meets_is_refused() -> None:
    with pytest.raises(StudyError) as caught:
        Clip(SPACE, lambda genomes: macs(genomes) < 0.01 * WHOLE)
    assert str(caught.value) == "clipped actions: budget = missed, need one that the first value of every knob meets"


def test_the_actor_of_ddpg_keeps_to_a_budget() -> None:
    package, extra = EXTRAS["ddpg"]
    pytest.importorskip(package, reason=f"needs the extra {extra}")
    from searchers.algorithms.ddpg import DDPG

    clip = Clip(SPACE, lambda genomes: macs(genomes) <= 0.5 * WHOLE)
    agent = DDPG(SPACE, objectives=1, seed=1, population=8, clip=clip)
    for _ in range(3):
        asked = agent.ask()
        assert (macs(asked) <= 0.5 * WHOLE).all()
        agent.tell(asked, -asked.sum(axis=1, keepdims=True), np.zeros(len(asked)))
