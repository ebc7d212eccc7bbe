"""Rows of attention: softmax in the machine's arithmetic, importance, and the probabilities that are kept.

Source: Wang et al., SpAtten, HPCA 2021: scores are made floating point, exponentials are a Taylor series of fifth
order, probabilities return to fixed point. Left open there: the series is taken about the nearest power of two, of the
distance to the row's largest score, in single precision; sums add beats of eight scores in a tree, beat after beat.
Probabilities stay whole numbers of steps, ``2 ** probability_bits`` steps being one.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload

from accel.jit import inlined_kernel, lean_kernel
from accel.spatten.topk_kernels import keep_largest

BEAT = 8
PER_LN2 = np.float32(1.4426950408889634)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)  # the first has so few bits that n LN2 is exact
ROUNDER = np.float32(1.5 * 2**23)  # adding it leaves a whole number in the low bits
LOWEST = np.float32(-87.0)  # exp of less is smaller than any normal number; it is nothing here
EXPONENT_ONE, MANTISSA_BITS = np.int32(127), np.int32(23)
ONE, HALF, ZERO = np.float32(1), np.float32(0.5), np.float32(0)
THIRD, FOURTH, FIFTH = np.float32(1 / 6), np.float32(1 / 24), np.float32(1 / 120)


def bits_of(number: Any) -> Any:
    """Return the bits of a single-precision number as a whole number of 32 bits."""
    return np.int32(struct.unpack("<i", struct.pack("<f", number))[0])


def number_of(bits: Any) -> Any:
    """Return the single-precision number that has these bits."""
    return np.float32(struct.unpack("<f", struct.pack("<i", bits))[0])


@intrinsic
def _bits(context: Any, number: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), generate


@intrinsic
def _number(context: Any, bits: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@overload(bits_of, inline="always")
def _bits_of(number):
    return lambda number: _bits(number)


@overload(number_of, inline="always")
def _number_of(bits):
    return lambda bits: _number(bits)


@inlined_kernel
def exponential(x):
    """Return exp(x) for x <= 0: a power of two times a Taylor series of fifth order; within 4e-6 of it."""
    x = max(x, LOWEST)
    rounded = x * PER_LN2 + ROUNDER
    whole = rounded - ROUNDER
    rest = (x - whole * LN2_HIGH) - whole * LN2_LOW
    series = ONE + rest * (ONE + rest * (HALF + rest * (THIRD + rest * (FOURTH + rest * FIFTH))))
    power = bits_of(rounded) - bits_of(ROUNDER)
    return series * number_of(np.int32((power + EXPONENT_ONE) << MANTISSA_BITS))


@lean_kernel
def softmax_row(scores, count, scale, steps, probabilities):
    """Write the probabilities of a row [steps]; return the largest, before it is rounded (of 1).

    Parameters
    ----------
    scores : ndarray of float, shape (at least count,)
        Whole numbers.
    count : int
        At least 1.
    scale : float32
        What a score of 1 stands for.
    steps : float32
        Steps that make 1.
    probabilities : ndarray of float32, shape (at least count,)
        Written; whole numbers, ``steps - 1`` at most.
    """
    largest = np.int32(scores[0])
    for i in range(count):
        largest = max(largest, np.int32(scores[i]))
    for i in range(count):
        probabilities[i] = exponential(np.float32(np.int32(scores[i]) - largest) * scale)
    total = ZERO
    whole = count // BEAT * BEAT
    for i in range(0, whole, BEAT):
        low = (probabilities[i] + probabilities[i + 1]) + (probabilities[i + 2] + probabilities[i + 3])
        high = (probabilities[i + 4] + probabilities[i + 5]) + (probabilities[i + 6] + probabilities[i + 7])
        total += low + high
    for i in range(whole, count):
        total += probabilities[i]
    most = steps - ONE
    for i in range(count):
        share = probabilities[i] / total * steps
        probabilities[i] = min((share + ROUNDER) - ROUNDER, most)
    return ONE / total


@lean_kernel
def softmax_rows(scores, counts, scales, steps, probabilities, peaks):
    """Apply ``softmax_row`` to every row; ``peaks`` gets the largest probabilities. Beyond a row's count it is zero."""
    for row in range(len(counts)):
        count = counts[row]
        peaks[row] = softmax_row(scores[row], count, scales[row], steps, probabilities[row])
        probabilities[row, count:] = ZERO


@lean_kernel
def softmax_again(scores, rest, rows, counts, scales, low_step, steps, scratch, probabilities):
    """Compute some rows again: with the rest of their scores, shape (rows again, keys), that all bits make.

    ``rows`` are their numbers, ``low_step`` what a score of first bits is in those of all bits; ``scratch`` is int32.
    """
    step = np.int64(low_step)
    for place in range(len(rows)):
        row = rows[place]
        count = counts[row]
        for i in range(count):
            scratch[i] = np.int32(np.int64(scores[row, i]) * step + np.int64(rest[place, i]))
        softmax_row(scratch, count, scales[row], steps, probabilities[row])


@lean_kernel
def prune_row(line, count, keep, lanes, turn_cycles, random, room, chosen, importance):
    """Add up what every key was given, then put to zero what is not among the largest; return what selecting took.

    As ``prune_rows``, of one row; where everything is kept ``chosen`` is not written.
    """
    for i in range(count):
        importance[i] += np.int32(line[i])
    if keep >= count:
        return 0
    cycles = keep_largest(line, count, keep, lanes, turn_cycles, random, room, chosen)
    for i in range(count):
        line[i] = line[i] if chosen[i] else ZERO
    return cycles


@lean_kernel
def prune_rows(probabilities, counts, keeps, lanes, turn_cycles, random, room, chosen, importance, cycles):
    """Add up what every key was given, then put to zero what is not among a row's ``keeps`` largest.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (rows, keys)
        Changed.
    counts, keeps : ndarray of int64, shape (rows,)
        Keys a row sees, and how many of them it keeps.
    lanes, turn_cycles, random, room
        As for ``quick_select``, of float32.
    chosen : ndarray of bool, shape (keys,)
        Scratch.
    importance : ndarray of int32, shape (keys,)
        Added to [steps].
    cycles : ndarray of int64, shape (rows,)
        Written: what selecting took; 0 where everything was kept.
    """
    for row in range(len(counts)):
        cycles[row] = prune_row(
            probabilities[row], counts[row], keeps[row], lanes, turn_cycles, random, room, chosen, importance
        )
