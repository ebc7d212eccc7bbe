"""What no mapping of a product on the systolic array beats that begins with given tile sizes."""

import numpy as np

from accel.arithmetic import ceil_div
from accel.jit import kernel, lean_kernel
from accel.systolic.mapping_kernels import (
    ACCUMULATOR_BITS,
    MAPPING_COLUMNS,
    ORDER,
    P_COLUMNS,
    P_HALF_BITS,
    P_K,
    P_LEFT_BITS,
    P_M,
    P_N,
    P_RIGHT_BITS,
    P_ROWS,
    P_STAY,
    P_WIDTH,
    STREAMED,
    TILE_K,
    TILE_M,
    TILE_N,
    hold,
    is_inside,
    tile_fits,
)


@lean_kernel
def last_tile(length, tile):
    """Return the size of a dimension's last tile."""
    return length - (ceil_div(length, tile) - 1) * tile


@lean_kernel
def fold_rows(length, tile, side):
    """Return the rows of folds that a dimension's tiles take; of the fewest if its tile is not known (0)."""
    if tile == 0:
        return ceil_div(length, side)
    return (ceil_div(length, tile) - 1) * ceil_div(tile, side) + ceil_div(last_tile(length, tile), side)


@lean_kernel
def least_compute(problem, mapping):
    """Return the cycles the array computes; exact where all tile sizes are known, the others are 0."""
    rows, columns = problem[P_ROWS], problem[P_COLUMNS]
    down, along = (P_K, P_M) if problem[P_STAY] else (P_M, P_K)
    passes = 1 if mapping[along] == 0 else ceil_div(problem[along], mapping[along])
    fill = rows + columns - 2 + (rows if problem[P_STAY] else 0)
    folds = fold_rows(problem[down], mapping[down], rows) * fold_rows(problem[P_N], mapping[TILE_N], columns)
    return folds * (problem[along] + passes * fill)


@lean_kernel
def edge_fits(problem, mapping, one, other, bits):
    """Return whether an operand's tile at both edges fits, where a full one does not."""
    first, second = last_tile(problem[one], mapping[one]), last_tile(problem[other], mapping[other])
    return first * second * bits <= problem[P_HALF_BITS]


@lean_kernel
def visits(problem, mapping, held, one, other, bits):
    """Return how often all of an operand is passed over at least; exact unless it is streamed and fits at an edge."""
    repeated = P_M + P_N + P_K - one - other
    if is_inside(mapping, repeated, held) or (held == STREAMED and edge_fits(problem, mapping, one, other, bits)):
        return np.int64(1)
    return ceil_div(problem[repeated], mapping[repeated])


@kernel
def bound_mappings(problem, begun, bounds):
    """Bound mappings of one product.

    Contract
    --------
    problem : int64[PROBLEM_COLUMNS]
    begun   : int64[n, d]  tile sizes of m, n and k and the order, as far as they are decided
    bounds  : int64[n, 2]  written where a mapping fits: cycles, bits of traffic; elsewhere left alone
    """
    known = begun.shape[1]
    mapping, held = np.empty(MAPPING_COLUMNS, np.int64), np.empty(3, np.int64)
    size_m, size_n, size_k = problem[P_M], problem[P_N], problem[P_K]
    left, right, sums = problem[P_LEFT_BITS], problem[P_RIGHT_BITS], ACCUMULATOR_BITS
    width = problem[P_WIDTH]
    for index in range(len(begun)):
        for decision in range(MAPPING_COLUMNS):
            mapping[decision] = begun[index, decision] if decision < known else 0
        compute = least_compute(problem, mapping)
        for decision in range(known, ORDER):  # what is not decided takes the least room
            mapping[decision] = 1
        if not tile_fits(problem, mapping):
            continue
        m, n, k = mapping[TILE_M], mapping[TILE_N], mapping[TILE_K]
        first = m * k * left + k * n * right  # is waited for, as is what is stored last
        last_m, last_n = last_tile(size_m, m) if known > TILE_M else 1, last_tile(size_n, n) if known > TILE_N else 1
        last = last_m * last_n * sums
        reads, writes = size_m * size_k * left + size_k * size_n * right, size_m * size_n * sums
        waits = ceil_div(first, width) + ceil_div(last, width)
        if known > ORDER:
            hold(problem, mapping, held)
            reads = size_m * size_k * left * visits(problem, mapping, held[0], P_M, P_K, left)
            reads += size_k * size_n * right * visits(problem, mapping, held[1], P_K, P_N, right)
            passes = visits(problem, mapping, held[2], P_M, P_N, sums)
            reads, writes = reads + (passes - 1) * writes, passes * writes
            bounds[index, 0] = max(compute, ceil_div(reads + writes - first - last, width)) + waits
        else:
            bounds[index, 0] = max(compute + waits, ceil_div(reads + writes, width))
        bounds[index, 1] = reads + writes
