"""Stand-ins: the published figures that ship, what is matched exactly, what comes near, and bad arguments."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workloads.errors import WorkloadError
from workloads.sparse.histogram import row_length_histogram
from workloads.sparse.product import sparse_product
from workloads.sparse.row_lengths import row_lengths
from workloads.sparse.stand_in import KINDS, published_figures, published_stand_in, stand_in
from workloads.sparse.statistics import statistics

# 400 rows: 300 of 5..8 elements, 60 of 9..16, 2 of 33..64; 38 are empty.
HISTOGRAM = (0, 0, 0, 300, 60, 0, 2, *[0] * 11)
ARGUMENTS: Mapping[str, Any] = {"rows": 400, "row_lengths_histogram": HISTOGRAM, "kind": "mesh", "seed": 1, "nnz": 2700}


@pytest.mark.parametrize("order", ["natural", "scattered"])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_elements_and_row_lengths_are_met_exactly(kind: str, order: str) -> None:
    matrix = stand_in(400, HISTOGRAM, kind, 1, nnz=2700, multiplies=21000, order=order)
    assert matrix.shape == (400, 400)
    assert matrix.nnz == 2700
    assert tuple(row_length_histogram(matrix.indptr).values()) == HISTOGRAM
    again = stand_in(400, HISTOGRAM, kind, 1, nnz=2700, multiplies=21000, order=order)
    other = stand_in(400, HISTOGRAM, kind, 2, nnz=2700, multiplies=21000, order=order)
    assert (matrix != again).nnz == 0
    assert (matrix != other).nnz > 0


@pytest.mark.parametrize("kind", ["mesh", "mesh2d", "cage", "circuit", "road"])
def test_what_joins_neighbours_is_nearly_symmetric(kind: str) -> None:
    pattern = stand_in(**{**ARGUMENTS, "kind": kind}) > 0
    assert (pattern != pattern.T).nnz < 0.25 * pattern.nnz
    diagonal = pattern.diagonal()
    assert diagonal.sum() == (0 if kind == "road" else 362)
    empty = np.diff(pattern.indptr) == 0
    assert not np.isin(pattern.indices, np.flatnonzero(empty)).any()


def test_scattered_order_renumbers_the_same_pattern() -> None:
    natural, scattered = (stand_in(**ARGUMENTS, order=order) for order in ("natural", "scattered"))
    one, other = (statistics(sparse_product("p", matrix)) for matrix in (natural, scattered))
    assert one == other

    def distance(matrix: Any) -> float:
        rows = np.repeat(np.arange(400), np.diff(matrix.indptr))
        return float(np.abs(rows - matrix.indices).mean())

    assert distance(scattered) > 1.3 * distance(natural)


def test_popular_columns_follow_the_published_multiplies() -> None:
    few, many = (
        sparse_product("p", stand_in(**{**ARGUMENTS, "kind": "web"}, multiplies=multiplies)).multiplies
        for multiplies in (15000, 30000)
    )
    assert few < 18500 < many


def test_no_rows_with_elements_is_an_empty_matrix() -> None:
    for kind in KINDS:
        assert stand_in(5, [0] * 18, kind, 1, nnz=0, multiplies=0).nnz == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rows": 0}, "stand_in: rows = 0, need a whole number, 1..2147483647"),
        ({"rows": 300}, "stand_in: rows in the histogram = 362, need at most rows = 300"),
        ({"kind": "moon"}, "stand_in: kind = moon, need one of mesh, mesh2d, cage, road, circuit, web, citation, sc"),
        ({"order": "up"}, "stand_in: order = up, need one of natural, scattered"),
        ({"seed": -1}, "stand_in: seed = -1, need a whole number, 0..9223372036854775807"),
        ({"nnz": -1}, "stand_in: nnz = -1, need a whole number, 0..2147483647"),
        ({"nnz": 100}, "stand_in: nnz = 100, need 2106..3488, as the histogram says"),
        ({"multiplies": -1}, "stand_in: multiplies = -1, need a whole number, 0.."),
        ({"row_lengths_histogram": [1, 2]}, "stand_in: buckets = 2, need 18: 1, 2, 3-4, 5-8, 9-16,"),
        ({"row_lengths_histogram": [-1] * 18}, "stand_in: rows of length 1 = -1, need a whole number, 0..400"),
        ({"row_lengths_histogram": [0] * 17 + [1]}, "stand_in: rows of length 65537- = 1, need a whole number, 0..0"),
        (
            {"rows": 10, "row_lengths_histogram": [0] * 6 + [1] + [0] * 11, "nnz": 40},
            "stand_in: longest row = 40, need at most rows = 10",
        ),
    ],
)
def test_what_no_stand_in_is_drawn_from(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(WorkloadError) as caught:
        stand_in(**{**ARGUMENTS, **changes})
    assert str(caught.value).startswith(said)


def test_a_known_sum_of_squares_shapes_the_lengths() -> None:
    narrow, wide = (row_lengths("p", HISTOGRAM, 2700, squares) for squares in (22000, 22500))
    assert narrow @ narrow == pytest.approx(22000, rel=0.005)
    assert wide @ wide == pytest.approx(22500, rel=0.005)


def test_the_figures_that_ship_are_the_published_ones(shared_data: Path) -> None:
    with (shared_data / "spgemm_published_stats.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["in_sparch_20"] == "yes"]
    figures = published_figures()
    assert set(figures) == {row["name"] for row in rows}
    for row in rows:
        shipped = figures[row["name"]]
        published = tuple(int(row[key]) for key in ("rows", "nnz_A", "multiplies_AxA", "nnz_AxA"))
        assert (shipped.rows, shipped.nnz, shipped.multiplies, shipped.output_nnz) == published
        assert shipped.row_lengths == tuple(int(row[key]) for key in row if key.startswith("A_rows_with_nnz"))
        assert row["source_repository"] in shipped.source
        assert shipped.kind in KINDS


@pytest.mark.parametrize("name", ["poisson3Da", "m133-b3", "patents_main"])
def test_a_published_matrix_is_stood_in_for(name: str) -> None:
    figures = published_figures()[name]
    counted = statistics(sparse_product(name, published_stand_in(name)))
    assert (counted.rows, counted.nnz_a) == (figures.rows, figures.nnz)
    assert tuple(counted.row_lengths.values()) == figures.row_lengths
    assert counted.multiplies == pytest.approx(figures.multiplies, rel=0.1)
    assert counted.output_nnz == pytest.approx(figures.output_nnz, rel=0.1)
