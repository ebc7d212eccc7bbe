"""What a layer asks of Gemmini under a tiling: calls of the loop hardware, steps of the array, DMA requests, bytes.

Source: Genc et al., DAC 2021, for the machine (weights stay in the array, a loop unrolled in hardware loads, computes
and stores a tile; two calls overlap); the rules below are read from 1,567 layers measured in RTL simulation by Hong et
al., MICRO 2023:

- A convolution's call covers the tile as given. A matrix product's tile is counted in whole blocks of 16, rounded down
  and at least one; the array then runs so many blocks of its own side.
- A block of weights is met by the rows of outputs one a cycle, but by at least 4.
- The DMA engine fetches channels of a pixel, or outputs' weights of an input channel, in requests of at most 64 bytes.
"""

from accel.arithmetic import ceil_div
from accel.jit import kernel
from workloads.layers import BATCH, DILATION, GROUPS, IN_C, KERNEL_H, KERNEL_W, KIND, KINDS, OUT_C, OUT_H, OUT_W, STRIDE

SIDE, SCRATCHPAD_HALF_BYTES, ACCUMULATOR_HALF_SUMS = range(3)

TILE_DIMENSIONS = ("w", "h", "ic", "oc", "kw", "kh")
TILE_W, TILE_H, TILE_IC, TILE_OC, TILE_KW, TILE_KH = range(6)
TILE_COLUMNS = 6

COUNTERS = ("calls", "array_steps", "dma_requests", "read_bytes", "write_bytes")
CALLS, STEPS, REQUESTS, READ, WRITE = range(5)

CONV_KIND, DEPTHWISE_KIND = KINDS.index("conv"), KINDS.index("depthwise")
REQUEST_BYTES = 64
SOFTWARE_BLOCK = 16
LEAST_ROWS = 4


@kernel
def is_convolution(layer):
    """Return whether a layer runs on the convolution loop; the rest are matrix products."""
    return layer[KIND] == CONV_KIND or layer[KIND] == DEPTHWISE_KIND


@kernel
def row_steps(rows, side):
    """Return the steps some rows of outputs take to pass one block of weights."""
    rest = rows % side
    return rows // side * max(side, LEAST_ROWS) + (max(rest, LEAST_ROWS) if rest else 0)


@kernel
def covered(layer, tile):
    """Return the input pixels that a tile's windows cover."""
    stride, dilation = layer[STRIDE], layer[DILATION]
    columns = (tile[TILE_W] - 1) * stride + (tile[TILE_KW] - 1) * dilation + 1
    return columns * ((tile[TILE_H] - 1) * stride + (tile[TILE_KH] - 1) * dilation + 1)


@kernel
def tile_fits(layer, tile, machine):
    """Return whether a convolution's or product's tile fits half of the memories."""
    pixels = covered(layer, tile)
    weights = tile[TILE_KW] * tile[TILE_KH] * tile[TILE_IC] * tile[TILE_OC]
    sums = tile[TILE_W] * tile[TILE_H] * tile[TILE_OC]
    operands = pixels * tile[TILE_IC] + weights
    return operands <= machine[SCRATCHPAD_HALF_BYTES] and sums <= machine[ACCUMULATOR_HALF_SUMS]


@kernel
def count_convolution(layer, tile, side, counters):
    """Count one group of a convolution, edge tiles at full size."""
    w, h, ic, oc, kw, kh = tile[TILE_W], tile[TILE_H], tile[TILE_IC], tile[TILE_OC], tile[TILE_KW], tile[TILE_KH]
    in_c, out_c = layer[IN_C] // layer[GROUPS], layer[OUT_C] // layer[GROUPS]
    calls = layer[BATCH] * ceil_div(layer[OUT_W], w) * ceil_div(layer[OUT_H], h)
    calls *= ceil_div(in_c, ic) * ceil_div(out_c, oc) * ceil_div(layer[KERNEL_W], kw) * ceil_div(layer[KERNEL_H], kh)
    pixels = covered(layer, tile)
    weight_rows = kw * kh * ic
    counters[CALLS] = calls
    counters[STEPS] = calls * h * row_steps(w, side) * kw * kh * ceil_div(ic, side) * ceil_div(oc, side)
    requests = pixels * ceil_div(ic, REQUEST_BYTES) + weight_rows * ceil_div(oc, REQUEST_BYTES)
    counters[REQUESTS] = calls * requests
    counters[READ] = calls * (pixels * ic + weight_rows * oc)
    counters[WRITE] = layer[BATCH] * layer[OUT_W] * layer[OUT_H] * out_c


@kernel
def call_size(size, tile, side):
    """Return what a call covers along one dimension of a product: whole blocks of the array's side."""
    return min(max(tile // SOFTWARE_BLOCK, 1) * side, ceil_div(size, side) * side)


@kernel
def cut_requests(size, call):
    """Return the requests for a row of ``size`` bytes that is fetched in parts of ``call`` bytes."""
    return size // call * ceil_div(call, REQUEST_BYTES) + ceil_div(size % call, REQUEST_BYTES)


@kernel
def count_product(layer, tile, side, counters):
    """Count one group of a matrix product: rows (all maps of the batch) by input channels by output channels."""
    rows, depth = layer[BATCH] * layer[OUT_W] * layer[OUT_H], layer[IN_C] // layer[GROUPS]
    columns = layer[OUT_C] // layer[GROUPS]
    row_call = call_size(rows, tile[TILE_W] * tile[TILE_H], side)
    depth_call, column_call = call_size(depth, tile[TILE_IC], side), call_size(columns, tile[TILE_OC], side)
    row_calls, column_calls = ceil_div(rows, row_call), ceil_div(columns, column_call)
    counters[CALLS] = row_calls * ceil_div(depth, depth_call) * column_calls
    steps = rows // row_call * row_steps(row_call, side) + row_steps(rows % row_call, side)
    counters[STEPS] = steps * ceil_div(depth, side) * ceil_div(columns, side)
    requests = rows * cut_requests(depth, depth_call) * column_calls
    counters[REQUESTS] = requests + depth * cut_requests(columns, column_call) * row_calls
    counters[READ] = rows * depth * column_calls + depth * columns * row_calls
    counters[WRITE] = rows * columns


@kernel
def count_layer(layer, tile, machine, counters):
    """Count a layer under its tile; ``counters`` is int64[5]. Groups run one after another."""
    if is_convolution(layer):
        count_convolution(layer, tile, machine[SIDE], counters)
    else:
        count_product(layer, tile, machine[SIDE], counters)
    for counter in range(counters.size):
        counters[counter] *= layer[GROUPS]


@kernel
def network_counts(layers, tiles, machine, counters):
    """Count every layer; ``counters`` is int64[n, 5]."""
    for index in range(len(layers)):
        count_layer(layers[index], tiles[index], machine, counters[index])
