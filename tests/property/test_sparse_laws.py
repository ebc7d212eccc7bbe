"""Laws of sparse products on random operands: every form of a matrix is the same matrix, and counts are counts."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.io import mmwrite

from workloads.sparse.files import read_matrix
from workloads.sparse.generators import scattered
from workloads.sparse.histogram import BUCKET_ENDS, BUCKET_STARTS, row_length_histogram
from workloads.sparse.product import sparse_product
from workloads.sparse.row_lengths import row_lengths
from workloads.sparse.statistics import statistics

VALUES = (np.float64, np.float32, np.float16, np.int64, np.int32, np.int8, np.uint8, np.bool_)
INDICES = (np.int32, np.int64, np.uint32, np.int16)
FORMATS = ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")
SIZES = st.integers(0, 12)


@st.composite
def elements(draw: st.DrawFn, rows: int, columns: int) -> tuple[Any, Any, Any]:
    """Draw rows, columns and values of elements, duplicates and zeros among them."""
    count = draw(st.integers(0, 30)) if rows and columns else 0
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = generator.integers(0, 8, count).astype(draw(st.sampled_from(VALUES)))
    index = draw(st.sampled_from(INDICES))
    row, column = (generator.integers(0, max(size, 1), count).astype(index) for size in (rows, columns))
    return row, column, values


@st.composite
def matrices(draw: st.DrawFn, rows: int, columns: int) -> tuple[Any, np.ndarray[Any, Any]]:
    """Draw a matrix in any form, perhaps unsorted and with duplicates, and the dense array that it stands for."""
    row, column, values = draw(elements(rows, columns))
    dense = np.zeros((rows, columns))
    np.add.at(dense, (row.astype(int), column.astype(int)), values.astype(np.float64))
    form = draw(st.sampled_from(("raw coo", "raw csr", "raw csc", "dense", *FORMATS)))
    if form == "dense":
        return dense, dense
    if form.startswith("raw"):
        return _raw(form, row, column, values, (rows, columns)), dense
    floats = values.astype(np.float64)
    made = sparse.coo_array((floats, (row.astype(int), column.astype(int))), shape=(rows, columns))
    made.sum_duplicates()
    made = made.asformat(form) if rows and columns else made
    as_array = draw(st.booleans())
    return made if as_array or made.format not in ("csr", "csc", "coo") else _old(made), dense


def _old(matrix: Any) -> Any:
    return getattr(sparse, f"{matrix.format}_matrix")(matrix)


def _raw(form: str, row: Any, column: Any, values: Any, shape: tuple[int, int]) -> Any:
    """Return a matrix that holds the given arrays as they are: unsorted, with duplicates, of any index type."""
    if form == "raw coo":
        matrix = sparse.coo_array(shape)
        matrix.data, matrix.coords = values, (row, column)
        return matrix
    major, minor, size = (row, column, shape[0]) if form == "raw csr" else (column, row, shape[1])
    order = np.argsort(major, kind="stable")
    matrix = sparse.csr_array(shape) if form == "raw csr" else sparse.csc_array(shape)
    starts = np.concatenate([[0], np.cumsum(np.bincount(major.astype(int), minlength=size))])
    matrix.data, matrix.indices, matrix.indptr = values[order], minor[order], starts.astype(row.dtype)
    return matrix


def _arrays(matrix: Any) -> list[Any]:
    """Return copies of the arrays a matrix is made of."""
    if isinstance(matrix, np.ndarray):
        return [matrix.copy()]
    names = [name for name in ("data", "indices", "indptr", "coords", "offsets", "rows") if hasattr(matrix, name)]
    return [np.array(getattr(matrix, name), dtype=None).copy() for name in names if matrix.format != "dok"]


@given(st.data(), SIZES, SIZES, SIZES)
@settings(max_examples=400, deadline=None)
def test_every_form_of_a_matrix_is_the_same_operand(data: st.DataObject, rows: int, inner: int, columns: int) -> None:
    a, dense_a = data.draw(matrices(rows, inner))
    b, dense_b = data.draw(matrices(inner, columns))
    before = _arrays(a) + _arrays(b)
    product = sparse_product("random", a, b)
    assert all((one == other).all() for one, other in zip(before, _arrays(a) + _arrays(b), strict=True))
    for operand, dense in ((product.a, dense_a), (product.b, dense_b)):
        assert (operand.toarray() == dense).all()
        assert (operand.data.dtype, operand.indices.dtype, operand.indptr.dtype) == (np.float64, np.int32, np.int32)
        lengths = np.diff(operand.indptr)
        assert operand.indptr[0] == 0
        assert (lengths >= 0).all()
        assert operand.indptr[-1] == len(operand.indices) == len(operand.data)
        place = np.repeat(np.arange(operand.shape[0]), lengths) * operand.shape[1] + operand.indices
        assert (np.diff(place) > 0).all()
    assert ((product.a @ product.b).toarray() == dense_a @ dense_b).all()


@given(st.data(), SIZES, SIZES, SIZES)
@settings(max_examples=200, deadline=None)
def test_counts_are_those_of_the_patterns(data: st.DataObject, rows: int, inner: int, columns: int) -> None:
    a, _ = data.draw(matrices(rows, inner))
    b, _ = data.draw(matrices(inner, columns))
    product = sparse_product("random", a, b)
    patterns = []
    for operand in (product.a, product.b):
        pattern = np.zeros(operand.shape, int)
        pattern[np.repeat(np.arange(operand.shape[0]), np.diff(operand.indptr)), operand.indices] = 1
        patterns.append(pattern)
    work = patterns[0] @ patterns[1]
    counted = statistics(product)
    assert (counted.multiplies, counted.output_nnz) == (work.sum(), np.count_nonzero(work))
    assert product.multiplies == counted.multiplies
    assert (counted.nnz_a, counted.nnz_b) == (patterns[0].sum(), patterns[1].sum())
    lengths = patterns[0].sum(axis=1)
    assert counted.empty_rows == np.count_nonzero(lengths == 0)
    assert counted.longest_row == lengths.max(initial=0)
    assert sum(counted.row_lengths.values()) + counted.empty_rows == rows


@given(st.data(), st.integers(0, 12), st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_what_scipy_writes_is_read_back(data: st.DataObject, rows: int, columns: int) -> None:
    row, column, values = data.draw(elements(rows, columns))
    whole = sparse.coo_array(
        (values.astype(np.float64) / 3, (row.astype(int), column.astype(int))), shape=(rows, columns)
    )
    expected = sparse_product("whole", whole, sparse.csr_array((columns, 0))).a
    with TemporaryDirectory() as folder:
        sparse.save_npz(Path(folder) / "m.npz", whole)
        mmwrite(Path(folder) / "m.mtx", whole, symmetry="general", precision=17)
        for name in ("m.npz", "m.mtx"):
            matrix = read_matrix(Path(folder) / name)
            assert matrix.shape == (rows, columns)
            for one, other in zip(_arrays(matrix), _arrays(expected), strict=True):
                assert (one == other).all()


@given(st.data(), st.integers(1, 9))
@settings(max_examples=100, deadline=None)
def test_scattered_rows_have_their_lengths(data: st.DataObject, columns: int) -> None:
    lengths = np.array(data.draw(st.lists(st.integers(0, columns), max_size=9)), np.int64)
    keys = scattered(lengths, columns, np.random.default_rng(data.draw(st.integers(0, 99))))
    assert np.bincount(keys // columns, minlength=len(lengths)).tolist() == lengths.tolist()
    assert (np.diff(keys) > 0).all()


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_row_lengths_fill_their_buckets_and_add_up(data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, 20), min_size=8, max_size=8))
    histogram = (*counts, *[0] * 10)
    fewest = sum(count * start for count, start in zip(counts, BUCKET_STARTS, strict=False))
    most = sum(count * end for count, end in zip(counts, BUCKET_ENDS, strict=False))
    nnz = data.draw(st.integers(fewest, most))
    squares = data.draw(st.none() | st.integers(nnz, max(nnz, nnz * nnz)))
    lengths = row_lengths("random", histogram, nnz, squares)
    assert lengths.sum() == nnz
    assert tuple(row_length_histogram(np.concatenate([[0], np.cumsum(lengths)])).values()) == histogram
