"""What a product takes on the systolic array under a mapping: tile sizes, their order, what stays in the units.

A product is cut into tiles, whose parts of both operands and sums lie in half of a scratch memory each, and a tile into
folds. An operand's part of further inner loops stays where all of it fits; from the first loop where it does not, every
loop outside fetches it again. Sums that go on in a later tile stay likewise, otherwise they are written and read back.
A tile's fetch overlaps with the tile before it, its write with the tile after it, and nothing else overlaps.

A tile of a single fold may be larger than a scratch memory: what does not fit streams past the units, and is fetched
for every fold. Input-stationary arrays are not known here: they are weight-stationary ones of the transposed product.

Closed form: what happens during a tile follows from where it stands in each loop (first, second, in between, last but
one, last), so one tile of each such kind is counted and multiplied.
"""

from itertools import permutations

import numpy as np

from accel.arithmetic import ceil_div
from accel.jit import kernel, lean_kernel

ACCUMULATOR_BITS = 32

# A product to be mapped.
P_M, P_N, P_K, P_LEFT_BITS, P_RIGHT_BITS, P_STAY, P_ROWS, P_COLUMNS, P_HALF_BITS, P_WIDTH = range(10)
PROBLEM_COLUMNS = 10

# A mapping: tile sizes of the three dimensions, and a row of ORDERS, outermost first.
TILE_M, TILE_N, TILE_K, ORDER = range(4)
MAPPING_COLUMNS = 4
ORDERS = np.array(list(permutations(range(3))), dtype=np.int64)

# Columns of what ``count_mapping`` writes.
COUNTERS = ("compute_cycles", "stall_cycles", "read_bits", "write_bits", "folds")
COMPUTE, STALL, READ, WRITE, FOLDS = range(5)

STREAMED = -1  # of an operand whose tile does not fit


@lean_kernel
def is_one_fold(problem, mapping):
    """Return whether a tile is a single fold."""
    down = P_K if problem[P_STAY] else P_M
    return mapping[down] <= problem[P_ROWS] and mapping[TILE_N] <= problem[P_COLUMNS]


@lean_kernel
def tile_bits(problem, mapping):
    """Return the bits of the largest of a tile's three parts."""
    m, n, k = mapping[TILE_M], mapping[TILE_N], mapping[TILE_K]
    return max(m * k * problem[P_LEFT_BITS], k * n * problem[P_RIGHT_BITS], m * n * ACCUMULATOR_BITS)


@lean_kernel
def tile_fits(problem, mapping):
    """Return whether a tile is a single fold, or all of its parts fit half of their memories."""
    return tile_bits(problem, mapping) <= problem[P_HALF_BITS] or is_one_fold(problem, mapping)


@lean_kernel
def held_loops(problem, mapping, one, first, other, second, bits):
    """Return how many inner loops an operand is held in, whose tile is ``first`` by ``second`` in two dimensions."""
    half = problem[P_HALF_BITS]
    if first * second * bits > half:
        return STREAMED
    for inner in range(3):
        loop = ORDERS[mapping[ORDER], 2 - inner]
        first = problem[one] if loop == one else first
        second = problem[other] if loop == other else second
        if first * second * bits > half:
            return inner
    return 3


@lean_kernel
def is_inside(mapping, loop, held):
    """Return whether a loop is among the ``held`` innermost ones."""
    for inner in range(held):
        if ORDERS[mapping[ORDER], 2 - inner] == loop:
            return True
    return False


@lean_kernel
def fold_counts(problem, mapping, m, n, k):
    """Return folds and cycles of a tile of some size."""
    rows, columns = problem[P_ROWS], problem[P_COLUMNS]
    fill = rows + columns - 2
    if problem[P_STAY]:
        folds = ceil_div(k, rows) * ceil_div(n, columns)
        return folds, folds * (m + rows + fill)
    folds = ceil_div(m, rows) * ceil_div(n, columns)
    return folds, folds * (k + fill)


@lean_kernel
def operand_bits(problem, mapping, at, held, one, other, bits):
    """Return what one operand's part of the tile at some place has to fetch: nothing where it is held from before."""
    first = min(mapping[one], problem[one] - at[one] * mapping[one])
    second = min(mapping[other], problem[other] - at[other] * mapping[other])
    if held == STREAMED:  # a tile at the edge may fit all the same
        held = held_loops(problem, mapping, one, first, other, second, bits)
    repeated = P_M + P_N + P_K - one - other
    if at[repeated] > 0 and is_inside(mapping, repeated, held):
        return 0
    return first * second * bits


@lean_kernel
def sums_bits(problem, mapping, at, held):
    """Return what the sums of the tile at some place have to fetch and to store."""
    m = min(mapping[TILE_M], problem[P_M] - at[P_M] * mapping[TILE_M])
    n = min(mapping[TILE_N], problem[P_N] - at[P_N] * mapping[TILE_N])
    if held == STREAMED:
        held = held_loops(problem, mapping, P_M, m, P_N, n, ACCUMULATOR_BITS)
    bits = m * n * ACCUMULATOR_BITS
    if is_inside(mapping, P_K, held):
        last = (at[P_K] + 1) * mapping[TILE_K] >= problem[P_K]
        return 0, bits if last else 0
    return bits if at[P_K] > 0 else 0, bits


@lean_kernel
def fetched(problem, mapping, at, held):
    """Return the bits that are fetched for the tile at some place."""
    left = operand_bits(problem, mapping, at, held[0], P_M, P_K, problem[P_LEFT_BITS])
    right = operand_bits(problem, mapping, at, held[1], P_K, P_N, problem[P_RIGHT_BITS])
    return left + right + sums_bits(problem, mapping, at, held[2])[0]


@lean_kernel
def hold(problem, mapping, held):
    """Write how many inner loops left operand, right operand and sums are held in."""
    m, n, k = mapping[TILE_M], mapping[TILE_N], mapping[TILE_K]
    held[0] = held_loops(problem, mapping, P_M, m, P_K, k, problem[P_LEFT_BITS])
    held[1] = held_loops(problem, mapping, P_K, k, P_N, n, problem[P_RIGHT_BITS])
    held[2] = held_loops(problem, mapping, P_M, m, P_N, n, ACCUMULATOR_BITS)


@lean_kernel
def neighbour(problem, mapping, at, step, there):
    """Write the place of the tile before (-1) or after (1); return whether there is one."""
    for loop in range(3):
        there[loop] = at[loop]
    for inner in range(3):
        loop = ORDERS[mapping[ORDER], 2 - inner]
        there[loop] += step
        if 0 <= there[loop] < ceil_div(problem[loop], mapping[loop]):
            return True
        there[loop] = 0 if step > 0 else ceil_div(problem[loop], mapping[loop]) - 1
    return False


@lean_kernel
def kind_of_place(number, tiles):
    """Return a place of the kind of that number in a loop of some tiles, and how many there are of it (0: none)."""
    if number < 2:
        return number, 1 if number < tiles else 0
    if number == 2:
        return 2, max(tiles - 4, 0)
    place = tiles + number - 5
    return place, 1 if place >= 2 else 0


@kernel
def count_mapping(problem, mapping, counters):
    """Count one product under a mapping that fits.

    Contract
    --------
    problem  : int64[PROBLEM_COLUMNS]
    mapping  : int64[MAPPING_COLUMNS]
    counters : int64[5]  written, as ``COUNTERS``
    """
    held, at, there = np.empty(3, np.int64), np.empty(3, np.int64), np.empty(3, np.int64)
    hold(problem, mapping, held)
    width = problem[P_WIDTH]
    counters[:] = 0
    total = 0
    for kind in range(125):
        times = 1
        for loop in range(3):
            at[loop], number = kind_of_place(kind // 5**loop % 5, ceil_div(problem[loop], mapping[loop]))
            times *= number
        if times == 0:
            continue
        m = min(mapping[TILE_M], problem[P_M] - at[P_M] * mapping[TILE_M])
        n = min(mapping[TILE_N], problem[P_N] - at[P_N] * mapping[TILE_N])
        k = min(mapping[TILE_K], problem[P_K] - at[P_K] * mapping[TILE_K])
        folds, cycles = fold_counts(problem, mapping, m, n, k)
        load = fetched(problem, mapping, at, held)
        store = sums_bits(problem, mapping, at, held[2])[1]
        # While a tile is computed the one before it is written and the one after it is fetched.
        port = 0
        if neighbour(problem, mapping, at, -1, there):
            port += ceil_div(sums_bits(problem, mapping, there, held[2])[1], width)
        else:
            total += ceil_div(load, width)
        if neighbour(problem, mapping, at, 1, there):
            port += ceil_div(fetched(problem, mapping, there, held), width)
        else:
            total += ceil_div(store, width)
        total += times * max(cycles, port)
        counters[COMPUTE] += times * cycles
        counters[FOLDS] += times * folds
        counters[READ] += times * load
        counters[WRITE] += times * store
    counters[STALL] = total - counters[COMPUTE]


@kernel
def count_mappings(problem, mappings, costs):
    """Write cycles and bits of traffic (int64[n, 2]) of mappings (int64[n, MAPPING_COLUMNS])."""
    counters = np.empty(5, np.int64)
    for index in range(len(mappings)):
        count_mapping(problem, mappings[index], counters)
        costs[index, 0] = counters[COMPUTE] + counters[STALL]
        costs[index, 1] = counters[READ] + counters[WRITE]
