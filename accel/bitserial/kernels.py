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
"""

from accel.arithmetic import ceil_div
from accel.jit import kernel
from accel.products import REPEATS, K, M, N
from workloads.layers import ACT_BITS, WGT_BITS

TILE_ROWS, TILE_COLUMNS, DEPTH_BITS, STREAM_BITS, BUFFER_WORDS = range(5)

COUNTERS = ("compute_cycles", "stall_cycles", "row_words", "column_words", "output_words")
COMPUTE, STALL, ROW_WORDS, COLUMN_WORDS, OUTPUT_WORDS = range(5)


@kernel
def arrival(words, machine):
    """Return the cycle in which that many words of a stream have arrived."""
    return ceil_div(words * machine[DEPTH_BITS], machine[STREAM_BITS])


@kernel
def outer_order(machine, outer, outer_bits, outer_tile, inner, inner_bits, inner_tile, depth):
    """Return the cycles of one chunk pair with the tiles of ``outer`` outside and items of ``inner`` inside.

    Contract
    --------
    outer, inner           : int64  rows or columns of each operand
    outer_bits, inner_bits : int64  their widths
    outer_tile, inner_tile : int64  tile sizes
    depth                  : int64  words
    """
    outer_tiles, inner_tiles = ceil_div(outer, outer_tile), ceil_div(inner, inner_tile)
    item = outer_bits * depth
    tail = (inner_bits - 1) * outer_bits  # of a tile that is waited for: its last word, all pairs of bits but a row's
    first_arrival = arrival(min(outer_tile, outer) * outer_bits * depth, machine)
    end = words = 0
    for tile in range(inner_tiles):
        height = min(inner_tile, inner - tile * inner_tile)
        for _ in range(inner_bits):
            words += height * depth
            end = max(end + item, arrival(words, machine) + outer_bits - 1)
        if tile == 0:
            end = max(end, first_arrival + tail)
    group = inner_bits * item  # cycles of all bits of one inner tile
    for tile in range(1, outer_tiles):
        arrived = arrival(min((tile + 1) * outer_tile, outer) * outer_bits * depth, machine)
        end = max(end + group, arrived + tail) + (inner_tiles - 1) * group
    return end


@kernel
def chunk_size(count, tile, words_each, buffer_words):
    """Return the rows or columns of one chunk: of the fewest chunks that fit, in whole tiles, the last the smallest."""
    tiles = ceil_div(count, tile)
    if count * words_each <= buffer_words:
        return tiles * tile
    chunks = ceil_div(tiles, buffer_words // (tile * words_each))
    return ceil_div(tiles, chunks) * tile


@kernel
def product_cost(product, machine, act_bits, wgt_bits, counters):
    """Count all products of one layer: activations are the rows, weights the columns.

    Contract
    --------
    product  : int64[4]  as ``accel.products``
    counters : int64[5]  written, as ``COUNTERS``; cycles, and words of ``depth_bits`` (outputs: 32 bits each)
    """
    depth = ceil_div(product[K], machine[DEPTH_BITS])
    tile_rows, tile_columns = machine[TILE_ROWS], machine[TILE_COLUMNS]
    chunk_rows = chunk_size(product[M], tile_rows, depth * act_bits, machine[BUFFER_WORDS])
    chunk_columns = chunk_size(product[N], tile_columns, depth * wgt_bits, machine[BUFFER_WORDS])
    cycles = compute = row_words = column_words = 0
    for first_row in range(0, product[M], chunk_rows):
        rows = min(chunk_rows, product[M] - first_row)
        for first_column in range(0, product[N], chunk_columns):
            columns = min(chunk_columns, product[N] - first_column)
            cycles += min(
                outer_order(machine, rows, act_bits, tile_rows, columns, wgt_bits, tile_columns, depth),
                outer_order(machine, columns, wgt_bits, tile_columns, rows, act_bits, tile_rows, depth),
            )
            compute += ceil_div(rows, tile_rows) * ceil_div(columns, tile_columns) * depth * act_bits * wgt_bits
            row_words += rows * depth * act_bits
            column_words += columns * depth * wgt_bits
    repeats = product[REPEATS]
    counters[COMPUTE] = repeats * compute
    counters[STALL] = repeats * (cycles - compute)
    counters[ROW_WORDS] = repeats * row_words
    counters[COLUMN_WORDS] = repeats * column_words
    counters[OUTPUT_WORDS] = repeats * product[M] * product[N]


@kernel
def network_cost(layers, products, machine, counters):
    """Count every layer (int64[n, 15]) with its products (int64[n, 4]) into ``counters`` (int64[n, 5])."""
    for index in range(layers.shape[0]):
        product_cost(products[index], machine, layers[index, ACT_BITS], layers[index, WGT_BITS], counters[index])
