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
from accel.jit import kernel, kernel_on_distinct_arrays
from mappers.loop_orders import (
    DISTINCT,
    INNER_CHANNEL,
    INSIDE_IC,
    INSIDE_OC,
    ORDER_TRAITS,
    OUTSIDE_INNER,
    OUTSIDE_OUTER,
    SEQUENCE_IC,
    SEQUENCE_OC,
    SEQUENCE_PREFIXES,
    SQUARE_BIT,
    START,
)

FOUND, NO_TILE_FITS = 0, 1
BLOCK = 32  # tilings tried together: their tables stay in the first-level cache
AXIS_LENGTH = 24  # a dimension of 2**20 has 21 tile sizes

# Rows of the axes: what depends on one tile size alone.
SIZE, TILES = range(2)
STEPS, PADDED, CHARGED = range(2, 5)  # of a channel axis: array cycles of all tiles, padded size, size as read
WIDTH, HEIGHT, TILES_W, TILES_H, PIXELS, WINDOWS = range(5, 11)  # of the map axis
AXIS_ROWS = 11

# Rows of a tiling.
T_B, T_SIDE, T_IC, T_OC, T_WGT, T_ACT, T_OUT, T_COMPUTE, T_BOUND = range(9)
TILING_ROWS = 9

# Rows of a block: what every order needs of a tiling.
COMPUTE, SAVED, ENERGY = range(3)
BLOCK_ROWS = 3
FOUND_CYCLES, FOUND_ENERGY, FOUND_ORDER = range(3)
FOUND_ROWS = 3
NO_ORDER = 120.0

# Rows of the tables, by mask or sequence.
WGT_INNER = 0  # + 8 * inner channel + mask
WGT_OUTER = 16  # + mask
WGT_FIRST = 24  # + inner channel
ACT = 26  # + mask
SUMS = 42  # + mask
ACT_FIRST = 58  # + sequence
OUT_FIRST = 82  # + sequence
OUT_LAST = 106  # + sequence
OUT_LAST_CYCLES = 130  # + sequence
REPEATS = 154  # + mask of batch and map loops
RESIDENT = 162  # + mask, of the operand at hand
TABLE_ROWS = 178


@kernel
def tile_sizes(size, unit, sizes):
    """Write the powers of two times ``unit`` up to the first that covers ``size``, capped; return how many."""
    count = 0
    tile = unit
    while tile < size:
        sizes[count] = tile
        count += 1
        tile *= 2
    sizes[count] = size
    return count + 1


@kernel
def lay_axes(problem, machine, axes, lengths):
    """Write what depends on one tile size alone, for b, side, ic and oc (float64[4, AXIS_ROWS, AXIS_LENGTH])."""
    sizes = np.empty(AXIS_LENGTH, np.int64)
    columns, lanes = machine[bf.UNITS_COLUMNS], problem[bf.P_LANES]
    window = problem[bf.P_KERNEL_W] * problem[bf.P_KERNEL_H]

    lengths[0] = tile_sizes(problem[bf.P_B], 1, sizes)
    for i in range(lengths[0]):
        axes[0, SIZE, i] = sizes[i]
        axes[0, TILES, i] = bf.ceil_div(problem[bf.P_B], sizes[i])

    lengths[1] = tile_sizes(max(problem[bf.P_W], problem[bf.P_H]), 1, sizes)
    for i in range(lengths[1]):
        w, h = min(sizes[i], problem[bf.P_W]), min(sizes[i], problem[bf.P_H])
        axes[1, WIDTH, i], axes[1, HEIGHT, i] = w, h
        tiles_w, tiles_h = bf.ceil_div(problem[bf.P_W], w), bf.ceil_div(problem[bf.P_H], h)
        axes[1, TILES_W, i], axes[1, TILES_H, i] = tiles_w, tiles_h
        axes[1, TILES, i] = tiles_w * tiles_h
        axes[1, PIXELS, i] = w * h
        if problem[bf.P_IM2COL]:
            axes[1, WINDOWS, i] = w * h * window
        else:
            wide = problem[bf.P_KERNEL_W] + (w - 1) * problem[bf.P_STRIDE]
            axes[1, WINDOWS, i] = wide * (problem[bf.P_KERNEL_H] + (h - 1) * problem[bf.P_STRIDE])

    lengths[2] = tile_sizes(problem[bf.P_IC], 1, sizes)
    for i in range(lengths[2]):
        axes[2, SIZE, i] = sizes[i]
        axes[2, TILES, i] = bf.ceil_div(problem[bf.P_IC], sizes[i])
        axes[2, PADDED, i] = bf.ceil_div(window * sizes[i], lanes) * lanes
        steps = axes[2, TILES, i] * bf.reduction_steps(problem, sizes[i])
        edge = problem[bf.P_IC] % sizes[i]
        if edge > 0 and not machine[bf.FULL_EDGE_TILES]:
            steps += bf.reduction_steps(problem, edge) - bf.reduction_steps(problem, sizes[i])
        axes[2, STEPS, i] = steps

    lengths[3] = tile_sizes(problem[bf.P_OC], 1 if problem[bf.P_IM2COL] else columns, sizes)
    for i in range(lengths[3]):
        axes[3, SIZE, i] = sizes[i]
        axes[3, TILES, i] = bf.ceil_div(problem[bf.P_OC], sizes[i])
        passes = bf.ceil_div(sizes[i], columns)
        axes[3, PADDED, i] = passes * columns
        axes[3, CHARGED, i] = sizes[i] if machine[bf.UNSHARED_INPUT_READS] else passes
        steps = axes[3, TILES, i] * passes
        edge = problem[bf.P_OC] % sizes[i]
        if edge > 0 and not machine[bf.FULL_EDGE_TILES]:
            steps += bf.ceil_div(edge, columns) - passes
        axes[3, STEPS, i] = steps


@kernel
def fitting_tilings(problem, machine, axes, lengths, tilings):
    """Write the tilings that fit half of every buffer (float64[TILING_ROWS, capacity]); return how many.

    ``T_BOUND`` is a number of cycles that no order of the tiling's loops can beat: the array's cycles and the
    first and last tile, or all traffic with perfect reuse.
    """
    wgt_bits, act_bits = float(problem[bf.P_WGT_BITS]), float(problem[bf.P_ACT_BITS])
    groups, passes = float(problem[bf.P_GROUPS]), float(problem[bf.P_PASSES])
    preload = 1.0 if machine[bf.OUTPUT_PRELOAD] else 0.0
    stored = 1.0 if machine[bf.WIDE_OUTPUTS] else act_bits / bf.ACCUMULATOR_BITS
    per_bit = (1.0 - 1e-12) / machine[bf.DRAM_BITS]  # a bound may be too low by rounding, never too high
    wbuf, ibuf, obuf = machine[bf.WBUF_HALF_BITS], machine[bf.IBUF_HALF_BITS], machine[bf.OBUF_HALF_BITS]
    edges_full = machine[bf.FULL_EDGE_TILES]
    size_b = float(problem[bf.P_B])
    size_map = float(problem[bf.P_W] * problem[bf.P_H])
    count = 0
    for ic in range(lengths[2]):
        for oc in range(lengths[3]):
            wgt = axes[2, PADDED, ic] * axes[3, SIZE, oc] * wgt_bits
            if wgt > wbuf:
                break
            channels = axes[3, SIZE, oc] if problem[bf.P_DEPTHWISE] else axes[2, SIZE, ic]
            tiles_act = axes[3, TILES, oc] if problem[bf.P_DEPTHWISE] else axes[2, TILES, ic]
            all_wgt = wgt * axes[2, TILES, ic] * axes[3, TILES, oc]
            steps = groups * passes * axes[2, STEPS, ic] * axes[3, STEPS, oc]
            for side in range(lengths[1]):
                act_one = axes[1, WINDOWS, side] * channels * act_bits
                out_one = axes[1, PIXELS, side] * axes[3, PADDED, oc] * bf.ACCUMULATOR_BITS
                if act_one > ibuf or out_one > obuf:
                    break
                pixels = axes[1, PIXELS, side] * axes[1, TILES, side] if edges_full else size_map
                for b in range(lengths[0]):
                    act, out = act_one * axes[0, SIZE, b], out_one * axes[0, SIZE, b]
                    if act > ibuf or out > obuf:
                        break
                    images = axes[0, SIZE, b] * axes[0, TILES, b] if edges_full else size_b
                    compute = steps * pixels * images
                    repeats = axes[0, TILES, b] * axes[1, TILES, side]
                    traffic = all_wgt + act * repeats * tiles_act
                    traffic += out * repeats * axes[3, TILES, oc] * (preload + stored)
                    ends = wgt + act + out * (preload + stored)
                    tilings[T_B, count], tilings[T_SIDE, count] = b, side
                    tilings[T_IC, count], tilings[T_OC, count] = ic, oc
                    tilings[T_WGT, count], tilings[T_ACT, count], tilings[T_OUT, count] = wgt, act, out
                    tilings[T_COMPUTE, count] = compute
                    tilings[T_BOUND, count] = max(compute + ends * per_bit, groups * traffic * per_bit)
                    count += 1
    return count


@kernel
def array_energy(problem, machine, unit_pj, axes, b, side, ic, oc):
    """Energy of one tiling's buffer accesses by the array [pJ], all tiles of one group."""
    tiles = axes[0, TILES, b] * axes[1, TILES, side] * axes[2, TILES, ic] * axes[3, TILES, oc]
    window = problem[bf.P_KERNEL_W] * problem[bf.P_KERNEL_H]
    pixels = axes[0, SIZE, b] * axes[1, PIXELS, side]
    accumulator_pj = unit_pj[bf.OBUF_READ] + unit_pj[bf.OBUF_WRITE]
    if problem[bf.P_LANES] > 1:  # with two lanes or more, output stationary is always the cheapest dataflow
        volume = window * axes[2, SIZE, ic] * pixels
        wgt = volume * axes[3, SIZE, oc] * problem[bf.P_WGT_BITS]
        act = volume * axes[3, CHARGED, oc] * problem[bf.P_ACT_BITS]
        sums = axes[3, SIZE, oc] * pixels * bf.ACCUMULATOR_BITS
    else:
        wgt_bits, act_bits, sum_bits = bf.array_reads(
            problem, machine, int(axes[0, SIZE, b]), int(axes[1, WIDTH, side]), int(axes[1, HEIGHT, side]),
            int(axes[2, SIZE, ic]), int(axes[3, SIZE, oc]),
        )  # fmt: skip
        wgt, act, sums = float(wgt_bits), float(act_bits), float(sum_bits)
    return tiles * (wgt * unit_pj[bf.WBUF_READ] + act * unit_pj[bf.IBUF_READ] + sums * accumulator_pj)


@kernel
def resident_parts(sequences, footprint, half_bits, channel_tiles, tables, t, base):
    """Write the largest part of an operand that stays on chip, for every sequence of the loops indexing it.

    Products only grow along a sequence, so the largest that fits is the maximum over the prefixes that fit.
    """
    for mask in range(16):
        part = footprint * tables[REPEATS + (mask & 7), t] * (channel_tiles if mask & 8 else 1.0)
        tables[RESIDENT + mask, t] = part if part <= half_bits else footprint
    for sequence in range(sequences):
        largest = tables[RESIDENT + 15, t]
        for prefix in range(3):
            largest = max(largest, tables[RESIDENT + SEQUENCE_PREFIXES[sequence, prefix], t])
        tables[base + sequence, t] = largest


@kernel
def load_tiling(problem, machine, unit_pj, axes, tilings, index, block, tables, t):
    """Write the tables of one tiling into place ``t`` of the block."""
    b, side = int(tilings[T_B, index]), int(tilings[T_SIDE, index])
    ic, oc = int(tilings[T_IC, index]), int(tilings[T_OC, index])
    wgt, act, out = tilings[T_WGT, index], tilings[T_ACT, index], tilings[T_OUT, index]
    tiles_b, tiles_w, tiles_h = axes[0, TILES, b], axes[1, TILES_W, side], axes[1, TILES_H, side]
    tiles_ic, tiles_oc = axes[2, TILES, ic], axes[3, TILES, oc]
    groups = float(problem[bf.P_GROUPS])
    wbuf, ibuf, obuf = machine[bf.WBUF_HALF_BITS], machine[bf.IBUF_HALF_BITS], machine[bf.OBUF_HALF_BITS]
    width = float(machine[bf.DRAM_BITS])
    act_tiles = tiles_oc if problem[bf.P_DEPTHWISE] else tiles_ic
    act_again = 1.0 if problem[bf.P_DEPTHWISE] else tiles_oc

    for mask in range(8):
        repeats = (tiles_b if mask & 1 else 1.0) * (tiles_w if mask & 2 else 1.0)
        tables[REPEATS + mask, t] = repeats * (tiles_h if mask & 4 else 1.0)
    all_wgt = groups * wgt * tiles_ic * tiles_oc
    all_fit = wgt * tiles_ic * tiles_oc <= wbuf
    for inner in range(2):
        inner_part = wgt * (tiles_oc if inner else tiles_ic)
        for mask in range(8):
            again = 1.0 if inner_part <= wbuf else tables[REPEATS + mask, t]
            tables[WGT_INNER + 8 * inner + mask, t] = all_wgt * again
        resident = wgt if inner_part > wbuf else inner_part
        tables[WGT_FIRST + inner, t] = wgt * tiles_ic * tiles_oc if all_fit else resident
    for mask in range(8):
        tables[WGT_OUTER + mask, t] = all_wgt * (1.0 if all_fit else tables[REPEATS + mask, t])

    all_repeats = tables[REPEATS + 7, t]
    all_act = groups * act * all_repeats * act_tiles
    all_sums = groups * out * all_repeats * tiles_oc
    for mask in range(16):
        inside = tables[REPEATS + (mask & 7), t]
        fits = act * inside * (act_tiles if mask & 8 else 1.0) <= ibuf
        tables[ACT + mask, t] = all_act * (1.0 if fits else act_again)
        fits = out * inside * (tiles_oc if mask & 8 else 1.0) <= obuf
        tables[SUMS + mask, t] = all_sums * (1.0 if fits else tiles_ic)

    resident_parts(24, act, ibuf, act_tiles, tables, t, ACT_FIRST)
    resident_parts(24, out, obuf, tiles_oc, tables, t, OUT_LAST)
    stored = 1.0 if machine[bf.WIDE_OUTPUTS] else float(problem[bf.P_ACT_BITS]) / bf.ACCUMULATOR_BITS
    for sequence in range(24):
        last = tables[OUT_LAST + sequence, t]
        tables[OUT_FIRST + sequence, t] = last if machine[bf.OUTPUT_PRELOAD] else 0.0
        tables[OUT_LAST + sequence, t] = last * stored
        tables[OUT_LAST_CYCLES + sequence, t] = np.ceil(last * stored / width)

    # Walked output traffic counts once as loads and once as stores, less what the switches save.
    not_loaded = 0.0 if machine[bf.OUTPUT_PRELOAD] else all_sums
    not_stored = 0.0 if machine[bf.WIDE_OUTPUTS] else all_sums - all_sums * stored
    block[COMPUTE, t] = tilings[T_COMPUTE, index]
    block[SAVED, t] = not_loaded + not_stored
    energy = block[COMPUTE, t] * unit_pj[bf.COMPUTE]
    energy += groups * array_energy(problem, machine, unit_pj, axes, b, side, ic, oc)
    energy -= not_loaded * (unit_pj[bf.DRAM_READ] + unit_pj[bf.OBUF_WRITE])
    block[ENERGY, t] = energy - not_stored * unit_pj[bf.DRAM_WRITE]


@kernel_on_distinct_arrays
def try_orders(orders_from, orders_to, act_sequence, count, width, prices, block, tables, found):
    """Keep each tiling's best order: fewest cycles, then least energy.

    Contract
    --------
    orders_from, orders_to : range of DISTINCT to try
    act_sequence : SEQUENCE_IC, or SEQUENCE_OC where output channels index the activations (depthwise)
    count  : int64  tilings in the block
    width  : float64  DRAM bits per cycle
    prices : float64[3]  pJ per bit of weight, activation and output traffic
    block  : float64[BLOCK_ROWS, BLOCK], tables : float64[TABLE_ROWS, BLOCK]  of ``load_tiling``
    found  : float64[3, BLOCK]  updated
    """
    per_width = 1.0 / width
    price_wgt, price_act, price_sums = prices[0], prices[1], prices[2]
    for place in range(orders_from, orders_to):
        order = DISTINCT[place]
        traits = ORDER_TRAITS[order]
        inner = traits[INNER_CHANNEL]
        wgt_inner = WGT_INNER + 8 * inner + traits[OUTSIDE_INNER]
        wgt_outer = WGT_OUTER + traits[OUTSIDE_OUTER]
        wgt_first = WGT_FIRST + inner
        act_row, sums_row = ACT + traits[INSIDE_OC], SUMS + traits[INSIDE_IC]
        act_first, out_first = ACT_FIRST + traits[act_sequence], OUT_FIRST + traits[SEQUENCE_OC]
        out_last, last_cycles = OUT_LAST + traits[SEQUENCE_OC], OUT_LAST_CYCLES + traits[SEQUENCE_OC]
        for t in range(count):
            wgt = max(tables[wgt_inner, t], tables[wgt_outer, t])
            act = tables[act_row, t]
            sums = tables[sums_row, t]
            first = tables[wgt_first, t] + tables[act_first, t] + tables[out_first, t]
            middle = wgt + act + (sums + sums) - block[SAVED, t] - first - tables[out_last, t]
            # x / width rounded up: the quotient rounded down, and one more where it falls short of x.
            whole = np.floor(middle * per_width)
            whole += 1.0 if middle - whole * width > 0.0 else 0.0
            start = np.floor(first * per_width)
            start += 1.0 if first - start * width > 0.0 else 0.0
            cycles = max(block[COMPUTE, t], whole) + start + tables[last_cycles, t]
            energy = block[ENERGY, t] + wgt * price_wgt + act * price_act + sums * price_sums
            # Minima rather than conditional stores: those would become masked ones, which are slow to read back.
            fewest = min(found[FOUND_CYCLES, t], cycles)
            here = energy if cycles == fewest else np.inf
            before = found[FOUND_ENERGY, t] if found[FOUND_CYCLES, t] == fewest else np.inf
            least = min(before, here)
            order_here = float(order) if here == least else NO_ORDER
            order_before = found[FOUND_ORDER, t] if before == least else NO_ORDER
            found[FOUND_CYCLES, t] = fewest
            found[FOUND_ENERGY, t] = least
            found[FOUND_ORDER, t] = min(order_before, order_here)


@kernel
def try_block(problem, machine, unit_pj, axes, tilings, first, last, orders, block, tables, found, best):
    """Try the tilings ``first..last - 1`` (at most BLOCK); keep the best mapping of all in ``best``.

    ``best`` is float64[4]: cycles, energy, tiling, order.
    """
    count = last - first
    for t in range(count):
        load_tiling(problem, machine, unit_pj, axes, tilings, first + t, block, tables, t)
        found[FOUND_CYCLES, t] = np.inf
        found[FOUND_ENERGY, t] = np.inf
        found[FOUND_ORDER, t] = NO_ORDER
    dram_pj = unit_pj[bf.DRAM_READ] + unit_pj[bf.DRAM_WRITE] + unit_pj[bf.OBUF_READ] + unit_pj[bf.OBUF_WRITE]
    prices = np.empty(3)
    prices[0] = unit_pj[bf.DRAM_READ] + unit_pj[bf.WBUF_WRITE]
    prices[1] = unit_pj[bf.DRAM_READ] + unit_pj[bf.IBUF_WRITE]
    prices[2] = dram_pj
    act_sequence = SEQUENCE_OC if problem[bf.P_DEPTHWISE] else SEQUENCE_IC
    width = float(machine[bf.DRAM_BITS])
    try_orders(START[orders], START[orders + 1], act_sequence, count, width, prices, block, tables, found)
    for t in range(count):
        cycles, energy = found[FOUND_CYCLES, t], found[FOUND_ENERGY, t]
        if cycles < best[0] or (cycles == best[0] and energy < best[1]):
            best[0], best[1] = cycles, energy
            best[2], best[3] = first + t, found[FOUND_ORDER, t]
    return count * (START[orders + 1] - START[orders])


@kernel
def keep_promising(tilings, count, limit, skip):
    """Move the tilings whose bound is at most ``limit``, but for ``skip``, to the front; return how many."""
    kept = 0
    for index in range(count):
        if tilings[T_BOUND, index] <= limit and index != skip:
            for row in range(TILING_ROWS):
                tilings[row, kept] = tilings[row, index]
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
    block = scratch[:BLOCK_ROWS]
    found = scratch[BLOCK_ROWS : BLOCK_ROWS + FOUND_ROWS]
    tables = scratch[BLOCK_ROWS + FOUND_ROWS :]
    orders = situation_of(problem)
    best = np.array((np.inf, np.inf, 0.0, 0.0))
    tally[0] += 120 * count
    if bounded:
        promising = 0
        for index in range(count):
            if tilings[T_BOUND, index] < tilings[T_BOUND, promising]:
                promising = index
        tally[1] += try_block(
            problem, machine, unit_pj, axes, tilings, promising, promising + 1, orders, block, tables, found, best
        )
        write_mapping(problem, axes, tilings, best, mapping)
        count = keep_promising(tilings, count, best[0], promising)
    for first in range(0, count, BLOCK):
        cycles, energy = best[0], best[1]
        last = min(first + BLOCK, count)
        tally[1] += try_block(
            problem, machine, unit_pj, axes, tilings, first, last, orders, block, tables, found, best
        )
        if best[0] < cycles or best[1] < energy:
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
    scratch = np.empty((BLOCK_ROWS + FOUND_ROWS + TABLE_ROWS, BLOCK))
    axes = np.empty((4, AXIS_ROWS, AXIS_LENGTH))
    lengths = np.empty(4, np.int64)
    for index in range(layers.shape[0]):
        machine = machine_of[index]
        status[index] = best_mapping(
            layers[index], machines[machine], unit_pj[machine], bounded, scratch, tilings, axes, lengths,
            mappings[index], tally,
        )  # fmt: skip
