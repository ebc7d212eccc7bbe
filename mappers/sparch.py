"""Laying a sparse product on SpArch: condensing A, dropping what makes no products, and the order of merging.

Source: Zhang et al., "SpArch: Efficient Architecture for Sparse Matrix Multiplication", HPCA 2020: matrix condensing
and the Huffman tree scheduler. A leaf weighs its products; a merged node the sum of its inputs, since how many
coincide is not known beforehand. Every round but the first takes as many inputs as the tree has leaves.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from accel.sparch.config import Config
from accel.sparch.plan import IndexArray, Plan, Positions
from workloads.errors import WorkloadError
from workloads.sparse.product import SparseProduct

if TYPE_CHECKING:
    import networkx as nx

MOST_ELEMENTS = 2**31 - 1
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

    Raises
    ------
    WorkloadError
        If a matrix has more elements than 32 bits count.
    """
    most = max(product.a.nnz, product.b.nnz)
    if most > MOST_ELEMENTS:
        raise WorkloadError(product.name, "elements", most, f"at most {MOST_ELEMENTS}")
    pointers, elements, addresses = _condensed(product) if config.condensing else _columns(product)
    lengths = np.diff(product.b.indptr).astype(np.int32)[product.a.indices]
    weights = _sum_ranges(lengths[elements], pointers)
    kept, sizes = weights > 0, np.diff(pointers)
    weights = weights[kept]
    order = huffman_rounds if config.huffman else arrival_rounds
    return Plan(
        product=product,
        leaves_per_round=config.leaves,
        leaf_pointers=np.concatenate(([0], np.cumsum(sizes[kept]))),
        leaf_elements=elements[np.repeat(kept, sizes)],
        addresses=addresses,
        weights=weights,
        rounds=order(weights, config.leaves),
        pipelined_merge=config.pipelined_merge,
        condensing=config.condensing,
        huffman=config.huffman,
    )


def merge_tree(plan: Plan) -> nx.DiGraph[int]:
    """Return a plan's merges as a tree: an edge from every input to the round that takes it.

    Nodes are inputs as the plan numbers them; the root is the last round's result. Node attributes: ``weight`` (most
    elements it has) and ``round`` (None for a partial matrix that is multiplied).
    """
    import networkx as nx  # not needed to run a plan

    tree: nx.DiGraph[int] = nx.DiGraph()
    for number, weight in enumerate(plan.input_weights):
        made_in = number - plan.leaves if number >= plan.leaves else None
        tree.add_node(number, weight=weight, round=made_in)
    for index, inputs in enumerate(plan.rounds):
        tree.add_edges_from((int(number), plan.leaves + index) for number in inputs)
    return tree


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


def _condensed(product: SparseProduct) -> tuple[IndexArray, Positions, Positions]:
    """Return the condensed columns: column j holds the j-th element of every row."""
    every = np.arange(product.a.nnz, dtype=np.int32)
    lengths = np.diff(product.a.indptr)
    within = every - np.repeat(product.a.indptr[:-1].astype(np.int32), lengths)
    pointers, elements = _by_column(product, within, int(lengths.max(initial=0)))
    return pointers, elements, every


def _columns(product: SparseProduct) -> tuple[IndexArray, Positions, Positions]:
    """Return A's own columns, stored by columns."""
    pointers, elements = _by_column(product, product.a.indices, product.a.shape[1])
    addresses = np.empty(product.a.nnz, np.int32)
    addresses[elements] = np.arange(product.a.nnz, dtype=np.int32)
    return pointers, elements, addresses


def _by_column(product: SparseProduct, column: Positions, columns: int) -> tuple[IndexArray, Positions]:
    """Sort the positions of A's elements by column and, within one, by row."""
    every, pointers = np.arange(product.a.nnz, dtype=np.int32), product.a.indptr.astype(np.int32)
    positions = csr_array((every, column, pointers), shape=(product.a.shape[0], columns)).tocsc()
    return positions.indptr.astype(np.int64), positions.data


def _sum_ranges(values: Positions, pointers: IndexArray) -> IndexArray:
    """Add up values between pointers."""
    sums = np.concatenate(([0], np.cumsum(values, dtype=np.int64)))
    result: IndexArray = sums[pointers[1:]] - sums[pointers[:-1]]
    return result
