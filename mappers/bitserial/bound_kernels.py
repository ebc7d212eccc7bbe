"""What no mapping of a product on the bit-serial array beats that begins with given chunks, and what mappings cost."""

import numpy as np

from accel.arithmetic import ceil_div
from accel.bitserial.kernels import (
    BUFFER_WORDS,
    CHUNK_COLUMNS,
    CHUNK_ROWS,
    COLUMN_WORDS,
    COMPUTE,
    DEPTH_BITS,
    KEEP_COLUMNS,
    KEEP_ROWS,
    KEPT,
    ROW_WORDS,
    STALL,
    TILE_COLUMNS,
    TILE_ROWS,
    arrival,
    product_cost,
)
from accel.jit import kernel
from accel.products import K, M, N


@kernel
def bound_mappings(product, machine, act_bits, wgt_bits, begun, bounds):
    """Bound mappings of one product, that is run once.

    An operand's stream brings its chunks one after another, and every step of the array takes a cycle.

    Contract
    --------
    product : int64[4], machine : int64[5]
    begun   : int64[n, d]  rows and columns of a chunk and what is kept, as far as they are decided
    bounds  : int64[n, 2]  written where the chunks fit: cycles, words; elsewhere left alone
    """
    known = begun.shape[1]
    depth = ceil_div(product[K], machine[DEPTH_BITS])
    row, column = depth * act_bits, depth * wgt_bits  # words
    tiles = ceil_div(product[M], machine[TILE_ROWS]) * ceil_div(product[N], machine[TILE_COLUMNS])
    for index in range(len(begun)):
        row_times = column_times = np.int64(1)
        if min(begun[index, CHUNK_ROWS], product[M]) * row > machine[BUFFER_WORDS]:
            continue
        if known > CHUNK_COLUMNS and min(begun[index, CHUNK_COLUMNS], product[N]) * column > machine[BUFFER_WORDS]:
            continue
        if known > KEPT:
            row_chunks = ceil_div(product[M], begun[index, CHUNK_ROWS])
            column_chunks = ceil_div(product[N], begun[index, CHUNK_COLUMNS])
            kept = begun[index, KEPT]
            if kept != KEEP_ROWS and (row_chunks > 1 or kept != KEEP_COLUMNS):
                row_times = column_chunks
            if kept != KEEP_COLUMNS and (column_chunks > 1 or kept != KEEP_ROWS):
                column_times = row_chunks
        row_words, column_words = row_times * product[M] * row, column_times * product[N] * column
        cycles = max(arrival(row_words, machine), arrival(column_words, machine))
        bounds[index, 0] = max(cycles, tiles * depth * act_bits * wgt_bits)
        bounds[index, 1] = row_words + column_words


@kernel
def count_mappings(product, machine, act_bits, wgt_bits, mappings, costs):
    """Write cycles and words (int64[n, 2]) of mappings (int64[n, MAPPING_COLUMNS]) of a product that is run once."""
    counters = np.empty(5, np.int64)
    for index in range(len(mappings)):
        product_cost(product, mappings[index], machine, act_bits, wgt_bits, counters)
        costs[index, 0] = counters[COMPUTE] + counters[STALL]
        costs[index, 1] = counters[ROW_WORDS] + counters[COLUMN_WORDS]
