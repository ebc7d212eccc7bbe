"""Row lengths drawn up to agree with a published histogram and number of elements, exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from workloads.errors import WorkloadError
from workloads.sparse.histogram import BUCKET_ENDS, BUCKET_STARTS

Counts = NDArray[np.int64]
Chances = NDArray[np.float64]
STEPS = 80


def row_lengths(where: str, histogram: tuple[int, ...], nnz: int, squares: int | None = None) -> Counts:
    """Return lengths, ascending, that fill the buckets and add up to the number of elements.

    Inside the buckets lengths follow the smoothest law that fits: p(l) in proportion to ``l ** s`` with one exponent
    for all buckets; or, where the sum of squares is known, to ``exp(s * l + t * l**2)``, which then comes near it.

    Parameters
    ----------
    where : str
        What an error names as the place.
    histogram : tuple of int
        Rows in each bucket of ``workloads.sparse.histogram``; the bucket without an end must be empty.
    nnz : int
    squares : int, optional
        Sum of the squares of the lengths: the multiplies of A @ A where the pattern is symmetric.

    Raises
    ------
    WorkloadError
        If the histogram cannot hold that many elements.
    """
    counts = np.array(histogram, np.int64)
    if len(counts) != len(BUCKET_STARTS) or (counts < 0).any() or counts[-1]:
        raise WorkloadError(where, "histogram", list(histogram), f"{len(BUCKET_ENDS)} counts of rows and a last of 0")
    starts, ends = np.array(BUCKET_STARTS[:-1]), np.array(BUCKET_ENDS)
    fewest, most = int(counts[:-1] @ starts), int(counts[:-1] @ ends)
    if not fewest <= nnz <= most:
        raise WorkloadError(where, "nnz", nnz, f"{fewest}..{most}, as the histogram says")
    if not nnz:
        return np.zeros(0, np.int64)
    return _with_sum(_Law(counts[:-1]).fitted(nnz, squares), nnz)


class _Law:
    """The laws that fill given buckets: p(l) in proportion to exp(slope * f(l) + curvature * l**2) in each."""

    def __init__(self, counts: Counts) -> None:
        used = np.flatnonzero(counts)
        self.counts = counts[used]
        sizes = np.array([BUCKET_ENDS[bucket] - BUCKET_STARTS[bucket] + 1 for bucket in used])
        self.first = np.cumsum(sizes) - sizes
        self.bucket = np.repeat(np.arange(len(used)), sizes)
        self.length = np.concatenate([np.arange(BUCKET_STARTS[at], BUCKET_ENDS[at] + 1) for at in used])

    def fitted(self, nnz: int, squares: int | None) -> Counts:
        """Return lengths whose sum, and sum of squares where it is known, are about the given ones."""
        if squares is None:
            feature = np.log(self.length)
            return self.lengths(self.slope(feature, np.zeros(1), nnz))
        scale = nnz / self.counts.sum()
        feature, square = self.length / scale, (self.length / scale) ** 2

        def chances(curvature: float) -> Chances:
            return self.slope(feature, curvature * square, nnz)

        curvature = _bisected(lambda value: self.mean(chances(value), self.length**2) < squares, 64.0)
        return self.lengths(chances(curvature))

    def slope(self, feature: Chances, bend: Chances, nnz: int) -> Chances:
        """Return the chance of every length in its bucket, the slope such that the lengths add up to nnz."""
        slope = _bisected(lambda value: self.mean(self.chances(value * feature + bend), self.length) < nnz, 512.0)
        return self.chances(slope * feature + bend)

    def chances(self, exponent: Chances) -> Chances:
        """Return exp(exponent), made to add up to 1 in every bucket."""
        weight = np.exp(exponent - np.maximum.reduceat(exponent, self.first)[self.bucket])
        return weight / np.add.reduceat(weight, self.first)[self.bucket]

    def mean(self, chances: Chances, value: Counts) -> float:
        """Return the expected sum over all rows of a value that depends on the length."""
        return float(np.add.reduceat(chances * value, self.first) @ self.counts)

    def lengths(self, chances: Chances) -> Counts:
        """Return one length per row, ascending: the evenly spaced quantiles of each bucket."""
        rows = []
        for start, size, count in zip(self.first, [*self.first[1:], len(self.length)], self.counts, strict=True):
            bounds = np.cumsum(chances[start:size])
            at = np.searchsorted(bounds, (np.arange(count) + 0.5) / count * bounds[-1])
            rows.append(self.length[start:size][at])
        return np.concatenate(rows)


def _bisected(too_low: Callable[[float], bool], bound: float) -> float:
    """Return the value in -bound..bound where a falling question turns false."""
    low, high = -bound, bound
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if too_low(middle) else (low, middle)
    return high


def _with_sum(lengths: Counts, nnz: int) -> Counts:
    """Lengthen or shorten rows by one, spread evenly, until they add up to nnz; no row leaves its bucket."""
    buckets = np.searchsorted(BUCKET_ENDS, lengths)
    starts, ends = np.array(BUCKET_STARTS)[buckets], np.array(BUCKET_ENDS)[buckets]
    while missing := nnz - int(lengths.sum()):
        step = 1 if missing > 0 else -1
        free = np.flatnonzero(lengths < ends if step > 0 else lengths > starts)
        chosen = free[np.linspace(0, len(free) - 1, min(abs(missing), len(free))).astype(np.int64)]
        lengths[chosen] += step
    return lengths
