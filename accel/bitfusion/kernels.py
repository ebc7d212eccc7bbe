"""BitFusion's cost of one layer under one mapping, in closed form.

Source: the authors' open simulator (hsharma35/bitfusion), which is an analytical model: compute cycles of a
systolic array without fill and drain, DRAM traffic from the reuse a loop order allows, stalls from bandwidth.

Sextant's extensions leave the published cases unchanged: maps that are not square share one tile side; the
groups of a grouped layer run one after another; a depthwise layer lays its channels along the columns, each
column reading its own input; operands of 9 to 16 bits take two passes each.
"""

from itertools import permutations

import numpy as np

from accel.arithmetic import ceil_div
from accel.jit import kernel, lean_kernel
from workloads.layers import (
    ACT_BITS,
    BATCH,
    DILATION,
    GROUPS,
    IN_C,
    KERNEL_H,
    KERNEL_W,
    KIND,
    KINDS,
    OUT_C,
    OUT_H,
    OUT_W,
    READS_INPUT,
    STRIDE,
    WGT_BITS,
)

DEPTHWISE_KIND = KINDS.index("depthwise")

# Columns of a machine's row.
ROWS, UNITS_COLUMNS, WBUF_HALF_BITS, IBUF_HALF_BITS, OBUF_HALF_BITS, DRAM_BITS = range(6)
WIDE_OUTPUTS, OUTPUT_PRELOAD, FULL_EDGE_TILES, UNSHARED_INPUT_READS = range(6, 10)
DRAM_CHANNELS, BURST_BITS = range(10, 12)
MACHINE_COLUMNS = 12

# The five tiled loops. A mapping's row holds their tile sizes, then the index of the loop order.
LOOPS = ("b", "w", "h", "ic", "oc")
LOOP_B, LOOP_W, LOOP_H, LOOP_IC, LOOP_OC = range(5)
# Which loops index an operand; a depthwise layer's activations have the channels of its outputs.
OF_WEIGHTS = np.array((False, False, False, True, True))
OF_ACTIVATIONS = np.array((True, True, True, True, False))
OF_OUTPUTS = np.array((True, True, True, False, True))
ORDER = 5
MAPPING_COLUMNS = 6
ORDERS = np.array(list(permutations(range(5))), dtype=np.int64)  # outermost loop first

COUNTERS = (
    "compute_cycles", "wbuf_read_bits", "wbuf_write_bits", "ibuf_read_bits", "ibuf_write_bits",
    "obuf_read_bits", "obuf_write_bits", "dram_read_bits", "dram_write_bits", "stall_cycles",
)  # fmt: skip
COMPUTE, WBUF_READ, WBUF_WRITE, IBUF_READ, IBUF_WRITE = range(5)
OBUF_READ, OBUF_WRITE, DRAM_READ, DRAM_WRITE, STALL = range(5, 10)

ACCUMULATOR_BITS = 32
BRICK_BITS = 2
FUSION_UNIT_BITS = 8
WIDEST_BITS = 16

# A layer as one group of it meets a machine: what every function below reads.
P_B, P_W, P_H, P_IC, P_OC = range(5)  # sizes of the five loops, in the order of LOOPS
P_KERNEL_W, P_KERNEL_H, P_STRIDE, P_ACT_BITS, P_WGT_BITS = range(5, 10)
P_GROUPS, P_DEPTHWISE, P_IM2COL, P_LANES, P_PASSES = range(10, 15)
P_REACH_W, P_REACH_H = range(15, 17)  # what a window covers of the map
PROBLEM_COLUMNS = 17


@kernel
def macs_per_unit(act_bits, wgt_bits):
    """Multiply-accumulates of one fusion unit in one cycle: 16 bricks compose products of 2, 4 or 8 bits."""
    act = FUSION_UNIT_BITS // min(max(act_bits, BRICK_BITS), FUSION_UNIT_BITS)
    wgt = FUSION_UNIT_BITS // min(max(wgt_bits, BRICK_BITS), FUSION_UNIT_BITS)
    return act * wgt


@kernel
def operand_passes(bits):
    """Return how often the array takes an operand: once for every 8 bits of it."""
    return ceil_div(bits, FUSION_UNIT_BITS)


@kernel
def pose(layer, machine, problem):
    """Write one group of a layer on a machine into ``problem`` (int64[PROBLEM_COLUMNS])."""
    depthwise = layer[KIND] == DEPTHWISE_KIND
    problem[P_B], problem[P_W], problem[P_H] = layer[BATCH], layer[OUT_W], layer[OUT_H]
    problem[P_IC] = layer[IN_C] // layer[GROUPS]
    problem[P_OC] = layer[OUT_C] if depthwise else layer[OUT_C] // layer[GROUPS]
    problem[P_KERNEL_W], problem[P_KERNEL_H], problem[P_STRIDE] = (
        layer[KERNEL_W],
        layer[KERNEL_H],
        layer[STRIDE],
    )
    problem[P_REACH_W] = (layer[KERNEL_W] - 1) * layer[DILATION] + 1
    problem[P_REACH_H] = (layer[KERNEL_H] - 1) * layer[DILATION] + 1
    problem[P_ACT_BITS], problem[P_WGT_BITS] = layer[ACT_BITS], layer[WGT_BITS]
    problem[P_GROUPS] = 1 if depthwise else layer[GROUPS]
    problem[P_DEPTHWISE] = depthwise
    problem[P_IM2COL] = layer[READS_INPUT]
    problem[P_LANES] = machine[ROWS] * macs_per_unit(layer[ACT_BITS], layer[WGT_BITS])
    problem[P_PASSES] = operand_passes(layer[ACT_BITS]) * operand_passes(layer[WGT_BITS])


@kernel
def footprints(problem, machine, b, w, h, ic, oc):
    """Bits a tile occupies: weights, activations, outputs (as accumulators)."""
    window, stride = problem[P_KERNEL_W] * problem[P_KERNEL_H], problem[P_STRIDE]
    channels = oc if problem[P_DEPTHWISE] else ic
    weights = ceil_div(window * ic, problem[P_LANES]) * problem[P_LANES] * oc * problem[P_WGT_BITS]
    if problem[P_IM2COL]:
        pixels = w * h * window
    else:
        pixels = (problem[P_REACH_W] + (w - 1) * stride) * (problem[P_REACH_H] + (h - 1) * stride)
    activations = pixels * channels * b * problem[P_ACT_BITS]
    columns = machine[UNITS_COLUMNS]
    outputs = w * h * ceil_div(oc, columns) * columns * b * ACCUMULATOR_BITS
    return weights, activations, outputs


@kernel
def reduction_steps(problem, ic):
    """Cycles one output takes to add up ``ic`` input channels of its window."""
    window = problem[P_KERNEL_W] * problem[P_KERNEL_H]
    if problem[P_IM2COL]:
        return ceil_div(window * ic, problem[P_LANES])
    return window * ceil_div(ic, problem[P_LANES])


@kernel
def compute_cycles(problem, machine, b, w, h, ic, oc):
    """Cycles the array computes in one group of the layer."""
    size_b, size_w, size_h, size_ic, size_oc = (
        problem[P_B],
        problem[P_W],
        problem[P_H],
        problem[P_IC],
        problem[P_OC],
    )
    columns = machine[UNITS_COLUMNS]
    if machine[FULL_EDGE_TILES]:
        tiles = ceil_div(size_b, b) * ceil_div(size_w, w) * ceil_div(size_h, h)
        tiles *= ceil_div(size_ic, ic) * ceil_div(size_oc, oc)
        return problem[P_PASSES] * tiles * b * w * h * ceil_div(oc, columns) * reduction_steps(problem, ic)
    reduction = size_ic // ic * reduction_steps(problem, ic)
    if size_ic % ic:
        reduction += reduction_steps(problem, size_ic % ic)
    outputs = size_oc // oc * ceil_div(oc, columns) + ceil_div(size_oc % oc, columns)
    return problem[P_PASSES] * size_b * size_w * size_h * outputs * reduction


@kernel
def array_reads(problem, machine, b, w, h, ic, oc):
    """Bits the array reads in one tile: weights, activations, and accumulators (read and written).

    The cheapest of input, output and weight stationary is chosen on dimensions padded to the array and
    charged on the tile's own.
    """
    window = problem[P_KERNEL_W] * problem[P_KERNEL_H]
    lanes, columns = problem[P_LANES], machine[UNITS_COLUMNS]
    act_bits, wgt_bits = problem[P_ACT_BITS], problem[P_WGT_BITS]
    pixels = b * w * h
    padded_oc = ceil_div(oc, columns) * columns
    if problem[P_IM2COL]:
        padded_depth = ceil_div(window * ic, lanes) * lanes
    else:
        padded_depth = window * ceil_div(ic, lanes) * lanes
    padded_shared = padded_oc if machine[UNSHARED_INPUT_READS] else padded_oc // columns
    shared = oc if machine[UNSHARED_INPUT_READS] else ceil_div(oc, columns)
    depth = window * ic

    volume = padded_depth * pixels
    input_stationary = volume * (act_bits + padded_oc * wgt_bits + 2 * padded_oc * ACCUMULATOR_BITS)
    output_stationary = volume * (padded_shared * act_bits + padded_oc * wgt_bits)
    output_stationary += 2 * padded_oc * pixels * ACCUMULATOR_BITS
    weight_stationary = volume * (padded_shared * act_bits + 2 * padded_oc * ACCUMULATOR_BITS)
    weight_stationary += padded_depth * padded_oc * wgt_bits

    volume = depth * pixels
    if output_stationary <= input_stationary and output_stationary <= weight_stationary:
        return volume * oc * wgt_bits, volume * shared * act_bits, oc * pixels * ACCUMULATOR_BITS
    if input_stationary <= weight_stationary:
        return volume * oc * wgt_bits, volume * act_bits, volume * oc * ACCUMULATOR_BITS
    return depth * oc * wgt_bits, volume * shared * act_bits, volume * oc * ACCUMULATOR_BITS


@kernel
def walk(footprint, half_bits, indexed, tiles, order):
    """Traffic of one operand [bits], and the largest part of it that stays resident.

    From the innermost loop outwards: a loop that indexes the operand multiplies what has to be on chip until
    half the buffer no longer holds it; from there on every loop multiplies the traffic.
    """
    resident = True
    largest = footprint
    traffic = footprint
    for place in range(4, -1, -1):
        loop = order[place]
        if not resident:
            traffic *= tiles[loop]
        elif indexed[loop]:
            traffic *= tiles[loop]
            if traffic > half_bits:
                resident = False
            else:
                largest = traffic
    return traffic, largest


@kernel
def layer_cost(layer, machine, mapping, counters):
    """Count one layer under one mapping.

    Contract
    --------
    layer    : int64[16]  as ``workloads.layers.COLUMNS``
    machine  : int64[MACHINE_COLUMNS]
    mapping  : int64[MAPPING_COLUMNS]  tiles that fit half the buffers, and an index into ORDERS
    counters : int64[10]  written, as ``COUNTERS``
    """
    count_layer(layer, machine, mapping, np.empty(PROBLEM_COLUMNS, np.int64), np.empty(5, np.int64), counters)


@lean_kernel
def count_layer(layer, machine, mapping, problem, tiles, counters):
    """``layer_cost`` with scratch for the problem and the tiles of its five loops."""
    pose(layer, machine, problem)
    b, w, h, ic, oc = mapping[LOOP_B], mapping[LOOP_W], mapping[LOOP_H], mapping[LOOP_IC], mapping[LOOP_OC]
    for loop in range(5):
        tiles[loop] = ceil_div(problem[loop], mapping[loop])
    order = ORDERS[mapping[ORDER]]
    of_activations = OF_OUTPUTS if problem[P_DEPTHWISE] else OF_ACTIVATIONS
    tile_wgt, tile_act, tile_out = footprints(problem, machine, b, w, h, ic, oc)
    wgt, wgt_first = walk(tile_wgt, machine[WBUF_HALF_BITS], OF_WEIGHTS, tiles, order)
    act, act_first = walk(tile_act, machine[IBUF_HALF_BITS], of_activations, tiles, order)
    sums, out_first = walk(tile_out, machine[OBUF_HALF_BITS], OF_OUTPUTS, tiles, order)

    once = tile_out * tiles[LOOP_B] * tiles[LOOP_W] * tiles[LOOP_H] * tiles[LOOP_OC]
    loads, stores, last = sums, sums, out_first
    if not machine[OUTPUT_PRELOAD]:
        loads, out_first = sums - once, 0
    if not machine[WIDE_OUTPUTS]:
        stores -= once - once * problem[P_ACT_BITS] // ACCUMULATOR_BITS
        last = last * problem[P_ACT_BITS] // ACCUMULATOR_BITS

    groups = problem[P_GROUPS]
    compute = groups * compute_cycles(problem, machine, b, w, h, ic, oc)
    first = wgt_first + act_first + out_first
    middle = groups * (wgt + act + loads + stores) - first - last
    width = machine[DRAM_BITS]
    stall = max(0, ceil_div(middle, width) - compute) + ceil_div(first, width) + ceil_div(last, width)

    wgt_reads, act_reads, accumulations = array_reads(problem, machine, b, w, h, ic, oc)
    count = groups * tiles[0] * tiles[1] * tiles[2] * tiles[3] * tiles[4]
    counters[COMPUTE] = compute
    counters[STALL] = stall
    counters[WBUF_READ] = count * wgt_reads
    counters[WBUF_WRITE] = groups * wgt
    counters[IBUF_READ] = count * act_reads
    counters[IBUF_WRITE] = groups * act
    counters[OBUF_READ] = count * accumulations + groups * sums
    counters[OBUF_WRITE] = count * accumulations + groups * loads
    counters[DRAM_READ] = groups * (wgt + act + loads)
    counters[DRAM_WRITE] = groups * stores


@kernel
def network_cost(layers, machines, machine_of, mappings, counters):
    """Count every layer under its mapping; the layers may run on different machines.

    Contract
    --------
    layers     : int64[n, 16]
    machines   : int64[m, MACHINE_COLUMNS]
    machine_of : int64[n]  row of ``machines`` each layer runs on
    mappings   : int64[n, MAPPING_COLUMNS]
    counters   : int64[n, 10]  written
    """
    problem, tiles = np.empty(PROBLEM_COLUMNS, np.int64), np.empty(5, np.int64)
    for index in range(layers.shape[0]):
        machine = machines[machine_of[index]]
        count_layer(layers[index], machine, mappings[index], problem, tiles, counters[index])


@kernel
def oversize(layers, machines, machine_of, mappings, excess):
    """Write by how many bits every layer's tile exceeds half of each buffer, 0 where it fits.

    Contract
    --------
    excess : int64[n, 3]  written: of the weight, input and output buffer
    """
    problem = np.empty(PROBLEM_COLUMNS, np.int64)
    for index in range(layers.shape[0]):
        machine, mapping = machines[machine_of[index]], mappings[index]
        pose(layers[index], machine, problem)
        b, w, h, ic, oc = mapping[LOOP_B], mapping[LOOP_W], mapping[LOOP_H], mapping[LOOP_IC], mapping[LOOP_OC]
        weights, activations, sums = footprints(problem, machine, b, w, h, ic, oc)
        excess[index, 0] = max(0, weights - machine[WBUF_HALF_BITS])
        excess[index, 1] = max(0, activations - machine[IBUF_HALF_BITS])
        excess[index, 2] = max(0, sums - machine[OBUF_HALF_BITS])


@kernel
def lower_bounds(layers, machines, machine_of, counters, bounds):
    """Write what no mapping can beat: multiplications at full use, traffic at full bandwidth.

    Contract
    --------
    counters : int64[n, 10]  of ``network_cost``
    bounds   : int64[n, 5]  written: multiply-accumulates, compute cycles, DRAM cycles, bytes read, bytes written
    """
    problem = np.empty(PROBLEM_COLUMNS, np.int64)
    for index in range(layers.shape[0]):
        machine = machines[machine_of[index]]
        pose(layers[index], machine, problem)
        window = problem[P_KERNEL_W] * problem[P_KERNEL_H] * problem[P_IC]
        macs = problem[P_GROUPS] * problem[P_B] * problem[P_W] * problem[P_H] * problem[P_OC] * window
        read, written = counters[index, DRAM_READ], counters[index, DRAM_WRITE]
        bounds[index, 0] = macs
        bounds[index, 1] = ceil_div(macs * problem[P_PASSES], problem[P_LANES] * machine[UNITS_COLUMNS])
        bounds[index, 2] = ceil_div(read + written, machine[DRAM_BITS])
        bounds[index, 3] = ceil_div(read, 8)
        bounds[index, 4] = ceil_div(written, 8)
