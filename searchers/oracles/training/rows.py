"""Rows of a table that is appended to: what is finished, and what was cut off in the middle."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path


def whole_rows(path: Path) -> list[dict[str, str]]:
    """Return every finished row by column; a row that was cut off is removed from the file."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    return list(csv.DictReader(whole.splitlines()))


def finished_rows(path: Path, first: str, second: str) -> Iterator[tuple[int, int]]:
    """Return two columns of every finished row."""
    for row in whole_rows(path):
        yield int(row[first]), int(row[second])
