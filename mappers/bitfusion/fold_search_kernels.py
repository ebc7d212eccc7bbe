"""The mapping of a layer that takes BitFusion the fewest cycles when it is simulated, in the authors' search space.

Tiles are powers of two (output channels: times the columns) capped at the layer, width and height share one; every loop
order is tried. A bound that no mapping can beat is found for all of them; only those whose bound is below the best
cycles so far are counted. The answer is the best of the space.
"""

import numpy as np

from accel.arithmetic import ceil_div
from accel.bitfusion.block_kernels import (
    ACTIVATIONS,
    B_COUNT,
    B_FOLD,
    B_LAST,
    B_OUT_BITS,
    B_PLACE,
    B_REGION,
    BLOCK_COLUMNS,
    OF_SUMS,
    OF_WEIGHTS,
    PLACES,
    SUMS,
    WEIGHTS,
    activations_follow,
    array_columns,
    array_steps,
    bursts_read,
    bursts_written,
    lay_block,
)
from accel.bitfusion.cycle_kernels import count_block, transfer_cycles
from accel.bitfusion.instruction_kernels import LAYER_COUNTERS
from accel.bitfusion.kernels import (
    ACCUMULATOR_BITS,
    BURST_BITS,
    COMPUTE,
    DRAM_BITS,
    IBUF_HALF_BITS,
    LOOP_B,
    LOOP_H,
    LOOP_IC,
    LOOP_OC,
    LOOP_W,
    MAPPING_COLUMNS,
    OBUF_HALF_BITS,
    ORDER,
    ORDERS,
    P_ACT_BITS,
    P_DEPTHWISE,
    P_GROUPS,
    P_IM2COL,
    P_KERNEL_H,
    P_KERNEL_W,
    P_REACH_H,
    P_REACH_W,
    P_STRIDE,
    P_WGT_BITS,
    PROBLEM_COLUMNS,
    ROWS,
    STALL,
    UNITS_COLUMNS,
    WBUF_HALF_BITS,
    footprints,
    pose,
)
from accel.jit import kernel, lean_kernel

MOST_SIZES = 24  # a dimension of 2**20 has 21 tile sizes


@lean_kernel
def tile_size(size, unit, step):
    """Return the tile size of a step of its axis, and whether it is the last: it covers the size."""
    tile = unit << step
    return (size, True) if tile >= size else (tile, False)


@lean_kernel
def stands_for_its_like(problem, mapping):
    """Say whether an order is the one tried of all that differ only in where loops of one iteration stand."""
    order = ORDERS[mapping[ORDER]]
    before = -1
    for place in range(5):
        loop = order[place]
        if mapping[loop] >= problem[loop]:
            if loop < before:
                return False
            before = loop
        else:
            before = 5  # a loop of one iteration must not come any more
    return True


@lean_kernel
def reloads(block, operand, indexed):
    """Return how often every part of an operand is brought, or stored."""
    times = 1
    for loop in range(5):
        place = block[B_PLACE + loop]
        if not indexed >> loop & 1 and place < block[B_REGION + operand]:
            times *= block[B_COUNT + place]
    return times


@lean_kernel
def covered(block, loop, reach):
    """Return the input pixels under the windows of all folds along a side."""
    count, stride = block[B_COUNT + block[B_PLACE + loop]], min(block[P_STRIDE], reach)
    outputs = (count - 1) * block[B_FOLD + loop] + block[B_LAST + loop]
    return count * reach + (outputs - count) * stride


@lean_kernel
def bits_moved(block):
    """Return the bits a block reads and writes, without what fills bursts."""
    window = block[P_KERNEL_W] * block[P_KERNEL_H]
    weights = window * block[LOOP_IC] * block[LOOP_OC] * block[P_WGT_BITS] * reloads(block, WEIGHTS, OF_WEIGHTS)
    if block[P_IM2COL]:
        pixels = window * block[LOOP_W] * block[LOOP_H]
    else:
        pixels = covered(block, LOOP_W, block[P_REACH_W]) * covered(block, LOOP_H, block[P_REACH_H])
    channels = block[LOOP_OC] if block[P_DEPTHWISE] else block[LOOP_IC]
    activations = pixels * block[LOOP_B] * channels * block[P_ACT_BITS]
    activations *= reloads(block, ACTIVATIONS, activations_follow(block))
    outputs = block[LOOP_B] * block[LOOP_W] * block[LOOP_H] * block[LOOP_OC]
    spilled = (reloads(block, SUMS, OF_SUMS) - 1) * outputs * ACCUMULATOR_BITS
    return block[P_GROUPS] * (weights + activations + 2 * spilled + outputs * block[B_OUT_BITS])


@lean_kernel
def fewest_cycles(block, machine, index):
    """Return cycles the block cannot beat: the array without waiting, or the port without a pause."""
    vectors = block[LOOP_B] * block[LOOP_W] * block[LOOP_H]
    vectors *= array_columns(block, block[LOOP_OC]) * array_steps(block, block[LOOP_IC])
    folds, weights_change = 1, 1
    for place in range(PLACES):
        folds *= block[B_COUNT + place]
        if place == 0 or place == block[B_PLACE + LOOP_IC] or place == block[B_PLACE + LOOP_OC]:
            if block[B_COUNT + place] > 1:
                weights_change = folds
    array = block[P_GROUPS] * vectors + folds * (machine[ROWS] + machine[UNITS_COLUMNS] - 2)
    array += weights_change * machine[ROWS]
    index[:] = 0
    array += transfer_cycles(bursts_read(block, index, machine[BURST_BITS]), machine)
    for place in range(PLACES):
        index[place] = block[B_COUNT + place] - 1
    array += transfer_cycles(bursts_written(block, index, machine[BURST_BITS]), machine)
    return max(array, ceil_div(bits_moved(block), machine[DRAM_BITS]))


@kernel
def try_tiling(layer, machine, out_bits, problem, counting, cycles, tally, tried, best, scratch):
    """Try every order of the tiling in ``tried``; keep one with a bound, or if counting cycles, below ``cycles``.

    Returns that bound, or those cycles.
    """
    block, index, counters = scratch
    found = cycles
    for order in range(len(ORDERS)):
        tried[ORDER] = order
        if not stands_for_its_like(problem, tried):
            continue
        lay_block(layer, machine, tried, out_bits, block)
        bound = fewest_cycles(block, machine, index)
        tally[0] += 1
        if bound >= found:
            continue
        if counting:
            tally[1] += 1
            counters[:] = 0
            count_block(block, machine, counters)
            bound = counters[COMPUTE] + counters[STALL]
            if bound >= found:
                continue
        found = bound
        best[:] = tried
    return found


@kernel
def try_all(layer, machine, out_bits, problem, counting, cycles, tally, best, scratch):
    """Try every tiling that fits, as ``try_tiling`` does."""
    tried = np.zeros(MAPPING_COLUMNS, np.int64)
    side = max(problem[LOOP_W], problem[LOOP_H])
    unit = 1 if problem[P_IM2COL] else min(machine[UNITS_COLUMNS], problem[LOOP_OC])
    for step_b in range(MOST_SIZES):
        tried[LOOP_B], last_b = tile_size(problem[LOOP_B], 1, step_b)
        for step_side in range(MOST_SIZES):
            tile, last_side = tile_size(side, 1, step_side)
            tried[LOOP_W], tried[LOOP_H] = min(tile, problem[LOOP_W]), min(tile, problem[LOOP_H])
            for step_ic in range(MOST_SIZES):
                tried[LOOP_IC], last_ic = tile_size(problem[LOOP_IC], 1, step_ic)
                for step_oc in range(MOST_SIZES):
                    tried[LOOP_OC], last_oc = tile_size(problem[LOOP_OC], unit, step_oc)
                    if fits(problem, machine, tried):
                        cycles = try_tiling(
                            layer, machine, out_bits, problem, counting, cycles, tally, tried, best, scratch
                        )
                    if last_oc:
                        break
                if last_ic:
                    break
            if last_side:
                break
        if last_b:
            break
    return cycles


@lean_kernel
def fits(problem, machine, tried):
    """Say whether a tile of every operand fits half of its buffer."""
    b, w, h, ic, oc = tried[LOOP_B], tried[LOOP_W], tried[LOOP_H], tried[LOOP_IC], tried[LOOP_OC]
    weights, activations, sums = footprints(problem, machine, b, w, h, ic, oc)
    wide = weights > machine[WBUF_HALF_BITS] or activations > machine[IBUF_HALF_BITS] or sums > machine[OBUF_HALF_BITS]
    return not wide


@kernel
def best_fold_mappings(layers, machines, machine_of, out_bits, mappings, tally):
    """Replace every layer's mapping by the one with the fewest simulated cycles, if there is one with fewer.

    Contract
    --------
    layers     : int64[n, 16]
    machines   : int64[m, MACHINE_COLUMNS], machine_of : int64[n]
    out_bits   : int64[n]  width at which outputs leave
    mappings   : int64[n, MAPPING_COLUMNS]  mappings that fit; replaced
    tally      : int64[2]  added to: mappings bounded, mappings counted
    """
    scratch = (np.empty(BLOCK_COLUMNS, np.int64), np.empty(PLACES, np.int64), np.empty(len(LAYER_COUNTERS), np.int64))
    problem, promising = np.empty(PROBLEM_COLUMNS, np.int64), np.empty(MAPPING_COLUMNS, np.int64)
    for row in range(layers.shape[0]):
        layer, machine = layers[row], machines[machine_of[row]]
        pose(layer, machine, problem)
        cycles = cycles_of(layer, machine, out_bits[row], mappings[row], scratch)
        promising[:] = mappings[row]
        try_all(layer, machine, out_bits[row], problem, False, cycles, tally, promising, scratch)
        first = cycles_of(layer, machine, out_bits[row], promising, scratch)
        if first < cycles:
            cycles = first
            mappings[row] = promising
        try_all(layer, machine, out_bits[row], problem, True, cycles, tally, mappings[row], scratch)


@kernel
def cycles_of(layer, machine, out_bits, mapping, scratch):
    """Count the cycles of a layer under a mapping."""
    block, _, counters = scratch
    lay_block(layer, machine, mapping, out_bits, block)
    counters[:] = 0
    count_block(block, machine, counters)
    return counters[COMPUTE] + counters[STALL]
