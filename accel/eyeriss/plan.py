"""What the row-stationary array is told to do."""

from __future__ import annotations

from dataclasses import dataclass

from workloads.layers import IntArray, LayerTable

# Columns of a mapping's row.
SEGMENTS, SEGMENTS_AT_ONCE, KERNEL_FOLDS, CHANNEL_SETS, FILTER_SETS, FILTERS_A_VISIT = range(6)
MAPPING_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class Plan:
    """A network laid on the array.

    Attributes
    ----------
    table : LayerTable
        Layers in the order they run.
    mappings : ndarray of int64, shape (n, 6)
        Per layer: segments an output map is cut into so that its rows fit the columns; segments that stand on the
        array together; parts a filter is cut into when it has more rows than the array; input channels and filters
        that stand on the array together; filters an element keeps for one visit of its inputs.
    """

    table: LayerTable
    mappings: IntArray

    def __post_init__(self) -> None:
        if self.mappings.shape != (len(self.table), MAPPING_COLUMNS):
            raise ValueError(f"mappings of shape {self.mappings.shape} for {len(self.table)} layers")

    def describe(self, index: int) -> str:
        """Say how one layer is laid: ``segments 1 of 4, sets 1 x 5`` (channels by filters)."""
        row = self.mappings[index]
        return f"segments {row[SEGMENTS_AT_ONCE]} of {row[SEGMENTS]}, sets {row[CHANNEL_SETS]} x {row[FILTER_SETS]}"
