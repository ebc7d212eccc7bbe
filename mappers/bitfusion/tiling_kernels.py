"""BitFusion's tilings: which tile sizes there are, which fit the buffers, and what none of their orders can beat."""

import numpy as np

from accel.bitfusion import kernels as bf
from accel.jit import kernel, lean_kernel

PUBLISHED_LENGTH = 24  # a dimension of 2**20 has 21 sizes that are powers of two

# Rows of the axes: what depends on one tile size alone.
SIZE, TILES = range(2)
STEPS, PADDED, CHARGED = range(2, 5)  # of a channel axis: array cycles of all tiles, padded size, size as read
AXIS_ROWS = 5

# Rows of a tiling: places on the five axes, then what its orders share.
T_WGT, T_ACT, T_OUT, T_COMPUTE, T_BOUND, T_SITUATION = range(5, 11)
TILING_ROWS = 11


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


@lean_kernel
def windows(problem, w, h):
    """Input pixels that a tile of w x h outputs reads."""
    if problem[bf.P_IM2COL]:
        return w * h * problem[bf.P_KERNEL_W] * problem[bf.P_KERNEL_H]
    wide = problem[bf.P_REACH_W] + (w - 1.0) * problem[bf.P_STRIDE]
    return wide * (problem[bf.P_REACH_H] + (h - 1.0) * problem[bf.P_STRIDE])


@lean_kernel
def channel_bound(problem, machine, axes, ic, oc):
    """Return a number of cycles that no mapping with these channel tiles can beat; infinite where none fits."""
    columns_out = axes[bf.LOOP_OC, PADDED, oc] * bf.ACCUMULATOR_BITS
    wgt = axes[bf.LOOP_IC, PADDED, ic] * axes[bf.LOOP_OC, SIZE, oc] * problem[bf.P_WGT_BITS]
    if wgt > machine[bf.WBUF_HALF_BITS] or columns_out > machine[bf.OBUF_HALF_BITS]:
        return np.inf
    outputs = float(problem[bf.P_B]) * float(problem[bf.P_W] * problem[bf.P_H])
    preload = 1.0 if machine[bf.OUTPUT_PRELOAD] else 0.0
    stored = 1.0 if machine[bf.WIDE_OUTPUTS] else float(problem[bf.P_ACT_BITS]) / bf.ACCUMULATOR_BITS
    per_bit = (1.0 - 1e-12) / machine[bf.DRAM_BITS]  # a bound may be too low by rounding, never too high
    groups = float(problem[bf.P_GROUPS])
    compute = groups * problem[bf.P_PASSES] * outputs * axes[bf.LOOP_IC, STEPS, ic] * axes[bf.LOOP_OC, STEPS, oc]
    traffic = wgt * axes[bf.LOOP_IC, TILES, ic] * axes[bf.LOOP_OC, TILES, oc]
    traffic += columns_out * axes[bf.LOOP_OC, TILES, oc] * outputs * (preload + stored)
    return max(compute + (wgt + columns_out * (preload + stored)) * per_bit, groups * traffic * per_bit)


@lean_kernel
def tilings_of_channels(problem, machine, wide, axes, lengths, ic, oc, w_from, most, enough, tilings, count):
    """Append the tilings of two channel tiles that fit half of every buffer.

    Contract
    --------
    wide    : bool  any height with any width (of a symmetric map none larger), instead of one side for both
    ic, oc  : int64  places on their axes
    w_from  : int64  place on the axis of widths to begin at
    most    : float64  cycles; tilings that provably take more are left out
    enough  : int64  tilings to stop at, after a width
    tilings : float64[TILING_ROWS, capacity]  written from column ``count``

    Returns
    -------
    How many tilings there are now, and the width to go on with.

    ``T_BOUND`` is a number of cycles that no order of the tiling's loops can beat: the array's cycles and the
    first and last tile, or all traffic with perfect reuse.
    """
    wgt_bits, act_bits = float(problem[bf.P_WGT_BITS]), float(problem[bf.P_ACT_BITS])
    groups, passes = float(problem[bf.P_GROUPS]), float(problem[bf.P_PASSES])
    preload = 1.0 if machine[bf.OUTPUT_PRELOAD] else 0.0
    stored = 1.0 if machine[bf.WIDE_OUTPUTS] else act_bits / bf.ACCUMULATOR_BITS
    per_bit = (1.0 - 1e-12) / machine[bf.DRAM_BITS]
    ibuf, obuf = machine[bf.IBUF_HALF_BITS], machine[bf.OBUF_HALF_BITS]
    edges_full = machine[bf.FULL_EDGE_TILES]
    images, size_map = float(problem[bf.P_B]), float(problem[bf.P_W] * problem[bf.P_H])
    rounds_ic, rounds_oc = axes[bf.LOOP_IC, TILES, ic], axes[bf.LOOP_OC, TILES, oc]
    wgt = axes[bf.LOOP_IC, PADDED, ic] * axes[bf.LOOP_OC, SIZE, oc] * wgt_bits
    channels = axes[bf.LOOP_OC, SIZE, oc] if problem[bf.P_DEPTHWISE] else axes[bf.LOOP_IC, SIZE, ic]
    tiles_act = rounds_oc if problem[bf.P_DEPTHWISE] else rounds_ic
    all_wgt = wgt * rounds_ic * rounds_oc
    steps = groups * passes * axes[bf.LOOP_IC, STEPS, ic] * axes[bf.LOOP_OC, STEPS, oc]
    symmetric = problem[bf.P_W] == problem[bf.P_H] and problem[bf.P_KERNEL_W] == problem[bf.P_KERNEL_H]
    for w in range(w_from, lengths[bf.LOOP_W]):
        if count > enough:
            return count, w
        size_w, rounds_w = axes[bf.LOOP_W, SIZE, w], axes[bf.LOOP_W, TILES, w]
        for h in range(0 if wide else w, w + 1 if symmetric or not wide else lengths[bf.LOOP_H]):
            size_h, rounds_h = axes[bf.LOOP_H, SIZE, h], axes[bf.LOOP_H, TILES, h]
            act_one = windows(problem, size_w, size_h) * channels * act_bits
            out_one = size_w * size_h * axes[bf.LOOP_OC, PADDED, oc] * bf.ACCUMULATOR_BITS
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
                traffic = all_wgt + act * repeats * tiles_act + out * repeats * rounds_oc * (preload + stored)
                ends = wgt + act + out * (preload + stored)
                bound = max(compute + ends * per_bit, groups * traffic * per_bit)
                if bound > most:
                    continue
                tilings[bf.LOOP_B, count], tilings[bf.LOOP_W, count], tilings[bf.LOOP_H, count] = b, w, h
                tilings[bf.LOOP_IC, count], tilings[bf.LOOP_OC, count] = ic, oc
                tilings[T_WGT, count], tilings[T_ACT, count], tilings[T_OUT, count] = wgt, act, out
                tilings[T_COMPUTE, count], tilings[T_BOUND, count] = compute, bound
                tilings[T_SITUATION, count] = situation_of(rounds_b, rounds_w, rounds_h, rounds_ic, rounds_oc)
                count += 1
    return count, lengths[bf.LOOP_W]


@lean_kernel
def situation_of(b, w, h, ic, oc):
    """Return which loops have one iteration and whether width and height have equally many, see ``loop_orders``."""
    situation = 32 if w == h else 0
    situation += (b == 1.0) + 2 * (w == 1.0) + 4 * (h == 1.0) + 8 * (ic == 1.0) + 16 * (oc == 1.0)
    return situation
