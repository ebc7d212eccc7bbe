"""One form for every sparse matrix: CSR, sorted, no duplicates, float64 values, indices of 32 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from workloads.errors import WorkloadError
from workloads.sparse.limits import LARGEST_DIMENSION

LARGEST_EXACT = 2**53  # the largest range of whole numbers that float64 holds without a gap
VALUES_ALLOWED = "real numbers of at most 64 bits"


def canonical(matrix: Any, where: str) -> sparse.csr_array:
    """Return a matrix in canonical form; the caller's arrays are neither changed nor shared.

    Elements of one place are added up as numbers (two of ``True`` make 2). A stored zero stays stored: a machine
    reads and multiplies it like any other element. A zero of a dense array is not an element.

    Parameters
    ----------
    matrix : scipy.sparse array or matrix of any format, or dense array, shape (rows, columns)
        Integer, bool or floating-point values.
    where : str
        What an error names as the place: a file, or an operand of a product.

    Returns
    -------
    csr_array, shape (rows, columns)
        Indices ascending in each row, ``data`` float64, ``indices`` and ``indptr`` int32 (int64
        beyond 2**31 - 1 elements).

    Raises
    ------
    WorkloadError
        If the matrix is not two-dimensional or larger than 2**31 - 1, its indices do not fit its shape, or a value
        is complex, NaN, infinite, or a whole number that float64 does not hold.
    """
    if not sparse.issparse(matrix):
        matrix = _dense(matrix, where)
    if len(matrix.shape) != 2:
        raise WorkloadError(where, "", f"an array of {len(matrix.shape)} dimensions", "a matrix of 2")
    for field, size in zip(("rows", "columns"), matrix.shape, strict=True):
        if size > LARGEST_DIMENSION:
            raise WorkloadError(where, field, size, f"0..{LARGEST_DIMENSION}")
    return _checked_rows(matrix, where)


def _dense(matrix: Any, where: str) -> sparse.coo_array:
    """Return the elements of a dense array that are not zero."""
    try:
        array = np.asarray(matrix)
    except ValueError:  # lists of different lengths
        raise WorkloadError(where, "", "not a matrix", "a sparse matrix or an array of 2 dimensions") from None
    if array.ndim != 2:
        raise WorkloadError(where, "", f"an array of {array.ndim} dimensions", "a matrix of 2")
    _check_kind(array.dtype, where)
    return sparse.coo_array(array)


def _checked_rows(matrix: Any, where: str) -> sparse.csr_array:
    """Return a matrix of any format in canonical form."""
    if matrix.format in ("csr", "csc"):
        by_row = matrix.format == "csr"
        return from_compressed(matrix.data, matrix.indices, matrix.indptr, matrix.shape, where, by_row=by_row)
    if matrix.format == "bsr":
        blocks = tuple(size // block for size, block in zip(matrix.shape, matrix.blocksize, strict=True))
        check_compressed(matrix.data, matrix.indices, matrix.indptr, blocks, where)
    coordinates = matrix.tocoo()
    row, column = coordinates.coords
    return from_coordinates(coordinates.data, row, column, matrix.shape, where)


def from_compressed(
    data: Any, indices: Any, indptr: Any, shape: tuple[int, int], where: str, *, by_row: bool = True
) -> sparse.csr_array:
    """Return the canonical form of a CSR matrix given as its arrays, or of a CSC matrix where ``by_row`` is false.

    Parameters
    ----------
    data, indices : array, shape (elements,)
    indptr : array, shape (rows + 1,), or (columns + 1,) of a CSC matrix
    shape : (int, int)
        Rows and columns.
    where : str
        What an error names as the place.
    by_row : bool

    Raises
    ------
    WorkloadError
        As ``canonical`` does.
    """
    check_compressed(data, indices, indptr, shape if by_row else (shape[1], shape[0]), where)
    used = int(indptr[-1])
    index = np.int32 if used <= LARGEST_DIMENSION else np.int64
    kind = sparse.csr_array if by_row else sparse.csc_array
    arrays = as_values(data[:used], where), indices[:used].astype(index), indptr.astype(index)
    return _finished(kind(arrays, shape=shape).tocsr(), where)


def from_coordinates(data: Any, row: Any, column: Any, shape: tuple[int, int], where: str) -> sparse.csr_array:
    """Return the canonical form of a matrix given element by element, in any order, duplicates added up.

    Parameters
    ----------
    data, row, column : array, shape (elements,)
    shape : (int, int)
        Rows and columns.
    where : str
        What an error names as the place.

    Raises
    ------
    WorkloadError
        As ``canonical`` does.
    """
    check_coordinates(data, row, column, shape, where)
    coordinates = row.astype(np.int32), column.astype(np.int32)
    return _finished(sparse.coo_array((as_values(data, where), coordinates), shape=shape).tocsr(), where)


def _finished(matrix: sparse.csr_array, where: str) -> sparse.csr_array:
    """Sort the rows, add duplicates up and fix the types; the matrix is our own."""
    matrix.sum_duplicates()
    if not np.isfinite(matrix.data).all():
        raise WorkloadError(where, "", "duplicates that add up beyond float64", "finite values")
    index = np.int32 if matrix.nnz <= LARGEST_DIMENSION else np.int64  # scipy wants both alike
    matrix.indices = matrix.indices.astype(index, copy=False)
    matrix.indptr = matrix.indptr.astype(index, copy=False)
    return matrix


def _check_kind(dtype: np.dtype[Any], where: str) -> None:
    """Refuse types whose values are not real numbers that float64 holds."""
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise WorkloadError(where, "type of the values", dtype, VALUES_ALLOWED)


def as_values(values: Any, where: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return values as a float64 array of their own, each exactly the number it was.

    Raises
    ------
    WorkloadError
        If one is complex, NaN, infinite, or a whole number that float64 does not hold.
    """
    values = np.asarray(values)
    _check_kind(values.dtype, where)
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8 and values.size:
        beyond = (values > LARGEST_EXACT) | (values < -LARGEST_EXACT if values.dtype.kind == "i" else False)
        if beyond.any():
            found = int(values[beyond][0])
            raise WorkloadError(where, "value", found, "whole numbers of at most 2**53, which float64 holds exactly")
    converted: np.ndarray[Any, np.dtype[np.float64]] = values.astype(np.float64)
    wrong = ~np.isfinite(converted)
    if wrong.any():
        raise WorkloadError(where, "value", converted[wrong][0], "finite values")
    return converted


def check_compressed(data: Any, indices: Any, indptr: Any, shape: tuple[int, int], where: str) -> None:
    """Check the arrays of a CSR matrix, or of a CSC matrix with its shape turned round.

    Parameters
    ----------
    data, indices : array, shape (elements,)
    indptr : array, shape (shape[0] + 1,)
    shape : (int, int)
        Number of compressed rows, and the bound of the indices.
    where : str
        What an error names as the place.

    Raises
    ------
    WorkloadError
        Naming the first rule that is broken.
    """
    for name, array in (("indices", indices), ("indptr", indptr)):
        _check_whole(name, array, where)
    if len(indptr) != shape[0] + 1:
        raise WorkloadError(where, "length of indptr", len(indptr), f"{shape[0] + 1}")
    if len(data) != len(indices):
        raise WorkloadError(where, "length of data", len(data), f"{len(indices)}, as many as indices")
    if indptr[0] != 0:
        raise WorkloadError(where, "indptr[0]", indptr[0], "0")
    falls = np.flatnonzero(indptr[1:] < indptr[:-1])
    if falls.size:
        at = int(falls[0])
        raise WorkloadError(where, f"indptr[{at + 1}]", indptr[at + 1], f"at least indptr[{at}] = {indptr[at]}")
    if indptr[-1] > len(indices):
        raise WorkloadError(where, f"indptr[{shape[0]}]", indptr[-1], f"at most {len(indices)}, the indices there are")
    _check_range("index", indices[: int(indptr[-1])], shape[1], where)


def check_coordinates(data: Any, row: Any, column: Any, shape: tuple[int, int], where: str) -> None:
    """Check the arrays of a coordinate matrix, each of shape (elements,).

    Raises
    ------
    WorkloadError
        If their lengths differ or an index is beyond the shape.
    """
    for name, index, size in (("row", row, shape[0]), ("column", column, shape[1])):
        _check_whole(name, index, where)
        if len(index) != len(data):
            raise WorkloadError(where, f"length of {name}", len(index), f"{len(data)}, as many as data")
        _check_range(name, index, size, where)


def _check_whole(name: str, array: Any, where: str) -> None:
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise WorkloadError(where, name, f"{array.ndim}-dimensional {array.dtype}", "1-dimensional whole numbers")


def _check_range(name: str, index: Any, size: int, where: str) -> None:
    """Check that indices, which count from 0, are below a size."""
    if index.size and (index.min() < 0 or index.max() >= size):
        wrong = index[(index < 0) | (index >= size)][0]
        raise WorkloadError(where, name, wrong, f"0..{size - 1}" if size else "no element in a matrix of this shape")
