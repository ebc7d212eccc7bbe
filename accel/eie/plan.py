"""What EIE is told to do: a matrix in its compressed form, and the sparse vectors it meets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workloads.sparse.product import SparseProduct


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A product with the matrix's weights shared; made by ``mappers.eie.best_plan``.

    Attributes
    ----------
    product : SparseProduct
        A is the layer's matrix; every column of B is a vector of activations.
    column_start : ndarray of int64, shape (inner + 1,)
        Where each column of A begins in ``rows`` and ``codes``.
    rows : ndarray of int64, shape (elements,)
        Rows of A's elements, ascending in every column.
    codes : ndarray of int64, shape (elements,)
        Place of each element's weight in ``shared_weights``.
    shared_weights : ndarray of float64, shape (1 + shared,)
        The first is zero, what filler entries stand for.
    """

    product: SparseProduct
    column_start: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int64]
    shared_weights: npt.NDArray[np.float64]

    def describe(self) -> str:
        """Say in a few words how the product is laid."""
        return f"{len(self.rows)} elements that share {len(self.shared_weights) - 1} weights"
