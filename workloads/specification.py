"""Workloads by name: how ``name:value,key=value`` is read, and what is said where it cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from workloads.errors import WorkloadError

Option = int | float | str
KIND_NAMES: Mapping[type[Option], str] = {int: "a whole number", float: "a number", str: "a name"}


def read_options(where: str, options: str, kinds: Mapping[str, type[Option]]) -> dict[str, Any]:
    """Return the values that ``value,key=value`` gives to keys.

    Parameters
    ----------
    where : str
        What errors call the workload.
    options : str
        What follows the name's colon; may be empty. A first value without a key is that of the first key.
    kinds : mapping of str to type
        The keys that are allowed and the type of each: int, float or str.

    Raises
    ------
    WorkloadError
        If a key is not known or given twice, or a value is not of its type.
    """
    values: dict[str, Any] = {}
    for at, pair in enumerate(options.split(",") if options else ()):
        key, equals, text = pair.partition("=")
        if not equals and at == 0:
            key, text = next(iter(kinds)), pair
        elif not equals:
            raise WorkloadError(where, "", pair, "key=value")
        if key not in kinds:
            raise WorkloadError(where, "key", key, one_of(key, kinds))
        if key in values:
            raise WorkloadError(where, key, text, "each key once")
        try:
            values[key] = kinds[key](text)
        except ValueError:
            raise WorkloadError(where, key, text, KIND_NAMES[kinds[key]]) from None
    return values


def one_of(wrong: str, allowed: Iterable[str]) -> str:
    """List what is allowed, the names most like the wrong one first."""
    names = list(allowed)
    close = get_close_matches(wrong, names, n=3)
    return "one of " + ", ".join([*close, *(name for name in names if name not in close)])
