"""Arithmetic on 64-bit words, in kernels and in plain Python: counting, gathering and spreading bits, and dividing."""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import config
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

WORD = 64
ZERO, ONE = np.uint64(0), np.uint64(1)


def count_ones(word: Any) -> Any:
    """Return how many bits of an unsigned word are set."""
    return int(word).bit_count()


def lowest_one(word: Any) -> Any:
    """Return the index of the lowest set bit of an unsigned word that is not zero."""
    return (int(word) & -int(word)).bit_length() - 1


def highest_one(word: Any) -> Any:
    """Return the index of the highest set bit of an unsigned word that is not zero."""
    return int(word).bit_length() - 1


def gather_bits(word: Any, mask: Any) -> Any:
    """Return the bits of an unsigned word where a mask has ones, side by side from bit 0 on."""
    word, mask, gathered, to = int(word), int(mask), 0, 0
    while mask:
        lowest = mask & -mask
        gathered |= int(word & lowest > 0) << to
        mask ^= lowest
        to += 1
    return gathered


def spread_bits(word: Any, mask: Any) -> Any:
    """Return a word that has, where a mask has ones, the lowest bits of an unsigned word in turn."""
    word, mask, spread = int(word), int(mask), 0
    while mask:
        lowest = mask & -mask
        spread |= lowest * (word & 1)
        word >>= 1
        mask ^= lowest
    return spread


def multiply_high(left: Any, right: Any) -> Any:
    """Return the upper half of the product of two unsigned words."""
    return int(left) * int(right) >> WORD


def reciprocal(divisor: int) -> tuple[int, int]:
    """Return the two unsigned words with which ``divide`` divides by a positive number of up to 62 bits.

    Source: Granlund and Montgomery, "Division by Invariant Integers using Multiplication", PLDI 1994.
    """
    shift = (divisor - 1).bit_length()
    return -(-(1 << (WORD - 1 + shift)) // divisor), shift


def compare_lanes(words: Any, left: Any, right: Any) -> Any:
    """Return a bit for each of 64 half words from word ``left`` on: whether it is at least its like from ``right`` on.

    Parameters
    ----------
    words : ndarray of uint32, shape (words,)
        With two half words in each, the low one first.
    left, right : int
        Where 32 words begin.
    """
    ours, theirs = (words[int(at) : int(at) + WORD // 2].view(np.uint16) for at in (left, right))
    return np.packbits(ours >= theirs, bitorder="little").view(np.uint64)[0]


@intrinsic
def _compare_lanes(context: Any, words: Any, left: Any, right: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        lanes = ir.VectorType(ir.IntType(WORD // 4), WORD).as_pointer()
        sides = [builder.load(builder.bitcast(builder.gep(data, [at]), lanes), align=4) for at in arguments[1:]]
        return builder.bitcast(builder.icmp_unsigned(">=", *sides), ir.IntType(WORD))

    return types.uint64(words, types.uint64, types.uint64), generate


def fetch_early(array: Any, index: Any) -> None:
    """Begin to bring an element of an array, anywhere in memory, into the first-level cache."""


@intrinsic
def _fetch_early(context: Any, array: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        types_ = ir.FunctionType(ir.VoidType(), (byte, number, number, number))
        function = cgutils.get_or_insert_function(builder.module, types_, "llvm.prefetch.p0i8")
        address = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        builder.call(function, [address, *(ir.Constant(number, value) for value in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(array, types.uint64), generate


@intrinsic
def _ones(context: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic
def _trailing_zeros(context: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@intrinsic
def _leading_zeros(context: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@intrinsic
def _upper_half(context: Any, left: Any, right: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(2 * WORD)
        product = builder.mul(*(builder.zext(argument, wide) for argument in arguments))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, WORD)), ir.IntType(WORD))

    return types.uint64(types.uint64, types.uint64), generate


def _bmi2(name: str) -> Any:
    """Return an intrinsic for an instruction on a word and a mask that processors with BMI2 have."""

    @intrinsic
    def instruction(context: Any, word: Any, mask: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            word_type = ir.IntType(WORD)
            function = builder.module.declare_intrinsic(
                f"llvm.x86.bmi.{name}.64", fnty=ir.FunctionType(word_type, (word_type, word_type))
            )
            return builder.call(function, arguments)

        return types.uint64(types.uint64, types.uint64), generate

    return instruction


_gather, _spread = _bmi2("pext"), _bmi2("pdep")


def _has_bmi2() -> bool:
    if config.CPU_FEATURES is not None:
        return "+bmi2" in config.CPU_FEATURES.split(",")
    return bool(llvmlite.binding.get_host_cpu_features().get("bmi2"))


@overload(compare_lanes, inline="always")
def _compare(words, left, right):
    return lambda words, left, right: _compare_lanes(words, left, right)


@overload(fetch_early, inline="always")
def _fetch(array, index):
    return lambda array, index: _fetch_early(array, index)


@overload(count_ones, inline="always")
def _count_ones(word):
    return lambda word: _ones(word)


@overload(lowest_one, inline="always")
def _lowest_one(word):
    return lambda word: _trailing_zeros(word)


@overload(highest_one, inline="always")
def _highest_one(word):
    return lambda word: 63 - _leading_zeros(word)


@overload(multiply_high, inline="always")
def _multiply_high(left, right):
    return lambda left, right: _upper_half(left, right)


@overload(gather_bits, inline="always")
def _gather_bits(word, mask):
    return (lambda word, mask: _gather(word, mask)) if _has_bmi2() else _gather_by_bit


@overload(spread_bits, inline="always")
def _spread_bits(word, mask):
    return (lambda word, mask: _spread(word, mask)) if _has_bmi2() else _spread_by_bit


def _gather_by_bit(word, mask):
    """Do what ``gather_bits`` does on processors without an instruction for it."""
    gathered, to = ZERO, ONE
    while mask != ZERO:
        lowest = mask & (~mask + ONE)
        if word & lowest != ZERO:
            gathered |= to
        to <<= ONE
        mask ^= lowest
    return gathered


def _spread_by_bit(word, mask):
    """Do what ``spread_bits`` does on processors without an instruction for it."""
    spread = ZERO
    while mask != ZERO:
        lowest = mask & (~mask + ONE)
        if word & ONE != ZERO:
            spread |= lowest
        word >>= ONE
        mask ^= lowest
    return spread
