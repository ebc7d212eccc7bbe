"""What a layer asks of a spatial array under a mapping: words that cross every level, and cycles, in closed form.

Source: the analysis of Kwon et al., "MAESTRO", MICRO 2019, and Parashar et al., "Timeloop", ISPASS 2019: an operand
stays in a buffer as long as only loops run that it does not depend on, and is fetched again whenever another one steps.

A mapping cuts each of the six loops three times: into tiles of the global buffer, those into steps of the array, those
into one tile per element along its dimension. The loops over buffer tiles have an order, and so have the loops over a
buffer tile's steps. Where a tile is loaded is settled for whole tiles: behind the innermost loop of more than one
iteration that the operand depends on. Tiles at the edges are shorter, and their loops run less often.
"""

import numpy as np

from accel.arithmetic import ceil_div
from accel.jit import kernel, lean_kernel

LOOPS = "KCYXRS"
K, C, Y, X, R, S = range(6)

# A layer as the kernels see it: its six loops, and
STRIDE, DEPTHWISE, REPEATS = 6, 7, 8
PROBLEM_COLUMNS = 9

# The machine: how often each of the six loops is unrolled, then usable words and buses.
ELEMENT_WORDS, BUFFER_WORDS, WORD_BITS, NOC_BITS, DRAM_BITS = range(6, 11)
MACHINE_COLUMNS = 11

# A mapping: an element's tile of every loop, steps of the array in a buffer tile, and loops by place, outermost first.
TILE, STEPS, OUTER, INNER = 0, 6, 12, 18
MAPPING_COLUMNS = 24

# How often loops run and where they stand in the nest, outermost first, the outer six before the inner.
OUTER_TRIPS, INNER_TRIPS, OUTER_PLACE, INNER_PLACE = range(4)

# Which loops an operand depends on; a depthwise layer has no input channels but those of its outputs.
WEIGHTS, INPUTS, SUMS = range(3)
DEPENDS = np.array(
    [
        [[1, 1, 0, 0, 1, 1], [0, 1, 1, 1, 1, 1], [1, 0, 1, 1, 0, 0]],
        [[1, 1, 0, 0, 1, 1], [1, 1, 1, 1, 1, 1], [1, 0, 1, 1, 0, 0]],
    ],
    dtype=np.bool_,
)

# Words between DRAM and buffer, buffer and array (one copy for all elements), and at the elements (all copies).
COUNTERS = (
    "compute_cycles", "noc_cycles", "dram_cycles", "macs",
    "dram_weights_read", "dram_inputs_read", "dram_sums_read", "dram_outputs_written",
    "buffer_weights_read", "buffer_inputs_read", "buffer_sums_read", "buffer_sums_written",
    "element_weights_filled", "element_inputs_filled", "element_sums_filled", "element_sums_drained",
)  # fmt: skip
COMPUTE, NOC, DRAM, MACS = range(4)
DRAM_WORDS, NOC_WORDS, FILLS = 4, 8, 12
SUMS_IN, SUMS_OUT = 2, 3  # from the first of the four


@lean_kernel
def seen(outputs, kernel_size, stride):
    """Return the input rows that some output rows see through some kernel rows; likewise columns."""
    return min((outputs - 1) * stride + kernel_size, outputs * kernel_size)


@lean_kernel
def seen_by_tiles(size, tile, kernel_size, kernel_tile, stride):
    """Return the input rows that tiles of output rows see through tiles of kernel rows, each pair by itself."""
    whole, edge = size // tile, size % tile
    kernels, kernel_edge = kernel_size // kernel_tile, kernel_size % kernel_tile
    total = whole * kernels * seen(tile, kernel_tile, stride)
    if edge:
        total += kernels * seen(edge, kernel_tile, stride)
    if kernel_edge:
        total += whole * seen(tile, kernel_edge, stride)
        if edge:
            total += seen(edge, kernel_edge, stride)
    return total


@lean_kernel
def words_seen(problem, y, x, r, s):
    """Return the words of inputs in all tiles of so many rows and columns, of outputs and of the kernel."""
    rows = seen_by_tiles(problem[Y], y, problem[R], r, problem[STRIDE])
    columns = seen_by_tiles(problem[X], x, problem[S], s, problem[STRIDE])
    channels = problem[C] * (problem[K] if problem[DEPTHWISE] else 1)
    return channels * rows * columns


@lean_kernel
def tile_words(problem, k, c, y, x, r, s):
    """Return the words of one tile, the three operands together."""
    inputs = seen(y, r, problem[STRIDE]) * seen(x, s, problem[STRIDE]) * c * (k if problem[DEPTHWISE] else 1)
    return k * c * r * s + inputs + k * y * x


@lean_kernel
def set_nest(problem, machine, mapping, nest):
    """Write how often every loop runs over buffer tiles and over steps in a whole one, and where it stands.

    Contract
    --------
    nest : int64[4, 6]  written: rows as ``OUTER_TRIPS`` and so on
    """
    for loop in range(6):
        step = mapping[TILE + loop] * machine[loop]
        nest[OUTER_TRIPS, loop] = ceil_div(problem[loop], step * mapping[STEPS + loop])
        nest[INNER_TRIPS, loop] = min(mapping[STEPS + loop], ceil_div(problem[loop], step))
        nest[OUTER_PLACE, mapping[OUTER + loop]] = loop
        nest[INNER_PLACE, mapping[INNER + loop]] = 6 + loop


@lean_kernel
def last_that_steps(depends, nest, level, found):
    """Return the innermost place of a loop that brings another tile: at a level, or else the one found further out."""
    for loop in range(6):
        if depends[loop] and nest[level, loop] > 1:
            found = max(found, nest[level + 2, loop])
    return found


@lean_kernel
def buffer_tile(problem, machine, mapping):
    """Return the size of the largest buffer tile along the six loops."""
    return (
        min(problem[K], mapping[TILE + K] * machine[K] * mapping[STEPS + K]),
        min(problem[C], mapping[TILE + C] * machine[C] * mapping[STEPS + C]),
        min(problem[Y], mapping[TILE + Y] * machine[Y] * mapping[STEPS + Y]),
        min(problem[X], mapping[TILE + X] * machine[X] * mapping[STEPS + X]),
        min(problem[R], mapping[TILE + R] * machine[R] * mapping[STEPS + R]),
        min(problem[S], mapping[TILE + S] * machine[S] * mapping[STEPS + S]),
    )


@lean_kernel
def count_dram(problem, machine, mapping, nest, counters):
    """Count the words that cross the DRAM port."""
    for operand in range(3):
        depends = DEPENDS[problem[DEPTHWISE], operand]
        last = last_that_steps(depends, nest, OUTER_TRIPS, -1)
        times = problem[REPEATS]
        for loop in range(6):
            if not depends[loop] and nest[OUTER_PLACE, loop] < last:
                times *= nest[OUTER_TRIPS, loop]
        if operand == WEIGHTS:
            counters[DRAM_WORDS + WEIGHTS] = times * problem[K] * problem[C] * problem[R] * problem[S]
        elif operand == INPUTS:
            _, _, y, x, r, s = buffer_tile(problem, machine, mapping)
            counters[DRAM_WORDS + INPUTS] = times * words_seen(problem, y, x, r, s)
        else:
            # Sums leave with every visit and come back with every visit but the first.
            outputs = problem[K] * problem[Y] * problem[X]
            counters[DRAM_WORDS + SUMS_OUT] = times * outputs
            counters[DRAM_WORDS + SUMS_IN] = (times - problem[REPEATS]) * outputs


@lean_kernel
def first_users(problem, machine, mapping, loop):
    """Return the elements along a loop that the first step of every buffer tile uses, added up over buffer tiles."""
    tile, wide = mapping[TILE + loop], machine[loop]
    whole = tile * wide * mapping[STEPS + loop]
    return problem[loop] // whole * wide + min(wide, ceil_div(problem[loop] % whole, tile))


@lean_kernel
def count_array(problem, machine, mapping, nest, counters):
    """Count the words between buffer and array, and those that arrive at elements and leave them."""
    for operand in range(3):
        depends = DEPENDS[problem[DEPTHWISE], operand]
        last = last_that_steps(depends, nest, OUTER_TRIPS, -1)
        last = last_that_steps(depends, nest, INNER_TRIPS, last)
        times = copies = problem[REPEATS]
        for loop in range(6):
            if depends[loop]:
                continue
            # Elements along a loop that an operand does not depend on hold the same, or add up the same sums.
            tiles = ceil_div(problem[loop], mapping[TILE + loop])
            if nest[INNER_PLACE, loop] < last:
                times *= ceil_div(problem[loop], mapping[TILE + loop] * machine[loop])
                copies *= tiles
            elif nest[OUTER_PLACE, loop] < last:
                times *= nest[OUTER_TRIPS, loop]
                copies *= first_users(problem, machine, mapping, loop)
            else:
                copies *= min(machine[loop], tiles)
        if operand == WEIGHTS:
            words = problem[K] * problem[C] * problem[R] * problem[S]
            counters[NOC_WORDS + WEIGHTS] = times * words
            counters[FILLS + WEIGHTS] = copies * words
        elif operand == INPUTS:
            y, x, r, s = mapping[TILE + Y], mapping[TILE + X], mapping[TILE + R], mapping[TILE + S]
            counters[FILLS + INPUTS] = copies * words_seen(problem, y, x, r, s)
            y, x, r, s = y * machine[Y], x * machine[X], r * machine[R], s * machine[S]
            counters[NOC_WORDS + INPUTS] = times * words_seen(problem, y, x, r, s)
        else:
            outputs = problem[K] * problem[Y] * problem[X]
            counters[NOC_WORDS + SUMS_OUT] = times * outputs
            counters[FILLS + SUMS_OUT] = copies * outputs
            counters[NOC_WORDS + SUMS_IN] = (times - problem[REPEATS]) * outputs
            counters[FILLS + SUMS_IN] = counters[NOC_WORDS + SUMS_IN]


@lean_kernel
def count_cycles(problem, machine, mapping, counters):
    """Count the cycles of the array, whose step takes as long as its largest tile, and those of both buses."""
    cycles = macs = problem[REPEATS]
    for loop in range(6):
        size, tile = problem[loop], mapping[TILE + loop]
        step = tile * machine[loop]
        cycles *= size // step * tile + min(tile, size % step)
        macs *= size
    counters[COMPUTE], counters[MACS] = cycles, macs
    noc = dram = 0
    for stream in range(4):
        noc += counters[NOC_WORDS + stream]
        dram += counters[DRAM_WORDS + stream]
    counters[NOC] = ceil_div(noc * machine[WORD_BITS], machine[NOC_BITS])
    counters[DRAM] = ceil_div(dram * machine[WORD_BITS], machine[DRAM_BITS])
    return max(counters[COMPUTE], counters[NOC], counters[DRAM])


@lean_kernel
def count_layer(problem, machine, mapping, nest, counters):
    """Count a layer under its mapping; return its cycles.

    Contract
    --------
    nest : int64[4, 6]     scratch
    counters : int64[16]   written, as ``COUNTERS``
    """
    set_nest(problem, machine, mapping, nest)
    count_dram(problem, machine, mapping, nest, counters)
    count_array(problem, machine, mapping, nest, counters)
    return count_cycles(problem, machine, mapping, counters)


@kernel
def network_counts(problems, machine, mappings, counters):
    """Count every layer; ``counters`` is int64[n, 16]."""
    nest = np.empty((4, 6), np.int64)
    for index in range(len(problems)):
        count_layer(problems[index], machine, mappings[index], nest, counters[index])


@lean_kernel
def elements_fit(problem, machine, mapping):
    """Return whether an element's tiles of all operands fit the usable half of its buffer."""
    return (
        tile_words(
            problem, mapping[TILE + K], mapping[TILE + C], mapping[TILE + Y], mapping[TILE + X], mapping[TILE + R],
            mapping[TILE + S],
        )
        <= machine[ELEMENT_WORDS]
    )  # fmt: skip


@lean_kernel
def buffer_fits(problem, machine, mapping):
    """Return whether buffer tiles of all operands fit the usable half of the global buffer."""
    k, c, y, x, r, s = buffer_tile(problem, machine, mapping)
    return tile_words(problem, k, c, y, x, r, s) <= machine[BUFFER_WORDS]
