"""Networks as matrix products: what machines that only multiply matrices are told to do."""

from __future__ import annotations

from dataclasses import dataclass

from workloads.layers import IntArray, LayerTable

# Columns of a product's row: an M x K by K x N product, run REPEATS times.
M, N, K, REPEATS = range(4)


@dataclass(frozen=True, slots=True)
class ProductPlan:
    """A network as matrix products.

    Attributes
    ----------
    table : LayerTable
        Layers in the order they run.
    products : ndarray of int64, shape (n, 4)
        Per layer M, N and K of one product, and how many such products run one after another.
    """

    table: LayerTable
    products: IntArray

    def describe(self, index: int) -> str:
        """Say how one layer is laid: M x K x N, how often."""
        row = self.products[index]
        return f"{row[M]} x {row[K]} x {row[N]}, {row[REPEATS]} times"
