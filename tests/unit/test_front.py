"""Fronts, hypervolumes and knees against slow, obvious definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searchers.front import Scale, front_of, hypervolume, hypervolume_history, knee
from searchers.problems.problem import Outcome
from searchers.storage.store import Point
from searchers.study import Constraint, Study

FEW = settings(max_examples=60, deadline=None)
GRID = 5


def study(*objectives: str, constraints: tuple[Constraint, ...] = ()) -> Study:
    return Study(
        name="small",
        seed=1,
        budget=1,
        population=2,
        algorithm="random",
        objectives=objectives,
        constraints=constraints,
        problem=None,  # type: ignore[arg-type] # fronts never evaluate
        key="",
    )


def points(names: tuple[str, ...], values: list[tuple[float, ...]], generation_size: int = 4) -> list[Point]:
    return [
        Point(
            index // generation_size,
            index % generation_size,
            (float(index),),
            Outcome(dict(zip(names, row, strict=True))),
        )
        for index, row in enumerate(values)
    ]


def beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other


def slow_volume(costs: list[tuple[int, ...]]) -> float:
    """Return the share of the cells of a grid that some point is at or below."""
    dimensions = len(costs[0]) if costs else 2
    cells = itertools.product(range(GRID), repeat=dimensions)
    reached = sum(any(all(c <= x for c, x in zip(cost, cell, strict=True)) for cost in costs) for cell in cells)
    return float(reached) / GRID**dimensions


def unit(dimensions: int) -> Scale:
    return Scale(np.zeros(dimensions, dtype=bool), np.zeros(dimensions), np.full(dimensions, float(GRID)))


def rows(dimensions: int, low: int = 1, high: int = 6) -> st.SearchStrategy[list[tuple[int, ...]]]:
    return st.lists(st.tuples(*[st.integers(low, high)] * dimensions), min_size=1, max_size=12)


NAMES = ("seconds", "energy_pj", "area_mm2")

# The front


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_the_front_is_what_no_other_beats_one_of_equals(dimensions: int) -> None:
    names = NAMES[:dimensions]

    @FEW
    @given(values=rows(dimensions))
    def check(values: list[tuple[float, ...]]) -> None:
        found = [
            tuple(point.outcome.quantities[name] for name in names)
            for point in front_of(study(*names), points(names, values))
        ]
        assert found == sorted({row for row in values if not any(beats(other, row) for other in values)})

    check()


def test_a_maximised_quantity_turns_the_front_around() -> None:
    values = [(1.0, 10.0), (2.0, 20.0), (3.0, 15.0), (2.0, 5.0)]
    found = front_of(study("seconds", "gops"), points(("seconds", "gops"), values))
    assert [point.genome for point in found] == [(0.0,), (1.0,)]


def test_of_equals_the_first_found_stays() -> None:
    found = front_of(study("seconds", "energy_pj"), points(NAMES[:2], [(2, 2), (1, 3), (1, 3), (2, 2)]))
    assert [point.genome for point in found] == [(1.0,), (0.0,)]


def test_points_that_break_a_limit_or_cannot_be_built_are_not_on_the_front() -> None:
    limited = study("seconds", "energy_pj", constraints=(Constraint("area_mm2", at_most=2.0),))
    given_points = points(NAMES, [(1, 1, 3), (2, 2, 2), (3, 3, 1)])
    given_points.append(Point(9, 0, (9.0,), Outcome({}, "too large")))
    assert [point.genome for point in front_of(limited, given_points)] == [(1.0,)]
    assert front_of(limited, given_points[:1]) == []
    assert front_of(limited, []) == []


# The hypervolume


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_hypervolume_is_the_share_of_dominated_cells(dimensions: int) -> None:
    @FEW
    @given(values=rows(dimensions, -1, GRID + 1))
    def check(values: list[tuple[int, ...]]) -> None:
        costs = np.array(values, dtype=float)
        assert hypervolume(unit(dimensions), costs) == pytest.approx(slow_volume(values), abs=1e-12)

    check()


def test_no_points_dominate_nothing() -> None:
    assert hypervolume(unit(2), np.zeros((0, 2))) == 0.0


def test_a_point_more_never_dominates_less() -> None:
    random = np.random.default_rng(3).integers(0, GRID, (12, 3)).astype(float)
    volumes = [hypervolume(unit(3), random[:count]) for count in range(1, 13)]
    assert volumes == sorted(volumes)


def test_a_scale_spans_best_to_worst_on_logarithms() -> None:
    costs = np.array([[1e-3, 40.0], [1e-1, 20.0], [1e-2, 30.0]])
    scale = Scale.spanning(study("seconds", "quantization_noise_db"), costs)
    assert scale.log.tolist() == [True, False]
    assert scale.apply(costs) == pytest.approx(np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]]))


def test_a_scale_of_equal_values_puts_them_at_zero() -> None:
    assert Scale.spanning(study(*NAMES[:2]), np.array([[2.0, 3.0]] * 2)).apply(np.array([[2.0, 3.0]])).tolist() == [
        [0, 0]
    ]


def test_a_maximised_quantity_is_scaled_from_its_largest() -> None:
    maximised = study("gops", "seconds")
    costs = np.array([maximised.costs(Outcome({"gops": gops, "seconds": 1.0})) for gops in (10.0, 20.0, 30.0)])
    assert Scale.spanning(maximised, costs).apply(costs)[:, 0].tolist() == [1.0, 0.5, 0.0]


def test_the_history_counts_evaluations_and_never_falls() -> None:
    random = np.random.default_rng(1).uniform(1, 9, (23, 2)).tolist()
    small = study(*NAMES[:2])
    all_points = points(NAMES[:2], [tuple(row) for row in random])
    counts, volumes = hypervolume_history(small, all_points)
    assert counts == [4, 8, 12, 16, 20, 23]
    assert volumes == sorted(volumes)
    scale = Scale.spanning(small, np.array(random))
    assert volumes[-1] == pytest.approx(hypervolume(scale, np.array(random)))
    # Dominated points add nothing: the front alone has the whole volume.
    front = np.array([small.costs(point.outcome) for point in front_of(small, all_points)])
    assert volumes[-1] == pytest.approx(hypervolume(scale, front))


def test_generations_without_a_feasible_point_dominate_nothing() -> None:
    limited = study(*NAMES[:2], constraints=(Constraint("seconds", at_most=5.0),))
    counts, volumes = hypervolume_history(limited, points(NAMES[:2], [(9, 1), (8, 2), (2, 3), (3, 2)], 2))
    assert counts == [2, 4]
    assert volumes[0] == 0.0
    assert hypervolume_history(limited, points(NAMES[:2], [(9, 1), (8, 2)], 2)) == ([], [])


# The knee


def test_the_knee_is_nearest_to_the_best_of_every_objective() -> None:
    small = study("area_mm2", "quantization_noise_db")
    front = front_of(small, points(small.objectives, [(1.0, 100.0), (10.0, 90.0), (100.0, 0.0), (2.0, 20.0)]))
    assert front[knee(small, front)].outcome.quantities == {"area_mm2": 2.0, "quantization_noise_db": 20.0}


def test_the_knee_of_a_tie_is_the_first() -> None:
    small = study("quantization_noise_db", "gops")
    front = front_of(small, points(small.objectives, [(1.0, 1.0), (2.0, 2.0)]))
    assert knee(small, front) == 0


@FEW
@given(values=rows(3))
def test_the_knee_is_inside_the_front(values: list[tuple[float, ...]]) -> None:
    small = study(*NAMES)
    front = front_of(small, points(NAMES, values))
    place = knee(small, front)
    assert 0 <= place < len(front)
    logs = np.log10([small.costs(point.outcome) for point in front])
    span = np.ptp(logs, axis=0)
    distances = (((logs - logs.min(axis=0)) / np.where(span > 0, span, 1.0)) ** 2).sum(axis=1)
    assert distances[place] == pytest.approx(distances.min())
