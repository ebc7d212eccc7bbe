"""Sparse matrices drawn from a seed or laid out by a rule; the same arguments give the same matrix everywhere.

Values are small whole numbers, so that products are exact whatever the order they are added up in. The drawn ones are
positive: nothing cancels, and a product has a value wherever it has an element.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from workloads.sparse.limits import LARGEST_DIMENSION, check_fits, number, whole

Indices = NDArray[np.int64]
LARGEST_VALUE = 9
LARGEST_SCALE = 30
LARGEST_SEED = 2**63 - 1


def rmat(scale: int, edges: int, seed: int, a: float = 0.57, b: float = 0.19, c: float = 0.19) -> sparse.csr_array:
    """Return an R-MAT graph: skewed degrees and communities within communities.

    Every edge descends ``scale`` times into one quarter of the matrix, with probabilities a (upper left), b (upper
    right), c (lower left) and the rest. Edges drawn twice are one element, so that there are fewer than asked for.

    Source: D. Chakrabarti, Y. Zhan, C. Faloutsos, R-MAT: A Recursive Model for Graph Mining, SDM 2004; the default
    probabilities are those of the Graph500 benchmark.

    Parameters
    ----------
    scale : int
        2**scale rows and columns. 0..30.
    edges : int
        Edges drawn for each row. At least 1.
    seed : int
    a, b, c : float
        Probabilities, at most 1 together.

    Raises
    ------
    WorkloadError
        If an argument is not allowed or memory does not hold the matrix.
    """
    scale = whole("rmat", "scale", scale, 0, LARGEST_SCALE)
    rows = 1 << scale
    edges = whole("rmat", "edges", edges, 1, rows)
    a, b, c = (number("rmat", name, value, 0, 1) for name, value in (("a", a), ("b", b), ("c", c)))
    number("rmat", "a + b + c", round(a + b + c, 12), 0, 1)
    draws = edges * rows
    check_fits("rmat", rows, rows, draws)
    generator = _generator("rmat", seed)
    row, column = np.zeros(draws, np.int64), np.zeros(draws, np.int64)
    for _ in range(scale):
        quarter = generator.random(draws)
        lower = quarter >= a + b
        right = np.where(lower, quarter >= a + b + c, quarter >= a)
        row, column = 2 * row + lower, 2 * column + right
    return drawn(row * rows + column, rows, rows, generator)


def uniform(rows: int, per_row: int, seed: int) -> sparse.csr_array:
    """Return a square matrix with ``per_row`` elements in every row, in different columns drawn at random.

    Raises
    ------
    WorkloadError
        If an argument is not allowed or memory does not hold the matrix.
    """
    rows = whole("uniform", "rows", rows, 1, LARGEST_DIMENSION)
    per_row = whole("uniform", "per_row", per_row, 0, rows)
    check_fits("uniform", rows, rows, rows * per_row)
    generator = _generator("uniform", seed)
    keys = scattered(np.full(rows, per_row), rows, generator)
    return drawn(keys, rows, rows, generator)


def pruned(rows: int, columns: int, density: float, seed: int) -> sparse.csr_array:
    """Return a matrix as pruning leaves it: every element is kept with the same probability, independently.

    With one column it is a vector of activations after a rectifier.

    Parameters
    ----------
    rows, columns : int
    density : float
        Probability of an element, 0..1.
    seed : int

    Raises
    ------
    WorkloadError
        If an argument is not allowed or memory does not hold the matrix.
    """
    rows = whole("pruned", "rows", rows, 1, LARGEST_DIMENSION)
    columns = whole("pruned", "columns", columns, 1, LARGEST_DIMENSION)
    density = number("pruned", "density", density, 0, 1)
    check_fits("pruned", rows, columns, int(rows * columns * density))
    generator = _generator("pruned", seed)
    keys = scattered(generator.binomial(columns, density, rows), columns, generator)
    return drawn(keys, rows, columns, generator)


def power_law(rows: int, per_row: int, exponent: float, seed: int) -> sparse.csr_array:
    """Return a graph whose degrees follow a power law: few nodes have most of the edges, in and out alike.

    Node i has weight ``(i + 1) ** (-1 / (exponent - 1))``, in random order, and both ends of every edge are drawn by
    weight; then the number of nodes of degree d falls as ``d ** -exponent``. Edges drawn twice are one element.

    Source: F. Chung, L. Lu, Connected Components in Random Graphs with Given Expected Degree Sequences, 2002.

    Parameters
    ----------
    rows : int
        Rows and columns.
    per_row : int
        Edges drawn for each row, on average.
    exponent : float
        1.5..10; graphs of the web and of people have 2 to 3.
    seed : int

    Raises
    ------
    WorkloadError
        If an argument is not allowed or memory does not hold the matrix.
    """
    rows = whole("power_law", "rows", rows, 1, LARGEST_DIMENSION)
    per_row = whole("power_law", "per_row", per_row, 0, rows)
    exponent = number("power_law", "exponent", exponent, 1.5, 10)
    check_fits("power_law", rows, rows, rows * per_row)
    generator = _generator("power_law", seed)
    weights = generator.permutation(np.arange(1, rows + 1) ** (-1 / (exponent - 1)))
    bounds = np.cumsum(weights)
    row, column = (
        np.searchsorted(bounds, generator.random(rows * per_row) * bounds[-1], side="right").clip(max=rows - 1)
        for _ in range(2)
    )
    return drawn(row * rows + column, rows, rows, generator)


def poisson2d(n: int) -> sparse.csr_array:
    """Return the 5-point Laplacian of an n x n grid: n**2 rows, 4 on the diagonal, -1 for each neighbour.

    Raises
    ------
    WorkloadError
        If n is not allowed or memory does not hold the matrix.
    """
    n = whole("poisson2d", "n", n, 1, 46340)
    return _stencil("poisson2d", (n, n), [(1, 0), (-1, 0), (0, 1), (0, -1)])


def poisson3d(n: int) -> sparse.csr_array:
    """Return the 7-point Laplacian of an n x n x n grid: n**3 rows, 6 on the diagonal, -1 for each neighbour.

    Raises
    ------
    WorkloadError
        If n is not allowed or memory does not hold the matrix.
    """
    n = whole("poisson3d", "n", n, 1, 1290)
    axes = [tuple(int(value) for value in axis) for axis in np.eye(3)]
    return _stencil("poisson3d", (n, n, n), [*axes, *(tuple(-value for value in axis) for axis in axes)])


def stencil27(n: int) -> sparse.csr_array:
    """Return the 27-point stencil of an n x n x n grid: n**3 rows, 26 on the diagonal, -1 for each neighbour.

    Raises
    ------
    WorkloadError
        If n is not allowed or memory does not hold the matrix.
    """
    n = whole("stencil27", "n", n, 1, 1290)
    box = [(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)]
    return _stencil("stencil27", (n, n, n), [step for step in box if any(step)])


def banded(rows: int, bandwidth: int) -> sparse.csr_array:
    """Return a square matrix that is full up to ``bandwidth`` columns beside the diagonal and empty elsewhere.

    Raises
    ------
    WorkloadError
        If an argument is not allowed or memory does not hold the matrix.
    """
    rows = whole("banded", "rows", rows, 1, LARGEST_DIMENSION)
    bandwidth = whole("banded", "bandwidth", bandwidth, 0, rows - 1)
    check_fits("banded", rows, rows, rows * (2 * bandwidth + 1))
    column = np.arange(rows)[:, None] + np.arange(-bandwidth, bandwidth + 1)
    inside = (column >= 0) & (column < rows)
    row = np.broadcast_to(np.arange(rows)[:, None], column.shape)[inside]
    return _ruled(row, column[inside], rows)


def block_diagonal(rows: int, block: int) -> sparse.csr_array:
    """Return a square matrix of full blocks along the diagonal; the last is smaller where they do not divide the rows.

    Raises
    ------
    WorkloadError
        If an argument is not allowed or memory does not hold the matrix.
    """
    rows = whole("block_diagonal", "rows", rows, 1, LARGEST_DIMENSION)
    block = whole("block_diagonal", "block", block, 1, rows)
    check_fits("block_diagonal", rows, rows, rows * block)
    row = np.arange(rows)[:, None]
    column = row // block * block + np.arange(block)
    inside = column < rows
    return _ruled(np.broadcast_to(row, column.shape)[inside], column[inside], rows)


def scattered(lengths: Indices, columns: int, generator: np.random.Generator, held: Indices | None = None) -> Indices:
    """Draw different columns for every row, each set of columns as likely as any other.

    Parameters
    ----------
    lengths : array of int, shape (rows,)
        Elements of each row, 0..columns.
    columns : int
    generator : numpy.random.Generator
    held : array of int64, optional
        Elements that the rows already have, at most their lengths; they count.

    Returns
    -------
    array of int64, shape (elements,)
        ``row * columns + column``, ascending.
    """
    keys = distinct(np.empty(0, np.int64) if held is None else held)
    missing = lengths - np.bincount(keys // columns, minlength=len(lengths))
    crowded = np.flatnonzero((4 * lengths > columns) & (missing > 0))
    # A row that takes most columns would be redrawn for ever: it is shuffled, at a cost in proportion to its length.
    shuffled = [keys]
    for row in crowded:
        own = keys[slice(*np.searchsorted(keys, (row * columns, (row + 1) * columns)))] % columns
        free = np.delete(np.arange(columns), own)
        shuffled.append(row * columns + generator.permutation(free)[: missing[row]])
    keys = np.sort(np.concatenate(shuffled))
    missing[crowded] = 0
    while missing.any():
        fresh = np.repeat(np.arange(len(lengths)), missing) * columns + generator.integers(0, columns, missing.sum())
        keys = distinct(np.concatenate([keys, fresh]))
        missing = lengths - np.bincount(keys // columns, minlength=len(lengths))
    return keys


def distinct(keys: Indices) -> Indices:
    """Return whole numbers, shape (n,), ascending, each once."""
    keys = np.sort(keys)
    first: Indices = keys[np.concatenate([np.ones(min(len(keys), 1), bool), keys[1:] != keys[:-1]])]
    return first


def drawn(keys: Indices, rows: int, columns: int, generator: np.random.Generator) -> sparse.csr_array:
    """Return the matrix with an element at every key (n,), ``row * columns + column``, values 1..9 at random."""
    keys = distinct(keys)
    values = generator.integers(1, LARGEST_VALUE + 1, len(keys)).astype(np.float64)
    return from_sorted(keys // columns, keys % columns, values, (rows, columns))


def from_sorted(row: Indices, column: Indices, values: Any, shape: tuple[int, int]) -> sparse.csr_array:
    """Return the matrix of elements (n,) that are in order of row and column, none twice."""
    starts = np.zeros(shape[0] + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=shape[0]), out=starts[1:])
    index = np.int32 if len(column) <= np.iinfo(np.int32).max else np.int64
    matrix = sparse.csr_array((values, column.astype(index), starts.astype(index)), shape=shape)
    matrix.has_canonical_format = True
    return matrix


def _generator(where: str, seed: int) -> np.random.Generator:
    return np.random.default_rng(whole(where, "seed", seed, 0, LARGEST_SEED))


def _ruled(row: Indices, column: Indices, rows: int) -> sparse.csr_array:
    """Return the matrix of sorted elements whose values 1..9 follow from their place."""
    return from_sorted(row, column, ((7 * row + 3 * column) % LARGEST_VALUE + 1).astype(np.float64), (rows, rows))


def _stencil(where: str, grid: tuple[int, ...], steps: list[tuple[int, ...]]) -> sparse.csr_array:
    """Return the matrix that joins every grid point with itself and, by -1, with its neighbours inside the grid."""
    rows = int(np.prod(grid, dtype=np.int64))
    check_fits(where, rows, rows, rows * (len(steps) + 1))
    steps = sorted([*steps, (0,) * len(grid)])  # by distance along the numbering, so that columns ascend
    places = np.indices(grid, dtype=np.int32).reshape(len(grid), rows)
    inside = np.stack(
        [
            np.logical_and.reduce(
                [(at + move >= 0) & (at + move < size) for at, move, size in zip(places, step, grid, strict=True)]
            )
            for step in steps
        ],
        axis=1,
    )
    strides = [int(np.prod(grid[axis + 1 :], dtype=np.int64)) for axis in range(len(grid))]
    distance = np.array([sum(move * stride for move, stride in zip(step, strides, strict=True)) for step in steps])
    row, which = np.nonzero(inside)
    values = np.where(distance[which] == 0, float(len(steps) - 1), -1.0)
    return from_sorted(row, row + distance[which], values, (rows, rows))
