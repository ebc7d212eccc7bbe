"""Lowering layers to matrix products, as every machine that only multiplies matrices needs it."""

from __future__ import annotations

import numpy as np

from accel.products import REPEATS, K, M, N
from workloads.layers import BATCH, GROUPS, IN_C, KERNEL_H, KERNEL_W, OUT_C, OUT_H, OUT_W, IntArray, LayerTable


def lower(table: LayerTable) -> IntArray:
    """Lower every layer to one product per group: images and output pixels by window and input channels by outputs.

    A depthwise layer so becomes a product per channel with a single column.

    Returns
    -------
    ndarray of int64, shape (n, 4)
        Columns as ``accel.products``.
    """
    value = table.values.T
    products = np.empty((len(table), 4), np.int64)
    products[:, M] = value[BATCH] * value[OUT_H] * value[OUT_W]
    products[:, N] = value[OUT_C] // value[GROUPS]
    products[:, K] = value[KERNEL_H] * value[KERNEL_W] * value[IN_C] // value[GROUPS]
    products[:, REPEATS] = value[GROUPS]
    return products
