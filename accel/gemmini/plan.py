"""What Gemmini is told to do: layers, and for each the tile of one call of its loop hardware."""

from __future__ import annotations

from dataclasses import dataclass

from accel.gemmini.kernels import TILE_COLUMNS, TILE_DIMENSIONS
from workloads.layers import IntArray, LayerTable


@dataclass(frozen=True, slots=True)
class Plan:
    """A network laid on the machine.

    Attributes
    ----------
    table : LayerTable
        Layers in the order they run.
    tiles : ndarray of int64, shape (n, 6)
        Per layer the tile's output width and height, input and output channels, kernel width and height.
    """

    table: LayerTable
    tiles: IntArray

    def __post_init__(self) -> None:
        if self.tiles.shape != (len(self.table), TILE_COLUMNS):
            raise ValueError(f"tiles of shape {self.tiles.shape} for {len(self.table)} layers")

    def describe(self, index: int) -> str:
        """Say what a call of one layer covers: ``w/14 h/7 ic/64 oc/64 kw/3 kh/3``."""
        return " ".join(
            f"{name}/{size}" for name, size in zip(TILE_DIMENSIONS, self.tiles[index].tolist(), strict=True)
        )
