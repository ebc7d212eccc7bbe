"""Lowering networks to the matrix products of a systolic array."""

from __future__ import annotations

import numpy as np

from accel.systolic.config import Config
from accel.systolic.plan import REPEATS, K, M, N, Plan
from workloads.layers import BATCH, GROUPS, IN_C, KERNEL_H, KERNEL_W, OUT_C, OUT_H, OUT_W, LayerTable


def best_plan(config: Config, table: LayerTable) -> Plan:
    """Lower every layer to one product per group: images and output pixels by window and input channels by outputs.

    A depthwise layer so becomes a product per channel with a single column.
    """
    value = table.values.T
    products = np.empty((len(table), 4), np.int64)
    products[:, M] = value[BATCH] * value[OUT_H] * value[OUT_W]
    products[:, N] = value[OUT_C] // value[GROUPS]
    products[:, K] = value[KERNEL_H] * value[KERNEL_W] * value[IN_C] // value[GROUPS]
    products[:, REPEATS] = value[GROUPS]
    return Plan(table, products)
