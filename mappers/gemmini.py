"""Laying networks on Gemmini: a tile searched for every layer, or one given as a mapping in Timeloop's notation."""

from __future__ import annotations

import re
from itertools import product

import numpy as np

from accel.gemmini import kernels
from accel.gemmini.config import ARRAY_SIDES, Config
from accel.gemmini.model import MACHINE, WIDEST_BITS, layer_cycles
from accel.gemmini.plan import Plan
from workloads.errors import ConfigError, WorkloadError
from workloads.layers import (
    GROUPS,
    IN_C,
    KERNEL_H,
    KERNEL_W,
    OUT_C,
    OUT_H,
    OUT_W,
    IntArray,
    LayerTable,
)

OUTERMOST = "L3"
# Where a dimension of the notation stands in a tile: P, Q map, C, K channels, R, S kernel.
DIMENSIONS = {"P": 0, "Q": 1, "C": 2, "K": 3, "R": 4, "S": 5}
LOOP = re.compile(r"([A-Z])([1-9][0-9]*)([XY]?)")
NOTATION = "levels L3[WIO] .. L0[W] joined by ' - ', each with loops such as K16 or, in space, K16X or K16Y"


def best_plan(config: Config, table: LayerTable) -> Plan:
    """Give every layer the tile with the fewest cycles among doubled sizes that fit the memories.

    Kernels are not cut. Of equal tiles the first in ascending order of width, height, input and output channels
    is taken.

    Raises
    ------
    ConfigError
        If the smallest tile of a layer does not fit.
    WorkloadError
        If an operand is wider than 8 bits.
    """
    table.check_widths(WIDEST_BITS, MACHINE)
    rows = [tuple(row) for row in table.values.tolist()]
    first = {row: index for index, row in reversed(list(enumerate(rows)))}  # equal layers are searched once
    tile_of = {row: _best_tile(config, table, index) for row, index in first.items()}
    return Plan(table, np.array([tile_of[row] for row in rows], dtype=np.int64))


def _best_tile(config: Config, table: LayerTable, index: int) -> tuple[int, ...]:
    layer, machine = table.values[index], config.machine_row()
    counters: IntArray = np.zeros(len(kernels.COUNTERS), np.int64)
    convolution = bool(kernels.is_convolution(layer))
    groups = int(layer[GROUPS])
    sizes = (layer[OUT_W], layer[OUT_H], layer[IN_C] // groups, layer[OUT_C] // groups)
    best: tuple[int, tuple[int, ...]] | None = None
    for chosen in product(*(_doublings(int(size)) for size in sizes)):
        tile = np.array((*chosen, layer[KERNEL_W], layer[KERNEL_H]), dtype=np.int64)
        if not kernels.tile_fits(layer, tile, machine):
            continue
        kernels.count_layer(layer, tile, machine, counters)
        found = (layer_cycles(config, convolution, counters), tuple(tile.tolist()))
        best = min(best, found) if best else found
    if best is None:
        where = f"{MACHINE}, layer {table.layer_names[index]} of {table.name}"
        sizes_given = f"{config.scratchpad_bytes}, {config.accumulator_bytes}"
        raise ConfigError(
            where, "scratchpad_bytes, accumulator_bytes", sizes_given, "half of each to hold the smallest tile"
        )
    return best[1]


def _doublings(size: int) -> list[int]:
    return [min(1 << step, size) for step in range((size - 1).bit_length() + 1)]


def plan_of_mapping(table: LayerTable, mapping: str) -> tuple[int, Plan]:
    """Lay one layer as a mapping in Timeloop's notation says; return the side of the array it needs, and the plan.

    Parameters
    ----------
    table : LayerTable
        Of one layer.
    mapping : str
        ``L3[WIO] K8 Q28 - L2[WI] K4X - L1[O] K2 S7 R7 Q4 P7 C3X - L0[W] P16``: what is below L3 is the tile.

    Raises
    ------
    WorkloadError
        If the text is no such mapping.
    """
    where = f"{table.name}, mapping"
    tile, side = np.ones(kernels.TILE_COLUMNS, np.int64), 1
    for level in mapping.split(" - "):
        name, *loops = level.split() or [""]
        if not re.fullmatch(r"L[0-3]\[[WIO]*\]", name):
            raise WorkloadError(where, "level", name, NOTATION)
        for loop in loops:
            found = LOOP.fullmatch(loop)
            if not found or found[1] not in (*DIMENSIONS, "N"):
                raise WorkloadError(where, "loop", loop, NOTATION)
            if not name.startswith(OUTERMOST) and found[1] != "N":
                tile[DIMENSIONS[found[1]]] *= int(found[2])
            side = max(side, int(found[2])) if found[3] else side
    fitting = [allowed for allowed in ARRAY_SIDES if allowed >= side]
    if not fitting:
        raise WorkloadError(where, "loop in space", side, f"at most {ARRAY_SIDES[-1]}")
    return fitting[0], Plan(table, tile[np.newaxis])
