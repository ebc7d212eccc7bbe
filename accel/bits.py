"""Counting bits of 64-bit words, in kernels and in plain Python."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload


def count_ones(word: Any) -> Any:
    """Return how many bits of an unsigned word are set."""
    return int(word).bit_count()


def lowest_one(word: Any) -> Any:
    """Return the index of the lowest set bit of an unsigned word that is not zero."""
    return (int(word) & -int(word)).bit_length() - 1


def highest_one(word: Any) -> Any:
    """Return the index of the highest set bit of an unsigned word that is not zero."""
    return int(word).bit_length() - 1


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


@overload(count_ones, inline="always")
def _count_ones(word):
    return lambda word: _ones(word)


@overload(lowest_one, inline="always")
def _lowest_one(word):
    return lambda word: _trailing_zeros(word)


@overload(highest_one, inline="always")
def _highest_one(word):
    return lambda word: 63 - _leading_zeros(word)
