"""Near-symmetric patterns of given row lengths whose elements join neighbours in space: meshes, roads, circuits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import KDTree

from workloads.sparse.generators import Indices, distinct, scattered

LEAST_CANDIDATES = 4
GROUP = 4
MOST_ROUNDS = 60
ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """A pattern that joins neighbours in space, nearly symmetric.

    Attributes
    ----------
    dimension : int
        Of the space the nodes lie in.
    jitter : float
        How far nodes are off a grid, in its spacings.
    looseness : float
        How far the choice of neighbours is from the very nearest; see ``candidate_edges``.
    considered : int
        Nearest neighbours that a node may be joined with, for each that it needs.
    diagonal : bool
        Whether every node that is not empty is joined with itself.
    """

    dimension: int
    jitter: float
    looseness: float
    considered: int
    diagonal: bool

    def keys(self, rows: int, lengths: Indices, multiplies: int | None, generator: np.random.Generator) -> Indices:
        """Return the elements as ``row * rows + column``, any order.

        Parameters
        ----------
        rows : int
        lengths : array of int64, shape (rows that are not empty,)
            Elements of each row that is not empty. Empty ones stand anywhere, and nothing is joined with them.
        multiplies : int, optional
            Not needed: in a symmetric pattern the lengths fix it.
        generator : numpy.random.Generator
        """
        nodes = len(lengths)
        if not nodes:
            return np.empty(0, np.int64)
        numbers = np.sort(generator.permutation(rows)[:nodes])
        lengths = generator.permutation(lengths)
        places = points(nodes, self.dimension, self.jitter, generator)
        candidates = candidate_edges(places, lengths, self.considered, self.looseness, generator)
        keys = join(*candidates, lengths - self.diagonal)
        if self.diagonal:
            keys = np.concatenate([keys, np.arange(nodes) * (nodes + 1)])
        keys = scattered(lengths, nodes, generator, keys)
        return numbers[keys // nodes] * rows + numbers[keys % nodes]


def points(rows: int, dimension: int, jitter: float, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return the first points of a grid along a sweep, each moved at random by up to ``jitter`` of a spacing.

    Returns
    -------
    array of float64, shape (rows, dimension)
        In spacings of the grid; consecutive points are neighbours along the last axis.
    """
    side = int(np.ceil(rows ** (1 / dimension)))
    grid = np.stack(np.unravel_index(np.arange(rows), (side,) * dimension), axis=1).astype(np.float64)
    return grid + jitter * (generator.random((rows, dimension)) - 0.5)


def candidate_edges(
    places: NDArray[np.float64], lengths: Indices, considered: int, looseness: float, generator: np.random.Generator
) -> tuple[Indices, Indices, NDArray[np.float64]]:
    """Return the pairs of points that may be joined, nearest first where it matters.

    Every point names some times as many of its nearest neighbours as it needs. A pair's distance is measured in the
    reach of its ends, which grows with their lengths so that long rows reach farther.

    Returns
    -------
    first, second : array of int64, shape (pairs,)
        ``first < second``, each pair once.
    distance : array of float64, shape (pairs,)
    """
    rows, dimension = places.shape
    tree = KDTree(places)
    reach = np.maximum(lengths, 1) ** (1 / dimension)
    found = []
    wanted = np.minimum(-(-(considered * lengths + LEAST_CANDIDATES) // GROUP) * GROUP, rows)
    for count in np.unique(wanted[lengths > 0]):
        group = np.flatnonzero((wanted == count) & (lengths > 0))
        for part in np.array_split(group, -(-len(group) // ROWS_AT_ONCE)):
            near = tree.query(places[part], k=np.arange(1, count + 1), workers=-1)[1].astype(np.int64)
            other = np.repeat(part, count)
            low, high = np.minimum(other, near.ravel()), np.maximum(other, near.ravel())
            keep = (low != high) & (lengths[low] > 0) & (lengths[high] > 0)
            found.append(low[keep] * rows + high[keep])
    keys = distinct(np.concatenate([np.empty(0, np.int64), *found]))
    first, second = keys // rows, keys % rows
    apart = np.sqrt(((places[first] - places[second]) ** 2).sum(axis=1))
    return first, second, apart / (reach[first] + reach[second]) * (1 + looseness * generator.random(len(keys)))


def join(first: Indices, second: Indices, distance: NDArray[np.float64], stubs: Indices) -> Indices:
    """Choose pairs so that every point has as many as it has stubs, nearest pairs first.

    In each round every point picks its nearest remaining candidates, as many as it still needs; pairs that both ends
    pick are joined. What cannot be joined both ways is joined one way in the end.

    Parameters
    ----------
    first, second, distance : array, shape (pairs,)
        Candidates, each pair once.
    stubs : array of int64, shape (points,)
        Elements that each row needs beside its diagonal.

    Returns
    -------
    array of int64
        ``row * points + column`` of the elements, unsorted. Rows whose candidates do not suffice get fewer.
    """
    rows, pairs = len(stubs), len(first)
    nearest = np.argsort(distance, kind="stable")
    ends = np.column_stack([first[nearest], second[nearest]]).ravel()
    # Each point's pairs, nearest first: rows of a sparse matrix keep the order in which they are filled.
    by_source = sparse.csr_array((np.ones(2 * pairs, bool), (ends, np.arange(2 * pairs))), shape=(rows, 2 * pairs))
    source, pair = ends[by_source.indices], nearest[by_source.indices >> 1]
    target = first[pair] + second[pair] - source
    need, joined, taken = stubs.copy(), [], np.zeros(pairs, bool)
    live = np.arange(len(source))
    for _ in range(MOST_ROUNDS):
        live = live[(need[source[live]] > 0) & (need[target[live]] > 0) & ~taken[pair[live]]]
        picks = live[_rank(source[live], rows) < need[source[live]]]
        mutual = np.bincount(pair[picks], minlength=pairs) == 2
        if not mutual.any():
            break
        taken |= mutual
        low, high = first[mutual], second[mutual]
        need -= np.bincount(np.concatenate([low, high]), minlength=rows)
        joined += [low * rows + high, high * rows + low]
    spare = np.flatnonzero((need[source] > 0) & ~taken[pair])
    one_way = spare[_rank(source[spare], rows) < need[source[spare]]]
    return np.concatenate([np.empty(0, np.int64), *joined, source[one_way] * rows + target[one_way]])


def _rank(source: Indices, rows: int) -> Indices:
    """Return the place of each entry among those of its source; the sources ascend."""
    starts = np.zeros(rows + 1, np.int64)
    np.cumsum(np.bincount(source, minlength=rows), out=starts[1:])
    return np.arange(len(source)) - starts[source]
