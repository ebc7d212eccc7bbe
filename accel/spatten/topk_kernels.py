"""The top-k engine: quick-select with a random pivot, its cycles counted, then a filter that keeps the order.

Source: Wang et al., "SpAtten: Efficient Sparse Attention Architecture with Cascade Token and Head Pruning", HPCA 2021,
top-k engine; latency and random stream as the authors' released model has them: a round over ``m`` candidates takes
``ceil(m / lanes)`` cycles and a few to turn round, and pivots come from a 48-bit linear congruential generator (the one
of java.util.Random), so that published latencies can be reproduced draw for draw.

Candidates go on as in the engine's FIFOs, those below the pivot or those above it, in their order. Here they stay where
they are and a bit says which they are, 64 compared at once, until few are left among many. O(n) expected.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from accel.bits import count_ones, lowest_one
from accel.jit import inlined_kernel, lean_kernel
from accel.spatten.lanes import LANES, lanes_below, lanes_equal

Scratch = tuple[npt.NDArray[Any], npt.NDArray[np.uint64]]
MULTIPLIER, INCREMENT, MASK = np.uint64(0x5DEECE66D), np.uint64(0xB), np.uint64(2**48 - 1)
TO_31_BITS, TO_32_BITS = np.uint64(17), np.uint64(16)
ONE, EVERY = np.uint64(1), np.uint64(2**64 - 1)
CANDIDATES, BELOW, EQUAL = range(3)  # rows of masks
SPARSE = 4  # values for each candidate, from which on candidates are moved together
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


def scratch(count: int, dtype: npt.DTypeLike) -> Scratch:
    """Return room for selecting among up to so many values: themselves, and bits that say which are candidates."""
    words = max(1, -(-count // LANES))
    return np.zeros(words * LANES, dtype), np.empty((3, words), np.uint64)


@inlined_kernel
def candidate(masks, number):
    """Return the place of a candidate, counted in their order."""
    word = np.int64(0)
    while number >= count_ones(masks[CANDIDATES, word]):
        number -= count_ones(masks[CANDIDATES, word])
        word += 1
    mask = masks[CANDIDATES, word]
    for _ in range(number):
        mask &= mask - ONE
    return word * LANES + lowest_one(mask)


@inlined_kernel
def all_candidates(masks, count):
    """Mark the first values as candidates; return the words that takes."""
    words = (count + LANES - 1) // LANES
    for word in range(words):
        masks[CANDIDATES, word] = EVERY
    if count % LANES > 0:
        masks[CANDIDATES, words - 1] = (ONE << np.uint64(count % LANES)) - ONE
    return words


@inlined_kernel
def close_ranks(live, masks, words):
    """Move the candidates to the front, in their order."""
    n = np.int64(0)
    for word in range(words):
        mask = masks[CANDIDATES, word]
        while mask > 0:
            live[n] = live[word * LANES + lowest_one(mask)]
            n += 1
            mask &= mask - ONE


@lean_kernel
def quick_select(values, count, rank, lanes, turn_cycles, random, room):
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
    room : tuple of ndarray
        From ``scratch``, for at least ``count`` values of the same type.

    Returns
    -------
    value : number
    cycles : int
    ties, surplus : int
        How many of the values equal to it have to be kept, so that ``count - rank`` are, and how many have not.
    """
    live, masks = room
    for i in range(count):
        live[i] = values[i]
    words = all_candidates(masks, count)
    m, cycles = count, 0
    while m > 0:
        cycles += (m + lanes - 1) // lanes + turn_cycles
        pivot = live[candidate(masks, draw_below(random, m))]
        below, equal = np.int64(0), np.int64(0)
        for word in range(words):
            mask, begin = masks[CANDIDATES, word], word * LANES
            masks[BELOW, word] = mask & lanes_below(live, begin, pivot)
            masks[EQUAL, word] = mask & lanes_equal(live, begin, pivot)
            below += count_ones(masks[BELOW, word])
            equal += count_ones(masks[EQUAL, word])
        if below <= rank < below + equal:
            return pivot, cycles, below + equal - rank, rank - below
        if rank < below:
            m = below
            for word in range(words):
                masks[CANDIDATES, word] = masks[BELOW, word]
        else:
            m -= below + equal
            rank -= below + equal
            for word in range(words):
                masks[CANDIDATES, word] &= ~(masks[BELOW, word] | masks[EQUAL, word])
        if words > 1 and m * SPARSE <= words * LANES:
            close_ranks(live, masks, words)
            words = all_candidates(masks, m)
    return values[0], cycles, 0, 0


@lean_kernel
def select_cycles(count, rank, lanes, turn_cycles, random, values, room):
    """Return what finding a rank among so many random numbers takes: the release's latency of a list."""
    for i in range(count):
        values[i] = draw(random)
    return quick_select(values, count, rank, lanes, turn_cycles, random, room)[1]


@lean_kernel
def keep_largest(values, count, keep, lanes, turn_cycles, random, room, kept):
    """Mark the largest values, the first of those that tie with the smallest kept; return the selection's cycles.

    ``kept`` (bool) is written up to ``count``. Keeping none, or all, is decided without the engine.
    """
    if keep <= 0 or keep >= count:
        kept[:count] = keep > 0
        return 0
    threshold, cycles, ties, surplus = quick_select(values, count, count - keep, lanes, turn_cycles, random, room)
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
