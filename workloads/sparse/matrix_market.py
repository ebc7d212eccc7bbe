"""Matrix Market files, checked line by line before scipy reads the numbers.

Source: R. F. Boisvert, R. Pozo, K. A. Remington, The Matrix Market Exchange Formats: Initial Design, NISTIR 5935, 1996.

scipy reads ``1.5`` as the integer 1, takes ``1 1 2 junk`` and completes matrices that are not square, silently.
"""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from scipy import sparse
from scipy.io import mmread

from workloads.errors import WorkloadError
from workloads.sparse.canonical import canonical
from workloads.sparse.limits import LARGEST_DIMENSION, check_fits

NEED = "a matrix in Matrix Market format"
LONGEST_LINE = 4096
CHUNK_BYTES = 1 << 20
LAYOUTS = ("coordinate", "array")
FIELDS = ("real", "double", "integer", "unsigned-integer", "pattern")
SYMMETRIES = ("general", "symmetric", "skew-symmetric", "hermitian")

# Possessive repeats: a line that does not match is given up at once, so the check stays linear in the file.
INTEGER = rb"[-+]?+\d++"
REAL = rb"[-+]?+(?:\d++\.?+\d*+|\.\d++)(?:[eE][-+]?+\d++)?+"
PLACE = rb"[ \t]*+\d++[ \t]++\d++"
LINE_END = rb"[ \t]*+\r?+\n"


@dataclass(frozen=True, slots=True)
class Header:
    """What a file promises: the words of its first line and its sizes.

    Attributes
    ----------
    layout, field, symmetry : str
        ``coordinate real general``, for instance.
    rows, columns : int
    entries : int
        Lines of numbers that follow; one per element, of symmetric matrices one half.
    lines : int
        Lines of the header, with comments.
    """

    layout: str
    field: str
    symmetry: str
    rows: int
    columns: int
    entries: int
    lines: int

    @property
    def elements(self) -> int:
        """The most elements that the matrix can have."""
        if self.layout == "array":
            return self.rows * self.columns
        return self.entries if self.symmetry == "general" else 2 * self.entries

    @property
    def line_need(self) -> str:
        """What a line of numbers has to be."""
        whole = self.field in ("integer", "unsigned-integer")
        value = "a whole number" if whole else "a finite number"
        if self.layout == "array":
            return value
        return "row and column" if self.field == "pattern" else f"row, column and {value}"

    @property
    def lines_pattern(self) -> re.Pattern[bytes]:
        """Matches as many lines of numbers as possible."""
        value = INTEGER if self.field in ("integer", "unsigned-integer") else REAL
        if self.layout == "array":
            line = rb"[ \t]*+" + value
        elif self.field == "pattern":
            line = PLACE
        else:
            line = PLACE + rb"[ \t]++" + value
        return re.compile(rb"(?:" + line + LINE_END + rb")*+")


def read_matrix_market(path: Path) -> sparse.csr_array:
    """Read a Matrix Market file, gzipped or not; see ``workloads.sparse.files.read_matrix``."""
    where = str(path)
    try:
        with _opened(path) as file:
            header = read_header(file, where)
            check_fits(where, header.rows, header.columns, header.elements)
            _check_lines(file, header, where)
        matrix = mmread(path, spmatrix=False)
    except OSError as error:
        raise WorkloadError(where, "", error.strerror or str(error), NEED) from None
    except EOFError:
        raise WorkloadError(where, "", "a gzip file that ends early", NEED) from None
    except zlib.error:
        raise WorkloadError(where, "", "a damaged gzip file", NEED) from None
    except (ValueError, OverflowError) as error:  # what remains after our checks: an index beyond the shape
        said = str(error).rstrip(".")
        sizes = f"indices 1..{header.rows} and 1..{header.columns} and values of at most 64 bits"
        raise WorkloadError(where, "", said, sizes) from None
    return canonical(matrix, where)


def _opened(path: Path) -> IO[bytes]:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path)  # type: ignore[return-value]  # a GzipFile reads like any other file
    return path.open("rb")


def read_header(file: IO[bytes], where: str) -> Header:
    """Read the first line, comments and sizes of a Matrix Market file.

    Raises
    ------
    WorkloadError
        If they announce no matrix of real numbers, or a size that is not allowed.
    """
    words = _line(file, where, 1).lower().split()
    if len(words) != 5 or words[:2] != ["%%matrixmarket", "matrix"]:
        raise WorkloadError(where, "", "no first line %%MatrixMarket matrix ...", NEED)
    choices = (("layout", LAYOUTS), ("field", FIELDS), ("symmetry", SYMMETRIES))
    for (name, allowed), word in zip(choices, words[2:], strict=True):
        if word not in allowed:
            raise WorkloadError(where, name, word, "one of " + ", ".join(allowed))
    layout, field, symmetry = words[2:]
    if (layout, field) == ("array", "pattern") or (field, symmetry) == ("pattern", "skew-symmetric"):
        raise WorkloadError(where, "field", "pattern", "a coordinate matrix that is not skew-symmetric")
    count, line = 2, _line(file, where, 2)
    while line.startswith("%") or (line and not line.strip()):
        count += 1
        line = _line(file, where, count)
    return _sized(layout, field, symmetry, line, count, where)


def _sized(layout: str, field: str, symmetry: str, line: str, count: int, where: str) -> Header:
    """Return the header that a size line completes."""
    place, names = f"{where}, line {count}", ("rows", "columns", "entries")[: 3 if layout == "coordinate" else 2]
    words = line.split()
    if len(words) != len(names) or not all(word.isascii() and word.isdigit() and len(word) < 20 for word in words):
        raise WorkloadError(place, "sizes", line.strip(), "whole numbers: " + ", ".join(names))
    sizes = [int(word) for word in words]
    for name, size in zip(names[:2], sizes, strict=False):
        if size > LARGEST_DIMENSION:
            raise WorkloadError(place, name, size, f"0..{LARGEST_DIMENSION}")
    rows, columns = sizes[:2]
    if symmetry != "general" and rows != columns:
        raise WorkloadError(place, "shape", f"{rows} x {columns}", f"a square matrix, because it is {symmetry}")
    diagonal = 0 if symmetry == "skew-symmetric" else rows
    whole = rows * columns if symmetry == "general" else rows * (rows - 1) // 2 + diagonal
    if layout == "array":
        return Header(layout, field, symmetry, rows, columns, whole, count)
    return Header(layout, field, symmetry, rows, columns, sizes[2], count)


def _line(file: IO[bytes], where: str, number: int) -> str:
    """Return a line of the header; the empty text at the end of the file."""
    line = file.readline(LONGEST_LINE)
    if len(line) == LONGEST_LINE:
        raise WorkloadError(f"{where}, line {number}", "", f"a line of {LONGEST_LINE} bytes or more", NEED)
    return line.decode("utf-8", "replace")


def _check_lines(file: IO[bytes], header: Header, where: str) -> None:
    """Check that as many lines of numbers follow as the header promises, and nothing else but empty lines."""
    pattern, entries, number, rest = header.lines_pattern, 0, header.lines, b""
    while chunk := file.read(CHUNK_BYTES):
        chunk = rest + chunk
        end = chunk.rfind(b"\n") + 1
        chunk, rest = chunk[:end], chunk[end:]
        if len(rest) > LONGEST_LINE:
            _refuse_line(rest, number + chunk.count(b"\n") + 1, header, where)
        good, number = _count_lines(pattern, chunk, number, header, where)
        entries += good
        if entries > header.entries:
            break
    entries += _count_lines(pattern, rest + b"\n", number, header, where)[0]
    if entries != header.entries:
        found = entries if entries < header.entries else f"more than {header.entries}"
        raise WorkloadError(where, "entries", found, f"{header.entries}, as the header promises")


def _count_lines(pattern: re.Pattern[bytes], chunk: bytes, number: int, header: Header, where: str) -> tuple[int, int]:
    """Return the lines of numbers in whole lines of text, and the number of the last line."""
    at, good = 0, 0
    while at < len(chunk):
        end = pattern.match(chunk, at).end()  # type: ignore[union-attr]  # it matches no line at the least
        count = chunk.count(b"\n", at, end)
        good, number, at = good + count, number + count, end
        if at < len(chunk):
            end = chunk.index(b"\n", at) + 1
            number += 1
            if chunk[at:end].strip():
                _refuse_line(chunk[at:end], number, header, where)
            at = end
    return good, number


def _refuse_line(line: bytes, number: int, header: Header, where: str) -> None:
    said = ascii(line[:LONGEST_LINE].decode("utf-8", "replace").strip())
    raise WorkloadError(f"{where}, line {number}", "", said, header.line_need)
