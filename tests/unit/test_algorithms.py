"""What every search algorithm promises a study, and what NSGA-II promises beyond it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import moocore
import numpy as np
import pytest
from pymoo.core.duplicate import DefaultDuplicateElimination
from pymoo.core.population import Population

from searchers.algorithms.algorithm import ALGORITHMS, EXTRAS, Algorithm, make_algorithm
from searchers.algorithms.gradient import KnownCost
from searchers.algorithms.nsga2 import Distinct
from searchers.algorithms.random_search import RandomSearch
from searchers.run import run_study
from searchers.space import Choice, Condition, Genomes, Integer, Real, Space, Vector
from searchers.storage.results import RESULTS, write_points
from searchers.study import read_study
from workloads.errors import StudyError

POPULATION = 12
OBJECTIVES = 2


def space() -> Space:
    """All kinds of knobs, and blocks that only matter in a deep network."""
    used = tuple(frozenset(depth for depth in (1, 2, 3) if depth > block) for block in range(3))
    return Space(
        {
            "depth": Choice((1, 2, 3)),
            "kernel": Vector(Choice((3, 5, 7)), 3),
            "port": Integer(32, 512, 32),
            "clock": Real(1e8, 1e9, log=True),
        },
        {"kernel": Condition("depth", (0, 0, 0), used)},
    )


def make(name: str, seed: int = 5, of: Space | None = None) -> Algorithm:
    return make_algorithm(name, of or space(), objectives=OBJECTIVES, seed=seed, population=POPULATION)


def answer(genomes: Genomes) -> tuple[np.ndarray, np.ndarray]:
    """Two objectives that pull every gene apart, and a limit on their first gene."""
    shares = genomes / (1.0 + genomes.max(initial=1.0))
    objectives = np.stack([shares.sum(axis=1), ((1.0 - shares) ** 2).sum(axis=1)], axis=1)
    return objectives, np.maximum(0.0, genomes[:, 0] - 1.0)


def generations(algorithm: Algorithm, count: int) -> list[Genomes]:
    asked = []
    for _ in range(count):
        asked.append(algorithm.ask())
        algorithm.tell(asked[-1], *answer(asked[-1]))
    return asked


def equal(first: list[Genomes], second: list[Genomes]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("name", ALGORITHMS)
class TestEveryAlgorithm:
    @pytest.fixture(autouse=True)
    def installed(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Skip what needs an extra that is not there; a small network keeps the contract as a large one does."""
        if name in EXTRAS:
            package, extra = EXTRAS[name]
            pytest.importorskip(package, reason=f"needs the extra {extra}")
        monkeypatch.setattr("searchers.algorithms.ddpg.HIDDEN", [16, 16])

    def test_the_first_generation_is_as_large_as_asked_for(self, name: str) -> None:
        assert make(name).ask().shape == (POPULATION, len(space()))

    def test_genomes_are_canonical(self, name: str) -> None:
        for asked in generations(make(name), 8):
            assert asked.dtype == np.float64
            assert asked.ndim == 2
            assert asked.shape[1] == len(space())
            assert 1 <= len(asked) <= POPULATION
            assert np.array_equal(space().canonical(asked), asked)

    def test_the_same_seed_asks_the_same(self, name: str) -> None:
        assert equal(generations(make(name), 6), generations(make(name), 6))

    def test_another_seed_asks_something_else(self, name: str) -> None:
        first, second = (generations(make(name, seed), 1)[0] for seed in (5, 6))
        assert not np.array_equal(first, second)

    def test_numpys_global_randomness_is_neither_used_nor_touched(self, name: str) -> None:
        np.random.seed(1)  # noqa: NPY002 - it is what must not matter
        state = np.random.get_state()[1].copy()  # type: ignore[index,union-attr] # noqa: NPY002
        first = generations(make(name), 4)
        after = np.random.get_state()[1]  # type: ignore[index] # noqa: NPY002
        assert np.array_equal(after, state)
        np.random.seed(2)  # noqa: NPY002
        assert equal(generations(make(name), 4), first)

    def test_two_at_once_do_not_disturb_each_other(self, name: str) -> None:
        alone = generations(make(name), 4)
        one, other = make(name), make(name, 6)
        asked = []
        for _ in range(4):
            asked += generations(one, 1)
            generations(other, 1)
        assert equal(asked, alone)

    def test_generations_that_cannot_be_built_are_survived(self, name: str) -> None:
        algorithm = make(name)
        for _ in range(4):
            asked = algorithm.ask()
            algorithm.tell(asked, np.full((len(asked), OBJECTIVES), 1e30), np.full(len(asked), 1e6))
        for asked in generations(algorithm, 3):
            assert len(asked)
            assert np.array_equal(space().canonical(asked), asked)

    def test_a_search_told_again_from_its_store_goes_on_as_before(self, name: str) -> None:
        algorithm = make(name)
        kept = []
        for _ in range(4):
            asked = algorithm.ask()
            objectives, violations = answer(asked)
            algorithm.tell(asked, objectives, violations)
            kept.append(json.dumps([asked.tolist(), objectives.tolist(), violations.tolist()]))
        again = make(name)
        for text in kept:
            genomes, objectives, violations = (np.array(part) for part in json.loads(text))
            assert np.array_equal(again.ask(), genomes)
            again.tell(genomes, objectives, violations)
        assert equal(generations(again, 3), generations(algorithm, 3))

    def test_a_space_smaller_than_a_generation_can_be_searched(self, name: str) -> None:
        small = Space({"rows": Choice((4, 8)), "columns": Choice((4, 8))})
        for asked in generations(make(name, of=small), 5):
            assert len(asked)
            assert np.array_equal(small.canonical(asked), asked)

    def test_a_space_of_one_gene_can_be_searched(self, name: str) -> None:
        small = Space({"clock": Real(1e8, 1e9)})
        for asked in generations(make(name, of=small), 4):
            assert asked.shape[1] == 1
            assert len(asked)

    def test_the_number_of_workers_changes_no_byte(
        self, name: str, study_file: Callable[..., Path], tmp_path: Path
    ) -> None:
        study = read_study(study_file(algorithm="[algorithm]\npopulation = 8"), budget=24, algorithm=name)
        tables = []
        for workers in (1, 2):
            folder = tmp_path / str(workers)
            write_points(study, run_study(study, folder, workers=workers), folder / RESULTS)
            tables.append((folder / RESULTS).read_bytes())
        assert tables[0].count(b"\n") == 25
        assert tables[1] == tables[0]


def test_evolution_asks_nothing_twice() -> None:
    asked = np.concatenate(generations(make("evolution"), 12))
    assert len(np.unique(asked, axis=0)) == len(asked)


def test_ddpg_rewards_every_step_and_learns_after_its_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("stable_baselines3", reason="needs the extra rl")
    from searchers.algorithms import ddpg

    monkeypatch.setattr(ddpg, "HIDDEN", [16, 16])
    episodes = ddpg.Episodes(warm_up=2 * POPULATION, remembered=3 * POPULATION, noise_decay=0.9)
    algorithm = ddpg.DDPG(space(), objectives=OBJECTIVES, seed=5, population=POPULATION, episodes=episodes)
    agent = algorithm._agent
    updates = []
    for _ in range(3):
        generations(algorithm, 1)
        updates.append(agent._n_updates)
    steps = len(space())
    assert updates == [0, POPULATION * steps, 2 * POPULATION * steps]
    rewards, ends = (kept.reshape(-1, steps) for kept in (agent.replay_buffer.rewards, agent.replay_buffer.dones))
    assert (rewards == rewards[:, :1]).all()
    assert len(np.unique(rewards[:, 0])) > POPULATION
    assert (ends == (np.arange(steps) == steps - 1)).all()
    rates = [part.optimizer.param_groups[0]["lr"] for part in (agent.actor, agent.critic)]
    assert rates == [ddpg.ACTOR_RATE, ddpg.CRITIC_RATE]
    drawn = [agent.replay_buffer.sample(64).rewards.mean() for _ in range(50)]
    assert abs(float(sum(drawn)) / 50) < 0.1 * rewards.std()


def test_ddpgs_noise_wears_off_until_the_actor_is_followed() -> None:
    from searchers.algorithms.ddpg import LEAST_NOISE, _truncated

    shares = np.linspace(0.0, 1.0, 101)
    wide = _truncated(shares, np.full(101, 0.3), 0.5)
    assert wide.min() == pytest.approx(0.0)
    assert wide.max() == pytest.approx(1.0)
    assert (np.diff(wide) >= 0.0).all()
    assert np.abs(_truncated(shares, np.full(101, 0.3), LEAST_NOISE) - 0.3).max() < 1e-7


def test_tpe_asks_what_optunas_own_sampler_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    optuna = pytest.importorskip("optuna", reason="needs the extra tpe")
    asked = generations(make("tpe"), 4)

    class Plain(optuna.samplers.TPESampler):  # type: ignore[misc]
        built: ClassVar[dict[str, object]] = {}

    monkeypatch.setattr("searchers.algorithms.tpe._make_sampler", Plain)
    assert equal(generations(make("tpe"), 4), asked)


@pytest.mark.parametrize(
    ("rest", "reference", "least", "message"),
    [
        (0.0, 1.0, 0.0, "rest = 0.0, need a number above 0"),
        (1.0, float("nan"), 0.0, "reference = nan, need a number above 0"),
        (1.0, 1.0, -2.0, "of_values = -2.0, need numbers from 0"),
    ],
)
def test_a_known_cost_is_above_0(rest: float, reference: float, least: float, message: str) -> None:
    with pytest.raises(StudyError) as caught:
        KnownCost(np.array([1.0, least]), rest, reference, 1.0)
    assert str(caught.value) == f"known cost: {message}"


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(StudyError) as caught:
        make("annealing")
    assert str(caught.value) == "study: algorithm.name = annealing, need one of " + ", ".join(ALGORITHMS)


def test_a_random_candidate_does_not_depend_on_the_size_of_its_generation() -> None:
    few, many = (RandomSearch(space(), objectives=1, seed=1, population=count).ask() for count in (3, 9))
    assert np.array_equal(many[:3], few)


def test_random_generations_differ() -> None:
    first, second = generations(make("random"), 2)
    assert not np.array_equal(first, second)


def test_nsga2_starts_where_random_search_starts() -> None:
    assert np.array_equal(make("nsga2").ask(), make("random").ask())


def test_children_that_are_there_already_are_left_out_as_pymoo_does() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        children, parents, before = (
            Population.new(X=rng.integers(0, 3, (count, 3)) * rng.choice([1.0, 0.5, -0.0])) for count in (20, 6, 4)
        )
        for others in ((), (parents,), (parents, before), (Population.create(), before)):
            expected = DefaultDuplicateElimination().do(children, *others)
            assert list(Distinct().do(children, *others)) == list(expected)


def front_volume(name: str, seed: int) -> float:
    """Return the hypervolume after 400 evaluations of a front that random genomes are far from."""
    tried = Space({"genes": Vector(Integer(0, 8), 10)})
    algorithm = make_algorithm(name, tried, objectives=2, seed=seed, population=20)
    seen = []
    for _ in range(20):
        asked = algorithm.ask()
        first, rest = asked[:, 0] / 8, asked[:, 1:].mean(axis=1)
        seen.append(np.stack([first, (1.0 + rest) * (2.0 - first)], axis=1))
        algorithm.tell(asked, seen[-1], np.zeros(len(asked)))
    return float(moocore.hypervolume(np.concatenate(seen), ref=[1.1, 20.0]))


def test_nsga2_beats_random_search_at_the_same_number_of_evaluations() -> None:
    volumes = {name: [front_volume(name, seed) for seed in range(5)] for name in ("random", "nsga2")}
    assert np.median(volumes["nsga2"]) > np.median(volumes["random"])
    assert min(volumes["nsga2"]) > min(volumes["random"])


def test_nsga2_finds_the_few_designs_within_a_limit() -> None:
    tried = Space({"genes": Vector(Integer(0, 8), 10)})
    algorithm = make_algorithm("nsga2", tried, objectives=2, seed=1, population=20)
    lacking = []
    for _ in range(25):
        asked = algorithm.ask()
        violations = np.maximum(0.0, asked.sum(axis=1) - 10.0)  # a random genome sums to about 40
        lacking.append(violations)
        algorithm.tell(asked, np.stack([asked[:, 0], 8.0 - asked[:, 0]], axis=1), violations)
    assert lacking[0].min() > 0.0
    assert lacking[-1].min() == 0.0
