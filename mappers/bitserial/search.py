"""Lowering networks to the matrix products of the bit-serial array, and cutting them into chunks that fit its buffers.

A mapping is how many rows and columns a chunk has, in whole tiles, and whose chunks are kept while those of the other
operand come and go. ``published`` is that of HAQ's table: the fewest equal chunks, none of them kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from accel.bitserial import kernels
from accel.bitserial.config import Config
from accel.bitserial.plan import Plan
from accel.mapping import PUBLISHED, SearchEffort
from accel.products import REPEATS, K, M, N
from mappers.bitserial.bound_kernels import bound_mappings, count_mappings
from mappers.products import lower
from mappers.search import IMPOSSIBLE, Found, best_mapping, tile_sizes
from workloads.errors import ConfigError
from workloads.layers import ACT_BITS, BATCH, KIND, KINDS, OUT_C, WGT_BITS, IntArray, LayerTable


def best_plan(config: Config, table: LayerTable) -> Plan:
    """Lower every layer to matrix products, as HAQ's published table counts them, and cut them into chunks.

    A convolution is one product per image and group: output pixels by output channels, over the window. A
    depthwise layer takes its channels ``tile_columns`` at a time, each group a product over the window of one
    channel. A linear layer is one product with the images as rows. The chunks are the table's, or with the mapping
    ``all`` those that take the fewest cycles, then the fewest words.

    Raises
    ------
    ConfigError
        If a buffer cannot hold one tile of a layer.
    """
    return search((config,), (table,))[0][0]


def search(
    configs: Sequence[Config], tables: Sequence[LayerTable], *, bounded: bool = True
) -> tuple[list[Plan], SearchEffort]:
    """Find the best mapping of every layer of many networks, and say how many were looked at.

    Parameters
    ----------
    configs, tables : sequences of one length
    bounded : bool
        Leave out what provably cannot win. The answer is the same either way.
    """
    plans = [_search_one(config, table, bounded) for config, table in zip(configs, tables, strict=True)]
    return plans, sum((plan.effort for plan in plans if plan.effort), SearchEffort(0, 0))


def _search_one(config: Config, table: LayerTable, bounded: bool) -> Plan:
    products, machine = _lowered(config, table), config.machine_row()
    _check_buffers(config, table, products)
    mappings: IntArray = np.empty((len(table), kernels.MAPPING_COLUMNS), np.int64)
    kernels.published_mappings(table.values, products, machine, mappings)
    if config.mapping == PUBLISHED:
        return Plan(table, products, mappings)
    widths = table.values[:, [ACT_BITS, WGT_BITS]]
    keys = [tuple(row) for row in np.column_stack((products[:, :REPEATS], widths)).tolist()]
    first = {key: index for index, key in reversed(list(enumerate(keys)))}  # equal layers are searched once
    found = {}
    for key, index in first.items():
        space = Chunks(machine, products[index], *widths[index].tolist())
        found[key] = best_mapping(space, space.found(mappings[index]), bounded=bounded)
    for row, key in zip(mappings, keys, strict=True):
        best = found[key][0]
        if best is not None:
            row[:] = best.mapping
    evaluated = sum(effort.evaluated for _, effort in found.values())
    return Plan(table, products, mappings, SearchEffort(sum(found[key][1].space for key in keys), evaluated))


class Chunks:
    """The mappings of one product: a ``mappers.search.Space``, whose decisions are the columns of the kernels'."""

    def __init__(self, machine: IntArray, product: IntArray, act_bits: int, wgt_bits: int) -> None:
        self._machine, self._widths = machine, (act_bits, wgt_bits)
        self._product = product.copy()
        self._product[REPEATS] = 1

    @cached_property
    def axes(self) -> tuple[IntArray, ...]:
        """Rows and columns of a chunk, and what is kept."""
        sizes = []
        for dimension, column in ((M, kernels.TILE_ROWS), (N, kernels.TILE_COLUMNS)):
            tile = int(self._machine[column])
            sizes.append(tile_sizes(-(-int(self._product[dimension]) // tile)) * tile)
        return (*sizes, np.arange(len(kernels.KEEPS)))

    def bound(self, begun: IntArray) -> IntArray:
        """Return cycles and words that no mapping beats that begins so."""
        bounds: IntArray = np.full((len(begun), 2), IMPOSSIBLE, np.int64)
        bound_mappings(self._product, self._machine, *self._widths, np.ascontiguousarray(begun), bounds)
        return bounds

    def cost(self, mappings: IntArray) -> IntArray:
        """Return cycles and words."""
        costs: IntArray = np.empty((len(mappings), 2), np.int64)
        count_mappings(self._product, self._machine, *self._widths, np.ascontiguousarray(mappings), costs)
        return costs

    def found(self, mapping: IntArray) -> Found:
        """Return a mapping, shape (columns,), with its cost."""
        (cost,) = self.cost(mapping[np.newaxis]).tolist()
        return Found(tuple(mapping.tolist()), *cost)


def _lowered(config: Config, table: LayerTable) -> IntArray:
    """Return the matrix products of every layer."""
    value = table.values.T
    products = lower(table)
    by_image = value[KIND] != KINDS.index("linear")
    products[by_image, M] //= value[BATCH][by_image]
    products[by_image, REPEATS] *= value[BATCH][by_image]

    depthwise = value[KIND] == KINDS.index("depthwise")
    products[depthwise, N] = config.tile_columns
    tiles = -(-value[OUT_C] // config.tile_columns)
    products[depthwise, REPEATS] = (value[BATCH] * tiles)[depthwise]
    return products


def _check_buffers(config: Config, table: LayerTable, products: np.ndarray) -> None:
    depth = -(-products[:, K] // config.depth_bits)
    for size, bits in ((config.tile_rows, ACT_BITS), (config.tile_columns, WGT_BITS)):
        need = size * depth * table.values[:, bits]
        index = int(np.argmax(need))
        if need[index] > config.buffer_words:
            where = f"bitserial, layer {table.layer_names[index]} of {table.name}"
            raise ConfigError(where, "buffer_words", config.buffer_words, f"at least {need[index]} words for one tile")
