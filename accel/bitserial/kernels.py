"""The bit-serial array's tile pipeline in closed form.

Source: fitted to HAQ's published table (mit-han-lab/haq, 53 layers of MobileNetV2 at 64 pairs of widths), which it
reproduces without exception where it was compared. The published code holds no description of the machine; what
follows is the simplest pipeline that explains the numbers:

- One tile, one pair of bits and one word of depth take one cycle. A column tile with one of its bits is an *item*.
- Each operand has its own stream. Tiles arrive in order, edge tiles with the rows they really have; rows word by
  word of depth with all their bits, columns bit plane by bit plane.
- Row-outer order: every row tile meets all items. While the first row tile is met, items wait for their plane; a
  later row tile waits only for itself. Of a tile that is waited for, all but its last word of depth is worked off
  on arrival. Column-outer order is the mirror image; the faster of the two is taken.
- An operand that does not fit its buffer is cut into the fewest chunks of equally many tiles (the last may be
  smaller), and every pair of chunks runs by itself, fetching both.

The last rule is the table's mapping. Another one may cut otherwise, and keep chunks: those of the operand it keeps are
outside, each stays while all chunks of the other one are met, and that one stays for good if it is a single chunk. What
is in its buffer already is there in cycle 0.
"""

import numpy as np

from accel.arithmetic import ceil_div
from accel.jit import kernel, lean_kernel
from accel.products import REPEATS, K, M, N
from workloads.layers import ACT_BITS, WGT_BITS

TILE_ROWS, TILE_COLUMNS, DEPTH_BITS, STREAM_BITS, BUFFER_WORDS = range(5)

# A mapping: rows and columns of a chunk, whole tiles, and whose chunks are kept.
CHUNK_ROWS, CHUNK_COLUMNS, KEPT = range(3)
MAPPING_COLUMNS = 3
KEEPS = ("nothing", "rows", "columns")
KEEP_NOTHING, KEEP_ROWS, KEEP_COLUMNS = range(3)

COUNTERS = ("compute_cycles", "stall_cycles", "row_words", "column_words", "output_words")
COMPUTE, STALL, ROW_WORDS, COLUMN_WORDS, OUTPUT_WORDS = range(5)


@lean_kernel
def arrival(words, machine):
    """Return the cycle in which that many words of a stream have arrived."""
    return ceil_div(words * machine[DEPTH_BITS], machine[STREAM_BITS])


@lean_kernel
def outer_order(machine, outer, outer_bits, outer_tile, fetch_outer, inner, inner_bits, inner_tile, fetch_inner, depth):
    """Return the cycles of one chunk pair with the tiles of ``outer`` outside and items of ``inner`` inside.

    Contract
    --------
    outer, inner             : int64  rows or columns of each operand
    outer_bits, inner_bits   : int64  their widths
    outer_tile, inner_tile   : int64  tile sizes
    fetch_outer, fetch_inner : int64  1 if the chunk has to be fetched, 0 if it is there
    depth                    : int64  words
    """
    outer_tiles, inner_tiles = ceil_div(outer, outer_tile), ceil_div(inner, inner_tile)
    item = outer_bits * depth
    tail = (inner_bits - 1) * outer_bits  # of a tile that is waited for: its last word, all pairs of bits but a row's
    outer_words, inner_words = fetch_outer * outer_bits * depth, fetch_inner * depth  # of a row; of a row's plane
    first_arrival = arrival(min(outer_tile, outer) * outer_words, machine)
    end = words = 0
    for tile in range(inner_tiles):
        height = min(inner_tile, inner - tile * inner_tile)
        for _ in range(inner_bits):
            words += height * inner_words
            end = max(end + item, arrival(words, machine) + outer_bits - 1)
        if tile == 0:
            end = max(end, first_arrival + tail)
    group = inner_bits * item  # cycles of all bits of one inner tile
    for tile in range(1, outer_tiles):
        arrived = arrival(min((tile + 1) * outer_tile, outer) * outer_words, machine)
        end = max(end + group, arrived + tail) + (inner_tiles - 1) * group
    return end


@lean_kernel
def pair_cycles(machine, rows, act_bits, fetch_rows, columns, wgt_bits, fetch_columns, depth):
    """Return the cycles of one pair of chunks in the faster of its two orders."""
    tile_rows, tile_columns = machine[TILE_ROWS], machine[TILE_COLUMNS]
    return min(
        outer_order(
            machine, rows, act_bits, tile_rows, fetch_rows, columns, wgt_bits, tile_columns, fetch_columns, depth
        ),
        outer_order(
            machine, columns, wgt_bits, tile_columns, fetch_columns, rows, act_bits, tile_rows, fetch_rows, depth
        ),
    )


@lean_kernel
def chunk_size(count, tile, words_each, buffer_words):
    """Return the rows or columns of one chunk: of the fewest chunks that fit, in whole tiles, the last the smallest."""
    tiles = ceil_div(count, tile)
    if count * words_each <= buffer_words:
        return tiles * tile
    chunks = ceil_div(tiles, buffer_words // (tile * words_each))
    return ceil_div(tiles, chunks) * tile


@lean_kernel
def is_fetched(kept, kept_here, kept_other, other_chunk, chunks):
    """Return 1 if an operand's chunk has to be fetched for a pair, 0 if it is in its buffer from an earlier one."""
    if kept == kept_here:
        return 1 if other_chunk == 0 else 0
    if kept == kept_other:
        return 1 if other_chunk == 0 or chunks > 1 else 0
    return 1


@kernel
def product_cost(product, mapping, machine, act_bits, wgt_bits, counters):
    """Count all products of one layer: activations are the rows, weights the columns.

    Only the first, the last and the pairs in between can differ, so one pair of each kind is counted and multiplied.

    Contract
    --------
    product  : int64[4]  as ``accel.products``
    mapping  : int64[MAPPING_COLUMNS]  chunks that fit
    counters : int64[5]  written, as ``COUNTERS``; cycles, and words of ``depth_bits`` (outputs: 32 bits each)
    """
    depth = ceil_div(product[K], machine[DEPTH_BITS])
    chunk_rows, chunk_columns, kept = mapping[CHUNK_ROWS], mapping[CHUNK_COLUMNS], mapping[KEPT]
    row_chunks, column_chunks = ceil_div(product[M], chunk_rows), ceil_div(product[N], chunk_columns)
    cycles = compute = row_words = column_words = np.int64(0)
    for kind in range(9):
        row_chunk, times_row = kind_of_chunk(kind // 3, row_chunks)
        column_chunk, times_column = kind_of_chunk(kind % 3, column_chunks)
        times = times_row * times_column
        if times == 0:
            continue
        rows = min(chunk_rows, product[M] - row_chunk * chunk_rows)
        columns = min(chunk_columns, product[N] - column_chunk * chunk_columns)
        fetch_rows = is_fetched(kept, KEEP_ROWS, KEEP_COLUMNS, column_chunk, row_chunks)
        fetch_columns = is_fetched(kept, KEEP_COLUMNS, KEEP_ROWS, row_chunk, column_chunks)
        cycles += times * pair_cycles(machine, rows, act_bits, fetch_rows, columns, wgt_bits, fetch_columns, depth)
        tiles = ceil_div(rows, machine[TILE_ROWS]) * ceil_div(columns, machine[TILE_COLUMNS])
        compute += times * tiles * depth * act_bits * wgt_bits
        row_words += times * fetch_rows * rows * depth * act_bits
        column_words += times * fetch_columns * columns * depth * wgt_bits
    repeats = product[REPEATS]
    counters[COMPUTE] = repeats * compute
    counters[STALL] = repeats * (cycles - compute)
    counters[ROW_WORDS] = repeats * row_words
    counters[COLUMN_WORDS] = repeats * column_words
    counters[OUTPUT_WORDS] = repeats * product[M] * product[N]


@lean_kernel
def kind_of_chunk(number, chunks):
    """Return a chunk of the kind of that number (first, in between, last), and how many there are of it."""
    if number == 0:
        return 0, 1
    if number == 1:
        return 1, max(chunks - 2, 0)
    return chunks - 1, 1 if chunks > 1 else 0


@kernel
def published_mappings(layers, products, machine, mappings):
    """Write the table's mapping of every layer (int64[n, 16]) with its products into ``mappings`` (int64[n, 3])."""
    for index in range(layers.shape[0]):
        depth = ceil_div(products[index, K], machine[DEPTH_BITS])
        row, column = depth * layers[index, ACT_BITS], depth * layers[index, WGT_BITS]  # their words
        words = machine[BUFFER_WORDS]
        mappings[index, CHUNK_ROWS] = chunk_size(products[index, M], machine[TILE_ROWS], row, words)
        mappings[index, CHUNK_COLUMNS] = chunk_size(products[index, N], machine[TILE_COLUMNS], column, words)
        mappings[index, KEPT] = KEEP_NOTHING


@kernel
def network_cost(layers, products, mappings, machine, counters):
    """Count every layer (int64[n, 16]) with its products and mappings into ``counters`` (int64[n, 5])."""
    for index in range(layers.shape[0]):
        act_bits, wgt_bits = layers[index, ACT_BITS], layers[index, WGT_BITS]
        product_cost(products[index], mappings[index], machine, act_bits, wgt_bits, counters[index])
