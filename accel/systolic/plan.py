"""What the systolic array is told to do."""

from __future__ import annotations

from dataclasses import dataclass

from accel.mapping import SearchEffort
from accel.products import ProductPlan
from accel.systolic.mapping_kernels import ORDER, ORDERS
from workloads.layers import IntArray

DIMENSIONS = "mnk"


@dataclass(frozen=True, slots=True)
class Plan(ProductPlan):
    """A network as matrix products, each with a dataflow, tiles and their order.

    Attributes
    ----------
    dataflows : tuple of str, length n
        Of every layer: ``os``, ``ws`` or ``is``.
    mappings : ndarray of int64, shape (n, 4)
        Per layer the sizes of a tile in M, N and K, and the order of the loops over tiles, a row of
        ``mapping_kernels.ORDERS``.
    effort : SearchEffort or None
        How large the search was, where there was one.
    """

    dataflows: tuple[str, ...]
    mappings: IntArray
    effort: SearchEffort | None = None

    def describe(self, index: int) -> str:
        """Say how one layer is laid: M x K x N, how often, what stays in the units, tiles from the outermost loop."""
        return f"{ProductPlan.describe(self, index)}, {self.dataflows[index]}, {self.tile(index)}"

    def tile(self, index: int) -> str:
        """Write one layer's tile sizes, loops over tiles from the outermost: ``m/64 > n/32 > k/147``."""
        row = self.mappings[index]
        return " > ".join(f"{DIMENSIONS[loop]}/{row[loop]}" for loop in ORDERS[row[ORDER]])
