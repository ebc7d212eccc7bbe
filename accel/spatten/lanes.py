"""Sixty-four values compared at once, in a kernel: a bit for each.

Written as vectors of LLVM, which every processor's instructions can do: a loop in a kernel cannot make a mask of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

LANES = 64
_VECTOR_TYPES = {
    types.float32: ir.FloatType(),
    types.float64: ir.DoubleType(),
    types.int32: ir.IntType(32),
    types.int64: ir.IntType(64),
}


def lanes_below(values: Any, begin: Any, bound: Any) -> Any:
    """Return which of the 64 ``values`` from ``begin`` on are below a bound; the first is the lowest bit."""
    return _as_mask(values[begin : begin + LANES] < bound)


def lanes_equal(values: Any, begin: Any, bound: Any) -> Any:
    """Return which of the 64 ``values`` from ``begin`` on are equal to a bound; the first is the lowest bit."""
    return _as_mask(values[begin : begin + LANES] == bound)


def _as_mask(lanes: Any) -> Any:
    return np.uint64(int.from_bytes(np.packbits(lanes, bitorder="little").tobytes(), "little"))


def _compare(operator: str) -> Any:
    @intrinsic
    def compare(typing: Any, values: Any, begin: Any, bound: Any) -> Any:
        element = values.dtype

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            first = cgutils.get_item_pointer(
                context, builder, signature.args[0], array, [arguments[1]], wraparound=False
            )
            vector = ir.VectorType(_VECTOR_TYPES[element], LANES)
            lanes = builder.load(builder.bitcast(first, vector.as_pointer()), align=element.bitwidth // 8)
            one = builder.insert_element(
                ir.Constant(vector, ir.Undefined), arguments[2], ir.Constant(ir.IntType(32), 0)
            )
            same_place = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            bounds = builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), same_place)
            float_ = isinstance(element, types.Float)
            asked = (builder.fcmp_ordered if float_ else builder.icmp_signed)(operator, lanes, bounds)
            return builder.bitcast(asked, ir.IntType(LANES))

        return types.uint64(values, types.intp, element), generate

    return compare


_below, _equal = _compare("<"), _compare("==")


@overload(lanes_below, inline="always")
def _lanes_below(values, begin, bound):
    return lambda values, begin, bound: _below(values, begin, bound)


@overload(lanes_equal, inline="always")
def _lanes_equal(values, begin, bound):
    return lambda values, begin, bound: _equal(values, begin, bound)
