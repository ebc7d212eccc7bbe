"""What a product is like before any machine runs it: sizes, work, fill and how long the rows are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from workloads.sparse.histogram import row_length_histogram
from workloads.sparse.product import SparseProduct

SLAB_MULTIPLIES = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Counts of a product C = A @ B.

    Attributes
    ----------
    rows, inner, columns : int
        A is rows x inner, B is inner x columns.
    nnz_a, nnz_b : int
        Stored elements, stored zeros among them.
    multiplies : int
        Multiplications of A @ B.
    output_nnz : int
        Places of C that at least one product falls on.
    empty_rows, longest_row : int
        Rows of A without an element, and the elements of its longest.
    row_lengths : mapping of str to int
        Rows of A by their length, in the buckets of ``workloads.sparse.histogram``.
    """

    rows: int
    inner: int
    columns: int
    nnz_a: int
    nnz_b: int
    multiplies: int
    output_nnz: int
    empty_rows: int
    longest_row: int
    row_lengths: Mapping[str, int]

    @property
    def compression(self) -> float:
        """Products that fall on one place of C, on average; 1 where there are none."""
        return self.multiplies / self.output_nnz if self.output_nnz else 1.0


def statistics(product: SparseProduct) -> Statistics:
    """Count what a product takes; C is formed slab by slab and only counted.

    Parameters
    ----------
    product : SparseProduct
    """
    a, b = product.a, product.b
    lengths = np.diff(a.indptr)
    return Statistics(
        rows=a.shape[0],
        inner=a.shape[1],
        columns=b.shape[1],
        nnz_a=int(a.nnz),
        nnz_b=int(b.nnz),
        multiplies=product.multiplies,
        output_nnz=output_nnz(product),
        empty_rows=int(np.count_nonzero(lengths == 0)),
        longest_row=int(lengths.max(initial=0)),
        row_lengths=row_length_histogram(a.indptr),
    )


def output_nnz(product: SparseProduct) -> int:
    """Return the number of places of C that at least one product falls on."""
    a, b = (_ones(matrix) for matrix in (product.a, product.b))
    return sum(int((a[start:end] @ b).nnz) for start, end in _slabs(product))


def _ones(matrix: sparse.csr_array) -> sparse.csr_array:
    """Return a matrix's pattern; no product of ones is lost to a zero."""
    return sparse.csr_array((np.ones(matrix.nnz), matrix.indices, matrix.indptr), shape=matrix.shape)


def _slabs(product: SparseProduct) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows of A that take about SLAB_MULTIPLIES each, so that memory holds their product."""
    a, b = product.a, product.b
    done = np.concatenate([[0], np.cumsum(np.diff(b.indptr)[a.indices])])[a.indptr]
    start, rows = 0, a.shape[0]
    while start < rows:
        end = int(np.searchsorted(done, done[start] + SLAB_MULTIPLIES, side="right")) - 1
        end = min(max(end, start + 1), rows)
        yield start, end
        start = end
