"""Requests to an attention accelerator, one query of one head each, read from the tables released with SpAtten.

Source: the workload files of SpAtten's released RTL (github.com/mit-han-lab/spatten, MIT licence).
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from workloads.errors import WorkloadError

NEED = "a table of requests, .csv or .csv.gz"
ROWS_AT_ONCE = 65536
LARGEST_INDEX = 2**31 - 1
LARGEST_LENGTH = 2**20
LARGEST_HEAD_DIM = 512
UNSET = -1
BITS = (4, 6, 8, 10, 12)
ADDED_BITS = (2, 4, 6, 8)
WHOLE = re.compile(r"-?[0-9]{1,18}(\.0*)?")
TRUTH = {"true": 1, "1": 1, "false": 0, "0": 0}
# The released tables end in a line that names the settings they were recorded with and nothing else.
NOTE_ENDINGS = (".yml", ".yaml")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the published tables: the values it may hold, as a range, or as a choice in which -1 is unset."""

    published: str
    low: int = 0
    high: int = LARGEST_INDEX
    choice: tuple[int, ...] = ()

    @property
    def need(self) -> str:
        """What is allowed, in words."""
        if self.choice:
            return f"one of {', '.join(map(str, self.choice))}, or {UNSET} where unset"
        return f"a whole number, {self.low}..{self.high}"

    def value(self, text: str) -> int | None:
        """Return what a cell says, 0 where it is unset and None where it is not allowed."""
        if WHOLE.fullmatch(text) is None:
            return None
        value = int(text.partition(".")[0])
        if self.choice:
            return 0 if value in (UNSET, 0) else value if value in self.choice else None
        return value if self.low <= value <= self.high else None


class TruthColumn(Column):
    """A column of True and False."""

    @property
    def need(self) -> str:
        """What is allowed, in words."""
        return "True, False, 1 or 0"

    def value(self, text: str) -> int | None:
        """Return what a cell says, None where it is not allowed."""
        return TRUTH.get(text.lower())


COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        "iteration": Column("iteration_id"),
        "layer": Column("layer_id"),
        "head": Column("head_id"),
        "head_dim": Column("embedding_length_D", 1, LARGEST_HEAD_DIM),
        "length": Column("sentence_length_L", 1, LARGEST_LENGTH),
        "keys": Column("key_fetch_num", 1, LARGEST_LENGTH),
        "key_bits": Column("quant_key_bit", choice=BITS),
        "requantised": TruthColumn("if_requant"),
        "requant_bits": Column("auto_requant_incre", choice=ADDED_BITS),
        "values": Column("value_fetch_num", 1, LARGEST_LENGTH),
        "value_bits": Column("quant_value_bit", choice=BITS),
    }
)
"""The columns that are read, by the name they have in ``RequestTable``."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RequestTable:
    """Requests in the order they are made, those of one layer of one iteration together; made by ``read_requests``.

    Attributes
    ----------
    name : str
        What reports call it.
    iteration, layer, head : ndarray of int64, shape (requests,)
        Which query of which head: an iteration generates one token.
    head_dim : ndarray of int64, shape (requests,)
        Numbers in a query, key or value.
    length : ndarray of int64, shape (requests,)
        Tokens that have a key.
    keys, values : ndarray of int64, shape (requests,)
        Keys and values that are fetched; ``1 <= values <= keys <= length``.
    key_bits, value_bits : ndarray of int64, shape (requests,)
        Bits fetched of each number, 0 where the table leaves them unset.
    requantised : ndarray of bool, shape (requests,)
        The keys' low bits are fetched too and the row is computed again.
    requant_bits : ndarray of int64, shape (requests,)
        Low bits fetched then, 0 where unset.
    """

    name: str
    iteration: NDArray[np.int64]
    layer: NDArray[np.int64]
    head: NDArray[np.int64]
    head_dim: NDArray[np.int64]
    length: NDArray[np.int64]
    keys: NDArray[np.int64]
    key_bits: NDArray[np.int64]
    requantised: NDArray[np.bool_]
    requant_bits: NDArray[np.int64]
    values: NDArray[np.int64]
    value_bits: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.iteration)


def read_requests(path: str | Path) -> RequestTable:
    """Read a table of requests.

    Parameters
    ----------
    path : str or Path
        ``.csv`` or ``.csv.gz`` with the published columns ``iteration_id, layer_id, head_id, embedding_length_D,
        sentence_length_L, key_fetch_num, quant_key_bit, if_requant, auto_requant_incre, value_fetch_num,
        quant_value_bit`` in any order; others are not looked at. Blank lines and the released tables' last line,
        which names only a settings file, are passed over.

    Returns
    -------
    RequestTable
        What the table says, nothing rounded or filled in; named after the file.

    Raises
    ------
    WorkloadError
        If the file cannot be read, a column is missing, a value is not allowed or no number, a row fetches more
        keys than there are tokens or more values than keys, a row is requantised by an unset number of bits, the
        requests of a layer are not together, or there are none.
    """
    path, where = Path(path), str(path)
    batches: list[tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]] = []
    try:
        with _opened(path) as file:
            reader = csv.reader(file, strict=True)
            places = _places(next(reader, []), where)
            while rows := [(reader.line_num, row) for row in islice(reader, ROWS_AT_ONCE)]:
                batches.append(_converted(rows, places, where))
    except OSError as error:
        raise WorkloadError(where, "", error.strerror or f"a damaged file ({error})", NEED) from None
    except (EOFError, zlib.error) as error:
        raise WorkloadError(where, "", f"a damaged file ({error})", NEED) from None
    except UnicodeDecodeError:
        raise WorkloadError(where, "", "a file that is no text", NEED) from None
    except csv.Error as error:
        raise WorkloadError(f"{where}, line {reader.line_num}", "", str(error), NEED) from None
    lines = np.concatenate([lines for lines, _ in batches]) if batches else np.zeros(0, np.int64)
    if not lines.size:
        raise WorkloadError(where, "", "a table without requests", "at least one")
    columns = {name: np.concatenate([values[name] for _, values in batches]) for name in COLUMNS}
    _check_rows(columns, lines, where)
    flags = columns.pop("requantised").astype(np.bool_)
    return RequestTable(name=_stem(path), requantised=flags, **columns)


def _opened(path: Path) -> io.TextIOWrapper:
    name = path.name.lower()
    if name.endswith(".csv.gz"):
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8-sig", newline="")
    if name.endswith(".csv"):
        return path.open(encoding="utf-8-sig", newline="")
    raise WorkloadError(str(path), "", f"a file of kind {path.suffix or 'unknown'}", NEED)


def _stem(path: Path) -> str:
    name = path.name
    return name[: name.lower().rindex(".csv")] or name


def _places(header: Sequence[str], where: str) -> dict[str, int]:
    """Return at which place of a row each column stands."""
    header = [cell.strip() for cell in header]
    for column in COLUMNS.values():
        if column.published not in header:
            need = f"the published columns, {', '.join(known.published for known in COLUMNS.values())}"
            raise WorkloadError(f"{where}, line 1", f"column {column.published}", None, need)
        if header.count(column.published) > 1:
            raise WorkloadError(f"{where}, line 1", "column", column.published, "each column once")
    return {name: header.index(column.published) for name, column in COLUMNS.items()}


def _converted(
    rows: Sequence[tuple[int, list[str]]], places: Mapping[str, int], where: str
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]:
    """Return the line number and the values of each row that is a request."""
    last = max(places.values())
    kept = [(line, row) for line, row in rows if any(row) and not _is_note(row)]
    for line, row in kept:
        if len(row) <= last:
            raise WorkloadError(f"{where}, line {line}", "", f"a row of {len(row)} cells", f"at least {last + 1}")
    lines = np.fromiter((line for line, _ in kept), np.int64, len(kept))
    columns = {name: _column(name, [row[at] for _, row in kept], lines, where) for name, at in places.items()}
    return lines, columns


def _is_note(row: Sequence[str]) -> bool:
    return row[0].lower().endswith(NOTE_ENDINGS) and not any(row[1:])


def _column(name: str, cells: Sequence[str], lines: NDArray[np.int64], where: str) -> NDArray[np.int64]:
    """Convert a column; its distinct cells are few, so each is read once."""
    column = COLUMNS[name]
    known = {cell: column.value(cell.strip()) for cell in set(cells)}
    wrong = {cell for cell, value in known.items() if value is None}
    if wrong:
        at = next(index for index, cell in enumerate(cells) if cell in wrong)
        raise WorkloadError(f"{where}, line {lines[at]}", column.published, cells[at] or "nothing", column.need)
    return np.fromiter((known[cell] for cell in cells), np.int64, len(cells))


def _check_rows(columns: Mapping[str, NDArray[np.int64]], lines: NDArray[np.int64], where: str) -> None:
    """Refuse requests that contradict themselves or stand apart from those of their layer."""

    def refuse(wrong: NDArray[np.bool_], name: str, need: str, of: str) -> None:
        if wrong.any():
            at = int(np.argmax(wrong))
            said = need.format(columns[of][at])
            raise WorkloadError(f"{where}, line {lines[at]}", COLUMNS[name].published, columns[name][at], said)

    refuse(columns["keys"] > columns["length"], "keys", "at most the {} tokens there are", "length")
    refuse(columns["values"] > columns["keys"], "values", "at most the {} keys that are fetched", "keys")
    unset = (columns["requantised"] == 1) & (columns["key_bits"] > 0) & (columns["requant_bits"] == 0)
    refuse(unset, "requant_bits", f"one of {', '.join(map(str, ADDED_BITS))} in a row that is requantised", "keys")
    iteration, layer = columns["iteration"], columns["layer"]
    starts = np.flatnonzero(np.r_[True, (np.diff(iteration) != 0) | (np.diff(layer) != 0)])
    groups = np.stack([iteration[starts], layer[starts]], axis=1)
    _, first, inverse = np.unique(groups, axis=0, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[inverse.reshape(-1)] != np.arange(len(starts)))
    if again.size:
        at = starts[again[0]]
        got = f"layer {layer[at]} of iteration {iteration[at]} again"
        need = "the requests of a layer together, iteration by iteration"
        raise WorkloadError(f"{where}, line {lines[at]}", "", got, need)
