"""SCALE-Sim's topology files: convolutions without padding, or matrix products, one a line.

Source: SCALE-Sim's (scalesim-project/SCALE-Sim) reader, as of its version 3: what the columns mean does not depend on
their headings, only on how many there are; ``DP`` in a convolution's name makes it depthwise.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from workloads.errors import WorkloadError
from workloads.layer_csv import LARGEST_FILE_BYTES
from workloads.layers import Layer, LayerTable

HEADINGS = frozenset({"layer", "layer name", "layer_name", "layers", "layername"})  # of the first column
CONV = ("IFMAP height", "IFMAP width", "filter height", "filter width", "channels", "num filter", "stride")
GEMM = ("M", "N", "K")
MOST_GEMM_COLUMNS = 6  # name, M, N, K, and optionally sparsity and batch
NEED = "a SCALE-Sim topology: name and " + ", ".join(CONV) + "; or name, M, N, K"


def is_topology(path: str | Path) -> bool:
    """Tell whether a CSV file's first line is that of a topology; False where it cannot be read."""
    try:
        with Path(path).open(encoding="utf-8-sig", errors="replace") as file:
            return file.readline(4096).split(",")[0].strip(' \t"\n').lower() in HEADINGS
    except OSError:
        return False


def read_topology(path: str | Path) -> LayerTable:
    """Read a topology file: operands of 8 bits, one image.

    Parameters
    ----------
    path : str or Path
        CSV with one heading. Name, IFMAP height and width, filter height and width, channels, filters and stride
        (height, and width where there are two); or name, M, N, K and optionally a batch, for products of their own.

    Raises
    ------
    WorkloadError
        If the file cannot be read, a cell is not a whole number, strides differ, a layer is sparse or impossible.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise WorkloadError(str(path), "size", f"{path.stat().st_size} bytes", f"at most {LARGEST_FILE_BYTES}")
        with path.open(newline="", encoding="utf-8-sig") as file:
            layers = list(_layers(csv.reader(file), str(path)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "not a text file with comma-separated values"
        raise WorkloadError(str(path), "", reason, NEED) from error
    if not layers:
        raise WorkloadError(str(path), "rows", None, "at least one layer")
    return LayerTable.of(path.stem, layers)


def _layers(reader: Iterator[list[str]], where: str) -> Iterator[Layer]:
    next(reader, None)
    for number, row in enumerate(reader, start=2):
        cells = [cell.strip() for cell in row]
        while cells and not cells[-1]:  # lines end in a comma
            cells.pop()
        if not cells:
            continue
        place = f"{where}, line {number}"
        if not cells[0]:
            raise WorkloadError(place, "name", None, "a name for every layer")
        try:
            yield _product(place, cells) if len(cells) <= MOST_GEMM_COLUMNS else _convolution(place, cells)
        except WorkloadError as error:
            raise error.at(place) from None


def _product(where: str, cells: list[str]) -> Layer:
    """Return M x K by K x N: images are rows, as of a linear layer; a batch of products has an operand each."""
    m, n, k = (_whole(where, cells, at, field) for at, field in enumerate(GEMM, start=1))
    cells = _without_sparsity(where, cells, 4)
    batch = _whole(where, cells, 4, "batch") if len(cells) > 4 else 1
    kind, groups = ("matmul", batch) if batch > 1 else ("linear", 1)
    return Layer(
        name=cells[0], kind=kind, in_h=m, in_w=1, in_c=k * groups, out_h=m, out_w=1, out_c=n * groups, groups=groups
    )


def _convolution(where: str, cells: list[str]) -> Layer:
    if len(cells) < len(CONV) + 1:
        raise WorkloadError(where, "cells", len(cells), NEED)
    in_h, in_w, kernel_h, kernel_w, channels, filters, stride = (
        _whole(where, cells, at, field) for at, field in enumerate(CONV, start=1)
    )
    cells = _without_sparsity(where, cells, 8)
    if len(cells) > 8 and _whole(where, cells, 8, "stride width") != stride:
        raise WorkloadError(where, "stride width", cells[8], f"{stride}, as in height")
    if len(cells) > 9:
        raise WorkloadError(where, "cells", len(cells), NEED)
    for field, kernel, size in (("filter height", kernel_h, in_h), ("filter width", kernel_w, in_w)):
        if kernel > size:
            raise WorkloadError(where, field, kernel, f"1..{size}, the size of the IFMAP")
    depthwise = "DP" in cells[0]
    out_c = channels * filters if depthwise else filters
    return Layer(
        name=cells[0],
        kind="depthwise" if depthwise and filters == 1 and channels > 1 else "conv",
        in_h=in_h,
        in_w=in_w,
        in_c=channels,
        out_h=-(-(in_h - kernel_h) // stride) + 1,
        out_w=-(-(in_w - kernel_w) // stride) + 1,
        out_c=out_c,
        kernel_h=kernel_h,
        kernel_w=kernel_w,
        stride=stride,
        groups=channels if depthwise else 1,
    )


def _without_sparsity(where: str, cells: list[str], at: int) -> list[str]:
    """Return the cells without an N:M ratio, which must be 1:1: layer tables are dense."""
    for place, cell in enumerate(cells[at:], start=at):
        if ":" in cell:
            if cell.replace(" ", "") != "1:1":
                raise WorkloadError(where, "sparsity", cell, "1:1, these machines multiply dense layers")
            return [*cells[:place], *cells[place + 1 :]]
    return cells


def _whole(where: str, cells: list[str], at: int, field: str) -> int:
    text = cells[at] if at < len(cells) else ""
    try:
        value = int(text)
    except ValueError:
        raise WorkloadError(where, field, repr(text), "a whole number") from None
    if value < 1:
        raise WorkloadError(where, field, value, "at least 1")
    return value
