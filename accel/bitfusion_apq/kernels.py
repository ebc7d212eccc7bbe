"""The cost of one layer under one mapping, by the rules that explain APQ's table of BitFusion.

Source: fitted to the table that Wang et al., CVPR 2020, publish; the code behind it is not public. It differs from
the BitFusion authors' simulator (``accel.bitfusion``) in these points:

- A tile is fetched, stored and charged at its own size. What has to fit half a buffer is the tile padded to the
  array, with operands stored at 2, 4 or 8 bits.
- Time is the longer of computing, with the first fetch before it and the last store behind it, and of the DRAM
  port, whose reads and writes are rounded to whole cycles apart.
- A depthwise layer takes its channels 8 at a time (times the products a fusion unit does at once), each group as an
  ordinary convolution over as many input and output channels; the last group is charged in full.
- Inputs are read once for a row of the array. Of input-, output- and weight-stationary inner loops the one that
  takes the least buffer energy is charged.
"""

import numpy as np

from accel.arithmetic import ceil_div
from accel.bitfusion.kernels import (
    ACCUMULATOR_BITS,
    BRICK_BITS,
    COMPUTE,
    COUNTERS,
    DEPTHWISE_KIND,
    DRAM_READ,
    DRAM_WRITE,
    IBUF_READ,
    IBUF_WRITE,
    LOOP_IC,
    LOOP_OC,
    MAPPING_COLUMNS,
    OBUF_READ,
    OBUF_WRITE,
    ORDER,
    ORDERS,
    STALL,
    WBUF_READ,
    WBUF_WRITE,
    macs_per_unit,
)
from accel.jit import kernel
from workloads.layers import (
    ACT_BITS,
    BATCH,
    DILATION,
    GROUPS,
    IN_C,
    KERNEL_H,
    KERNEL_W,
    KIND,
    OUT_C,
    OUT_H,
    OUT_W,
    READS_INPUT,
    STRIDE,
    WGT_BITS,
)

__all__ = ["COUNTERS", "MAPPING_COLUMNS", "ORDERS"]

# Columns of a machine's row.
ROWS, UNITS_COLUMNS, WBUF_HALF_BITS, IBUF_HALF_BITS, OBUF_HALF_BITS, DRAM_BITS = range(6)

DEPTHWISE_CHANNELS = 8  # that a group of a depthwise layer has at 8 x 8 bits

# A layer as one group of it meets the machine.
P_B, P_W, P_H, P_IC, P_OC = range(5)  # sizes of the five loops
P_KERNEL_W, P_KERNEL_H, P_STRIDE, P_ACT_BITS, P_WGT_BITS, P_GROUPS, P_IM2COL, P_LANES = range(5, 13)
P_REACH_W, P_REACH_H = range(13, 15)  # what a window covers of the map
PROBLEM_COLUMNS = 15

# Where a tile's bits stand: as charged, then as they fill a buffer.
WEIGHTS, ACTIVATIONS, OUTPUTS, FILL = 0, 1, 2, 3


@kernel
def stored_bits(bits):
    """Return the width an operand is stored at: the narrowest of 2, 4 and 8 bits."""
    width = BRICK_BITS
    while width < bits:
        width *= 2
    return width


@kernel
def pose(layer, machine, problem):
    """Write one group of a layer into ``problem`` (int64[PROBLEM_COLUMNS])."""
    products = macs_per_unit(layer[ACT_BITS], layer[WGT_BITS])
    problem[P_B], problem[P_W], problem[P_H] = layer[BATCH], layer[OUT_W], layer[OUT_H]
    problem[P_KERNEL_W], problem[P_KERNEL_H], problem[P_STRIDE] = layer[KERNEL_W], layer[KERNEL_H], layer[STRIDE]
    problem[P_REACH_W] = (layer[KERNEL_W] - 1) * layer[DILATION] + 1
    problem[P_REACH_H] = (layer[KERNEL_H] - 1) * layer[DILATION] + 1
    problem[P_ACT_BITS], problem[P_WGT_BITS] = layer[ACT_BITS], layer[WGT_BITS]
    problem[P_IM2COL], problem[P_LANES] = layer[READS_INPUT], machine[ROWS] * products
    if layer[KIND] == DEPTHWISE_KIND:
        channels = DEPTHWISE_CHANNELS * products
        problem[P_IC], problem[P_OC], problem[P_GROUPS] = channels, channels, ceil_div(layer[IN_C], channels)
    else:
        groups = layer[GROUPS]
        problem[P_IC], problem[P_OC], problem[P_GROUPS] = layer[IN_C] // groups, layer[OUT_C] // groups, groups


@kernel
def reduction_steps(problem, channels):
    """Return the cycles one output takes to add up some input channels of its window."""
    window = problem[P_KERNEL_W] * problem[P_KERNEL_H]
    if problem[P_IM2COL]:
        return ceil_div(window * channels, problem[P_LANES])
    return window * ceil_div(channels, problem[P_LANES])


@kernel
def tile_bits(problem, machine, mapping, bits):
    """Write what a tile takes [bits]: int64[6], its three operands as charged and as they fill a buffer."""
    b, w, h, ic, oc = mapping[0], mapping[1], mapping[2], mapping[3], mapping[4]
    window, stride = problem[P_KERNEL_W] * problem[P_KERNEL_H], problem[P_STRIDE]
    lanes, columns = problem[P_LANES], machine[UNITS_COLUMNS]
    padded_ic, padded_oc = ceil_div(ic, lanes) * lanes, ceil_div(oc, columns) * columns
    if problem[P_IM2COL]:
        pixels = b * w * h * window
    else:
        pixels = b * (problem[P_REACH_W] + (w - 1) * stride) * (problem[P_REACH_H] + (h - 1) * stride)
    bits[WEIGHTS] = window * ic * oc * problem[P_WGT_BITS]
    bits[ACTIVATIONS] = pixels * ic * problem[P_ACT_BITS]
    bits[OUTPUTS] = b * w * h * oc * ACCUMULATOR_BITS
    bits[FILL + WEIGHTS] = window * padded_ic * padded_oc * stored_bits(problem[P_WGT_BITS])
    bits[FILL + ACTIVATIONS] = pixels * padded_ic * stored_bits(problem[P_ACT_BITS])
    bits[FILL + OUTPUTS] = b * w * h * padded_oc * ACCUMULATOR_BITS


@kernel
def tile_fits(machine, bits):
    """Return whether a tile fits half of every buffer."""
    for operand in range(3):
        if bits[FILL + operand] > machine[WBUF_HALF_BITS + operand]:
            return False
    return True


@kernel
def indexes(operand, loop):
    """Return whether a loop moves to another part of an operand."""
    if operand == WEIGHTS:
        return loop >= LOOP_IC
    return loop != (LOOP_OC if operand == ACTIVATIONS else LOOP_IC)


@kernel
def operand_traffic(problem, machine, mapping, bits, operand):
    """Return the bits of one operand that cross the DRAM port one way, and the largest part held at once.

    Loops are walked from the innermost. While what a loop runs over still fits half the buffer it is fetched once
    and kept; an operand that is kept does not notice loops that do not index it.
    """
    total, held, fill, kept = bits[operand], bits[operand], bits[FILL + operand], True
    for place in range(4, -1, -1):
        loop = ORDERS[mapping[ORDER], place]
        steps = ceil_div(problem[loop], mapping[loop])
        if not kept:
            total *= steps
        elif indexes(operand, loop):
            total *= steps
            fill *= steps
            kept = fill <= machine[WBUF_HALF_BITS + operand]
            if kept:
                held = total
    return total, held


@kernel
def count_compute(problem, machine, mapping):
    """Return the cycles the array computes in one group, edge tiles at full size, and the number of tiles."""
    tiles = 1
    for loop in range(5):
        tiles *= ceil_div(problem[loop], mapping[loop])
    pixels = mapping[0] * mapping[1] * mapping[2]
    passes = ceil_div(mapping[LOOP_OC], machine[UNITS_COLUMNS])
    return tiles * pixels * passes * reduction_steps(problem, mapping[LOOP_IC]), tiles


@kernel
def count_buffers(problem, machine, mapping, tiles, unit_pj, counters):
    """Write the buffer reads and writes [bits] of the inner loops with the least energy."""
    pixels, ic, oc = mapping[0] * mapping[1] * mapping[2], mapping[LOOP_IC], mapping[LOOP_OC]
    window = problem[P_KERNEL_W] * problem[P_KERNEL_H]
    column_passes = ceil_div(oc, machine[UNITS_COLUMNS])
    steps = reduction_steps(problem, ic)
    inputs = tiles * pixels * window * ic * problem[P_ACT_BITS]
    weights = tiles * window * ic * oc * problem[P_WGT_BITS]
    outputs = tiles * pixels * oc * ACCUMULATOR_BITS
    least = np.inf
    for stationary in range(3):  # inputs, outputs, weights
        ibuf = inputs if stationary == 0 else inputs * column_passes
        wbuf = weights if stationary == 2 else weights * pixels
        sums = 1 if stationary == 1 else steps  # how often an output is written
        energy = ibuf * unit_pj[IBUF_READ] + wbuf * unit_pj[WBUF_READ]
        energy += outputs * (sums * unit_pj[OBUF_WRITE] + (sums - 1) * unit_pj[OBUF_READ])
        if energy < least:
            least = energy
            counters[IBUF_READ], counters[WBUF_READ] = ibuf, wbuf
            counters[OBUF_WRITE], counters[OBUF_READ] = outputs * sums, outputs * (sums - 1)


@kernel
def count_mapping(problem, machine, mapping, bits, unit_pj, counters):
    """Write one group's counters (int64[10]) under one mapping; return its energy [pJ]."""
    width = machine[DRAM_BITS]
    weights, weights_held = operand_traffic(problem, machine, mapping, bits, WEIGHTS)
    inputs, inputs_held = operand_traffic(problem, machine, mapping, bits, ACTIVATIONS)
    outputs, outputs_held = operand_traffic(problem, machine, mapping, bits, OUTPUTS)
    compute, tiles = count_compute(problem, machine, mapping)
    first = ceil_div(weights_held + inputs_held + outputs_held, width)
    busy = compute + first + ceil_div(outputs_held, width)
    reads = weights + inputs + outputs
    cycles = max(busy, ceil_div(reads, width) + ceil_div(outputs, width))
    count_buffers(problem, machine, mapping, tiles, unit_pj, counters)
    counters[COMPUTE], counters[STALL] = compute, cycles - compute
    counters[WBUF_WRITE], counters[IBUF_WRITE] = weights, inputs
    counters[OBUF_WRITE] += outputs
    counters[OBUF_READ] += outputs
    counters[DRAM_READ], counters[DRAM_WRITE] = reads, outputs
    energy = 0.0
    for counter in range(counters.size):
        energy += counters[counter] * unit_pj[counter]
    return energy


@kernel
def network_cost(layers, machine, mappings, unit_pj, counters):
    """Count every layer under its mapping; ``counters`` is int64[n, 10]."""
    problem, bits = np.zeros(PROBLEM_COLUMNS, np.int64), np.zeros(6, np.int64)
    for index in range(len(layers)):
        pose(layers[index], machine, problem)
        tile_bits(problem, machine, mappings[index], bits)
        count_mapping(problem, machine, mappings[index], bits, unit_pj, counters[index])
        for counter in range(counters.shape[1]):
            counters[index, counter] *= problem[P_GROUPS]
