"""The search for BitFusion's best mapping: every tiling times every loop order, reduced inside the kernel.

The space is the authors': tiles are powers of two (output channels: times the array's columns) capped at the
layer, one side for width and height, all 120 orders of the five loops; fewest cycles win, then least energy.

Why it is fast. An operand's traffic does not depend on the whole order, only on which loops lie inside the one
that does not index it, and its resident part only on the sequence of those that do. So for a block of tilings
the few possible traffics and resident parts are computed once, and an order is a handful of look-ups, additions
and two rounded divisions, the same for every tiling of the block: a loop the compiler vectorises. Orders that
differ only in loops of one iteration, or in width against height of a square map, are one mapping, tried once.

In ``bounded`` mode a tiling is skipped when even perfect reuse would take more cycles than the best mapping
found, which changes nothing in the answer. Worst case O(tilings x orders) time and O(tilings) memory.

Counts are integers below 2**53 and therefore exact as float64.
"""

import numpy as np

from accel.bitfusion import kernels as bf
from accel.jit import kernel
from mappers.bitfusion.loop_orders import SEQUENCE_IC, SEQUENCE_OC, SQUARE_BIT, START
from mappers.bitfusion.table_kernels import (
    ACT,
    ACT_FIRST,
    ACT_TRAFFIC,
    BLOCK_ROWS,
    COMPUTE,
    ENERGY,
    FOUND_CYCLES,
    FOUND_ENERGY,
    FOUND_ORDER,
    FOUND_ROWS,
    ONE,
    OUT,
    OUT_LAST,
    OUT_TRAFFIC,
    ROUNDS_B,
    ROUNDS_H,
    ROUNDS_IC,
    ROUNDS_OC,
    ROUNDS_W,
    SAVED,
    TABLE_ROWS,
    WGT,
    tabulate_ends,
    tabulate_map,
    tabulate_repeats,
    tabulate_weights,
    try_orders,
)
from mappers.bitfusion.tiling_kernels import (
    AXIS_LENGTH,
    AXIS_ROWS,
    CHARGED,
    HEIGHT,
    PIXELS,
    SIZE,
    T_ACT,
    T_B,
    T_BOUND,
    T_COMPUTE,
    T_IC,
    T_OC,
    T_OUT,
    T_SIDE,
    T_WGT,
    TILES,
    TILES_H,
    TILES_W,
    TILING_ROWS,
    WIDTH,
    fitting_tilings,
    lay_axes,
    tile_sizes,
)

FOUND, NO_TILE_FITS = 0, 1
BLOCK = 128  # tilings tried together: their tables stay in the second-level cache

# Where a block's arrays lie in the scratch memory.
FOUND_FROM = BLOCK_ROWS
REPEATS_FROM = FOUND_FROM + FOUND_ROWS
RESIDENT_FROM = REPEATS_FROM + 8
TABLES_FROM = RESIDENT_FROM + 16
SCRATCH_ROWS = TABLES_FROM + TABLE_ROWS


@kernel
def load_tilings(problem, machine, unit_pj, axes, tilings, first, count, block):
    """Write what the tables are made from for the tilings ``first..first + count - 1``."""
    groups = float(problem[bf.P_GROUPS])
    window = float(problem[bf.P_KERNEL_W] * problem[bf.P_KERNEL_H])
    wgt_bits, act_bits = float(problem[bf.P_WGT_BITS]), float(problem[bf.P_ACT_BITS])
    wgt_pj, act_pj = wgt_bits * unit_pj[bf.WBUF_READ], act_bits * unit_pj[bf.IBUF_READ]
    sums_pj = bf.ACCUMULATOR_BITS * (unit_pj[bf.OBUF_READ] + unit_pj[bf.OBUF_WRITE])
    load_pj, store_pj = unit_pj[bf.DRAM_READ] + unit_pj[bf.OBUF_WRITE], unit_pj[bf.DRAM_WRITE]
    cycle_pj = unit_pj[bf.COMPUTE]
    # Walked output traffic counts once as loads and once as stores, less these shares of it.
    not_loaded = 0.0 if machine[bf.OUTPUT_PRELOAD] else 1.0
    not_stored = 0.0 if machine[bf.WIDE_OUTPUTS] else 1.0 - act_bits / bf.ACCUMULATOR_BITS
    for t in range(count):
        index = first + t
        b, side = int(tilings[T_B, index]), int(tilings[T_SIDE, index])
        ic, oc = int(tilings[T_IC, index]), int(tilings[T_OC, index])
        size_oc = axes[3, SIZE, oc]
        rounds_map = axes[1, TILES, side] * axes[0, TILES, b]
        rounds_ic, rounds_oc = axes[2, TILES, ic], axes[3, TILES, oc]
        pixels = axes[0, SIZE, b] * axes[1, PIXELS, side]
        # With two lanes or more, output stationary is always the cheapest dataflow inside the array.
        volume = window * axes[2, SIZE, ic] * pixels
        array_pj = volume * (size_oc * wgt_pj + axes[3, CHARGED, oc] * act_pj) + size_oc * pixels * sums_pj
        once = groups * tilings[T_OUT, index] * rounds_map * rounds_oc
        energy = tilings[T_COMPUTE, index] * cycle_pj + groups * rounds_map * rounds_ic * rounds_oc * array_pj
        block[COMPUTE, t], block[SAVED, t] = tilings[T_COMPUTE, index], once * (not_loaded + not_stored)
        block[ENERGY, t] = energy - once * (not_loaded * load_pj + not_stored * store_pj)
        block[WGT, t], block[ACT, t] = tilings[T_WGT, index], tilings[T_ACT, index]
        block[OUT, t] = tilings[T_OUT, index]
        block[ROUNDS_B, t], block[ROUNDS_W, t] = axes[0, TILES, b], axes[1, TILES_W, side]
        block[ROUNDS_H, t], block[ROUNDS_IC, t] = axes[1, TILES_H, side], rounds_ic
        block[ROUNDS_OC, t], block[ONE, t] = rounds_oc, 1.0


@kernel
def correct_one_lane(problem, machine, unit_pj, axes, tilings, first, count, block):
    """Charge the dataflow that is cheapest with one lane, instead of output stationary."""
    sums_pj = unit_pj[bf.OBUF_READ] + unit_pj[bf.OBUF_WRITE]
    window = problem[bf.P_KERNEL_W] * problem[bf.P_KERNEL_H]
    for t in range(count):
        index = first + t
        b, side = int(tilings[T_B, index]), int(tilings[T_SIDE, index])
        ic, oc = int(tilings[T_IC, index]), int(tilings[T_OC, index])
        size_oc, size_ic = int(axes[3, SIZE, oc]), int(axes[2, SIZE, ic])
        w, h, images = int(axes[1, WIDTH, side]), int(axes[1, HEIGHT, side]), int(axes[0, SIZE, b])
        wgt, act, sums = bf.array_reads(problem, machine, images, w, h, size_ic, size_oc)
        wgt -= window * size_ic * images * w * h * size_oc * problem[bf.P_WGT_BITS]
        act -= window * size_ic * images * w * h * int(axes[3, CHARGED, oc]) * problem[bf.P_ACT_BITS]
        sums -= size_oc * images * w * h * bf.ACCUMULATOR_BITS
        tiles = (
            problem[bf.P_GROUPS] * axes[0, TILES, b] * axes[1, TILES, side] * axes[2, TILES, ic] * axes[3, TILES, oc]
        )
        block[ENERGY, t] += tiles * (wgt * unit_pj[bf.WBUF_READ] + act * unit_pj[bf.IBUF_READ] + sums * sums_pj)


@kernel
def try_block(problem, machine, unit_pj, axes, tilings, first, last, situation, scratch, best):
    """Try the tilings ``first..last - 1`` (at most BLOCK); keep the best mapping of all in ``best``.

    ``scratch`` is float64[SCRATCH_ROWS, BLOCK]; ``best`` is float64[4]: cycles, energy, tiling, order. Returns
    the number of mappings evaluated.
    """
    block, found = scratch[:BLOCK_ROWS], scratch[FOUND_FROM:REPEATS_FROM]
    repeats, resident = scratch[REPEATS_FROM:RESIDENT_FROM], scratch[RESIDENT_FROM:TABLES_FROM]
    tables = scratch[TABLES_FROM:]
    count = last - first
    load_tilings(problem, machine, unit_pj, axes, tilings, first, count, block)
    if problem[bf.P_LANES] == 1:
        correct_one_lane(problem, machine, unit_pj, axes, tilings, first, count, block)
    for t in range(count):
        found[FOUND_CYCLES, t] = np.inf
        found[FOUND_ENERGY, t] = np.inf
    groups, width = float(problem[bf.P_GROUPS]), float(machine[bf.DRAM_BITS])
    wbuf, ibuf = float(machine[bf.WBUF_HALF_BITS]), float(machine[bf.IBUF_HALF_BITS])
    obuf = float(machine[bf.OBUF_HALF_BITS])
    depthwise = problem[bf.P_DEPTHWISE]
    act_rounds, act_again = (ROUNDS_OC, ONE) if depthwise else (ROUNDS_IC, ROUNDS_OC)
    tabulate_repeats(count, block, repeats)
    tabulate_weights(count, situation, wbuf, groups, block, repeats, tables)
    # np.int64 keeps the compiler from making one copy of a kernel for every constant it is called with.
    tabulate_map(
        count, situation, ibuf, groups, np.int64(ACT), act_rounds, act_again, block, repeats, resident, tables,
        np.int64(ACT_TRAFFIC), np.int64(ACT_FIRST),
    )  # fmt: skip
    tabulate_map(
        count, situation, obuf, groups, np.int64(OUT), np.int64(ROUNDS_OC), np.int64(ROUNDS_IC), block, repeats,
        resident, tables, np.int64(OUT_TRAFFIC), np.int64(OUT_LAST),
    )  # fmt: skip
    preload = 1.0 if machine[bf.OUTPUT_PRELOAD] else 0.0
    stored = 1.0 if machine[bf.WIDE_OUTPUTS] else float(problem[bf.P_ACT_BITS]) / bf.ACCUMULATOR_BITS
    tabulate_ends(count, situation, preload, stored, width, tables)

    prices = np.empty(3)
    prices[0] = unit_pj[bf.DRAM_READ] + unit_pj[bf.WBUF_WRITE]
    prices[1] = unit_pj[bf.DRAM_READ] + unit_pj[bf.IBUF_WRITE]
    prices[2] = unit_pj[bf.DRAM_READ] + unit_pj[bf.DRAM_WRITE] + unit_pj[bf.OBUF_READ] + unit_pj[bf.OBUF_WRITE]
    orders_from, orders_to = START[situation], START[situation + 1]
    act_sequence = SEQUENCE_OC if depthwise else SEQUENCE_IC
    try_orders(
        orders_from, orders_to, act_sequence, count, width, prices,
        block, tables, found[FOUND_CYCLES], found[FOUND_ENERGY], found[FOUND_ORDER],
    )  # fmt: skip
    for t in range(count):
        cycles, energy = found[FOUND_CYCLES, t], found[FOUND_ENERGY, t]
        if cycles < best[0] or (cycles == best[0] and energy < best[1]):
            best[0], best[1] = cycles, energy
            best[2], best[3] = first + t, found[FOUND_ORDER, t]
    return count * (orders_to - orders_from)


@kernel
def exchange(tilings, one, other):
    """Exchange two tilings."""
    for row in range(TILING_ROWS):
        tilings[row, one], tilings[row, other] = tilings[row, other], tilings[row, one]


@kernel
def most_promising_first(tilings, count):
    """Move the tiling with the lowest bound to the front."""
    promising = np.int64(0)
    for index in range(count):
        if tilings[T_BOUND, index] < tilings[T_BOUND, promising]:
            promising = index
    exchange(tilings, np.int64(0), promising)


@kernel
def drop_hopeless(tilings, first, count, cycles):
    """Move those of the tilings ``first..count - 1`` that may still win to the front; return the new count."""
    kept = first
    for index in range(first, count):
        if tilings[T_BOUND, index] <= cycles:
            exchange(tilings, kept, index)
            kept += 1
    return kept


@kernel
def situation_of(problem):
    """Return which loops have one iteration in every tiling and whether maps are square, as START's index."""
    situation = 0
    for loop in range(5):
        if problem[loop] == 1:
            situation |= 1 << loop
    if problem[bf.P_W] == problem[bf.P_H]:
        situation |= 1 << SQUARE_BIT
    return situation


@kernel
def best_mapping(layer, machine, unit_pj, bounded, scratch, tilings, axes, lengths, mapping, tally):
    """Find the best mapping of one layer; return FOUND or NO_TILE_FITS. See ``best_mappings``."""
    problem = np.empty(bf.PROBLEM_COLUMNS, np.int64)
    bf.pose(layer, machine, problem)
    lay_axes(problem, machine, axes, lengths)
    count = fitting_tilings(problem, machine, axes, lengths, tilings)
    if count == 0:
        return NO_TILE_FITS
    situation = situation_of(problem)
    best = np.array((np.inf, np.inf, 0.0, 0.0))
    tally[0] += len(bf.ORDERS) * count
    if bounded:
        most_promising_first(tilings, count)
    first, last = np.int64(0), np.int64(1)
    while first < count:
        tally[1] += try_block(problem, machine, unit_pj, axes, tilings, first, last, situation, scratch, best)
        if bounded and first == 0:
            count = drop_hopeless(tilings, last, count, best[0])
        first, last = last, min(last + BLOCK, count)
    write_mapping(problem, axes, tilings, best, mapping)
    return FOUND


@kernel
def write_mapping(problem, axes, tilings, best, mapping):
    """Write the tile sizes and loop order of the best mapping so far."""
    index = int(best[2])
    side = int(tilings[T_SIDE, index])
    mapping[bf.LOOP_B] = int(axes[0, SIZE, int(tilings[T_B, index])])
    mapping[bf.LOOP_W] = int(axes[1, WIDTH, side])
    mapping[bf.LOOP_H] = int(axes[1, HEIGHT, side])
    mapping[bf.LOOP_IC] = int(axes[2, SIZE, int(tilings[T_IC, index])])
    mapping[bf.LOOP_OC] = int(axes[3, SIZE, int(tilings[T_OC, index])])
    mapping[bf.ORDER] = int(best[3])


@kernel
def best_mappings(layers, machines, machine_of, unit_pj, bounded, mappings, status, tally):
    """Find the best mapping of every layer; the layers may run on different machines.

    Contract
    --------
    layers     : int64[n, 15]  as ``workloads.layers.COLUMNS``
    machines   : int64[m, MACHINE_COLUMNS], machine_of : int64[n]
    unit_pj    : float64[m, 9]  energy of one unit of each counter
    bounded    : bool  skip tilings that cannot win
    mappings   : int64[n, MAPPING_COLUMNS]  written
    status     : int64[n]  written: FOUND or NO_TILE_FITS
    tally      : int64[2]  added to: mappings of the space that fit the buffers, and mappings evaluated
    """
    problem = np.empty(bf.PROBLEM_COLUMNS, np.int64)
    sizes = np.empty(AXIS_LENGTH, np.int64)
    capacity = 0
    for index in range(layers.shape[0]):
        machine = machines[machine_of[index]]
        bf.pose(layers[index], machine, problem)
        tilings_here = tile_sizes(problem[bf.P_B], 1, sizes)
        tilings_here *= tile_sizes(max(problem[bf.P_W], problem[bf.P_H]), 1, sizes)
        tilings_here *= tile_sizes(problem[bf.P_IC], 1, sizes) * tile_sizes(problem[bf.P_OC], 1, sizes)
        capacity = max(capacity, tilings_here)
    tilings = np.empty((TILING_ROWS, capacity))
    scratch = np.empty((SCRATCH_ROWS, BLOCK))
    axes = np.empty((4, AXIS_ROWS, AXIS_LENGTH))
    lengths = np.empty(4, np.int64)
    for index in range(layers.shape[0]):
        machine = machine_of[index]
        status[index] = best_mapping(
            layers[index], machines[machine], unit_pj[machine], bounded, scratch, tilings, axes, lengths,
            mappings[index], tally,
        )  # fmt: skip
