"""What OuterSPACE is told to do: the column-row pairs of a product, and the rows they are merged into."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workloads.sparse.product import SparseProduct

IndexArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A product as tasks: for every k, column k of A times row k of B; then, for every row of C, its lists.

    Made by ``mappers.outerspace.best_plan``. It depends on no configuration: one serves a whole sweep.

    Attributes
    ----------
    product : SparseProduct
    column_elements, row_elements : ndarray of int64, shape (inner,)
        Elements of each column of A, and of each row of B.
    merge_elements : ndarray of int64, shape (rows,)
        Products that fall on each row of C.
    output_nnz : int
        Places of C that at least one product falls on: what the machine will find, counted beforehand.
    """

    product: SparseProduct
    column_elements: IndexArray
    row_elements: IndexArray
    merge_elements: IndexArray
    output_nnz: int

    @property
    def pair_products(self) -> IndexArray:
        """Products of each column-row pair, shape (inner,)."""
        return self.column_elements * self.row_elements

    @property
    def partial_matrices(self) -> int:
        """How many column-row pairs have products."""
        return int(np.count_nonzero(self.pair_products))

    def describe(self) -> str:
        """Say in a few words how the product is laid."""
        rows = np.count_nonzero(self.merge_elements)
        return f"{self.partial_matrices} column-row pairs, merged into {rows} rows"
