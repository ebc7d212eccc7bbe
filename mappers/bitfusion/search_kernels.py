"""The search for BitFusion's best mapping: tilings times loop orders, reduced inside the kernel, proven best.

A mapping is a tile size for each of the five loops and one of the 120 orders of the loops over tiles. Which level holds
what follows: a tile's weights, inputs and sums each lie in half of their buffer, and an operand whose part of further
loops still fits stays there while they run. Fewest cycles win, then least energy.

The published space has the authors' tiles: powers of two (output channels: times the array's columns) capped at the
layer, one side for width and height. The wide space has also the smallest tile of every number of tiles, with width
and height on their own; the published best is where its search begins, so it is never worse.

Branch and bound: channel tiles, then width, then height and images. At every branch array cycles, the first and last
tile, and all traffic with perfect reuse give a number of cycles nothing in it can beat; above the best mapping's it is
left out, and with ``bounded`` off it is not. The answer is the same. Of what is left every order is tried.

Why that is fast. An operand's traffic does not depend on the whole order, only on which loops lie inside the one
that does not index it, and its resident part only on the sequence of those that do; see ``table_kernels``. Orders that
differ only in loops of one iteration, or in width against height where both have equally many, are one mapping, tried
once: tilings are sorted by which loops have one iteration, and a block tries the orders that its tilings need.
Worst case O(tilings x orders) time; memory for PENDING tilings and those of one width.

Counts are integers below 2**53 and therefore exact as float64; cycles are exact for traffic below 2**50 bits.
"""

import numpy as np

from accel.bitfusion import kernels as bf
from accel.jit import kernel, lean_kernel
from mappers.bitfusion.loop_orders import BY_IC, BY_OC, COUNT, SITUATIONS
from mappers.bitfusion.table_kernels import (
    ACT,
    ACT_FIRST,
    ACT_TRAFFIC,
    BLOCK_ROWS,
    COMPUTE,
    ENERGY,
    ONE,
    OUT,
    OUT_RESIDENT,
    OUT_TRAFFIC,
    ROUNDS_B,
    ROUNDS_H,
    ROUNDS_IC,
    ROUNDS_OC,
    ROUNDS_W,
    SAVED,
    TABLE_ROWS,
    WGT,
    cheapest_order,
    tabulate_ends,
    tabulate_map,
    tabulate_repeats,
    tabulate_weights,
    try_orders,
)
from mappers.bitfusion.tiling_kernels import (
    AXIS_ROWS,
    CHARGED,
    PUBLISHED_LENGTH,
    SIZE,
    T_ACT,
    T_BOUND,
    T_COMPUTE,
    T_OUT,
    T_SITUATION,
    T_WGT,
    TILES,
    TILING_ROWS,
    channel_bound,
    lay_axes,
    most_sizes,
    tilings_of_channels,
)

FOUND, NO_TILE_FITS = 0, 1
PUBLISHED, ALL = 0, 1
BLOCK = 128  # tilings tried together: their tables stay in the second-level cache
PENDING = 4096  # tilings that wait to be tried

# What is known of the best mapping so far: then its five tile sizes.
BEST_CYCLES, BEST_ENERGY, BEST_NUMBER, BEST_ORDER, BEST_TILE = range(5)
BEST_LENGTH = 9

# Rows of the scratch memory, of one tiling each: the block, its tables, and what they are made of.
TABLES_FROM = BLOCK_ROWS
REPEATS_FROM = TABLES_FROM + TABLE_ROWS
RESIDENT_FROM = REPEATS_FROM + 8
TRAFFIC, FOUND_CYCLES = RESIDENT_FROM + 16, RESIDENT_FROM + 17
SCRATCH_ROWS = FOUND_CYCLES + 1


@lean_kernel
def load_tilings(problem, machine, unit_pj, axes, tilings, chosen, block):
    """Write what the tables are made from for the chosen columns of ``tilings``."""
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
    for t in range(len(chosen)):
        index = chosen[t]
        b, w, h = int(tilings[bf.LOOP_B, index]), int(tilings[bf.LOOP_W, index]), int(tilings[bf.LOOP_H, index])
        ic, oc = int(tilings[bf.LOOP_IC, index]), int(tilings[bf.LOOP_OC, index])
        size_oc = axes[bf.LOOP_OC, SIZE, oc]
        rounds_map = axes[bf.LOOP_B, TILES, b] * axes[bf.LOOP_W, TILES, w] * axes[bf.LOOP_H, TILES, h]
        rounds_ic, rounds_oc = axes[bf.LOOP_IC, TILES, ic], axes[bf.LOOP_OC, TILES, oc]
        pixels = axes[bf.LOOP_B, SIZE, b] * axes[bf.LOOP_W, SIZE, w] * axes[bf.LOOP_H, SIZE, h]
        # With two lanes or more, output stationary is always the cheapest dataflow inside the array.
        volume = window * axes[bf.LOOP_IC, SIZE, ic] * pixels
        charged = axes[bf.LOOP_OC, CHARGED, oc]
        array_pj = volume * (size_oc * wgt_pj + charged * act_pj) + size_oc * pixels * sums_pj
        once = groups * tilings[T_OUT, index] * rounds_map * rounds_oc
        energy = tilings[T_COMPUTE, index] * cycle_pj + groups * rounds_map * rounds_ic * rounds_oc * array_pj
        block[COMPUTE, t], block[SAVED, t] = tilings[T_COMPUTE, index], once * (not_loaded + not_stored)
        block[ENERGY, t] = energy - once * (not_loaded * load_pj + not_stored * store_pj)
        block[WGT, t], block[ACT, t] = tilings[T_WGT, index], tilings[T_ACT, index]
        block[OUT, t] = tilings[T_OUT, index]
        block[ROUNDS_B, t], block[ROUNDS_W, t] = axes[bf.LOOP_B, TILES, b], axes[bf.LOOP_W, TILES, w]
        block[ROUNDS_H, t], block[ROUNDS_IC, t] = axes[bf.LOOP_H, TILES, h], rounds_ic
        block[ROUNDS_OC, t], block[ONE, t] = rounds_oc, 1.0


@lean_kernel
def correct_one_lane(problem, machine, unit_pj, axes, tilings, chosen, block):
    """Charge the dataflow that is cheapest with one lane, instead of output stationary."""
    sums_pj = unit_pj[bf.OBUF_READ] + unit_pj[bf.OBUF_WRITE]
    window = problem[bf.P_KERNEL_W] * problem[bf.P_KERNEL_H]
    for t in range(len(chosen)):
        b, w = size_of(axes, tilings, bf.LOOP_B, chosen[t]), size_of(axes, tilings, bf.LOOP_W, chosen[t])
        h, ic = size_of(axes, tilings, bf.LOOP_H, chosen[t]), size_of(axes, tilings, bf.LOOP_IC, chosen[t])
        oc = size_of(axes, tilings, bf.LOOP_OC, chosen[t])
        charged = int(axes[bf.LOOP_OC, CHARGED, int(tilings[bf.LOOP_OC, chosen[t]])])
        wgt, act, sums = bf.array_reads(problem, machine, b, w, h, ic, oc)
        wgt -= window * ic * b * w * h * oc * problem[bf.P_WGT_BITS]
        act -= window * ic * b * w * h * charged * problem[bf.P_ACT_BITS]
        sums -= oc * b * w * h * bf.ACCUMULATOR_BITS
        tiles = block[ROUNDS_B, t] * block[ROUNDS_W, t] * block[ROUNDS_H, t] * block[ROUNDS_IC, t] * block[ROUNDS_OC, t]
        inner_pj = wgt * unit_pj[bf.WBUF_READ] + act * unit_pj[bf.IBUF_READ] + sums * sums_pj
        block[ENERGY, t] += problem[bf.P_GROUPS] * tiles * inner_pj


@lean_kernel
def size_of(axes, tilings, loop, index):
    """Return a tile's size in one loop."""
    return int(axes[loop, SIZE, int(tilings[loop, index])])


@lean_kernel
def try_block(
    problem, machine, unit_pj, prices, axes, lengths, tilings, chosen, situation, block, tables, repeats, resident,
    traffic, cycles_found, best,
):  # fmt: skip
    """Try the chosen tilings (at most BLOCK, all in one situation); keep the best mapping of all in ``best``.

    The arrays from ``block`` on are scratch (float64[rows, BLOCK]); ``best`` is float64[BEST_LENGTH]. Of mappings that
    are equal in cycles and energy the first in the space's own order is kept, in whatever order they are tried.
    """
    count = len(chosen)
    load_tilings(problem, machine, unit_pj, axes, tilings, chosen, block)
    if problem[bf.P_LANES] == 1:
        correct_one_lane(problem, machine, unit_pj, axes, tilings, chosen, block)
    groups, width = float(problem[bf.P_GROUPS]), float(machine[bf.DRAM_BITS])
    wbuf, ibuf = float(machine[bf.WBUF_HALF_BITS]), float(machine[bf.IBUF_HALF_BITS])
    obuf = float(machine[bf.OBUF_HALF_BITS])
    depthwise = problem[bf.P_DEPTHWISE]
    act_by, act_rounds, act_again = (BY_OC, ROUNDS_OC, ONE) if depthwise else (BY_IC, ROUNDS_IC, ROUNDS_OC)
    tabulate_repeats(count, block, repeats)
    tabulate_weights(count, situation, wbuf, groups, block, repeats, tables)
    # np.int64 keeps the compiler from making one copy of a kernel for every constant it is called with.
    tabulate_map(
        count, situation, act_by, ibuf, groups, np.int64(ACT), act_rounds, act_again, block, repeats, resident, tables,
        np.int64(ACT_TRAFFIC), np.int64(ACT_FIRST),
    )  # fmt: skip
    tabulate_map(
        count, situation, np.int64(BY_OC), obuf, groups, np.int64(OUT), np.int64(ROUNDS_OC), np.int64(ROUNDS_IC), block,
        repeats, resident, tables, np.int64(OUT_TRAFFIC), np.int64(OUT_RESIDENT),
    )  # fmt: skip
    preload = 1.0 if machine[bf.OUTPUT_PRELOAD] else 0.0
    stored = 1.0 if machine[bf.WIDE_OUTPUTS] else float(problem[bf.P_ACT_BITS]) / bf.ACCUMULATOR_BITS
    tabulate_ends(count, situation, stored, width, block, tables)
    try_orders(situation, act_by, count, width, preload, stored, block, tables, traffic, cycles_found)
    fewest = best[BEST_CYCLES]
    for t in range(count):
        fewest = min(fewest, cycles_found[t])
    for t in range(count):
        if cycles_found[t] == fewest:
            energy, order = cheapest_order(
                situation, act_by, t, width, preload, stored, prices, cycles_found[t], block, tables
            )
            keep_better(axes, lengths, tilings, chosen[t], cycles_found[t], energy, order, best)


@lean_kernel
def keep_better(axes, lengths, tilings, index, cycles, energy, order, best):
    """Keep a mapping that is as fast as the best one so far or faster, if it is better."""
    number = 0.0
    for loop in (bf.LOOP_IC, bf.LOOP_OC, bf.LOOP_W, bf.LOOP_H, bf.LOOP_B):
        number = number * lengths[loop] + tilings[loop, index]
    equal = cycles == best[BEST_CYCLES] and energy == best[BEST_ENERGY]
    if cycles < best[BEST_CYCLES] or energy < best[BEST_ENERGY] or (equal and number < best[BEST_NUMBER]):
        best[BEST_CYCLES], best[BEST_ENERGY] = cycles, energy
        best[BEST_NUMBER], best[BEST_ORDER] = number, order
        for loop in range(5):
            best[BEST_TILE + loop] = axes[loop, SIZE, int(tilings[loop, index])]


@lean_kernel
def exchange(tilings, one, other):
    """Exchange two tilings."""
    for row in range(TILING_ROWS):
        tilings[row, one], tilings[row, other] = tilings[row, other], tilings[row, one]


@lean_kernel
def drop_hopeless(tilings, count, cycles):
    """Move the tilings that may still win to the front; return how many."""
    kept = 0
    for index in range(count):
        if tilings[T_BOUND, index] <= cycles:
            exchange(tilings, kept, index)
            kept += 1
    return kept


@lean_kernel
def try_tilings(
    problem, machine, unit_pj, prices, axes, lengths, tilings, count, bounded, scratch, places, ends, best, tally
):
    """Try the waiting tilings, by situation; with a bound, the most promising first and then those that may win."""
    block, tables = scratch[:TABLES_FROM], scratch[TABLES_FROM:REPEATS_FROM]
    repeats, resident = scratch[REPEATS_FROM:RESIDENT_FROM], scratch[RESIDENT_FROM:TRAFFIC]
    traffic, found = scratch[TRAFFIC], scratch[FOUND_CYCLES]
    if bounded:
        count = drop_hopeless(tilings, count, best[BEST_CYCLES])
    sort_by_situation(tilings, count, places, ends)
    for first in range(0, count, BLOCK):
        last = min(first + BLOCK, count)
        situation = SITUATIONS - 1
        for place in range(first, last):  # what is so for every tiling of the block
            situation &= int(tilings[T_SITUATION, places[place]])
        tally[1] += (last - first) * COUNT[situation]
        try_block(
            problem, machine, unit_pj, prices, axes, lengths, tilings, places[first:last], situation, block, tables,
            repeats, resident, traffic, found, best,
        )  # fmt: skip


@lean_kernel
def try_most_promising(problem, machine, unit_pj, prices, axes, lengths, tilings, count, scratch, places, best, tally):
    """Try the waiting tiling with the least bound, so that there is something to beat; return how many still wait."""
    count -= 1
    exchange(tilings, np.argmin(tilings[T_BOUND, : count + 1]), count)
    places[0] = count
    situation = int(tilings[T_SITUATION, count])
    tally[1] += COUNT[situation]
    try_block(
        problem, machine, unit_pj, prices, axes, lengths, tilings, places[:1], situation, scratch[:TABLES_FROM],
        scratch[TABLES_FROM:REPEATS_FROM], scratch[REPEATS_FROM:RESIDENT_FROM], scratch[RESIDENT_FROM:TRAFFIC],
        scratch[TRAFFIC], scratch[FOUND_CYCLES], best,
    )  # fmt: skip
    return count


@lean_kernel
def sort_by_situation(tilings, count, places, ends):
    """Write the tilings' columns by situation; those in situation s come at ``ends[s]`` up to ``ends[s + 1]``."""
    ends[:] = 0
    for index in range(count):
        ends[int(tilings[T_SITUATION, index]) + 2] += 1
    for situation in range(SITUATIONS):
        ends[situation + 2] += ends[situation + 1]
    for index in range(count):
        situation = int(tilings[T_SITUATION, index])
        places[ends[situation + 1]] = index
        ends[situation + 1] += 1


@kernel
def search_space(
    problem, machine, unit_pj, prices, wide, bounded, scratch, tilings, places, ends, bounds, axes, lengths, best, tally
):
    """Search one space, branch by branch: channel tiles, then width, then height and images, then orders.

    A branch whose bound is above the best mapping's cycles cannot hold a better one. The most promising channel tiles
    come first.
    """
    lay_axes(problem, machine, wide, axes, lengths)
    pairs = lengths[bf.LOOP_IC] * lengths[bf.LOOP_OC]
    for pair in range(pairs):
        ic, oc = pair // lengths[bf.LOOP_OC], pair % lengths[bf.LOOP_OC]
        bounds[pair] = channel_bound(problem, machine, axes, ic, oc)
    promising = np.argmin(bounds[:pairs])
    count = fitting = np.int64(0)
    for turn in range(pairs):
        pair = (turn + promising) % pairs
        if bounds[pair] == np.inf or (bounded and bounds[pair] > best[BEST_CYCLES]):
            continue
        ic, oc = pair // lengths[bf.LOOP_OC], pair % lengths[bf.LOOP_OC]
        w = np.int64(0)
        while w < lengths[bf.LOOP_W]:
            most, before = best[BEST_CYCLES] if bounded else np.inf, count
            count, w = tilings_of_channels(
                problem, machine, wide, axes, lengths, ic, oc, w, most, PENDING, tilings, count
            )
            fitting += count - before
            if bounded and count > 0 and best[BEST_CYCLES] == np.inf:
                count = try_most_promising(
                    problem, machine, unit_pj, prices, axes, lengths, tilings, count, scratch, places, best, tally
                )
            if count > PENDING:
                try_tilings(
                    problem, machine, unit_pj, prices, axes, lengths, tilings, count, bounded, scratch, places, ends,
                    best, tally,
                )  # fmt: skip
                count = np.int64(0)
    try_tilings(
        problem, machine, unit_pj, prices, axes, lengths, tilings, count, bounded, scratch, places, ends, best, tally
    )
    return fitting


@lean_kernel
def traffic_prices(unit_pj, prices):
    """Write the energy of a bit of weights, activations and outputs that travels [pJ]."""
    prices[0] = unit_pj[bf.DRAM_READ] + unit_pj[bf.WBUF_WRITE]
    prices[1] = unit_pj[bf.DRAM_READ] + unit_pj[bf.IBUF_WRITE]
    prices[2] = unit_pj[bf.DRAM_READ] + unit_pj[bf.DRAM_WRITE] + unit_pj[bf.OBUF_READ] + unit_pj[bf.OBUF_WRITE]


@kernel
def best_mappings(layers, machines, machine_of, unit_pj, space, bounded, mappings, status, tally):
    """Find the best mapping of every layer; the layers may run on different machines.

    Contract
    --------
    layers     : int64[n, 16]  as ``workloads.layers.COLUMNS``
    machines   : int64[m, MACHINE_COLUMNS], machine_of : int64[n]
    unit_pj    : float64[m, 9]  energy of one unit of each counter
    space      : int64[m]  PUBLISHED or ALL
    bounded    : bool  skip tilings that cannot win
    mappings   : int64[n, MAPPING_COLUMNS]  written
    status     : int64[n]  written: FOUND or NO_TILE_FITS
    tally      : int64[n, 2]  added to: mappings of the space, and mappings evaluated
    """
    problem = np.empty(bf.PROBLEM_COLUMNS, np.int64)
    length, pending, pairs = np.int64(PUBLISHED_LENGTH), PENDING + np.int64(1), np.int64(PUBLISHED_LENGTH**2)
    for index in range(layers.shape[0]):
        machine = machine_of[index]
        bf.pose(layers[index], machines[machine], problem)
        for loop in range(5):
            length = max(length, most_sizes(problem[loop]) if space[machine] == ALL else PUBLISHED_LENGTH)
        pairs = max(pairs, most_sizes(problem[bf.P_IC]) * most_sizes(problem[bf.P_OC]))
        images = most_sizes(problem[bf.P_B])
        pending = max(pending, PENDING + 1 + images * most_sizes(problem[bf.P_H]))
    tilings = np.empty((TILING_ROWS, pending))
    places, ends = np.empty(pending, np.int64), np.empty(SITUATIONS + 2, np.int64)
    prices, bounds = np.empty(3), np.empty(pairs)
    scratch = np.empty((SCRATCH_ROWS, BLOCK + 8))
    axes = np.empty((5, AXIS_ROWS, length))
    lengths = np.empty(5, np.int64)
    best = np.empty(BEST_LENGTH)
    for index in range(layers.shape[0]):
        machine, row = machine_of[index], machines[machine_of[index]]
        bf.pose(layers[index], row, problem)
        traffic_prices(unit_pj[machine], prices)
        best[:] = np.inf
        fitting = np.int64(0)
        for wide in range(space[machine] + 1):  # the published space is part of the wide one: a good start
            if wide:
                best[BEST_NUMBER] = -1.0
            fitting = search_space(
                problem, row, unit_pj[machine], prices, wide == 1, bounded, scratch, tilings, places, ends, bounds,
                axes, lengths, best, tally[index],
            )  # fmt: skip
        if space[machine] == ALL:
            fitting = lengths[0] * lengths[1] * lengths[2] * lengths[3] * lengths[4]
        tally[index, 0] += len(bf.ORDERS) * fitting
        status[index] = FOUND if best[BEST_CYCLES] < np.inf else NO_TILE_FITS
        if status[index] == FOUND:
            for loop in range(5):
                mappings[index, loop] = int(best[BEST_TILE + loop])
            mappings[index, bf.ORDER] = int(best[BEST_ORDER])
