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
import numpy.typing as npt
from scipy.sparse import csr_array

from accel.config import Share
from accel.sparch.config import Config
from accel.sparch.merge_kernels import number_leaves, weigh_columns
from accel.sparch.plan import IndexArray, Plan, Positions, SamplePlan
from workloads.errors import ConfigError, WorkloadError
from workloads.sparse.product import SparseProduct

if TYPE_CHECKING:
    import networkx as nx

MOST_ELEMENTS = 2**31 - 1
NO_LEAF = -1
SHARE = 0.1  # of the multiplications that a sample measures, if nothing else is asked for
SLABS = 16  # of a sample; docs/sparch.md says what other numbers do
Rows = npt.NDArray[np.bool_]
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
    _check_size(product)
    weights, sizes, _ = _weigh(config, product)
    kept = weights > 0
    weights = weights[kept]
    return Plan(
        product=product,
        leaves_per_round=config.leaves,
        element_leaves=_element_leaves(config, product, kept),
        addresses=_addresses(config, product),
        sizes=sizes[kept],
        weights=weights,
        rounds=_schedule(config, weights),
        marked_rows=np.empty(0, np.int64),
        pipelined_merge=config.pipelined_merge,
        condensing=config.condensing,
        huffman=config.huffman,
    )


def sample_plan(config: Config, product: SparseProduct, share: float = SHARE, seed: int = 0) -> SamplePlan:
    """Lay slabs of A's rows as ``best_plan`` lays the whole product.

    Slabs hold equal parts of the multiplications, each anywhere in an equal part of all. Rows that come before a slab
    are run, too, but not measured: with them A is read from every memory channel once; they have at most as many
    elements as the slab. Rows around those are walked by the prefetcher alone, as far as it could see them from the
    slab, or the slab from them.

    Parameters
    ----------
    config : accel.sparch.Config
    product : SparseProduct
    share : float
        Of the multiplications, to be measured. Above 0, at most 1.
    seed : int
        Of the slabs' places.

    Returns
    -------
    SamplePlan

    Raises
    ------
    ConfigError
        If the share is not allowed.
    WorkloadError
        If a matrix has more elements than 32 bits count.
    """
    _check_share(share)
    _check_size(product)
    a = product.a
    weights, sizes, done = _weigh(config, product)
    kept = weights > 0
    rounds = _schedule(config, weights[kept])
    measured = _slabs(done, share, seed)
    run = _with_opening(config, measured, a.indptr)
    walked = _with_walked(config, run, a.indptr, len(rounds))
    rows = np.flatnonzero(walked)
    part = SparseProduct(product.name, a[rows], product.b)
    row_sizes, places = np.diff(part.a.indptr), np.arange(part.a.nnz)
    multiplied = np.repeat(run[rows], row_sizes)
    element_leaves = _element_leaves(config, product, kept)
    positions = places + np.repeat(a.indptr[rows] - part.a.indptr[:-1], row_sizes)
    element_leaves, addresses = element_leaves[positions], _addresses(config, product)[positions]
    return SamplePlan(
        product=product,
        share=share,
        slabs=_part_plan(
            config,
            part,
            np.where(multiplied, element_leaves, NO_LEAF),
            addresses,
            rounds,
            int(kept.sum()),
            _turns(measured[rows]),
        ),
        multiplied=multiplied,
        measured=np.repeat(measured[rows], row_sizes),
        element_leaves=element_leaves,
        looked_ahead=int(sizes[kept].sum()),
        multiplies=int(done[-1]),
    )


def _weigh(config: Config, product: SparseProduct) -> tuple[IndexArray, IndexArray, IndexArray]:
    """Return the products and the elements of every column, and the products before every row and of all."""
    a, lengths = product.a, np.diff(product.b.indptr).astype(np.int32)
    columns = int(np.diff(a.indptr).max(initial=0)) if config.condensing else a.shape[1]
    weights, sizes = np.zeros((2, columns), np.int64)
    done = np.empty(a.shape[0] + 1, np.int64)
    weigh_columns(a.indptr, a.indices, lengths, config.condensing, weights, sizes, done)
    return weights, sizes, done


def _element_leaves(config: Config, product: SparseProduct, kept: Rows) -> Positions:
    """Return the leaf of each element of A: a column that is kept; those that are not have none."""
    column_leaves = np.where(kept, np.cumsum(kept) - 1, NO_LEAF).astype(np.int32)
    leaves = np.empty(product.a.nnz, np.int32)
    number_leaves(product.a.indptr, product.a.indices, config.condensing, column_leaves, leaves)
    return leaves


def _addresses(config: Config, product: SparseProduct) -> Positions:
    """Return where A's elements lie in memory, in elements: as rows, or as columns."""
    every = np.arange(product.a.nnz, dtype=np.int32)
    if config.condensing:
        return every
    by_column = csr_array((every, product.a.indices, product.a.indptr), shape=product.a.shape).tocsc().data
    addresses = np.empty_like(every)
    addresses[by_column] = every
    return addresses


def _part_plan(
    config: Config, part: SparseProduct, element_leaves: Positions, addresses: Positions,
    rounds: tuple[IndexArray, ...], leaves: int, marked_rows: IndexArray,
) -> Plan:  # fmt: skip
    """Return the whole's plan for some rows."""
    multiplied = element_leaves != NO_LEAF
    lengths = np.diff(part.b.indptr)[part.a.indices[multiplied]]
    return Plan(
        product=part,
        leaves_per_round=config.leaves,
        element_leaves=element_leaves,
        addresses=addresses,
        sizes=np.bincount(element_leaves[multiplied], minlength=leaves),
        weights=np.bincount(element_leaves[multiplied], lengths, leaves).astype(np.int64),
        rounds=rounds,
        marked_rows=marked_rows,
        pipelined_merge=config.pipelined_merge,
        condensing=config.condensing,
        huffman=config.huffman,
    )


def _slabs(done: IndexArray, share: float, seed: int) -> Rows:
    """Choose rows by the products before them: a slab has those whose middle product lies in it."""
    stratum = int(done[-1]) / SLABS
    size = share * stratum
    middle = (done[1:] + done[:-1]) / 2
    begins = np.arange(SLABS) * stratum + np.random.default_rng(seed).random(SLABS) * (stratum - size)
    chosen = np.zeros(len(middle), np.bool_)
    firsts, ends = np.searchsorted(middle, begins), np.searchsorted(middle, begins + size, "right")
    for first, end in zip(firsts.tolist(), ends.tolist(), strict=True):
        chosen[first:end] = True
    if stratum and not np.diff(done)[chosen].any():
        chosen[np.argmax(np.diff(done))] = True  # no row's middle product lies in a slab
    return chosen


def _with_opening(config: Config, measured: Rows, pointers: IndexArray) -> Rows:
    """Add the rows before each slab with which A is read from every memory channel once, at most as many as it has."""
    chosen = measured.copy()
    enough = config.hbm_interleave_bytes * config.hbm_channels // config.element_bytes
    for first, end in _stretches(measured):
        begin = pointers[first]
        elements = min(enough, pointers[end] - begin)
        chosen[np.searchsorted(pointers, begin - elements, "right") - 1 : first] = True
    return chosen


def _with_walked(config: Config, run: Rows, pointers: IndexArray, rounds: int) -> Rows:
    """Add the rows around those that are run whose elements could be in a round's look-ahead FIFO with theirs."""
    chosen = run.copy()
    if config.prefetcher:
        reach = config.look_ahead * rounds
        for first, end in _stretches(run):
            before, after = np.searchsorted(pointers, (pointers[first] - reach, pointers[end] + reach))
            chosen[before:after] = True
    return chosen


def _stretches(rows: Rows) -> list[tuple[int, int]]:
    """Return the first row of every stretch of chosen rows, and the row after its last."""
    turns = _turns(rows).tolist()
    return list(zip(turns[::2], turns[1::2], strict=True))


def _turns(rows: Rows) -> IndexArray:
    """Return the rows that begin a stretch of chosen ones, and the rows that follow one, in turn."""
    return np.flatnonzero(np.diff(rows, prepend=False, append=False))


def _check_share(share: float) -> None:
    try:
        Share().accept(share)
    except ValueError:
        raise ConfigError("sparch", "sample", share, str(Share())) from None


def _check_size(product: SparseProduct) -> None:
    most = max(product.a.nnz, product.b.nnz)
    if most > MOST_ELEMENTS:
        raise WorkloadError(product.name, "elements", most, f"at most {MOST_ELEMENTS}")


def _schedule(config: Config, weights: IndexArray) -> tuple[IndexArray, ...]:
    order = huffman_rounds if config.huffman else arrival_rounds
    return order(weights, config.leaves)


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
    """Merge leaves of weights (leaves,) first come, first served: in order, then the rounds' results as they come."""
    waiting: deque[tuple[int, int]] = deque((int(weight), leaf) for leaf, weight in enumerate(weights))
    return _rounds(len(weights), ways, lambda count: [waiting.popleft() for _ in range(count)], waiting.append)


def random_rounds(weights: IndexArray, ways: int, seed: int = 0) -> tuple[IndexArray, ...]:
    """Merge leaves of weights (leaves,) in an order drawn at random: the yardstick for the other two."""
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
