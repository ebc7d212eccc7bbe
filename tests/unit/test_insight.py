"""The order of candidates for algorithms of one number, and the influence of choices, where the answer is known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from searchers.algorithms.evolution import blocks
from searchers.algorithms.ranking import ranks
from searchers.pictures.insight import influence
from searchers.problems.problem import Outcome
from searchers.space import Choice, Real, Space, Vector
from searchers.storage.store import Point


def test_constraints_come_before_fronts_and_fronts_before_crowding() -> None:
    objectives = np.array([[1.0, 4.0], [2.0, 2.0], [4.0, 1.0], [3.0, 3.0], [0.0, 0.0]])
    places = ranks(objectives, np.array([0.0, 0.0, 0.0, 0.0, 1.0]))
    assert places[4] == 4  # breaks a limit
    assert places[3] == 3  # beaten by the second
    assert places[1] == 2  # the least alone of its front
    assert sorted(places) == [0, 1, 2, 3, 4]


def test_with_one_objective_the_order_is_the_plain_one() -> None:
    values = np.random.default_rng(1).random(50)
    assert np.array_equal(ranks(values[:, None], np.zeros(50)), np.argsort(np.argsort(values)))


def test_genes_at_one_place_of_vectors_alike_are_a_block() -> None:
    space = Space(
        {
            "network.size": Choice((1, 2)),
            "network.kernel": Vector(Choice((3, 5)), 3),
            "network.expansion": Vector(Choice((3, 6)), 3),
            "bits.weights": Vector(Choice((2, 4)), 3),
            "machine.rows": Choice((4, 8)),
        }
    )
    assert blocks(space).tolist() == [0, 1, 2, 3, 1, 2, 3, 4, 5, 6, 7]


def test_influence_is_each_knobs_share_of_the_variance() -> None:
    space = Space({"strong": Choice((0, 1)), "weak": Vector(Choice((0, 1)), 2), "none": Real(0.0, 1.0)})
    genomes = space.random(np.random.default_rng(2).random((2000, len(space))))
    values = 3.0 * genomes[:, 0] + genomes[:, 1] + genomes[:, 2]
    points = [
        Point(0, place, tuple(genome), Outcome({"output_error": value}))
        for place, (genome, value) in enumerate(zip(genomes, values, strict=True))
    ]
    study: Any = SimpleNamespace(objectives=("output_error",), problem=SimpleNamespace(space=space))
    (shares,) = influence(study, points).values()
    assert shares["strong"] == pytest.approx(9 / 11, abs=0.03)
    assert shares["weak"] == pytest.approx(2 / 11, abs=0.03)
    assert shares["none"] == pytest.approx(0.0, abs=0.01)
    assert sum(shares.values()) == pytest.approx(1.0, abs=0.01)
