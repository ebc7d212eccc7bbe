"""Sparse products, their statistics and what is said of operands that make none."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from workloads.errors import WorkloadError
from workloads.sparse import statistics as statistics_module
from workloads.sparse.catalog import open_sparse
from workloads.sparse.histogram import BUCKETS, row_length_histogram
from workloads.sparse.product import sparse_product
from workloads.sparse.statistics import statistics

SQUARE = np.array([[1.0, 2.0], [0.0, 3.0]])


def raw(data: Any, indices: Any, indptr: Any, shape: tuple[int, int] = (2, 2), kind: str = "csr") -> Any:
    """Return a matrix whose arrays scipy has not checked."""
    matrix = sparse.csr_array(shape) if kind == "csr" else sparse.csc_array(shape)
    matrix.data, matrix.indices, matrix.indptr = np.array(data), np.array(indices), np.array(indptr)
    return matrix


def broken_coordinates(row: list[int], column: list[int]) -> Any:
    matrix = sparse.coo_array((np.ones(1), ([0], [0])), shape=(2, 2))
    matrix.coords = np.array(row), np.array(column)
    return matrix


def test_a_matrix_is_multiplied_by_itself_without_another() -> None:
    product = sparse_product("square", SQUARE)
    assert product.b is product.a
    assert product.name == "square"
    assert product.multiplies == 1 * 2 + 2 * 1
    assert (product.a @ product.b).toarray().tolist() == (SQUARE @ SQUARE).tolist()


def test_stored_zeros_are_elements_and_zeros_of_an_array_are_not() -> None:
    stored = sparse.csr_array(([0.0, 5.0], [0, 1], [0, 2, 2]), shape=(2, 2))
    assert sparse_product("stored", stored).a.nnz == 2
    assert sparse_product("array", stored.toarray()).a.nnz == 1


def test_duplicates_add_up_as_numbers() -> None:
    twice = sparse.coo_array(([True, True], ([0, 0], [1, 1])), shape=(2, 2))
    assert sparse_product("twice", twice).a.toarray().tolist() == [[0, 2], [0, 0]]


def test_a_flag_that_lies_is_not_believed() -> None:
    lying = raw([1.0, 2.0, 4.0], [1, 0, 0], [0, 3, 3])
    lying.has_canonical_format = True
    product = sparse_product("lying", lying)
    assert (product.a.indices.tolist(), product.a.data.tolist()) == ([0, 1], [6, 1])


def test_elements_beyond_the_last_row_start_are_no_part_of_the_matrix() -> None:
    assert sparse_product("long", raw([1.0, np.nan], [0, 7], [0, 1, 1])).a.nnz == 1


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        (np.ones(3), "p, matrix A: an array of 1 dimensions, need a matrix of 2"),
        (sparse.coo_array(np.ones(3)), "p, matrix A: an array of 1 dimensions, need a matrix of 2"),
        ([[1], [1, 2]], "p, matrix A: not a matrix, need a sparse matrix or an array of 2 dimensions"),
        ("text", "p, matrix A: an array of 0 dimensions, need a matrix of 2"),
        ([["a"]], "p, matrix A: type of the values = <U1, need real numbers of at most 64 bits"),
        (1j * SQUARE, "p, matrix A: type of the values = complex128, need real numbers of at most 64 bits"),
        (
            sparse.csr_array(SQUARE.astype(np.complex64)),
            "p, matrix A: type of the values = complex64, need real numbers of at most 64 bits",
        ),
        (np.array([[np.nan]]), "p, matrix A: value = nan, need finite values"),
        (sparse.csc_array(np.array([[-np.inf]])), "p, matrix A: value = -inf, need finite values"),
        (
            np.array([[2**53 + 1]]),
            "p, matrix A: value = 9007199254740993, need whole numbers of at most 2**53, which float64 holds exactly",
        ),
        (
            sparse.coo_array(([1e308, 1e308], ([0, 0], [0, 0]))),
            "p, matrix A: duplicates that add up beyond float64, need finite values",
        ),
        (np.ones((2, 3)), "p: shape of A = 2 x 3, need a square matrix for A @ A, or a matrix B"),
        (sparse.coo_array((2**31, 1)), "p, matrix A: rows = 2147483648, need 0..2147483647"),
        (sparse.coo_array((1, 2**31)), "p, matrix A: columns = 2147483648, need 0..2147483647"),
        (raw([1.0], [2], [0, 1, 1]), "p, matrix A: index = 2, need 0..1"),
        (raw([1.0], [-1], [0, 1, 1]), "p, matrix A: index = -1, need 0..1"),
        (raw([1.0], [2], [0, 1, 1], kind="csc"), "p, matrix A: index = 2, need 0..1"),
        (raw([1.0], [0.5], [0, 1, 1]), "p, matrix A: indices = 1-dimensional float64, need 1-dimensional whole"),
        (raw([1.0], [0], [[0, 1, 1]]), "p, matrix A: indptr = 2-dimensional int64, need 1-dimensional whole numbers"),
        (raw([1.0], [0], [1, 1, 1]), "p, matrix A: indptr[0] = 1, need 0"),
        (raw([1.0, 1.0], [0, 1], [0, 2, 1]), "p, matrix A: indptr[2] = 1, need at least indptr[1] = 2"),
        (raw([1.0], [0], [0, 1, 2]), "p, matrix A: indptr[2] = 2, need at most 1, the indices there are"),
        (raw([1.0], [0], [0, 1]), "p, matrix A: length of indptr = 2, need 3"),
        (raw([1.0], [0, 1], [0, 1, 2]), "p, matrix A: length of data = 1, need 2, as many as indices"),
        (broken_coordinates([0], [2]), "p, matrix A: column = 2, need 0..1"),
        (broken_coordinates([-1], [0]), "p, matrix A: row = -1, need 0..1"),
        (broken_coordinates([0, 1], [0, 1]), "p, matrix A: length of row = 2, need 1, as many as data"),
    ],
)
def test_what_is_no_operand(matrix: Any, said: str) -> None:
    with pytest.raises(WorkloadError) as caught:
        sparse_product("p", matrix)
    assert str(caught.value).startswith(said)


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(WorkloadError, match=r"^p: shapes = 2 x 2 times 3 x 2, need as many columns of A as rows of B$"):
        sparse_product("p", SQUARE, np.ones((3, 2)))
    with pytest.raises(WorkloadError, match=r"^p, matrix B: value = nan, need finite values$"):
        sparse_product("p", SQUARE, np.array([[np.nan], [0]]))


def test_a_block_matrix_with_an_index_beyond_its_shape() -> None:
    blocks = sparse.bsr_array(np.ones((4, 4)), blocksize=(2, 2))
    blocks.indices = np.array([0, 1, 0, 2], np.int32)
    with pytest.raises(WorkloadError, match=r"^p, matrix A: index = 2, need 0..1$"):
        sparse_product("p", blocks)


@pytest.mark.parametrize("shape", [(0, 0), (3, 3)])
def test_an_empty_matrix_costs_nothing(shape: tuple[int, int]) -> None:
    counted = statistics(sparse_product("empty", sparse.csr_array(shape)))
    assert (counted.rows, counted.nnz_a, counted.multiplies, counted.output_nnz) == (shape[0], 0, 0, 0)
    assert (counted.empty_rows, counted.longest_row, counted.compression) == (shape[0], 0, 1.0)
    assert sum(counted.row_lengths.values()) == 0


def test_statistics_of_a_rectangular_product_by_hand() -> None:
    a = np.array([[1, 1, 0], [0, 0, 0]])
    b = np.array([[1, 0, 1, 0], [1, 0, -1, 0], [1, 1, 1, 1]])
    counted = statistics(sparse_product("hand", a, b))
    assert (counted.rows, counted.inner, counted.columns, counted.nnz_a, counted.nnz_b) == (2, 3, 4, 2, 8)
    # The two products on the third place cancel; it is a place of C all the same.
    assert (counted.multiplies, counted.output_nnz, counted.compression) == (4, 2, 2.0)
    assert (counted.empty_rows, counted.longest_row, counted.row_lengths["2"]) == (1, 2, 1)


def test_counting_slab_by_slab_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    product = open_sparse("rmat:8,edges=4")
    whole = statistics(product)
    for slab in (1, 100, 5000):
        monkeypatch.setattr(statistics_module, "SLAB_MULTIPLIES", slab)
        assert statistics(product) == whole
    assert whole.output_nnz == (product.a @ product.b).nnz


def test_buckets_double() -> None:
    assert BUCKETS[:5] == ("1", "2", "3-4", "5-8", "9-16")
    assert (len(BUCKETS), BUCKETS[-2:]) == (18, ("32769-65536", "65537-"))
    lengths = [0, 1, 2, 3, 4, 5, 8, 9, 65536, 65537, 2**20]
    histogram = row_length_histogram(np.concatenate([[0], np.cumsum(lengths)]))
    filled = {bucket: count for bucket, count in histogram.items() if count}
    assert filled == {"1": 1, "2": 1, "3-4": 2, "5-8": 2, "9-16": 1, "32769-65536": 1, "65537-": 2}


def test_every_real_matrix_has_the_counts_of_the_manifest(shared_data: Path) -> None:
    folder = shared_data / "matrices"
    with (folder / "MANIFEST.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 22
    for row in rows:
        counted = statistics(open_sparse(str(folder / row["file"])))
        found = (counted.rows, counted.columns, counted.nnz_a, counted.multiplies, counted.output_nnz)
        assert found == tuple(int(row[key]) for key in ("rows", "cols", "nnz", "multiplies_AxA", "nnz_AxA")), row[
            "name"
        ]
        assert (counted.longest_row, counted.empty_rows) == (int(row["max_row_nnz"]), int(row["empty_rows"]))
