"""A product of two sparse matrices: what a machine for SpGEMM is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from workloads.errors import WorkloadError
from workloads.sparse.canonical import canonical


@dataclass(frozen=True, slots=True, eq=False)
class SparseProduct:
    """C = A @ B, both operands in canonical form; made by ``sparse_product``.

    Attributes
    ----------
    name : str
        What reports call it.
    a : csr_array, shape (rows, inner)
    b : csr_array, shape (inner, columns)
        The same object as ``a`` where a matrix is multiplied by itself.
    """

    name: str
    a: sparse.csr_array
    b: sparse.csr_array

    @property
    def multiplies(self) -> int:
        """Multiplications that A @ B takes: for every element of A, the length of the row of B it meets."""
        lengths = np.diff(self.b.indptr)
        return int(np.bincount(self.a.indices, minlength=len(lengths)) @ lengths)


def sparse_product(name: str, a: Any, b: Any = None) -> SparseProduct:
    """Return C = A @ B, or C = A @ A where B is not given.

    Parameters
    ----------
    name : str
        What reports and errors call the product.
    a : scipy.sparse array or matrix, or dense array, shape (rows, inner)
    b : the same, shape (inner, columns), optional

    Raises
    ------
    WorkloadError
        If an operand is no matrix of finite real numbers (see ``canonical``) or the shapes do not fit.
    """
    left = canonical(a, f"{name}, matrix A")
    right = left if b is None else canonical(b, f"{name}, matrix B")
    if left.shape[1] != right.shape[0]:
        rows, columns = left.shape
        if b is None:
            raise WorkloadError(name, "shape of A", f"{rows} x {columns}", "a square matrix for A @ A, or a matrix B")
        shapes = f"{rows} x {columns} times {right.shape[0]} x {right.shape[1]}"
        raise WorkloadError(name, "shapes", shapes, "as many columns of A as rows of B")
    return SparseProduct(name, left, right)
