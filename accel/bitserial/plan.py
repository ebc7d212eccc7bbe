"""What the bit-serial array is told to do: activations are the rows of its products, weights the columns."""

from __future__ import annotations

from dataclasses import dataclass

from accel.bitserial.kernels import KEEP_NOTHING, KEEPS
from accel.mapping import SearchEffort
from accel.products import M, N, ProductPlan
from workloads.layers import IntArray


@dataclass(frozen=True, slots=True)
class Plan(ProductPlan):
    """A network as matrix products, each cut into chunks.

    Attributes
    ----------
    mappings : ndarray of int64, shape (n, 3)
        Per layer the rows and the columns of a chunk, and whose chunks are kept, as ``kernels.KEEPS``.
    effort : SearchEffort or None
        How large the search was, where there was one.
    """

    mappings: IntArray
    effort: SearchEffort | None = None

    def describe(self, index: int) -> str:
        """Say how one layer is laid: rows x depth x columns, how often, and its chunks where it is cut."""
        (rows, columns, kept), product = self.mappings[index].tolist(), self.products[index]
        chunks = f"chunks of {rows} rows" if rows < product[M] else ""
        if columns < product[N]:
            chunks += f"{' x' if chunks else 'chunks of'} {columns} columns"
        keeps = f"{KEEPS[kept]} kept" if chunks and kept != KEEP_NOTHING else ""
        return ", ".join(part for part in (ProductPlan.describe(self, index), chunks, keeps) if part)
