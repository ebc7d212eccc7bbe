"""Laying networks on a row-stationary array: how many segments, channels and filters stand on it together."""

from __future__ import annotations

import numpy as np

from accel.eyeriss.config import Config
from accel.eyeriss.plan import Plan
from workloads.layers import KERNEL_H, KERNEL_W, KIND, KINDS, OUT_C, OUT_H, IntArray, LayerTable

MOST_FILTERS_A_VISIT = 4
MAPPED_AS_VECTORS = (KINDS.index("linear"), KINDS.index("matmul"))


def best_plan(config: Config, table: LayerTable) -> Plan:
    """Lay every layer as its shape allows; there is nothing to search.

    A filter's rows stand in a column, an output map's rows in the columns beside each other. A map of more rows than
    the array has columns is cut into equal segments that stand below each other as far as there is room; what room is
    left takes further filters. A linear layer or matrix product goes row by row: rows of the array take
    input channels, columns take outputs, up to four of them in turn in an element.
    """
    mappings = np.array([_lay(config, row) for row in table.values], dtype=np.int64)
    return Plan(table, mappings)


def _lay(config: Config, row: IntArray) -> tuple[int, ...]:
    if row[KIND] in MAPPED_AS_VECTORS and row[KERNEL_H] == row[KERNEL_W] == 1:
        visit = min(MOST_FILTERS_A_VISIT, -(-int(row[OUT_C]) // config.columns))
        return int(row[OUT_H]), 1, 1, config.rows, config.columns, visit
    height, kernel = int(row[OUT_H]), int(row[KERNEL_H])
    segments = -(-height // config.columns)
    beside = config.columns // height if segments == 1 else 1
    folds = -(-kernel // config.rows)
    below = max(config.rows // kernel, 1)
    at_once = min(segments, below)
    filters = beside * (below // at_once if at_once == segments else 1)
    return segments, at_once, folds, 1, filters, 1
