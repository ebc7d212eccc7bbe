"""Seeded stand-ins for matrices of which only statistics are published.

A stand-in has the published rows, elements and row lengths exactly. Where its elements lie is drawn, by the kind of
neighbourhood in ``KINDS``. How many multiplies A @ A takes comes near the published number: a symmetric pattern's row
lengths fix it, and a directed graph's popular columns are chosen to. The constants of a kind were chosen by hand so
that A @ A has about the published number of elements, so neither number is an independent check of a stand-in. The
figures do not tell in which order the rows stand, which decides how well a cache does: that is an assumption, and
``order`` changes it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from scipy import sparse

from workloads.errors import WorkloadError
from workloads.sparse import community, mesh
from workloads.sparse.generators import LARGEST_SEED, Indices, drawn, scattered
from workloads.sparse.histogram import BUCKETS
from workloads.sparse.limits import LARGEST_DIMENSION, check_fits, whole
from workloads.sparse.row_lengths import row_lengths

ORDERS = ("natural", "scattered")
FIGURES = "published_histograms.toml"
KINDS: Mapping[str, mesh.Mesh | community.Community | None] = {
    "mesh": mesh.Mesh(dimension=3, jitter=0.5, looseness=0.7, considered=3, diagonal=True),
    "mesh2d": mesh.Mesh(dimension=2, jitter=0.3, looseness=0.6, considered=3, diagonal=True),
    "cage": mesh.Mesh(dimension=5, jitter=1.0, looseness=0.2, considered=2, diagonal=True),
    "road": mesh.Mesh(dimension=2, jitter=0.5, looseness=0.0, considered=2, diagonal=False),
    "circuit": mesh.Mesh(dimension=3, jitter=1.0, looseness=2.0, considered=8, diagonal=True),
    "web": community.Community(spread=1.5, smallest=8, inside=0.97),
    "citation": community.Community(spread=4.0, smallest=8, inside=0.9),
    "scattered": None,
}
"""Where the elements lie: near each other in space, in communities, or anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Published figures of a matrix.

    Attributes
    ----------
    rows, nnz : int
    multiplies, output_nnz : int
        Multiplications and elements of A @ A.
    row_lengths : tuple of int
        Rows in each bucket of ``workloads.sparse.histogram``.
    kind : str
        The kind of ``KINDS`` that it is.
    source : str
    """

    rows: int
    nnz: int
    multiplies: int
    output_nnz: int
    row_lengths: tuple[int, ...]
    kind: str
    source: str


@cache
def published_figures() -> Mapping[str, Figures]:
    """Return the published figures that ship with Sextant, by the matrix's name."""
    tables = tomllib.loads(resources.files("workloads.sparse").joinpath(FIGURES).read_text(encoding="utf-8"))
    return {name: Figures(**{**table, "row_lengths": tuple(table["row_lengths"])}) for name, table in tables.items()}


def published_stand_in(name: str, seed: int = 1, order: str = "natural") -> sparse.csr_array:
    """Return the stand-in for a published matrix; see ``stand_in``.

    Raises
    ------
    WorkloadError
        If the name, seed or order is not allowed, or memory does not hold the matrix.
    """
    known = published_figures()
    if name not in known:
        close = get_close_matches(name, known, n=3)
        names = [*close, *(other for other in known if other not in close)]
        raise WorkloadError("stand_in", "name", name, "one of " + ", ".join(names))
    figures = known[name]
    return stand_in(
        figures.rows,
        figures.row_lengths,
        figures.kind,
        seed,
        nnz=figures.nnz,
        multiplies=figures.multiplies,
        order=order,
    )


def stand_in(
    rows: int,
    row_lengths_histogram: Sequence[int],
    kind: str,
    seed: int,
    *,
    nnz: int,
    multiplies: int | None = None,
    order: str = "natural",
) -> sparse.csr_array:
    """Return a square matrix with published row lengths and elements that lie as in matrices of its kind.

    Parameters
    ----------
    rows : int
        Rows and columns; those that no bucket holds are empty.
    row_lengths_histogram : sequence of int
        Rows in each of the 18 buckets of ``workloads.sparse.histogram``; the last, which has no end, must be 0.
    kind : str
        One of ``KINDS``.
    seed : int
    nnz : int
        Elements; the histogram must be able to hold them.
    multiplies : int, optional
        Multiplications of A @ A to come near.
    order : str
        ``natural`` numbers the rows along a sweep through the mesh, or community by community; ``scattered`` at
        random.

    Returns
    -------
    csr_array, shape (rows, rows)
        Values 1..9.

    Raises
    ------
    WorkloadError
        If an argument is not allowed, or memory does not hold the matrix.
    """
    rows, lengths = _checked(rows, row_lengths_histogram, kind, nnz, multiplies, order)
    generator = np.random.default_rng(whole("stand_in", "seed", seed, 0, LARGEST_SEED))
    layout = KINDS[kind]
    if layout is None:
        spread = generator.permutation(np.concatenate([np.zeros(rows - len(lengths), np.int64), lengths]))
        keys = scattered(spread, rows, generator)
    else:
        keys = layout.keys(rows, lengths, multiplies, generator)
    if order == "scattered":
        numbers = generator.permutation(rows)
        keys = numbers[keys // rows] * rows + numbers[keys % rows]
    return drawn(keys, rows, rows, generator)


def _checked(
    rows: int, histogram: Sequence[int], kind: str, nnz: int, multiplies: int | None, order: str
) -> tuple[int, Indices]:
    """Check a stand-in's arguments; return its rows and the lengths, ascending, of those that are not empty."""
    where = "stand_in"
    rows = whole(where, "rows", rows, 1, LARGEST_DIMENSION)
    for name, value, allowed in (("kind", kind, KINDS), ("order", order, ORDERS)):
        if value not in allowed:
            raise WorkloadError(where, name, value, "one of " + ", ".join(allowed))
    if len(histogram) != len(BUCKETS):
        raise WorkloadError(where, "buckets", len(histogram), f"{len(BUCKETS)}: " + ", ".join(BUCKETS))
    counts = tuple(
        whole(where, f"rows of length {bucket}", count, 0, 0 if bucket == BUCKETS[-1] else rows)
        for bucket, count in zip(BUCKETS, histogram, strict=True)
    )
    if sum(counts) > rows:
        raise WorkloadError(where, "rows in the histogram", sum(counts), f"at most rows = {rows}")
    nnz = whole(where, "nnz", nnz, 0, LARGEST_DIMENSION)
    if multiplies is not None:
        whole(where, "multiplies", multiplies, 0, LARGEST_SEED)
    check_fits(where, rows, rows, 4 * nnz)
    symmetric: Any = isinstance(KINDS[kind], mesh.Mesh)
    lengths = row_lengths(where, counts, nnz, multiplies if symmetric else None)
    if lengths.max(initial=0) > rows:
        raise WorkloadError(where, "longest row", int(lengths.max()), f"at most rows = {rows}")
    return rows, lengths
