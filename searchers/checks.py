"""Checks that every section of a study file shares: each says where, what was given and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workloads.errors import StudyError


def check_name(where: str, field: str, value: object, allowed: Iterable[str], need: str = "") -> None:
    """Check a name; what is no text cannot be one."""
    names = list(allowed)
    if not isinstance(value, str) or value not in names:
        raise StudyError(where, field, value, need or "one of " + ", ".join(names))


def section_of(text: Mapping[str, Any], section: str, where: str, *, optional: bool = False) -> Mapping[str, Any]:
    """Return a section that has to be a table."""
    section_table = text.get(section, {} if optional else None)
    if not isinstance(section_table, dict):
        raise StudyError(where, section, section_table, f"a table [{section}]")
    return section_table


def check_keys(given: Mapping[str, Any], known: Sequence[str], where: str, prefix: str) -> None:
    """Refuse keys that are not known."""
    for key, value in given.items():
        if key not in known:
            raise StudyError(where, prefix + key, value, "one of " + ", ".join(known))


def check_text(where: str, field: str, value: object) -> str:
    """Check a text that is shown."""
    if not isinstance(value, str) or not value.isprintable():
        raise StudyError(where, field, value, "text on one line")
    return value


def check_whole(where: str, field: str, value: object, low: int, high: int | None = None) -> int:
    """Check a whole number."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
        allowed = f"a whole number from {low}" if high is None else f"a whole number, {low}..{high}"
        raise StudyError(where, field, no_number(value), allowed)
    return value


def no_number(value: object) -> object:
    """Return what stands where a number should; text in quotes, which may be all that is wrong with it."""
    return f'"{value}"' if isinstance(value, str) else value
