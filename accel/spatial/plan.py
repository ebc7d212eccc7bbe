"""What a spatial array is told to do: layers as six loops, and how each loop is cut and ordered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accel.spatial.kernels import (
    DEPTHWISE,
    INNER,
    LOOPS,
    MAPPING_COLUMNS,
    OUTER,
    PROBLEM_COLUMNS,
    REPEATS,
    STEPS,
    STRIDE,
    TILE,
    C,
    K,
    R,
    S,
    X,
    Y,
)
from workloads.layers import (
    BATCH,
    GROUPS,
    IN_C,
    KERNEL_H,
    KERNEL_W,
    KIND,
    KINDS,
    OUT_C,
    OUT_H,
    OUT_W,
    IntArray,
    LayerTable,
)
from workloads.layers import STRIDE as LAYER_STRIDE


@dataclass(frozen=True, slots=True)
class Plan:
    """A network laid on the array.

    Attributes
    ----------
    table : LayerTable
        Layers in the order they run.
    mappings : ndarray of int64, shape (n, 24)
        Per layer and for each of the loops K, C, Y, X, R, S: the tile of an element, the steps of the array in a tile
        of the global buffer; then the loops over buffer tiles and those over steps by place, outermost first.
    wide : ndarray of int64, shape (6,)
        How often the array unrolls each loop.
    """

    table: LayerTable
    mappings: IntArray
    wide: IntArray

    def __post_init__(self) -> None:
        if self.mappings.shape != (len(self.table), MAPPING_COLUMNS):
            raise ValueError(f"mappings of shape {self.mappings.shape} for {len(self.table)} layers")

    def describe(self, index: int) -> str:
        """Say how one layer is laid, loops of more than one iteration from the outermost: ``DRAM K2 | buffer Y4``."""
        mapping = self.mappings[index].tolist()
        problem = problems(self.table)[index].tolist()
        tile, steps = mapping[TILE : TILE + 6], mapping[STEPS : STEPS + 6]
        array = [size * wide for size, wide in zip(tile, self.wide.tolist(), strict=True)]
        nests = {
            "DRAM": [(loop, -(-problem[loop] // (array[loop] * steps[loop]))) for loop in mapping[OUTER : OUTER + 6]],
            "buffer": [
                (loop, min(steps[loop], -(-problem[loop] // array[loop]))) for loop in mapping[INNER : INNER + 6]
            ],
            "array": [(loop, min(int(self.wide[loop]), -(-problem[loop] // tile[loop]))) for loop in range(6)],
            "element": [(loop, tile[loop]) for loop in range(6)],
        }
        said = {
            where: " ".join(f"{LOOPS[loop]}{trips}" for loop, trips in nest if trips > 1)
            for where, nest in nests.items()
        }
        return " | ".join(f"{where} {loops}" for where, loops in said.items() if loops) or "element"


def least_words(problem: IntArray) -> tuple[int, int, int, int]:
    """Return the words of weights, inputs, sums and outputs that must move at every level: each once, sums never.

    ``problem`` is a row (columns,) of ``problems``.
    """
    k, c, y, x, r, s, stride, depthwise, repeats = problem.tolist()
    rows, columns = min((y - 1) * stride + r, y * r), min((x - 1) * stride + s, x * s)
    return repeats * k * c * r * s, repeats * (k if depthwise else c) * rows * columns, 0, repeats * k * y * x


def problems(table: LayerTable) -> IntArray:
    """Return layers as the kernels see them, shape (n, 9): the six loops, stride, whether depthwise, repetitions.

    Groups run one after another, and so do images, except that with a 1 x 1 kernel of stride 1 images are further rows
    of one map. A depthwise layer has its channels as outputs' channels, whose inputs are their own.

    Raises
    ------
    WorkloadError
        Naming the first layer whose window is dilated.
    """
    table.check_undilated("a spatial array")
    column = table.values.T
    posed: IntArray = np.ones((len(table), PROBLEM_COLUMNS), np.int64)
    depthwise = column[KIND] == KINDS.index("depthwise")
    groups = np.where(depthwise, 1, column[GROUPS])
    posed[:, K] = column[OUT_C] // groups
    posed[:, C] = np.where(depthwise, 1, column[IN_C] // groups)
    posed[:, Y], posed[:, X] = column[OUT_H], column[OUT_W]
    posed[:, R], posed[:, S] = column[KERNEL_H], column[KERNEL_W]
    posed[:, STRIDE], posed[:, DEPTHWISE] = column[LAYER_STRIDE], depthwise
    one_map = (column[KERNEL_H] == 1) & (column[KERNEL_W] == 1) & (column[LAYER_STRIDE] == 1)
    posed[:, Y] *= np.where(one_map, column[BATCH], 1)
    posed[:, REPEATS] = groups * np.where(one_map, 1, column[BATCH])
    return posed
