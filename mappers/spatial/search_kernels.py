"""The best mapping of a layer on a spatial array: branch and bound over tiles and loop orders, proven best.

The space. An element's tile of K, C, Y and X is the whole of its share or half of it, a quarter ..., rounded up; of R
and S the whole or one. Steps of the array in a buffer tile likewise, of R and S all. Of the orders three a level stand
for all: each loop is of no concern to one operand (K to inputs; C, R and S to sums; Y and X to weights), so that it
only matters whose loops are innermost; in a depthwise layer K concerns all, and two of the three are left.

The search. For an element's tile, what it costs with a global buffer without end, and with the least DRAM traffic that
any buffer tile of the layer can have, is a bound. Tiles are expanded best bound first, into buffer tiles and orders,
until no bound is below the best mapping found. What is best is the product of energy and cycles.
"""

import numpy as np

from accel.arithmetic import ceil_div
from accel.jit import kernel, lean_kernel
from accel.spatial.kernels import (
    BUFFER_WORDS,
    COMPUTE,
    COUNTERS,
    DEPTHWISE,
    DRAM_BITS,
    DRAM_WORDS,
    FILLS,
    INNER,
    INPUTS,
    MACS,
    MAPPING_COLUMNS,
    NOC_BITS,
    NOC_WORDS,
    OUTER,
    REPEATS,
    STEPS,
    STRIDE,
    SUMS,
    SUMS_IN,
    SUMS_OUT,
    TILE,
    WEIGHTS,
    WORD_BITS,
    C,
    K,
    R,
    S,
    X,
    Y,
    buffer_fits,
    buffer_tile,
    count_cycles,
    count_layer,
    elements_fit,
    seen_by_tiles,
    tile_words,
    words_seen,
)

# Whose loops are innermost: those that inputs, sums or weights do not depend on.
ORDERS = np.array([[Y, X, C, R, S, K], [K, Y, X, C, R, S], [K, C, R, S, Y, X]], dtype=np.int64)
MOST_SIZES = 24
ROUNDING = 1e-9  # bounds are summed in another order than what they bound


@lean_kernel
def element_sizes(problem, machine, sizes, counts):
    """Write the tiles an element can have of every loop, smallest last; ``sizes`` is int64[6, 24], counts int64[6]."""
    for loop in range(6):
        share = (problem[loop] + machine[loop] - 1) // machine[loop]
        sizes[loop, 0], counts[loop] = share, 1
        while sizes[loop, counts[loop] - 1] > 1:
            halved = 1 if loop >= R else ceil_div(sizes[loop, counts[loop] - 1], 2)
            sizes[loop, counts[loop]] = halved
            counts[loop] += 1


@lean_kernel
def least_of_level(words, again, unit_pj):
    """Return the least energy and words of a level's traffic: two operands move again and again, one of choice once.

    Whose loops are innermost is the choice; the other two depend on those loops, so that all others repeat them.

    Contract
    --------
    words, again : tuples of 3 int   of every operand once, and how often if it does not stay
    unit_pj : float64[4]             of the level's four counters
    """
    into = unit_pj[SUMS_IN]
    prices = (unit_pj[WEIGHTS], unit_pj[INPUTS], unit_pj[SUMS_OUT] + into)
    energy, energy_saved = -into * words[SUMS], 0.0
    moved, moved_saved = -words[SUMS], 0
    for operand in range(3):
        rest = words[operand] * (again[operand] - 1)
        energy += prices[operand] * (words[operand] + rest)
        energy_saved = max(energy_saved, prices[operand] * rest)
        # Sums are written as often as they are said to move, and read once less.
        both = 2 if operand == SUMS else 1
        moved += both * (words[operand] + rest)
        moved_saved = max(moved_saved, both * rest)
    return energy - energy_saved, moved - moved_saved


@lean_kernel
def least_dram(problem, unit_pj, k, c, y, x):
    """Return the least energy and words of DRAM traffic with buffer tiles of a size, whole along R and S."""
    channels = problem[C] * (problem[K] if problem[DEPTHWISE] else 1)
    rows = seen_by_tiles(problem[Y], y, problem[R], problem[R], problem[STRIDE])
    columns = seen_by_tiles(problem[X], x, problem[S], problem[S], problem[STRIDE])
    weights = problem[K] * problem[C] * problem[R] * problem[S]
    maps = ceil_div(problem[Y], y) * ceil_div(problem[X], x)
    filters = 1 if problem[DEPTHWISE] else ceil_div(problem[K], k)
    words = (weights, channels * rows * columns, problem[K] * problem[Y] * problem[X])
    again = (maps, filters, ceil_div(problem[C], c))
    energy, moved = least_of_level(words, again, unit_pj[DRAM_WORDS:NOC_WORDS])
    return energy * problem[REPEATS], moved * problem[REPEATS]


@lean_kernel
def insert(sizes, count, size):
    """Put a size into a rising list unless it is there; return how many there are."""
    place = count
    while place > 0 and sizes[place - 1] >= size:
        place -= 1
    if place < count and sizes[place] == size:
        return count
    for later in range(count, place, -1):
        sizes[later] = sizes[later - 1]
    sizes[place] = size
    return count + 1


@lean_kernel
def buffer_sizes(problem, machine, sizes, counts, reach, many):
    """Write the buffer tiles there are along four loops, whatever the element's tile, rising.

    Of tiles that cut a loop into as many parts only the smallest is needed: traffic depends on the parts.
    """
    for loop in range(4):
        found = 0
        for place in range(counts[loop]):
            step = sizes[loop, place] * machine[loop]
            steps = ceil_div(problem[loop], step)
            found = insert(reach[loop], found, ceil_div(problem[loop], steps))
            while steps > 1:
                steps = ceil_div(steps, 2)
                parts = ceil_div(problem[loop], step * steps)
                found = insert(reach[loop], found, ceil_div(problem[loop], parts))
        many[loop] = found


@lean_kernel
def least_dram_of_all(problem, machine, unit_pj, reach, many):
    """Return the least energy and the fewest words of DRAM traffic that any buffer tile comes with."""
    energy, moved = np.inf, np.int64(2**62)
    for place in range(many[K] * many[C]):
        k, c = reach[K, place % many[K]], reach[C, place // many[K]]
        widest = many[X]
        for y in reach[Y, : many[Y]]:
            # A wider tile is never worse here, and the taller a tile, the less wide it can be.
            while widest and (
                tile_words(problem, k, c, y, reach[X, widest - 1], problem[R], problem[S]) > machine[BUFFER_WORDS]
            ):
                widest -= 1
            if not widest:
                break
            least, fewest = least_dram(problem, unit_pj, k, c, y, reach[X, widest - 1])
            energy, moved = min(energy, least), min(moved, fewest)
    return energy, moved


@lean_kernel
def least_array(problem, machine, unit_pj, mapping):
    """Return the least energy of what is not DRAM's, and words of the on-chip bus, with one tile of elements."""
    filters, channels, maps = 1, 1, 1  # steps of the array along loops of one kind
    filter_tiles, channel_tiles, map_tiles = 1, 1, 1  # tiles of elements, and those side by side
    beside_filters, beside_channels, beside_maps = 1, 1, 1
    for loop in range(6):
        tiles = ceil_div(problem[loop], mapping[TILE + loop])
        steps, beside = ceil_div(tiles, machine[loop]), min(tiles, machine[loop])
        if loop == K:
            filters, filter_tiles, beside_filters = steps, tiles, beside
        elif loop == Y or loop == X:
            maps, map_tiles, beside_maps = maps * steps, map_tiles * tiles, beside_maps * beside
        else:
            channels, channel_tiles = channels * steps, channel_tiles * tiles
            beside_channels *= beside
    if problem[DEPTHWISE]:
        filters = filter_tiles = beside_filters = 1
    weights = problem[K] * problem[C] * problem[R] * problem[S]
    outputs = problem[K] * problem[Y] * problem[X]
    y, x, r, s = mapping[TILE + Y], mapping[TILE + X], mapping[TILE + R], mapping[TILE + S]
    copied = words_seen(problem, y, x, r, s)
    inputs = words_seen(problem, y * machine[Y], x * machine[X], r * machine[R], s * machine[S])
    bus, moved = least_of_level((weights, inputs, outputs), (maps, filters, channels), unit_pj[NOC_WORDS:FILLS])
    # Copies are fewest where the operand stays, and most where it does not.
    fill = (
        unit_pj[FILLS + WEIGHTS] * weights,
        unit_pj[FILLS + INPUTS] * copied,
        unit_pj[FILLS + SUMS_OUT] * outputs,
    )
    energy = fill[0] * beside_maps + fill[1] * beside_filters + fill[2] * beside_channels
    more = (
        fill[0] * (map_tiles - beside_maps),
        fill[1] * (filter_tiles - beside_filters),
        fill[2] * (channel_tiles - beside_channels),
    )
    energy += more[0] + more[1] + more[2] - max(more[0], more[1], more[2])
    return (energy + bus) * problem[REPEATS], moved * problem[REPEATS]


@lean_kernel
def bound(problem, machine, unit_pj, mapping, counters, dram_words):
    """Return the least energy without DRAM's, and the fewest cycles, that a tile of elements can come with."""
    energy, moved = least_array(problem, machine, unit_pj, mapping)
    for stream in range(4):
        counters[DRAM_WORDS + stream] = counters[NOC_WORDS + stream] = 0
    count_cycles(problem, machine, mapping, counters)
    noc = ceil_div(moved * machine[WORD_BITS], machine[NOC_BITS])
    cycles = max(counters[COMPUTE], noc, ceil_div(dram_words * machine[WORD_BITS], machine[DRAM_BITS]))
    return energy + counters[MACS] * unit_pj[MACS], cycles


@lean_kernel
def expand(problem, machine, unit_pj, mapping, nest, counters, lower, best, best_score):
    """Try all buffer tiles and orders with one tile of elements; return the best score so far.

    Contract
    --------
    lower : tuple of float, int   energy without DRAM's, and cycles, that cannot be beaten with this tile
    best : int64[24]              written where a mapping is better
    """
    for loop in range(6):
        mapping[STEPS + loop] = ceil_div(problem[loop], mapping[TILE + loop] * machine[loop])
    rows, columns = mapping[STEPS + Y], mapping[STEPS + X]
    channels = mapping[STEPS + C]
    while mapping[STEPS + K] > 0:
        mapping[STEPS + C] = channels
        while mapping[STEPS + C] > 0:
            mapping[STEPS + Y] = rows
            while mapping[STEPS + Y] > 0:
                mapping[STEPS + X] = columns
                while mapping[STEPS + X] > 0:
                    if buffer_fits(problem, machine, mapping):
                        if not may_beat(problem, machine, unit_pj, mapping, lower, best_score):
                            break  # nor may narrower tiles, whose DRAM traffic is no less
                        best_score = try_orders(problem, machine, unit_pj, mapping, nest, counters, best, best_score)
                    halve(mapping, STEPS + X)
                halve(mapping, STEPS + Y)
            halve(mapping, STEPS + C)
        halve(mapping, STEPS + K)
    return best_score


@lean_kernel
def halve(mapping, place):
    """Halve steps, rounded up; after one step comes none."""
    mapping[place] = ceil_div(mapping[place], 2) if mapping[place] > 1 else 0


@lean_kernel
def may_beat(problem, machine, unit_pj, mapping, lower, best_score):
    """Return whether tiles may be better than the best score, whatever the orders."""
    k, c, y, x, _, _ = buffer_tile(problem, machine, mapping)
    energy, moved = least_dram(problem, unit_pj, k, c, y, x)
    port = ceil_div(moved * machine[WORD_BITS], machine[DRAM_BITS])
    return (lower[0] + energy) * max(lower[1], port) < best_score * (1.0 + ROUNDING)


@lean_kernel
def try_orders(problem, machine, unit_pj, mapping, nest, counters, best, best_score):
    """Try the orders of one choice of tiles; return the best score so far."""
    for outer in range(3):
        for inner in range(3):
            for place in range(6):
                mapping[OUTER + place], mapping[INNER + place] = ORDERS[outer, place], ORDERS[inner, place]
            cycles = count_layer(problem, machine, mapping, nest, counters)
            score = 0.0
            for counter in range(counters.size):
                score += counters[counter] * unit_pj[counter]
            score *= cycles
            if score < best_score:
                best_score = score
                for column in range(MAPPING_COLUMNS):
                    best[column] = mapping[column]
    return best_score


@lean_kernel
def set_tiles(code, sizes, counts, mapping):
    """Write the element's tiles that a number stands for."""
    for loop in range(6):
        mapping[TILE + loop] = sizes[loop, code % counts[loop]]
        code //= counts[loop]


@kernel
def bound_tiles(problem, machine, unit_pj, sizes, counts):
    """Return the tiles of elements that fit, as numbers, and of each the least energy, cycles and score, shape (n, 3).

    Contract
    --------
    sizes : int64[6, 24]   written, as ``element_sizes``
    counts : int64[6]      written
    """
    element_sizes(problem, machine, sizes, counts)
    reach, many = np.empty((4, MOST_SIZES * MOST_SIZES), np.int64), np.zeros(4, np.int64)
    buffer_sizes(problem, machine, sizes, counts, reach, many)
    dram_energy, dram_words = least_dram_of_all(problem, machine, unit_pj, reach, many)
    mapping, counters = np.zeros(MAPPING_COLUMNS, np.int64), np.zeros(len(COUNTERS), np.int64)
    codes = 1
    for loop in range(6):
        codes *= counts[loop]
    tiles, bounds, fitting = np.empty(codes, np.int64), np.empty((codes, 3)), 0
    for code in range(codes):
        set_tiles(code, sizes, counts, mapping)
        if elements_fit(problem, machine, mapping):
            energy, cycles = bound(problem, machine, unit_pj, mapping, counters, dram_words)
            tiles[fitting] = code
            bounds[fitting, 0], bounds[fitting, 1] = energy, cycles
            bounds[fitting, 2] = (energy + dram_energy) * cycles
            fitting += 1
    return tiles[:fitting], bounds[:fitting]


@kernel
def best_first(problem, machine, unit_pj, sizes, counts, tiles, bounds, best):
    """Expand tiles of elements, best bound first, until none can be better; return how many, 0 if no buffer tile fits.

    Contract
    --------
    tiles, bounds : from ``bound_tiles``; used up
    best : int64[24]   written
    """
    mapping, nest = np.zeros(MAPPING_COLUMNS, np.int64), np.empty((4, 6), np.int64)
    counters = np.zeros(len(COUNTERS), np.int64)
    fitting, best_score, expanded = len(tiles), np.inf, 0
    while fitting:
        first = 0
        for place in range(1, fitting):
            if bounds[place, 2] < bounds[first, 2]:
                first = place
        if bounds[first, 2] >= best_score * (1.0 + ROUNDING):
            break
        set_tiles(tiles[first], sizes, counts, mapping)
        lower = (bounds[first, 0], bounds[first, 1])
        best_score = expand(problem, machine, unit_pj, mapping, nest, counters, lower, best, best_score)
        expanded += 1
        fitting -= 1
        tiles[first] = tiles[fitting]
        for column in range(3):
            bounds[first, column] = bounds[fitting, column]
    return expanded if best_score < np.inf else 0
