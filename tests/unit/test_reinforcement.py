"""A study as an environment passes gymnasium's checker, rewards what the study wants, and every walk is a candidate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from searchers.algorithms.walk import FEATURES, Walk
from searchers.study import Study, read_study
from workloads.errors import StudyError

gymnasium = pytest.importorskip("gymnasium", reason="needs the extra rl")

STUDY = """
budget = 10
objectives = ["seconds"]
[network]
name = "lenet5-bitfusion"
[bits]
activations = [2, 8]
weights = [2, 8]
[machine]
rows = [4, 8, 16]
columns = [4, 8]
[[constraints]]
quantity = "area_mm2"
at_most = 1.0
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    return read_study(tmp_path / "study.toml")


def test_the_environment_passes_the_checker(study: Study) -> None:
    from gymnasium.utils.env_checker import check_env

    from searchers.algorithms.environment import StudyEnvironment

    check_env(StudyEnvironment(study), skip_render_check=True)


def test_an_episode_is_a_candidate_and_its_reward_is_what_the_study_wants(study: Study) -> None:
    from searchers.algorithms.environment import OUTSIDE, StudyEnvironment

    environment = StudyEnvironment(study)
    rewards = {}
    for share in (0.0, 0.99):
        environment.reset(seed=1)
        steps = [environment.step(np.array([share], np.float32)) for _ in range(len(study.problem.space))]
        assert [done for _, _, done, _, _ in steps] == [False] * (len(steps) - 1) + [True]
        assert all(reward == 0.0 for _, reward, *_ in steps[:-1])
        (outcome,) = study.problem.evaluate(Walk(study.problem.space).genomes(np.full((1, len(steps)), share)))
        assert steps[-1][4]["quantities"] == outcome.quantities
        rewards[share] = steps[-1][1]
        within = bool(outcome.quantities) and study.violation(outcome) == 0.0
        assert (rewards[share] > -OUTSIDE) == within
    assert len(set(rewards.values())) == 2


PRUNED = """
budget = 10
objectives = ["dram_bytes"]
[network]
name = "mobilenet_v1"
keep = [0.2, 0.4, 0.6, 0.8, 1.0]
[machine]
name = "systolic"
[[constraints]]
quantity = "seconds"
at_most = {limit}
"""


def pruned(folder: Path, limit: float) -> Study:
    (folder / "pruned.toml").write_text(PRUNED.format(limit=limit), encoding="utf-8")
    return read_study(folder / "pruned.toml")


def test_an_environment_of_clipped_actions_passes_the_checker_and_keeps_to_the_limit(tmp_path: Path) -> None:
    from gymnasium.utils.env_checker import check_env

    from searchers.algorithms.environment import OUTSIDE, StudyEnvironment

    study = pruned(tmp_path, 1.0)
    whole, least = (study.problem.evaluate(np.full((1, len(study.problem.space)), gene))[0] for gene in (4.0, 0.0))
    limit = (whole.quantities["seconds"] + least.quantities["seconds"]) / 2
    study = pruned(tmp_path, limit)
    environment = StudyEnvironment(study, clipped=True)
    check_env(environment, skip_render_check=True)
    environment.reset(seed=1)
    steps = [environment.step(np.array([0.99], np.float32)) for _ in range(len(study.problem.space))]
    done = [step[4]["action"] for step in steps]
    assert done[0] == pytest.approx(0.99)
    assert 0.0 <= done[-1] < 0.99
    assert steps[-1][1] > -OUTSIDE
    assert 0.8 * limit < steps[-1][4]["quantities"]["seconds"] <= limit


def test_actions_cannot_be_clipped_to_what_no_candidate_meets(tmp_path: Path) -> None:
    from searchers.algorithms.environment import StudyEnvironment

    with pytest.raises(StudyError) as caught:
        StudyEnvironment(pruned(tmp_path, 1e-6), clipped=True)
    need = "clipped actions: budget = missed, need one that the first value of every knob meets"
    assert str(caught.value) == need


def test_what_an_agent_sees_lies_between_0_and_1_and_tells_the_steps_apart(study: Study) -> None:
    walk = Walk(study.problem.space)
    actions = np.random.default_rng(1).random((5, walk.steps))
    seen = np.stack([walk.seen(actions[:, :step]) for step in range(walk.steps + 1)])
    assert seen.shape == (walk.steps + 1, 5, FEATURES)
    assert seen.min() >= 0.0
    assert seen.max() <= 1.0
    assert len(np.unique(seen[:-1, 0, 0])) == walk.steps
    assert not seen[-1].any()
