"""What BitFusion is told to do: layers, and for each its tile sizes and loop order."""

from __future__ import annotations

from dataclasses import dataclass

from accel.bitfusion.kernels import LOOPS, MAPPING_COLUMNS, ORDER, ORDERS
from workloads.layers import IntArray, LayerTable


@dataclass(frozen=True, slots=True)
class Plan:
    """A network laid on the machine.

    Attributes
    ----------
    table : LayerTable
        Layers in the order they run.
    mappings : ndarray of int64, shape (n, 6)
        Per layer the tile sizes of the loops ``kernels.LOOPS`` (batch, width, height, input and output channels)
        and the index of the loop order in ``kernels.ORDERS``.
    """

    table: LayerTable
    mappings: IntArray

    def __post_init__(self) -> None:
        if self.mappings.shape != (len(self.table), MAPPING_COLUMNS):
            raise ValueError(f"mappings of shape {self.mappings.shape} for {len(self.table)} layers")

    def describe(self, index: int) -> str:
        """Say how one layer is laid, loops from the outermost: ``ic/64 > oc/32 > b/2 > w/2 > h/2``."""
        row = self.mappings[index]
        return " > ".join(f"{LOOPS[loop]}/{row[loop]}" for loop in ORDERS[row[ORDER]])
