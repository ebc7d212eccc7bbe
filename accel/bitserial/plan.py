"""What the bit-serial array is told to do: the matrix products every layer lowers to."""

from __future__ import annotations

from dataclasses import dataclass

from workloads.layers import IntArray, LayerTable

# Columns of a product's row.
ROWS, COLUMNS, DEPTH, REPEATS = range(4)


@dataclass(frozen=True, slots=True)
class Plan:
    """A network as matrix products.

    Attributes
    ----------
    table : LayerTable
        Layers in the order they run.
    products : ndarray of int64, shape (n, 4)
        Per layer the rows, columns and depth of one product, and how many such products run one after another.
    """

    table: LayerTable
    products: IntArray

    def describe(self, index: int) -> str:
        """Say how one layer is laid: rows x depth x columns, how often."""
        row = self.products[index]
        return f"{row[ROWS]} x {row[DEPTH]} x {row[COLUMNS]}, {row[REPEATS]} times"
