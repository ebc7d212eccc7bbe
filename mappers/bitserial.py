"""Lowering networks to the matrix products of the bit-serial array."""

from __future__ import annotations

import numpy as np

from accel.bitserial.config import Config
from accel.bitserial.plan import COLUMNS, DEPTH, REPEATS, ROWS, Plan
from workloads.errors import ConfigError
from workloads.layers import (
    ACT_BITS,
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
    WGT_BITS,
    LayerTable,
)


def best_plan(config: Config, table: LayerTable) -> Plan:
    """Lower every layer to matrix products, as HAQ's published table counts them.

    A convolution is one product per image and group: output pixels by output channels, over the window. A
    depthwise layer takes its channels ``tile_columns`` at a time, each group a product over the window of one
    channel. A linear layer is one product with the images as rows.

    Raises
    ------
    ConfigError
        If a buffer cannot hold one tile of a layer.
    """
    value = table.values.T
    window = value[KERNEL_H] * value[KERNEL_W]
    products = np.empty((len(table), 4), np.int64)
    products[:, ROWS] = value[OUT_H] * value[OUT_W]
    products[:, COLUMNS] = value[OUT_C] // value[GROUPS]
    products[:, DEPTH] = window * value[IN_C] // value[GROUPS]
    products[:, REPEATS] = value[BATCH] * value[GROUPS]

    depthwise = value[KIND] == KINDS.index("depthwise")
    products[depthwise, COLUMNS] = config.tile_columns
    tiles = -(-value[OUT_C] // config.tile_columns)
    products[depthwise, REPEATS] = (value[BATCH] * tiles)[depthwise]

    linear = value[KIND] == KINDS.index("linear")
    products[linear, ROWS] = (value[BATCH] * value[OUT_H] * value[OUT_W])[linear]
    products[linear, REPEATS] = value[GROUPS][linear]
    _check_buffers(config, table, products)
    return Plan(table, products)


def _check_buffers(config: Config, table: LayerTable, products: np.ndarray) -> None:
    depth = -(-products[:, DEPTH] // config.depth_bits)
    for size, bits in ((config.tile_rows, ACT_BITS), (config.tile_columns, WGT_BITS)):
        need = size * depth * table.values[:, bits]
        index = int(np.argmax(need))
        if need[index] > config.buffer_words:
            where = f"bitserial, layer {table.layer_names[index]} of {table.name}"
            raise ConfigError(where, "buffer_words", config.buffer_words, f"at least {need[index]} words for one tile")
