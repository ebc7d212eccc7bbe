"""The search for BitFusion's best mapping: tilings times loop orders, reduced inside the kernel, proven best.

A mapping is a tile size for each of the five loops and one of the 120 orders of the loops over tiles. Which level holds
what follows: a tile's weights, inputs and sums each lie in half of their buffer, and an operand whose part of further
loops still fits stays there while they run. Fewest cycles win, then least energy.

The published space has the authors' tiles: powers of two (output channels: times the array's columns) capped at the
layer, one side for width and height. The wide space has also the smallest tile of every number of tiles, with width
and height on their own; the published best is where its search begins, so it is never worse.

Branch and bound: channel tiles, then width, then height and images. At every branch array cycles with what is at least
loaded before and stored after them, and all traffic with perfect reuse give a number of cycles nothing in it can beat;
above the best mapping's it is left out, and with ``bounded`` off it is not. The answer is the same.

Why that is fast. An operand's traffic does not depend on the whole order, only on which loops lie inside the one
that does not index it, and its resident part only on the sequence of those that do. Orders that differ only in loops of
one iteration, or in width against height where both have equally many, are one mapping, tried once (``loop_orders``).
Few tilings are tried one by one, most of their orders ruled out by traffic (``one_tiling_kernels``); many are sorted by
which loops have one iteration and tried in blocks, each with the orders that its tilings need (``table_kernels``).
Worst case O(tilings x orders) time; memory for PENDING tilings and those of one width.

Counts are integers below 2**53 and therefore exact as float64; cycles are exact for traffic below 2**50 bits.
"""

import numpy as np

from accel.bitfusion import kernels as bf
from accel.jit import kernel, lean_kernel
from mappers.bitfusion.loop_orders import BY_IC, BY_OC, COUNT, SITUATIONS
from mappers.bitfusion.one_tiling_kernels import (
    BEST_CYCLES,
    BEST_LENGTH,
    BEST_NUMBER,
    BEST_ORDER,
    BEST_TILE,
    keep_better,
    try_tiling,
)
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
    GROUPS,
    IBUF,
    OBUF,
    PRELOAD,
    PUBLISHED_LENGTH,
    STORED,
    T_ACT,
    T_BOUND,
    T_COMPUTE,
    T_OUT,
    T_SITUATION,
    T_WGT,
    TERMS,
    TILES,
    TILING_COLUMNS,
    WBUF,
    bound_channels,
    fixed_energy,
    lay_axes,
    lay_terms,
    most_sizes,
    tilings_of_channels,
)

FOUND, NO_TILE_FITS = 0, 1
PUBLISHED, ALL = 0, 1
BLOCK = 128  # tilings tried together: their tables stay in the second-level cache
PENDING = 4096  # tilings that wait to be tried

FEW = 32  # tilings that are tried one by one

# Rows of the scratch memory, of one tiling each: the block, its tables, and what they are made of.
TABLES_FROM = BLOCK_ROWS
REPEATS_FROM = TABLES_FROM + TABLE_ROWS
RESIDENT_FROM = REPEATS_FROM + 8
TRAFFIC, FOUND_CYCLES = RESIDENT_FROM + 16, RESIDENT_FROM + 17
SCRATCH_ROWS = FOUND_CYCLES + 1


@lean_kernel
def load_tilings(problem, machine, unit_pj, terms, axes, tilings, chosen, block):
    """Write what the tables are made from for the chosen rows of ``tilings``."""
    for t in range(len(chosen)):
        tiling = tilings[chosen[t]]
        b, w, h = int(tiling[bf.LOOP_B]), int(tiling[bf.LOOP_W]), int(tiling[bf.LOOP_H])
        ic, oc = int(tiling[bf.LOOP_IC]), int(tiling[bf.LOOP_OC])
        rounds_b, rounds_w = axes[bf.LOOP_B, TILES, b], axes[bf.LOOP_W, TILES, w]
        rounds_h, rounds_oc = axes[bf.LOOP_H, TILES, h], axes[bf.LOOP_OC, TILES, oc]
        once = terms[GROUPS] * tiling[T_OUT] * rounds_b * rounds_w * rounds_h * rounds_oc
        block[COMPUTE, t], block[SAVED, t] = tiling[T_COMPUTE], once * (2.0 - terms[PRELOAD] - terms[STORED])
        block[ENERGY, t] = fixed_energy(problem, machine, unit_pj, terms, axes, tiling)
        block[WGT, t], block[ACT, t], block[OUT, t] = tiling[T_WGT], tiling[T_ACT], tiling[T_OUT]
        block[ROUNDS_B, t], block[ROUNDS_W, t], block[ROUNDS_H, t] = rounds_b, rounds_w, rounds_h
        block[ROUNDS_IC, t], block[ROUNDS_OC, t] = axes[bf.LOOP_IC, TILES, ic], rounds_oc
        block[ONE, t] = 1.0


@lean_kernel
def try_block(
    problem, machine, unit_pj, terms, axes, lengths, tilings, chosen, situation, block, tables, repeats, resident,
    traffic, cycles_found, best,
):  # fmt: skip
    """Try the chosen tilings (at most BLOCK, all in one situation); keep the best mapping of all in ``best``.

    The arrays from ``block`` to ``cycles_found`` are scratch, a column for each tiling.
    """
    count = len(chosen)
    load_tilings(problem, machine, unit_pj, terms, axes, tilings, chosen, block)
    depthwise = problem[bf.P_DEPTHWISE]
    act_by, act_rounds, act_again = (BY_OC, ROUNDS_OC, ONE) if depthwise else (BY_IC, ROUNDS_IC, ROUNDS_OC)
    tabulate_repeats(count, block, repeats)
    tabulate_weights(count, situation, terms[WBUF], terms[GROUPS], block, repeats, tables)
    # np.int64 keeps the compiler from making one copy of a kernel for every constant it is called with.
    tabulate_map(
        count, situation, act_by, terms[IBUF], terms[GROUPS], np.int64(ACT), act_rounds, act_again, block, repeats,
        resident, tables, np.int64(ACT_TRAFFIC), np.int64(ACT_FIRST),
    )  # fmt: skip
    tabulate_map(
        count, situation, np.int64(BY_OC), terms[OBUF], terms[GROUPS], np.int64(OUT), np.int64(ROUNDS_OC),
        np.int64(ROUNDS_IC), block, repeats, resident, tables, np.int64(OUT_TRAFFIC), np.int64(OUT_RESIDENT),
    )  # fmt: skip
    tabulate_ends(count, situation, terms, block, tables)
    try_orders(situation, act_by, count, terms, block, tables, traffic, cycles_found)
    fewest = best[BEST_CYCLES]
    for t in range(count):
        fewest = min(fewest, cycles_found[t])
    for t in range(count):
        if cycles_found[t] == fewest:
            energy, order = cheapest_order(situation, act_by, t, terms, cycles_found[t], block, tables)
            keep_better(axes, lengths, tilings[chosen[t]], cycles_found[t], energy, order, best)


@lean_kernel
def exchange(tilings, one, other):
    """Exchange two tilings."""
    for column in range(TILING_COLUMNS):
        tilings[one, column], tilings[other, column] = tilings[other, column], tilings[one, column]


@lean_kernel
def drop_hopeless(tilings, count, cycles):
    """Move the tilings that may still win to the front; return how many."""
    kept = 0
    for index in range(count):
        if tilings[index, T_BOUND] <= cycles:
            if index > kept:
                exchange(tilings, kept, index)
            kept += 1
    return kept


@lean_kernel
def try_few(problem, machine, unit_pj, terms, axes, lengths, tilings, repeats, best, tally):
    """Try tilings one by one, but for those that have become hopeless."""
    for index in range(len(tilings)):
        tiling = tilings[index]
        if tiling[T_BOUND] <= best[BEST_CYCLES]:
            tally[1] += try_tiling(problem, machine, unit_pj, terms, axes, lengths, tiling, repeats, best)


@lean_kernel
def try_many(
    problem, machine, unit_pj, terms, axes, lengths, tilings, count, bounded, scratch, places, ends, best, tally
):
    """Try the waiting tilings in blocks, by situation; with a bound, but for those that have become hopeless."""
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
            situation &= int(tilings[places[place], T_SITUATION])
        tally[1] += (last - first) * COUNT[situation]
        try_block(
            problem, machine, unit_pj, terms, axes, lengths, tilings, places[first:last], situation, block, tables,
            repeats, resident, traffic, found, best,
        )  # fmt: skip


@lean_kernel
def sort_by_situation(tilings, count, places, ends):
    """Write the tilings' rows by situation; those in situation s come at ``ends[s]`` up to ``ends[s + 1]``."""
    ends[:] = 0
    for index in range(count):
        ends[int(tilings[index, T_SITUATION]) + 2] += 1
    for situation in range(SITUATIONS):
        ends[situation + 2] += ends[situation + 1]
    for index in range(count):
        situation = int(tilings[index, T_SITUATION])
        places[ends[situation + 1]] = index
        ends[situation + 1] += 1


@kernel
def search_space(
    problem, machine, unit_pj, terms, wide, bounded, scratch, tilings, places, ends, bounds, axes, lengths, best, tally
):
    """Search one space, branch by branch: channel tiles, then width, then height and images, then orders.

    A branch whose bound is above the best mapping's cycles cannot hold a better one. The most promising channel tiles
    come first.
    """
    lay_axes(problem, machine, wide, axes, lengths)
    pairs = lengths[bf.LOOP_IC] * lengths[bf.LOOP_OC]
    bound_channels(problem, terms, axes, lengths, bounds)
    promising = np.argmin(bounds[:pairs])
    repeats = scratch[0, :8]
    count = fitting = np.int64(0)
    for turn in range(promising, promising + pairs):
        pair = turn if turn < pairs else turn - pairs
        if bounds[pair] == np.inf or (bounded and bounds[pair] > best[BEST_CYCLES]):
            continue
        ic, oc = lengths[bf.LOOP_IC] - 1 - pair // lengths[bf.LOOP_OC], pair % lengths[bf.LOOP_OC]
        w = np.int64(0)
        while w < lengths[bf.LOOP_W]:
            most, before = best[BEST_CYCLES] if bounded else np.inf, count
            count, w = tilings_of_channels(
                problem, machine, terms, wide, axes, lengths, ic, oc, w, most, PENDING, tilings, count
            )
            fitting += count - before
            if bounded and count > 0 and best[BEST_CYCLES] == np.inf:  # the most promising first, to have one to beat
                exchange(tilings, np.argmin(tilings[:count, T_BOUND]), count - 1)
                few = tilings[count - 1 : count]
                try_few(problem, machine, unit_pj, terms, axes, lengths, few, repeats, best, tally)
                count -= 1
            if bounded and count <= FEW:
                few = tilings[:count]
                try_few(problem, machine, unit_pj, terms, axes, lengths, few, repeats, best, tally)
                count = np.int64(0)
            elif count > PENDING:
                try_many(
                    problem, machine, unit_pj, terms, axes, lengths, tilings, count, bounded, scratch, places, ends,
                    best, tally,
                )  # fmt: skip
                count = np.int64(0)
    if count:
        try_many(
            problem, machine, unit_pj, terms, axes, lengths, tilings, count, bounded, scratch, places, ends, best, tally
        )
    return fitting


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
    tilings = np.empty((pending, TILING_COLUMNS))
    places, ends = np.empty(pending, np.int64), np.empty(SITUATIONS + 2, np.int64)
    terms, bounds = np.empty(TERMS), np.empty(pairs)
    scratch = np.empty((SCRATCH_ROWS, BLOCK))
    axes = np.empty((5, AXIS_ROWS, length))
    lengths = np.empty(5, np.int64)
    best = np.empty(BEST_LENGTH)
    for index in range(layers.shape[0]):
        machine, row = machine_of[index], machines[machine_of[index]]
        bf.pose(layers[index], row, problem)
        lay_terms(problem, row, unit_pj[machine], terms)
        best[:] = np.inf
        fitting = np.int64(0)
        for wide in range(space[machine] + 1):  # the published space is part of the wide one: a good start
            if wide:
                best[BEST_NUMBER] = -1.0
            fitting = search_space(
                problem, row, unit_pj[machine], terms, wide == 1, bounded, scratch, tilings, places, ends, bounds,
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
