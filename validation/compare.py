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
