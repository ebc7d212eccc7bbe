"""Comparing all published numbers of a machine or method with ours."""

from __future__ import annotations

from importlib import import_module

from validation.numbers import Comparison, read_numbers
from workloads.errors import ConfigError


def compare(name: str) -> list[Comparison]:
    """Compute ours for every published number of ``validation/published/NAME.toml``.

    Raises
    ------
    ConfigError
        If there are no numbers of that name, or one that ``validation/NAME.py`` does not measure.
    """
    numbers = read_numbers(name)
    ours = import_module(f"validation.{name}").measure()
    for number in numbers:
        if number.id not in ours:
            raise ConfigError(f"published/{name}.toml", "id", number.id, "one of " + ", ".join(ours))
    return [Comparison(number, ours[number.id]) for number in numbers]


def details(name: str) -> list[dict[str, str]]:
    """Return what a module says beside its numbers, as rows of a table; nothing where it has nothing to say."""
    found = getattr(import_module(f"validation.{name}"), "details", None)
    rows: list[dict[str, str]] = found() if found else []
    return rows
