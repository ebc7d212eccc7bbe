"""BitFusion's tilings: which tile sizes there are, which fit the buffers, and what none of their orders can beat."""

import numpy as np

from accel.bitfusion import kernels as bf
from accel.jit import kernel

AXIS_LENGTH = 24  # a dimension of 2**20 has 21 tile sizes

# Rows of the axes: what depends on one tile size alone.
SIZE, TILES = range(2)
STEPS, PADDED, CHARGED = range(2, 5)  # of a channel axis: array cycles of all tiles, padded size, size as read
WIDTH, HEIGHT, TILES_W, TILES_H, PIXELS, WINDOWS = range(5, 11)  # of the map axis
AXIS_ROWS = 11

# Rows of a tiling.
T_B, T_SIDE, T_IC, T_OC, T_WGT, T_ACT, T_OUT, T_COMPUTE, T_BOUND = range(9)
TILING_ROWS = 9


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
def rounds(size, part):
    """Return size / part rounded up, as a float: exact below 2**53, and much faster than dividing integers."""
    return np.ceil(float(size) / float(part))


@kernel
def lay_axes(problem, machine, axes, lengths):
    """Write what depends on one tile size alone, for b, side, ic and oc (float64[4, AXIS_ROWS, AXIS_LENGTH])."""
    sizes = np.empty(AXIS_LENGTH, np.int64)
    columns, lanes = machine[bf.UNITS_COLUMNS], problem[bf.P_LANES]
    full_edges = machine[bf.FULL_EDGE_TILES]
    window = problem[bf.P_KERNEL_W] * problem[bf.P_KERNEL_H]

    lengths[0] = tile_sizes(problem[bf.P_B], 1, sizes)
    for i in range(lengths[0]):
        axes[0, SIZE, i] = sizes[i]
        axes[0, TILES, i] = rounds(problem[bf.P_B], sizes[i])

    lengths[1] = tile_sizes(max(problem[bf.P_W], problem[bf.P_H]), 1, sizes)
    for i in range(lengths[1]):
        w, h = min(sizes[i], problem[bf.P_W]), min(sizes[i], problem[bf.P_H])
        axes[1, WIDTH, i], axes[1, HEIGHT, i] = w, h
        axes[1, TILES_W, i], axes[1, TILES_H, i] = rounds(problem[bf.P_W], w), rounds(problem[bf.P_H], h)
        axes[1, TILES, i] = axes[1, TILES_W, i] * axes[1, TILES_H, i]
        axes[1, PIXELS, i] = w * h
        if problem[bf.P_IM2COL]:
            axes[1, WINDOWS, i] = w * h * window
        else:
            wide = problem[bf.P_KERNEL_W] + (w - 1) * problem[bf.P_STRIDE]
            axes[1, WINDOWS, i] = wide * (problem[bf.P_KERNEL_H] + (h - 1) * problem[bf.P_STRIDE])

    lengths[2] = tile_sizes(problem[bf.P_IC], 1, sizes)
    for i in range(lengths[2]):
        tiles = rounds(problem[bf.P_IC], sizes[i])
        steps = tiles * reduction_rounds(problem, window, float(sizes[i]))
        edge = float(problem[bf.P_IC]) - (tiles - 1.0) * sizes[i]
        if not full_edges:
            steps += reduction_rounds(problem, window, edge) - reduction_rounds(problem, window, float(sizes[i]))
        axes[2, SIZE, i], axes[2, TILES, i], axes[2, STEPS, i] = sizes[i], tiles, steps
        axes[2, PADDED, i] = rounds(window * sizes[i], lanes) * lanes

    lengths[3] = tile_sizes(problem[bf.P_OC], 1 if problem[bf.P_IM2COL] else columns, sizes)
    for i in range(lengths[3]):
        tiles, passes = rounds(problem[bf.P_OC], sizes[i]), rounds(sizes[i], columns)
        steps = tiles * passes
        if not full_edges:
            steps += rounds(problem[bf.P_OC] - (tiles - 1.0) * sizes[i], columns) - passes
        axes[3, SIZE, i], axes[3, TILES, i], axes[3, STEPS, i] = sizes[i], tiles, steps
        axes[3, PADDED, i] = passes * columns
        axes[3, CHARGED, i] = sizes[i] if machine[bf.UNSHARED_INPUT_READS] else passes


@kernel
def reduction_rounds(problem, window, ic):
    """``accel.bitfusion.kernels.reduction_steps`` as a float."""
    if problem[bf.P_IM2COL]:
        return rounds(window * ic, problem[bf.P_LANES])
    return window * rounds(ic, problem[bf.P_LANES])


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
