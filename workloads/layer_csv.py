"""Layer tables as CSV files, so that any tool can hand Sextant a network."""

from __future__ import annotations

import csv
from pathlib import Path

from workloads.errors import WorkloadError
from workloads.layers import COLUMNS, DEFAULTS, Layer, LayerTable

REQUIRED = ("name", *(column for column in COLUMNS if column not in DEFAULTS))
SURPLUS = "cells beyond the headings"
LARGEST_FILE_BYTES = 64 * 2**20


def read_layers(path: str | Path) -> LayerTable:
    """Read a layer table.

    Parameters
    ----------
    path : str or Path
        CSV with a heading; columns ``name`` and ``workloads.layers.COLUMNS``, where ``reads_input`` (0)
        and ``dilation`` (1) may be missing. Further columns are ignored.

    Raises
    ------
    WorkloadError
        If the file cannot be read, a column is missing, or a row is not a possible layer.
    """
    path = Path(path)
    layers = []
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise WorkloadError(str(path), "size", f"{path.stat().st_size} bytes", f"at most {LARGEST_FILE_BYTES}")
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey=SURPLUS)
            missing = [column for column in REQUIRED if column not in (reader.fieldnames or ())]
            doubled = [name for name in set(reader.fieldnames or ()) if (reader.fieldnames or []).count(name) > 1]
            if doubled:
                raise WorkloadError(str(path), "column", min(doubled), "every column once")
            if missing:
                raise WorkloadError(str(path), "column " + missing[0], None, "columns " + ", ".join(REQUIRED))
            for row in reader:
                layers.append(_layer(f"{path}, line {reader.line_num}", row))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "not a text file with comma-separated values"
        raise WorkloadError(str(path), "", reason, "a layer table as CSV") from error
    if not layers:
        raise WorkloadError(str(path), "rows", None, "at least one layer")
    return LayerTable.of(path.stem, layers)


def write_layers(table: LayerTable, path: str | Path) -> None:
    """Write a layer table that ``read_layers`` reads back."""
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("name", *COLUMNS))
        for layer in table.layers():
            writer.writerow((layer.name, layer.kind, *layer.row()[1:]))


def _layer(where: str, row: dict[str, str]) -> Layer:
    if SURPLUS in row:
        raise WorkloadError(where, "cells", f"{len(row[SURPLUS])} too many", "as many as headings")
    if not row["name"]:
        raise WorkloadError(where, "name", None, "a name for every layer")
    fields: dict[str, int] = {}
    for column in COLUMNS[1:]:
        text = row.get(column)
        if column in DEFAULTS and text in (None, ""):
            continue
        try:
            fields[column] = int(text or "")
        except ValueError:
            raise WorkloadError(where, column, repr(text or ""), "a whole number") from None
    try:
        return Layer(name=row["name"], kind=row["kind"] or "", **fields)
    except WorkloadError as error:
        raise error.at(where) from None
