"""Derived parameters: a formula over names, read as a tree and worked out here; nothing in it is run as code."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping

LONGEST = 500
LARGEST = 1e18
Number = int | float
_BINARY: Mapping[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_CALLS: Mapping[str, Callable[..., Number]] = {"min": min, "max": max}
NEED = "a formula of fields and numbers with + - * / // % ( ) min max"


class Formula:
    """A formula over named numbers.

    Parameters
    ----------
    text : str
        Names, numbers, ``+ - * / // %``, brackets, ``min`` and ``max``.

    Raises
    ------
    ValueError
        If it is anything else.
    """

    def __init__(self, text: str) -> None:
        if not isinstance(text, str) or len(text) > LONGEST:
            raise ValueError(NEED)
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
            self.names = frozenset(_names(self._tree))
        except (SyntaxError, RecursionError, MemoryError, ValueError):
            raise ValueError(NEED) from None

    def value(self, names: Mapping[str, object]) -> Number:
        """Work the formula out; a whole result is a whole number.

        Raises
        ------
        ValueError
            If a name is no number, or the result is none.
        """
        try:
            value = _value(self._tree, names)
        except (ZeroDivisionError, OverflowError) as error:
            raise ValueError(str(error)) from None
        return int(value) if isinstance(value, float) and value.is_integer() else value


def _names(node: ast.expr) -> list[str]:
    """Return the names a formula uses; raise ValueError if it is not a formula."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return []
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _names(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return _names(node.left) + _names(node.right)
    if isinstance(node, ast.Call) and _function(node) in _CALLS and len(node.args) >= 2 and not node.keywords:
        return [name for argument in node.args for name in _names(argument)]
    raise ValueError(NEED)


def _function(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _value(node: ast.expr, names: Mapping[str, object]) -> Number:
    value: object
    match node:
        case ast.Constant():
            value = node.value
        case ast.Name():
            value = names.get(node.id)
        case ast.UnaryOp():
            value = -_value(node.operand, names)
        case ast.BinOp():
            value = _BINARY[type(node.op)](_value(node.left, names), _value(node.right, names))
        case ast.Call():
            value = _CALLS[_function(node)](*(_value(argument, names) for argument in node.args))
        case _:
            raise ValueError(NEED)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{ast.unparse(node)} is not a number")
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise ValueError(f"{ast.unparse(node)} is beyond {LARGEST:g}")
    return value
