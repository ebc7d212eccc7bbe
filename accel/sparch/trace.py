"""The functional half of SpArch: a plan's rounds merged once, kept for as many hardware points as one likes.

What is kept depends on the matrices, the schedule and the number of leaves only; not on FIFOs, the prefetcher, the
multipliers or the memory.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from accel.report import LawError
from accel.sparch import merge_kernels
from accel.sparch.plan import IndexArray, Plan

WORD_BITS = 64
LARGEST_POINTER = 2**31 - 1  # that 32 bits hold

Indices = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Elements:
    """Elements of A of a round, in order: the row each is in, its slot, the row of B it multiplies, which it is."""

    row: Indices
    slot: Indices
    k: Indices
    position: Indices


@dataclass(frozen=True, slots=True, eq=False)
class Partial:
    """Where the result of a round has elements, in those of its rows that it can have some in.

    Attributes
    ----------
    first : int
        The first of these rows.
    pointers : ndarray of int64, shape (rows + 1,)
    columns : ndarray of int32, shape (elements,)
    """

    first: int
    pointers: IndexArray
    columns: Indices

    @property
    def end(self) -> int:
        """The row after the last one."""
        return self.first + len(self.pointers) - 1

    def pointers_of(self, first: int, end: int) -> IndexArray:
        """Return the pointers of more rows; those that are not its own have no elements."""
        return np.pad(self.pointers, (self.first - first, end - self.end), mode="edge")


@dataclass(frozen=True, slots=True, eq=False)
class RoundTrace:
    """One round, merged.

    Attributes
    ----------
    slot, k, position : ndarray of int32, shape (elements,)
        Elements of A in the order of their rows: the slot each feeds, the row of B it multiplies, which it is.
    slot_reloads : ndarray of int64, shape (slots,)
        The round whose result a slot reads back from memory, counted among the slots that do; -1 for a leaf.
    reloads : ndarray of int64, shape (reloaded streams,)
        Inputs, as the plan numbers them, of the slots that read from memory.
    bits, node_word : ndarray
        The merges; see ``merge_kernels``.
    taken, passed : ndarray of int64
        Elements each node takes; elements that enter each FIFO.
    marks : ndarray of int64
        Elements of the result before the plan's marked rows.
    """

    slot: Indices
    k: Indices
    position: Indices
    slot_reloads: IndexArray
    reloads: IndexArray
    bits: Words
    node_word: IndexArray
    taken: IndexArray
    passed: IndexArray
    marks: IndexArray


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """All rounds of a plan, merged, and where the product has elements.

    Attributes
    ----------
    rounds : tuple of RoundTrace
    pointers : ndarray of int32 or int64, shape (rows of A + 1,)
    columns : ndarray of int32, shape (nnz of C,)
    """

    rounds: tuple[RoundTrace, ...]
    pointers: Indices | IndexArray
    columns: Indices


_kept: weakref.WeakKeyDictionary[Plan, Trace] = weakref.WeakKeyDictionary()
_products: weakref.WeakKeyDictionary[Plan, csr_array] = weakref.WeakKeyDictionary()


def merge(plan: Plan) -> Trace:
    """Run a plan's merges and compute its product; a plan that was merged before is not merged again."""
    if plan not in _kept:
        _kept[plan] = _merge(plan)
    return _kept[plan]


def multiply(plan: Plan) -> csr_array:
    """Return a plan's product; one that was computed before is the same object."""
    if plan not in _products:
        a, b, merged = plan.product.a, plan.product.b, merge(plan)
        sums, values = np.zeros(b.shape[1]), np.empty(len(merged.columns))
        merge_kernels.accumulate(
            a.indptr, a.indices, a.data, b.indptr, b.indices, b.data, merged.pointers, merged.columns, sums, values
        )
        _products[plan] = csr_array((values, merged.columns, merged.pointers), shape=(a.shape[0], b.shape[1]))
    return _products[plan]


def _merge(plan: Plan) -> Trace:
    a, b = plan.product.a, plan.product.b
    row, slot, position, k = (np.empty(int(plan.sizes.sum()), np.int32) for _ in range(4))
    leaf_round, leaf_slot = np.empty(plan.leaves, np.int64), np.empty(plan.leaves, np.int32)
    for index, inputs in enumerate(plan.rounds):
        merged = inputs[inputs < plan.leaves]
        leaf_round[merged], leaf_slot[merged] = index, np.arange(len(merged))
    of_rounds = np.bincount(leaf_round, plan.sizes, len(plan.rounds)).astype(np.int64)
    end = np.cumsum(of_rounds)
    most = merge_kernels.order_elements(
        a.indptr, a.indices, b.indptr, plan.element_leaves, leaf_round, leaf_slot, end - of_rounds, row, slot,
        position, k,
    )  # fmt: skip
    scratch = _scratch(plan.leaves_per_round, b.shape[1], most)
    results: dict[int, Partial] = {}
    rounds = []
    out = Partial(0, np.zeros(1, np.int64), np.empty(0, np.int32))
    for index, inputs in enumerate(plan.rounds):
        reloaded = [results.pop(int(number)) for number in inputs[inputs >= plan.leaves]]
        of_round = slice(end[index] - of_rounds[index], end[index])
        elements_of = Elements(*(part[of_round] for part in (row, slot, k, position)))
        round_trace, out = _merge_round(plan, inputs, reloaded, elements_of, scratch)
        rounds.append(round_trace)
        results[plan.leaves + index] = out
    pointers = out.pointers_of(0, a.shape[0])
    return Trace(tuple(rounds), pointers.astype(np.int32) if pointers[-1] <= LARGEST_POINTER else pointers, out.columns)


def _merge_round(
    plan: Plan, inputs: IndexArray, reloaded: list[Partial], elements: Elements, scratch: tuple[npt.NDArray[Any], ...]
) -> tuple[RoundTrace, Partial]:
    b, leaves = plan.product.b, plan.leaves_per_round
    is_leaf = inputs < plan.leaves
    slot_reloads = np.where(is_leaf, -1, np.cumsum(~is_leaf) - 1)
    sizes = np.zeros(leaves, np.int64)
    sizes[: len(inputs)][is_leaf] = plan.weights[inputs[is_leaf]]
    sizes[: len(inputs)][~is_leaf] = [len(part.columns) for part in reloaded]
    begin, end = _rows_with_elements(elements.row, reloaded)
    before = np.cumsum([0, *(len(part.columns) for part in reloaded)])[:-1]
    reload_pointers = np.array([part.pointers_of(begin, end) for part in reloaded], np.int64)
    reload_pointers = reload_pointers.reshape(-1, end - begin + 1) + before[:, np.newaxis]
    node_word, words = _node_words(sizes)
    bits = np.zeros(words, np.uint64)
    bits[1 : merge_kernels.LEFT_ONLY_WORDS : 2] = ~np.uint64(0)
    passed = np.zeros(2 * leaves, np.int64)
    pointers, columns = np.zeros(end - begin + 1, np.int64), np.empty(int(sizes.sum()), np.int32)
    merged = merge_kernels.merge_round(
        leaves, begin, elements.row, elements.slot, elements.k, b.indptr, b.indices, np.flatnonzero(~is_leaf),
        reload_pointers, np.concatenate([np.empty(0, np.int32), *(part.columns for part in reloaded)]), bits,
        node_word, passed, pointers, columns, *scratch,
    )  # fmt: skip
    if passed[1] != merged or (passed[leaves:] != sizes).any():
        raise LawError(f"sparch, {plan.product.name}: a round lost elements")
    taken = passed[0::2] + passed[1::2]
    taken[0] = 0
    round_trace = RoundTrace(
        elements.slot, elements.k, elements.position, slot_reloads, inputs[~is_leaf], bits, node_word, taken, passed,
        pointers[np.clip(plan.marked_rows - begin, 0, end - begin)],
    )  # fmt: skip
    return round_trace, Partial(begin, pointers, columns[:merged])


def _rows_with_elements(row: Indices, reloaded: list[Partial]) -> tuple[int, int]:
    """Return the first row that a round's inputs can have elements in, and the one after the last."""
    first = [*(part.first for part in reloaded), *row[:1].tolist()]
    end = [*(part.end for part in reloaded), *(row[-1:] + 1).tolist()]
    return min(first, default=0), max(end, default=0)


def _scratch(leaves: int, columns: int, most: int) -> tuple[npt.NDArray[Any], ...]:
    """Return what ``merge_kernels.merge_round`` works in, for at most so many products of a row."""
    words = columns // WORD_BITS + 1
    stride = (merge_kernels.BLOCK_PLACES + min(most, columns)) // WORD_BITS + 2
    return (
        *np.empty((3, most + 1), np.uint64),
        np.zeros(words, np.uint64),
        np.zeros(words // WORD_BITS + 1, np.uint64),
        np.zeros(words // WORD_BITS**2 + 1, np.uint64),
        np.empty(words, np.uint64),
        np.empty(words, np.uint64),
        np.zeros(2 * leaves * stride, np.uint64),
        np.zeros(2 * leaves, np.uint64),
        np.zeros(2 * leaves, np.int64),
    )


def _node_words(sizes: IndexArray) -> tuple[IndexArray, int]:
    """Return where each node's bits begin, and the words of all; a node whose right side is never used has none: 0."""
    leaves = len(sizes)
    below = np.concatenate((np.zeros(leaves, np.int64), sizes))
    node_word = np.zeros(leaves, np.int64)
    words = merge_kernels.LEFT_ONLY_WORDS
    for node in range(leaves - 1, 0, -1):
        left, right = below[2 * node], below[2 * node + 1]
        below[node] = left + right
        if right:
            node_word[node] = words
            words += 2 * ((int(left + right) >> 6) + 2)
    return node_word, words
