"""Lowering networks to the matrix products of the bit-serial array."""

from __future__ import annotations

import numpy as np

from accel.bitserial.config import Config
from accel.bitserial.plan import Plan
from accel.products import REPEATS, K, M, N
from mappers.products import lower
from workloads.errors import ConfigError
from workloads.layers import ACT_BITS, BATCH, KIND, KINDS, OUT_C, WGT_BITS, LayerTable


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
    products = lower(table)
    by_image = value[KIND] != KINDS.index("linear")
    products[by_image, M] //= value[BATCH][by_image]
    products[by_image, REPEATS] *= value[BATCH][by_image]

    depthwise = value[KIND] == KINDS.index("depthwise")
    products[depthwise, N] = config.tile_columns
    tiles = -(-value[OUT_C] // config.tile_columns)
    products[depthwise, REPEATS] = (value[BATCH] * tiles)[depthwise]
    _check_buffers(config, table, products)
    return Plan(table, products)


def _check_buffers(config: Config, table: LayerTable, products: np.ndarray) -> None:
    depth = -(-products[:, K] // config.depth_bits)
    for size, bits in ((config.tile_rows, ACT_BITS), (config.tile_columns, WGT_BITS)):
        need = size * depth * table.values[:, bits]
        index = int(np.argmax(need))
        if need[index] > config.buffer_words:
            where = f"bitserial, layer {table.layer_names[index]} of {table.name}"
            raise ConfigError(where, "buffer_words", config.buffer_words, f"at least {need[index]} words for one tile")
