"""An order is a knob: CMA-ES searches the importance of its letters, others see permutations; what is wrong is told."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from searchers.algorithms.algorithm import ALGORITHMS, EXTRAS, make_algorithm
from searchers.algorithms.evolution import blocks
from searchers.space import Choice, Condition, Order, Space
from searchers.study import read_study
from workloads.errors import StudyError

LOOPS = "KCYXRS"
STUDY = """
budget = 20
objectives = ["edp"]
[network]
name = "lenet5-bitfusion"
[machine]
name = "spatial"
{machine}
"""


def nest(taken: int = 3, letters: str = LOOPS) -> Space:
    return Space({"size": Choice((1, 2, 4)), "loops": Order(letters, taken)})


def test_the_most_important_letters_come_first() -> None:
    space = nest()
    genomes = space.random(np.array([[0.5, 0.1, 0.9, 0.3, 0.2, 0.8, 0.0]]))
    assert space.candidate(genomes[0]) == {"size": 2, "loops": "CRY"}
    assert genomes[0].tolist() == [1, 3, 0, 2, 4, 1, 5]  # K, X and S are not taken: as they are written


def test_any_numbers_are_an_order_and_equal_designs_have_equal_genomes() -> None:
    space = nest()
    rows = np.random.default_rng(1).uniform(-3, 12, (200, len(space)))
    before = rows.copy()
    genomes = space.canonical(rows)
    assert np.array_equal(rows, before)
    assert np.array_equal(space.canonical(genomes), genomes)
    assert (np.sort(genomes[:, 1:], axis=1) == np.arange(6)).all()
    known = {space.candidate(genome)["loops"]: tuple(genome[1:]) for genome in genomes}
    assert all(known[space.candidate(genome)["loops"]] == tuple(genome[1:]) for genome in genomes)


def test_all_orders_are_drawn_alike_and_counted_once() -> None:
    space = nest(2, "abcd")
    shares = np.random.default_rng(2).random((12_000, len(space)))
    drawn = Counter(space.candidate(genome)["loops"] for genome in space.random(shares))
    assert drawn.keys() == {"".join(order) for order in permutations("abcd", 2)}
    assert 850 < min(drawn.values()) <= max(drawn.values()) < 1150
    assert space.size_log10 == pytest.approx(np.log10(3 * 4 * 3))


def test_the_grid_has_every_order_once() -> None:
    grid = make_algorithm("grid", nest(2, "abcd"), objectives=1, seed=1, population=100)
    designs = [tuple(nest(2, "abcd").candidate(genome).values()) for genome in grid.ask()]
    assert len(designs) == len(set(designs)) == 36


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_searches_orders(name: str) -> None:
    if name in EXTRAS:
        pytest.skip("needs an extra, and sees what the others see")
    space = nest()
    algorithm = make_algorithm(name, space, objectives=1, seed=3, population=8)
    for _ in range(3):
        asked = algorithm.ask()
        assert np.array_equal(space.canonical(asked), asked)
        algorithm.tell(asked, asked[:, 1:2], np.zeros(len(asked)))


def test_an_order_is_inherited_whole() -> None:
    assert blocks(nest()).tolist() == [0, 1, 1, 1, 1, 1, 1]


def test_cma_es_finds_an_order_that_random_search_does_not() -> None:
    wanted = np.random.default_rng(4).permutation(10)
    space = Space({"loops": Order("abcdefghij", 10)})
    least = {}
    for name in ("random", "cmaes"):
        algorithm = make_algorithm(name, space, objectives=1, seed=5, population=20)
        least[name] = np.inf
        for _ in range(40):
            asked = algorithm.ask()
            cost = np.abs(asked - wanted).sum(axis=1)
            algorithm.tell(asked, cost[:, None], np.zeros(len(asked)))
            least[name] = min(least[name], cost.min())
    assert least["cmaes"] == 0 < least["random"]


def test_an_order_may_hang_on_a_knob_and_decides_none() -> None:
    on = (frozenset({2, 4}),) * 6
    space = Space({"size": Choice((1, 2, 4)), "loops": Order(LOOPS, 3)}, {"loops": Condition("size", (0,) * 6, on)})
    genomes = space.canonical(np.array([[0.0, 5, 4, 3, 2, 1, 0], [1.0, 5, 4, 3, 2, 1, 0]]))
    assert genomes.tolist() == [[0] * 7, [1, 3, 4, 5, 2, 1, 0]]
    with pytest.raises(StudyError, match="a discrete knob declared before"):
        Space({"loops": Order(LOOPS, 3), "size": Choice((1, 2))}, {"size": Condition("loops", (0,), (on[0],))})


@pytest.mark.parametrize("order", [Order("KK", 1), Order("KC", 3), Order("KC", 0)], ids=str)
def test_what_is_no_order_is_refused(order: Order) -> None:
    with pytest.raises(StudyError, match="different letters, and as many of them taken as there are at most"):
        Space({"loops": order})


def study_of(folder: Path, machine: str) -> Path:
    path = folder / "study.toml"
    path.write_text(STUDY.format(machine=machine), encoding="utf-8")
    return path


def test_a_study_searches_what_is_unrolled(tmp_path: Path) -> None:
    study = read_study(study_of(tmp_path, 'size_1 = [4, 8]\nunroll = { order = "KCYX" }\nsize_2 = [1, 14]'))
    space = study.problem.space
    assert space.knobs["machine.unroll"] == Order("KCYX", 3)
    genomes = space.random(np.random.default_rng(6).random((4, len(space))))
    for genome, outcome in zip(genomes, study.problem.evaluate(genomes), strict=True):
        (config,) = study.problem.searched.configs(space.candidate(genome))
        assert config.unroll == space.candidate(genome)["machine.unroll"]
        assert outcome.quantities["edp"] == pytest.approx(study.problem.report(genome).edp, rel=1e-12)
        assert f"--set unroll={config.unroll}" in study.problem.command(genome, tmp_path) or config.unroll == "CRY"


def test_orders_may_be_listed(tmp_path: Path) -> None:
    study = read_study(study_of(tmp_path, 'unroll = ["KCY", "CRY"]'))
    assert study.problem.space.knobs["machine.unroll"] == Choice(("KCY", "CRY"))


TABLE = 'a list of values, each 3 different letters of KCYXRS, or { order = "KCYXRS" }, 3 letters of it or more'


@pytest.mark.parametrize(
    ("unroll", "message"),
    [
        ('{ order = "KC" }', f"machine.unroll = {{'order': 'KC'}}, need {TABLE}"),
        ('{ order = "KCC" }', f"machine.unroll = {{'order': 'KCC'}}, need {TABLE}"),
        ('{ order = "KCZ" }', f"machine.unroll = {{'order': 'KCZ'}}, need {TABLE}"),
        ("{ order = 3 }", f"machine.unroll = {{'order': 3}}, need {TABLE}"),
        ('{ low = "K", high = "S" }', f"machine.unroll = {{'low': 'K', 'high': 'S'}}, need {TABLE}"),
        ('["KCY", "KK"]', "machine.unroll = KK, need 3 different letters of KCYXRS"),
        ("[3]", "machine.unroll = 3, need 3 different letters of KCYXRS"),
        ('"KCYX"', "unroll = KCYX, need 3 different letters of KCYXRS"),
    ],
)
def test_a_bad_order_is_told_in_one_line(tmp_path: Path, unroll: str, message: str) -> None:
    path = study_of(tmp_path, f"unroll = {unroll}\nsize_1 = [2, 4]")
    with pytest.raises(StudyError if "machine." in message else Exception) as caught:
        read_study(path)
    assert str(caught.value) == f"{path}: {message}"
