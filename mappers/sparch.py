"""Laying a sparse product on SpArch: condensing A, dropping what makes no products, and the order of merging.

Source: Zhang et al., "SpArch: Efficient Architecture for Sparse Matrix Multiplication", HPCA 2020: matrix condensing
and the Huffman tree scheduler. A leaf weighs its products; a merged node the sum of its inputs, since how many
coincide is not known beforehand. Every round but the first takes as many inputs as the tree has leaves.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array

from accel.sparch.config import Config
from accel.sparch.plan import IndexArray, Plan
from workloads.sparse.product import SparseProduct

Weighted = list[tuple[int, int]]  # (weight, input), the lightest first where it matters


def best_plan(config: Config, product: SparseProduct) -> Plan:
    """Schedule a product's merges as the configuration says.

    Parameters
    ----------
    config : accel.sparch.Config
        ``condensing`` and ``huffman`` choose the leaves and their order, ``merge_layers`` how many merge at once.
    product : SparseProduct

    Returns
    -------
    Plan
        Without rounds if there is nothing to multiply.
    """
    pointers, elements, addresses = _condensed(product) if config.condensing else _columns(product)
    lengths = np.diff(product.b.indptr)[product.a.indices].astype(np.int64)
    weights = _sum_ranges(lengths[elements], pointers)
    kept = np.flatnonzero(weights)
    starts, sizes = pointers[kept], np.diff(pointers)[kept]
    kept_pointers = np.concatenate(([0], np.cumsum(sizes)))
    taken = np.repeat(starts - kept_pointers[:-1], sizes) + np.arange(kept_pointers[-1])
    weights = weights[kept]
    order = huffman_rounds if config.huffman else arrival_rounds
    return Plan(
        product=product,
        leaves_per_round=config.leaves,
        leaf_pointers=kept_pointers,
        leaf_elements=elements[taken],
        addresses=addresses,
        weights=weights,
        rounds=order(weights, config.leaves),
        pipelined_merge=config.pipelined_merge,
        condensing=config.condensing,
        huffman=config.huffman,
    )


def huffman_rounds(weights: IndexArray, ways: int) -> tuple[IndexArray, ...]:
    """Merge the lightest first, so that what is written and read again is little.

    The first round takes ``(n - 2) mod (ways - 1) + 2`` inputs, so that every later one is full.

    Parameters
    ----------
    weights : ndarray of int64, shape (leaves,)
    ways : int
        Inputs of a full round.

    Returns
    -------
    tuple of ndarray of int64
        Inputs of each round, in slot order.
    """
    waiting: Weighted = [(int(weight), leaf) for leaf, weight in enumerate(weights)]
    heapq.heapify(waiting)

    def lightest(count: int) -> Weighted:
        return [heapq.heappop(waiting) for _ in range(count)]

    return _rounds(len(weights), ways, lightest, lambda merged: heapq.heappush(waiting, merged))


def arrival_rounds(weights: IndexArray, ways: int) -> tuple[IndexArray, ...]:
    """Merge first come, first served: leaves in order, then the rounds' results as they come."""
    waiting: deque[tuple[int, int]] = deque((int(weight), leaf) for leaf, weight in enumerate(weights))
    return _rounds(len(weights), ways, lambda count: [waiting.popleft() for _ in range(count)], waiting.append)


def random_rounds(weights: IndexArray, ways: int, seed: int = 0) -> tuple[IndexArray, ...]:
    """Merge in an order drawn at random: the yardstick for the other two."""
    random = np.random.default_rng(seed)
    waiting: Weighted = [(int(weight), leaf) for leaf, weight in enumerate(weights)]

    def drawn(count: int) -> Weighted:
        return [waiting.pop(int(random.integers(len(waiting)))) for _ in range(count)]

    return _rounds(len(weights), ways, drawn, waiting.append)


def _rounds(
    leaves: int, ways: int, take: Callable[[int], Weighted], put: Callable[[tuple[int, int]], None]
) -> tuple[IndexArray, ...]:
    """Merge until one input is left; slots hold leaves in order, then results in order."""
    rounds: list[IndexArray] = []
    waiting = leaves
    while waiting > 1 or (waiting == 1 and not rounds):
        count = min(waiting, ways) if rounds else (waiting - 2) % (ways - 1) + 2 if waiting > 1 else 1
        taken = take(count)
        put((sum(weight for weight, _ in taken), leaves + len(rounds)))
        rounds.append(np.array(sorted(number for _, number in taken), np.int64))
        waiting += 1 - count
    return tuple(rounds)


def _condensed(product: SparseProduct) -> tuple[IndexArray, IndexArray, IndexArray]:
    """Return the condensed columns: column j holds the j-th element of every row."""
    starts, lengths = product.a.indptr[:-1], np.diff(product.a.indptr)
    within = np.arange(product.a.nnz) - np.repeat(starts, lengths)
    pointers, elements = _by_column(product, within, int(lengths.max(initial=0)))
    return pointers, elements, np.arange(product.a.nnz)


def _columns(product: SparseProduct) -> tuple[IndexArray, IndexArray, IndexArray]:
    """Return A's own columns, stored by columns."""
    pointers, elements = _by_column(product, product.a.indices, product.a.shape[1])
    addresses = np.empty(product.a.nnz, np.int64)
    addresses[elements] = np.arange(product.a.nnz)
    return pointers, elements, addresses


def _by_column(product: SparseProduct, column: IndexArray, columns: int) -> tuple[IndexArray, IndexArray]:
    """Sort the positions of A's elements by column and, within one, by row."""
    shape = (product.a.shape[0], columns)
    positions = csr_array((np.arange(product.a.nnz), column, product.a.indptr), shape=shape).tocsc()
    return positions.indptr.astype(np.int64), positions.data


def _sum_ranges(values: IndexArray, pointers: IndexArray) -> IndexArray:
    """Add up values between pointers."""
    sums = np.concatenate(([0], np.cumsum(values)))
    result: IndexArray = sums[pointers[1:]] - sums[pointers[:-1]]
    return result
