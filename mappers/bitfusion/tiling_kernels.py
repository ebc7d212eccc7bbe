"""BitFusion's tilings: which tile sizes there are, which fit the buffers, what none of their orders can beat or change.

A quotient x / width is rounded up as floor((x + width - 1/2) / width): the half keeps it off whole numbers, so that it
is exact for x below 2**50 though 1 / width is rounded.
"""

import numpy as np

from accel.bitfusion import kernels as bf
from accel.jit import inlined_kernel, kernel, kernel_on_distinct_arrays, lean_kernel

PUBLISHED_LENGTH = 24  # a dimension of 2**20 has 21 sizes that are powers of two

# Rows of the axes: what depends on one tile size alone.
SIZE, TILES = range(2)
STEPS, PADDED, CHARGED = range(2, 5)  # of a channel axis: array cycles of all tiles, padded size, size as read
AXIS_ROWS = 5

# Columns of a tiling: places on the five axes, then what its orders share.
T_WGT, T_ACT, T_OUT, T_COMPUTE, T_BOUND, T_SITUATION = range(5, 11)
TILING_COLUMNS = 11

# What all tilings of a layer on a machine share.
GROUPS, WGT_BITS, ACT_BITS, WINDOW = range(4)
WBUF, IBUF, OBUF = range(4, 7)  # half of each buffer [bits]
PER_WIDTH, ROUND_UP = range(7, 9)  # 1 / DRAM bits per cycle, and what is added before
PRELOAD, STORED = range(9, 11)  # shares of the outputs' resident part that are loaded first and stored last
WGT_READ, ACT_READ, SUMS_READ, CYCLE = range(11, 15)  # energy of an element that the array reads, and of its cycle
NOT_MOVED = 15  # energy of the walked output traffic that does not happen, a bit of it
WGT_PRICE, ACT_PRICE, OUT_PRICE = range(16, 19)  # energy of a bit that travels
TERMS = 19


@lean_kernel
def lay_terms(problem, machine, unit_pj, terms):
    """Write what all tilings share (float64[TERMS])."""
    width = float(machine[bf.DRAM_BITS])
    terms[GROUPS], terms[WINDOW] = problem[bf.P_GROUPS], problem[bf.P_KERNEL_W] * problem[bf.P_KERNEL_H]
    terms[WGT_BITS], terms[ACT_BITS] = problem[bf.P_WGT_BITS], problem[bf.P_ACT_BITS]
    terms[WBUF], terms[IBUF] = machine[bf.WBUF_HALF_BITS], machine[bf.IBUF_HALF_BITS]
    terms[OBUF] = machine[bf.OBUF_HALF_BITS]
    terms[PER_WIDTH], terms[ROUND_UP] = 1.0 / width, width - 0.5
    terms[PRELOAD] = 1.0 if machine[bf.OUTPUT_PRELOAD] else 0.0
    terms[STORED] = 1.0 if machine[bf.WIDE_OUTPUTS] else terms[ACT_BITS] / bf.ACCUMULATOR_BITS
    terms[WGT_READ] = terms[WGT_BITS] * unit_pj[bf.WBUF_READ]
    terms[ACT_READ] = terms[ACT_BITS] * unit_pj[bf.IBUF_READ]
    terms[SUMS_READ] = bf.ACCUMULATOR_BITS * (unit_pj[bf.OBUF_READ] + unit_pj[bf.OBUF_WRITE])
    terms[CYCLE] = unit_pj[bf.COMPUTE]
    load_pj, store_pj = unit_pj[bf.DRAM_READ] + unit_pj[bf.OBUF_WRITE], unit_pj[bf.DRAM_WRITE]
    terms[NOT_MOVED] = (1.0 - terms[PRELOAD]) * load_pj + (1.0 - terms[STORED]) * store_pj
    terms[WGT_PRICE] = unit_pj[bf.DRAM_READ] + unit_pj[bf.WBUF_WRITE]
    terms[ACT_PRICE] = unit_pj[bf.DRAM_READ] + unit_pj[bf.IBUF_WRITE]
    terms[OUT_PRICE] = unit_pj[bf.DRAM_READ] + unit_pj[bf.DRAM_WRITE] + unit_pj[bf.OBUF_READ] + unit_pj[bf.OBUF_WRITE]


@lean_kernel
def published_sizes(size, unit, sizes):
    """Write the powers of two times ``unit`` up to the first that covers ``size``, capped; return how many."""
    count = 0
    tile = unit
    while tile < size:
        sizes[count] = tile
        count += 1
        tile *= 2
    sizes[count] = size
    return count + 1


@lean_kernel
def all_sizes(size, unit, sizes):
    """Write, in rising order, the smallest tile of every number of tiles and the published ones; return how many.

    Of the tiles that cut a dimension into n parts the smallest, the dimension over n rounded up, takes the least room,
    array cycles and traffic. Every divisor is one.
    """
    count = np.int64(0)
    tile, power = np.int64(1), unit
    while True:
        while power < tile:
            sizes[count] = power
            count += 1
            power *= 2
        if power == tile:
            power *= 2
        sizes[count] = tile
        count += 1
        if tile == size:
            return count
        tiles = (size + tile - 1) // tile
        tile = (size + tiles - 2) // (tiles - 1)


@lean_kernel
def most_sizes(size):
    """Return how many tile sizes a dimension has at most."""
    return 2 * np.int64(np.sqrt(float(size))) + PUBLISHED_LENGTH


@lean_kernel
def rounds(size, part):
    """Return size / part rounded up, as a float: exact below 2**53, and much faster than dividing integers."""
    return np.ceil(float(size) / float(part))


@kernel
def lay_axes(problem, machine, wide, axes, lengths):
    """Write what depends on one tile size alone, for the five loops (float64[5, AXIS_ROWS, length])."""
    columns, lanes = machine[bf.UNITS_COLUMNS], problem[bf.P_LANES]
    full_edges = machine[bf.FULL_EDGE_TILES]
    window = problem[bf.P_KERNEL_W] * problem[bf.P_KERNEL_H]
    sizes = np.empty(axes.shape[2], np.int64)
    for loop in range(5):
        # The published space has one side for width and height: their axes run in step.
        size = problem[loop] if wide or loop not in (bf.LOOP_W, bf.LOOP_H) else max(problem[bf.P_W], problem[bf.P_H])
        unit = columns if loop == bf.LOOP_OC and not problem[bf.P_IM2COL] else np.int64(1)
        lengths[loop] = all_sizes(size, unit, sizes) if wide else published_sizes(size, unit, sizes)
        for i in range(lengths[loop]):
            axes[loop, SIZE, i] = min(sizes[i], problem[loop])
            axes[loop, TILES, i] = rounds(problem[loop], axes[loop, SIZE, i])
    for i in range(lengths[bf.LOOP_IC]):
        size, tiles = axes[bf.LOOP_IC, SIZE, i], axes[bf.LOOP_IC, TILES, i]
        steps = tiles * reduction_rounds(problem, window, size)
        edge = float(problem[bf.P_IC]) - (tiles - 1.0) * size
        if not full_edges:
            steps += reduction_rounds(problem, window, edge) - reduction_rounds(problem, window, size)
        axes[bf.LOOP_IC, STEPS, i] = steps
        axes[bf.LOOP_IC, PADDED, i] = rounds(window * size, lanes) * lanes
    for i in range(lengths[bf.LOOP_OC]):
        size, tiles = axes[bf.LOOP_OC, SIZE, i], axes[bf.LOOP_OC, TILES, i]
        passes = rounds(size, columns)
        steps = tiles * passes
        if not full_edges:
            steps += rounds(problem[bf.P_OC] - (tiles - 1.0) * size, columns) - passes
        axes[bf.LOOP_OC, STEPS, i] = steps
        axes[bf.LOOP_OC, PADDED, i] = passes * columns
        axes[bf.LOOP_OC, CHARGED, i] = size if machine[bf.UNSHARED_INPUT_READS] else passes


@lean_kernel
def reduction_rounds(problem, window, ic):
    """``accel.bitfusion.kernels.reduction_steps`` as a float."""
    if problem[bf.P_IM2COL]:
        return rounds(window * ic, problem[bf.P_LANES])
    return window * rounds(ic, problem[bf.P_LANES])


@inlined_kernel
def side(problem, kernel, reach, size):
    """Return how many input pixels a tile of ``size`` outputs reads along the map's width or height."""
    return size * problem[kernel] if problem[bf.P_IM2COL] else problem[reach] + (size - 1.0) * problem[bf.P_STRIDE]


@inlined_kernel
def cycles_of(bits, terms):
    """Return the cycles that so many bits take."""
    return np.floor((bits + terms[ROUND_UP]) * terms[PER_WIDTH])


@inlined_kernel
def least_resident(tile, one, two, three, four, half_bits):
    """Return the least that can stay resident of an operand of such a tile, by the tiles of the loops that index it.

    All of it where that fits, whatever the order. Else the innermost of these loops adds its tiles if they fit.
    """
    most = max(max(one, two), max(three, four))
    if tile * one * two * three * four <= half_bits:
        return tile * one * two * three * four
    if tile * most > half_bits:
        return tile
    least = min(one if one > 1.0 else most, two if two > 1.0 else most)
    return tile * min(least, min(three if three > 1.0 else most, four if four > 1.0 else most))


@kernel_on_distinct_arrays
def bound_channels(problem, terms, axes, lengths, bounds):
    """Write, for every pair of channel tiles, cycles that no mapping with them can beat; infinite where none fits.

    Large tiles of input channels come first: of equal cycles they often take the least energy.
    """
    outputs = float(problem[bf.P_B]) * float(problem[bf.P_W] * problem[bf.P_H])
    array = terms[GROUPS] * problem[bf.P_PASSES] * outputs
    read_w, read_h = np.inf, np.inf  # input pixels along each side that all tiles read
    for w in range(lengths[bf.LOOP_W]):
        read_w = min(
            read_w, axes[bf.LOOP_W, TILES, w] * side(problem, bf.P_KERNEL_W, bf.P_REACH_W, axes[bf.LOOP_W, SIZE, w])
        )
    for h in range(lengths[bf.LOOP_H]):
        read_h = min(
            read_h, axes[bf.LOOP_H, TILES, h] * side(problem, bf.P_KERNEL_H, bf.P_REACH_H, axes[bf.LOOP_H, SIZE, h])
        )
    act, depthwise = problem[bf.P_B] * read_w * read_h * terms[ACT_BITS], problem[bf.P_DEPTHWISE]
    moved = terms[PRELOAD] + terms[STORED]
    pair = 0
    for ic in range(lengths[bf.LOOP_IC] - 1, -1, -1):
        steps, padded = array * axes[bf.LOOP_IC, STEPS, ic], axes[bf.LOOP_IC, PADDED, ic] * terms[WGT_BITS]
        tiles_ic = axes[bf.LOOP_IC, TILES, ic]
        for oc in range(lengths[bf.LOOP_OC]):
            size_oc, tiles_oc = axes[bf.LOOP_OC, SIZE, oc], axes[bf.LOOP_OC, TILES, oc]
            wgt, out = padded * size_oc, axes[bf.LOOP_OC, PADDED, oc] * bf.ACCUMULATOR_BITS
            traffic = (wgt * tiles_ic + out * outputs * moved) * tiles_oc
            traffic += act * (size_oc * tiles_oc if depthwise else axes[bf.LOOP_IC, SIZE, ic] * tiles_ic)
            first = least_resident(wgt, 1.0, 1.0, tiles_ic, tiles_oc, terms[WBUF])
            compute = steps * axes[bf.LOOP_OC, STEPS, oc] + cycles_of(first + out * moved, terms)
            bound = max(compute, cycles_of(terms[GROUPS] * traffic, terms))
            bounds[pair] = np.inf if wgt > terms[WBUF] or out > terms[OBUF] else bound
            pair += 1


@inlined_kernel
def tilings_of_channels(problem, machine, terms, wide, axes, lengths, ic, oc, w_from, most, enough, tilings, count):
    """Append the tilings of two channel tiles that fit half of every buffer.

    Contract
    --------
    wide    : bool  any height with any width (of a symmetric map none larger), instead of one side for both
    ic, oc  : int64  places on their axes
    w_from  : int64  place on the axis of widths to begin at
    most    : float64  cycles; tilings that provably take more are left out
    enough  : int64  tilings to stop at, after a width
    tilings : float64[capacity, TILING_COLUMNS]  written from row ``count``

    Returns
    -------
    How many tilings there are now, and the width to go on with.

    ``T_BOUND`` is a number of cycles that no order of the tiling's loops can beat: the array's cycles with what is
    at least loaded before and stored after them, or all traffic with perfect reuse.
    """
    preload, stored, ibuf, obuf = terms[PRELOAD], terms[STORED], terms[IBUF], terms[OBUF]
    edges_full = machine[bf.FULL_EDGE_TILES]
    images, size_map = float(problem[bf.P_B]), float(problem[bf.P_W] * problem[bf.P_H])
    rounds_ic, rounds_oc = axes[bf.LOOP_IC, TILES, ic], axes[bf.LOOP_OC, TILES, oc]
    wgt = axes[bf.LOOP_IC, PADDED, ic] * axes[bf.LOOP_OC, SIZE, oc] * terms[WGT_BITS]
    channels = axes[bf.LOOP_OC, SIZE, oc] if problem[bf.P_DEPTHWISE] else axes[bf.LOOP_IC, SIZE, ic]
    tiles_act = rounds_oc if problem[bf.P_DEPTHWISE] else rounds_ic
    act_pixel, out_pixel = channels * terms[ACT_BITS], axes[bf.LOOP_OC, PADDED, oc] * bf.ACCUMULATOR_BITS
    all_wgt, wgt_first = wgt * rounds_ic * rounds_oc, least_resident(wgt, 1.0, 1.0, rounds_ic, rounds_oc, terms[WBUF])
    steps = terms[GROUPS] * problem[bf.P_PASSES] * axes[bf.LOOP_IC, STEPS, ic] * axes[bf.LOOP_OC, STEPS, oc]
    symmetric = problem[bf.P_W] == problem[bf.P_H] and problem[bf.P_KERNEL_W] == problem[bf.P_KERNEL_H]
    for w in range(w_from, lengths[bf.LOOP_W]):
        if count > enough:
            return count, w
        size_w, rounds_w = axes[bf.LOOP_W, SIZE, w], axes[bf.LOOP_W, TILES, w]
        side_w = side(problem, bf.P_KERNEL_W, bf.P_REACH_W, size_w)
        for h in range(0 if wide else w, w + 1 if symmetric or not wide else lengths[bf.LOOP_H]):
            size_h, rounds_h = axes[bf.LOOP_H, SIZE, h], axes[bf.LOOP_H, TILES, h]
            act_one = side_w * side(problem, bf.P_KERNEL_H, bf.P_REACH_H, size_h) * act_pixel
            out_one = size_w * size_h * out_pixel
            if act_one > ibuf or out_one > obuf:
                break
            pixels = size_w * size_h * rounds_w * rounds_h if edges_full else size_map
            for b in range(lengths[bf.LOOP_B]):
                size_b, rounds_b = axes[bf.LOOP_B, SIZE, b], axes[bf.LOOP_B, TILES, b]
                act, out = act_one * size_b, out_one * size_b
                if act > ibuf or out > obuf:
                    break
                compute = steps * pixels * (size_b * rounds_b if edges_full else images)
                repeats = rounds_b * rounds_w * rounds_h
                traffic = all_wgt + (act * tiles_act + out * rounds_oc * (preload + stored)) * repeats
                at_port = cycles_of(terms[GROUPS] * traffic, terms)
                if max(compute, at_port) > most:
                    continue
                act_first = least_resident(act, rounds_b, rounds_w, rounds_h, tiles_act, ibuf)
                out_first = least_resident(out, rounds_b, rounds_w, rounds_h, rounds_oc, obuf)
                ends = cycles_of(wgt_first + act_first + out_first * preload, terms)
                bound = max(compute + ends + cycles_of(out_first * stored, terms), at_port)
                if bound > most:
                    continue
                tiling = tilings[count]
                tiling[bf.LOOP_B], tiling[bf.LOOP_W], tiling[bf.LOOP_H] = b, w, h
                tiling[bf.LOOP_IC], tiling[bf.LOOP_OC] = ic, oc
                tiling[T_WGT], tiling[T_ACT], tiling[T_OUT] = wgt, act, out
                tiling[T_COMPUTE], tiling[T_BOUND] = compute, bound
                tiling[T_SITUATION] = situation_of(rounds_b, rounds_w, rounds_h, rounds_ic, rounds_oc)
                count += 1
    return count, lengths[bf.LOOP_W]


@inlined_kernel
def situation_of(b, w, h, ic, oc):
    """Return which loops have one iteration and whether width and height have equally many, see ``loop_orders``."""
    situation = 32 if w == h else 0
    situation += (b == 1.0) + 2 * (w == 1.0) + 4 * (h == 1.0) + 8 * (ic == 1.0) + 16 * (oc == 1.0)
    return situation


@lean_kernel
def fixed_energy(problem, machine, unit_pj, terms, axes, tiling):
    """Return a tiling's energy without its traffic: it is the same for all its orders [pJ]."""
    b, w, h = int(tiling[bf.LOOP_B]), int(tiling[bf.LOOP_W]), int(tiling[bf.LOOP_H])
    ic, oc = int(tiling[bf.LOOP_IC]), int(tiling[bf.LOOP_OC])
    size_ic, size_oc = axes[bf.LOOP_IC, SIZE, ic], axes[bf.LOOP_OC, SIZE, oc]
    rounds_map = axes[bf.LOOP_B, TILES, b] * axes[bf.LOOP_W, TILES, w] * axes[bf.LOOP_H, TILES, h]
    rounds_oc = axes[bf.LOOP_OC, TILES, oc]
    tiles = rounds_map * axes[bf.LOOP_IC, TILES, ic] * rounds_oc
    pixels = axes[bf.LOOP_B, SIZE, b] * axes[bf.LOOP_W, SIZE, w] * axes[bf.LOOP_H, SIZE, h]
    # With two lanes or more, output stationary is always the cheapest dataflow inside the array.
    charged = size_oc * terms[WGT_READ] + axes[bf.LOOP_OC, CHARGED, oc] * terms[ACT_READ]
    array_pj = terms[WINDOW] * size_ic * pixels * charged + size_oc * pixels * terms[SUMS_READ]
    energy = tiling[T_COMPUTE] * terms[CYCLE] + terms[GROUPS] * tiles * array_pj
    energy -= terms[GROUPS] * tiling[T_OUT] * rounds_map * rounds_oc * terms[NOT_MOVED]
    if problem[bf.P_LANES] == 1:
        energy += terms[GROUPS] * tiles * one_lane_energy(problem, machine, unit_pj, axes, tiling)
    return energy


@lean_kernel
def one_lane_energy(problem, machine, unit_pj, axes, tiling):
    """Return what a tile's cheapest dataflow takes with one lane, beyond output stationary [pJ]."""
    b, w = size_of(axes, tiling, bf.LOOP_B), size_of(axes, tiling, bf.LOOP_W)
    h, ic, oc = size_of(axes, tiling, bf.LOOP_H), size_of(axes, tiling, bf.LOOP_IC), size_of(axes, tiling, bf.LOOP_OC)
    charged = int(axes[bf.LOOP_OC, CHARGED, int(tiling[bf.LOOP_OC])])
    volume = problem[bf.P_KERNEL_W] * problem[bf.P_KERNEL_H] * ic * b * w * h
    wgt, act, sums = bf.array_reads(problem, machine, b, w, h, ic, oc)
    wgt -= volume * oc * problem[bf.P_WGT_BITS]
    act -= volume * charged * problem[bf.P_ACT_BITS]
    sums -= oc * b * w * h * bf.ACCUMULATOR_BITS
    sums_pj = unit_pj[bf.OBUF_READ] + unit_pj[bf.OBUF_WRITE]
    return wgt * unit_pj[bf.WBUF_READ] + act * unit_pj[bf.IBUF_READ] + sums * sums_pj


@inlined_kernel
def size_of(axes, tiling, loop):
    """Return a tile's size in one loop."""
    return int(axes[loop, SIZE, int(tiling[loop])])
