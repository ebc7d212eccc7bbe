"""The top-k engine: quick-select with a random pivot, its cycles counted, then a filter that keeps the order.

Source: Wang et al., "SpAtten: Efficient Sparse Attention Architecture with Cascade Token and Head Pruning", HPCA 2021,
top-k engine; latency and random stream as the authors' released model has them: a round over ``m`` candidates takes
``ceil(m / lanes)`` cycles and a few to turn round, and pivots come from a 48-bit linear congruential generator (the one
of java.util.Random), so that published latencies can be reproduced draw for draw.

Elements move as in the engine's FIFOs: candidates below the pivot, or above it, in their order. Which side goes on is
known after a count, so only that side is written. O(n) expected.
"""

from __future__ import annotations

import numpy as np

from accel.jit import lean_kernel

MULTIPLIER, INCREMENT, MASK = np.uint64(0x5DEECE66D), np.uint64(0xB), np.uint64(2**48 - 1)
TO_31_BITS, TO_32_BITS = np.uint64(17), np.uint64(16)
HALF, WHOLE = np.int64(2**31), np.int64(2**32)


def seeded(seed: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Return the generator's state after seeding it: what ``draw`` and ``draw_below`` advance."""
    return np.array([(seed ^ int(MULTIPLIER)) & int(MASK)], np.uint64)


@lean_kernel
def draw(random):
    """Return a random signed 32-bit number."""
    random[0] = (random[0] * MULTIPLIER + INCREMENT) & MASK
    bits = np.int64(random[0] >> TO_32_BITS)
    return bits - WHOLE if bits >= HALF else bits


@lean_kernel
def draw_below(random, bound):
    """Return a random number in ``0..bound-1``; every one is equally likely."""
    while True:
        random[0] = (random[0] * MULTIPLIER + INCREMENT) & MASK
        bits = np.int64(random[0] >> TO_31_BITS)
        if bound & (bound - 1) == 0:
            return (bits * bound) >> 31
        value = bits % bound
        if bits - value + bound - 1 < HALF:
            return value


@lean_kernel
def quick_select(values, count, rank, lanes, turn_cycles, random, live):
    """Find the value of a rank.

    Parameters
    ----------
    values : ndarray, shape (at least count,)
        Read only; no NaN.
    count, rank : int
        How many values there are, and how many are to lie below the one found. 0..count-1; at ``count`` there is no
        such value, and the engine stops when it has no candidates left.
    lanes, turn_cycles : int
        Comparators of an array; cycles a round takes beyond those of its candidates.
    random : ndarray of uint64, shape (1,)
        State of the pivots' generator.
    live : ndarray, shape (at least count,), of values' type
        Scratch.

    Returns
    -------
    value : number
    cycles : int
    ties, surplus : int
        How many of the values equal to it have to be kept, so that ``count - rank`` are, and how many have not.
    """
    cycles = 0
    remaining = values[:count]
    while True:
        m = len(remaining)
        if m == 0:
            return values[0], cycles, 0, 0
        cycles += (m + lanes - 1) // lanes + turn_cycles
        pivot = remaining[draw_below(random, m)]
        below, equal = np.int32(0), np.int32(0)
        for i in range(m):
            below = np.int32(below + np.int32(remaining[i] < pivot))
            equal = np.int32(equal + np.int32(remaining[i] == pivot))
        if below <= rank < below + equal:
            return pivot, cycles, below + equal - rank, rank - below
        n = np.uint64(0)
        if rank < below:
            for i in range(m):
                value = remaining[i]
                live[n] = value
                n += np.uint64(value < pivot)
        else:
            rank -= below + equal
            for i in range(m):
                value = remaining[i]
                live[n] = value
                n += np.uint64(value > pivot)
        remaining = live[: np.int64(n)]


@lean_kernel
def select_cycles(count, rank, lanes, turn_cycles, random, values, live):
    """Return what finding a rank among so many random numbers takes: the release's latency of a list."""
    for i in range(count):
        values[i] = draw(random)
    return quick_select(values, count, rank, lanes, turn_cycles, random, live)[1]


@lean_kernel
def keep_largest(values, count, keep, lanes, turn_cycles, random, live, kept):
    """Mark the largest values, the first of those that tie with the smallest kept; return the selection's cycles.

    ``kept`` (bool) is written up to ``count``. Keeping none, or all, is decided without the engine.
    """
    if keep <= 0 or keep >= count:
        kept[:count] = keep > 0
        return 0
    threshold, cycles, ties, surplus = quick_select(values, count, count - keep, lanes, turn_cycles, random, live)
    if surplus == 0:
        for i in range(count):
            kept[i] = values[i] >= threshold
        return cycles
    for i in range(count):
        chosen = values[i] > threshold
        if values[i] == threshold and ties > 0:
            chosen = True
            ties -= 1
        kept[i] = chosen
    return cycles
