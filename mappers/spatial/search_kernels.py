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

from accel.jit import kernel
from accel.spatial.kernels import (
    COMPUTE,
    COUNTERS,
    DRAM,
    DRAM_WORDS,
    INNER,
    MAPPING_COLUMNS,
    NOC,
    NOC_WORDS,
    OUTER,
    STEPS,
    TILE,
    C,
    K,
    R,
    S,
    X,
    Y,
    buffer_fits,
    count_array,
    count_cycles,
    count_dram,
    count_layer,
    elements_fit,
    set_nest,
)

# Whose loops are innermost: those that inputs, sums or weights do not depend on.
ORDERS = np.array([[Y, X, C, R, S, K], [K, Y, X, C, R, S], [K, C, R, S, Y, X]], dtype=np.int64)
MOST_SIZES = 24
FITS_NOT = 1


@kernel
def ceil_half(size):
    """Return half of a size, rounded up."""
    return (size + 1) // 2


@kernel
def element_sizes(problem, machine, sizes, counts):
    """Write the tiles an element can have of every loop, smallest last; ``sizes`` is int64[6, 24], counts int64[6]."""
    for loop in range(6):
        share = (problem[loop] + machine[loop] - 1) // machine[loop]
        sizes[loop, 0], counts[loop] = share, 1
        while sizes[loop, counts[loop] - 1] > 1:
            halved = 1 if loop >= R else ceil_half(sizes[loop, counts[loop] - 1])
            sizes[loop, counts[loop]] = halved
            counts[loop] += 1


@kernel
def all_steps(problem, machine, mapping, loop):
    """Return the steps of the array that a whole loop takes."""
    step = mapping[TILE + loop] * machine[loop]
    return (problem[loop] + step - 1) // step


@kernel
def set_order(mapping, first, order):
    """Write one of the orders into a mapping."""
    for place in range(6):
        mapping[first + place] = ORDERS[order, place]


@kernel
def energy_of(counters, unit_pj, first, last):
    """Return the energy of some counters."""
    energy = 0.0
    for counter in range(first, last):
        energy += counters[counter] * unit_pj[counter]
    return energy


@kernel
def least_dram(problem, machine, unit_pj, mapping, sizes, counts, nest, counters):
    """Return the least energy of DRAM traffic and the fewest cycles of the port that any buffer tile comes with.

    Buffer tiles here are any halvings of the loops by elements and by steps, whichever tile an element has.
    """
    energy, cycles = np.inf, np.int64(2**62)
    reach = np.empty((4, 2 * MOST_SIZES * MOST_SIZES), np.int64)
    many = np.zeros(4, np.int64)
    for loop in range(4):
        for place in range(counts[loop]):
            step = sizes[loop, place] * machine[loop]
            steps = (problem[loop] + step - 1) // step
            while True:
                size = min(problem[loop], step * steps)
                new = True
                for known in range(many[loop]):
                    new = new and reach[loop, known] != size
                if new:
                    reach[loop, many[loop]] = size
                    many[loop] += 1
                if steps == 1:
                    break
                steps = ceil_half(steps)
    # As if elements were alone and a tile as large as the buffer's: only its size matters here.
    alone = np.ones_like(machine)
    alone[6:] = machine[6:]
    mapping[STEPS : STEPS + 6] = 1
    mapping[TILE + R], mapping[TILE + S] = problem[R], problem[S]
    for k in range(many[K]):
        mapping[TILE + K] = reach[K, k]
        for c in range(many[C]):
            mapping[TILE + C] = reach[C, c]
            for y in range(many[Y]):
                mapping[TILE + Y] = reach[Y, y]
                largest = 0  # of equal tiles otherwise the widest is best
                for x in range(many[X]):
                    mapping[TILE + X] = reach[X, x]
                    if reach[X, x] > largest and buffer_fits(problem, alone, mapping):
                        largest = reach[X, x]
                if not largest:
                    continue
                mapping[TILE + X] = largest
                for order in range(3):
                    set_order(mapping, OUTER, order)
                    set_nest(problem, alone, mapping, nest)
                    count_dram(problem, alone, mapping, nest, counters)
                    energy = min(energy, energy_of(counters, unit_pj, DRAM_WORDS, DRAM_WORDS + 4))
                    count_cycles(problem, alone, mapping, counters)
                    cycles = min(cycles, counters[DRAM])
    return energy, cycles


@kernel
def bound(problem, machine, unit_pj, mapping, nest, counters, dram_energy, dram_cycles):
    """Return the least energy and cycles that an element's tile can come with, and their product; infinite if none."""
    for loop in range(6):
        mapping[STEPS + loop] = all_steps(problem, machine, mapping, loop)
    least_energy, least_cycles = np.inf, np.int64(2**62)
    set_order(mapping, OUTER, 0)
    for order in range(3):
        set_order(mapping, INNER, order)
        set_nest(problem, machine, mapping, nest)
        count_array(problem, machine, mapping, nest, counters)
        count_cycles(problem, machine, mapping, counters)
        energy = counters[3] * unit_pj[3] + energy_of(counters, unit_pj, NOC_WORDS, len(COUNTERS))
        least_energy = min(least_energy, energy)
        least_cycles = min(least_cycles, max(counters[COMPUTE], counters[NOC], dram_cycles))
    return least_energy + dram_energy, least_cycles


@kernel
def expand(problem, machine, unit_pj, mapping, nest, counters, lower, best, best_score):
    """Try all buffer tiles and orders with one tile of elements; return the best score so far.

    Contract
    --------
    lower : tuple of float, int   energy without DRAM, and cycles, that cannot be beaten with this tile
    best : int64[24]              written where a mapping is better
    """
    whole = np.empty(6, np.int64)
    for loop in range(6):
        whole[loop] = all_steps(problem, machine, mapping, loop)
        mapping[STEPS + loop] = whole[loop]
    k = whole[K]
    while k > 0:
        mapping[STEPS + K] = k
        c = whole[C]
        while c > 0:
            mapping[STEPS + C] = c
            y = whole[Y]
            while y > 0:
                mapping[STEPS + Y] = y
                x = whole[X]
                while x > 0:
                    mapping[STEPS + X] = x
                    if buffer_fits(problem, machine, mapping):
                        best_score = try_orders(
                            problem, machine, unit_pj, mapping, nest, counters, lower, best, best_score
                        )
                    x = ceil_half(x) if x > 1 else 0
                y = ceil_half(y) if y > 1 else 0
            c = ceil_half(c) if c > 1 else 0
        k = ceil_half(k) if k > 1 else 0
    return best_score


@kernel
def try_orders(problem, machine, unit_pj, mapping, nest, counters, lower, best, best_score):
    """Try the orders of one choice of tiles; return the best score so far."""
    for outer in range(3):
        set_order(mapping, OUTER, outer)
        set_nest(problem, machine, mapping, nest)
        count_dram(problem, machine, mapping, nest, counters)
        count_cycles(problem, machine, mapping, counters)
        dram = energy_of(counters, unit_pj, DRAM_WORDS, DRAM_WORDS + 4)
        if (lower[0] + dram) * max(lower[1], counters[DRAM]) >= best_score:
            continue
        for inner in range(3):
            set_order(mapping, INNER, inner)
            cycles = count_layer(problem, machine, mapping, nest, counters)
            score = energy_of(counters, unit_pj, 0, len(COUNTERS)) * cycles
            if score < best_score:
                best_score = score
                best[:] = mapping
    return best_score


@kernel
def set_tiles(code, sizes, counts, mapping):
    """Write the element's tiles that a number stands for."""
    for loop in range(6):
        mapping[TILE + loop] = sizes[loop, code % counts[loop]]
        code //= counts[loop]


@kernel
def best_mapping(problem, machine, unit_pj, best):
    """Write the best mapping of a layer (int64[24]); return the number of element tiles expanded, 0 where none fits."""
    sizes, counts = np.empty((6, MOST_SIZES), np.int64), np.empty(6, np.int64)
    mapping, nest = np.zeros(MAPPING_COLUMNS, np.int64), np.empty((4, 6), np.int64)
    counters = np.zeros(len(COUNTERS), np.int64)
    element_sizes(problem, machine, sizes, counts)
    set_order(mapping, INNER, 0)
    dram_energy, dram_cycles = least_dram(problem, machine, unit_pj, mapping, sizes, counts, nest, counters)
    codes = 1
    for loop in range(6):
        codes *= counts[loop]
    tiles, bounds, fitting = np.empty(codes, np.int64), np.empty((codes, 3)), 0
    for code in range(codes):
        set_tiles(code, sizes, counts, mapping)
        if elements_fit(problem, machine, mapping):
            energy, cycles = bound(problem, machine, unit_pj, mapping, nest, counters, dram_energy, dram_cycles)
            tiles[fitting] = code
            bounds[fitting, 0], bounds[fitting, 1], bounds[fitting, 2] = energy - dram_energy, cycles, energy * cycles
            fitting += 1
    best_score, expanded = np.inf, 0
    while fitting:
        first = np.argmin(bounds[:fitting, 2])
        if bounds[first, 2] >= best_score:
            break
        set_tiles(tiles[first], sizes, counts, mapping)
        lower = (bounds[first, 0], bounds[first, 1])
        best_score = expand(problem, machine, unit_pj, mapping, nest, counters, lower, best, best_score)
        expanded += 1
        fitting -= 1
        tiles[first] = tiles[fitting]
        bounds[first] = bounds[fitting]
    return expanded if best_score < np.inf else 0


@kernel
def search(problems, machine, unit_pj, mappings):
    """Write every layer's best mapping; return the index of the first that does not fit, or -1."""
    for index in range(len(problems)):
        if not best_mapping(problems[index], machine, unit_pj, mappings[index]):
            return index
    return -1
