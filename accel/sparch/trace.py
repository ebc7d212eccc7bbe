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

BLOCK_WORK = 8192  # stream elements merged at a time: their keys stay in the second-level cache
LARGEST_KEY = 2**32 - 2

Indices = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint64]


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
    a = plan.product.a
    rows = a.shape[0]
    element_row = np.repeat(np.arange(rows, dtype=np.int32), np.diff(a.indptr))
    results: dict[int, tuple[Indices, Indices]] = {}
    rounds = []
    out = (np.empty(0, np.int32), np.empty(0, np.int32))
    for index, inputs in enumerate(plan.rounds):
        reloaded = [results.pop(int(number)) for number in inputs[inputs >= plan.leaves]]
        round_trace, out = _merge_round(plan, inputs, reloaded, element_row)
        rounds.append(round_trace)
        results[plan.leaves + index] = out
    pointers = np.searchsorted(out[0], np.arange(rows + 1, dtype=np.int32))  # the rows are sorted
    pointers = pointers.astype(np.int32 if len(out[0]) <= np.iinfo(np.int32).max else np.int64)
    return Trace(tuple(rounds), pointers, out[1])


def _merge_round(
    plan: Plan, inputs: IndexArray, reloaded: list[tuple[Indices, Indices]], element_row: Indices
) -> tuple[RoundTrace, tuple[Indices, Indices]]:
    a, b = plan.product.a, plan.product.b
    layers = plan.leaves_per_round.bit_length() - 1
    is_leaf = inputs < plan.leaves
    slot_leaves = np.where(is_leaf, inputs, -1)
    slot_reloads = np.where(is_leaf, -1, np.cumsum(~is_leaf) - 1)
    elements = int(np.diff(plan.leaf_pointers)[inputs[is_leaf]].sum())
    row, slot, k, position = (np.empty(elements, np.int32) for _ in range(4))
    merge_kernels.order_elements(
        slot_leaves, plan.leaf_pointers, plan.leaf_elements, element_row, a.indices, np.zeros(a.shape[0] + 1, np.int64),
        row, slot, position, k,
    )  # fmt: skip
    nothing = np.empty(0, np.int32)
    reload_row, reload_column = (
        np.concatenate([nothing, *part]) for part in ([r for r, _ in reloaded], [c for _, c in reloaded])
    )
    reload_pointers = np.concatenate(([0], np.cumsum([len(r) for r, _ in reloaded]))).astype(np.int64)
    first_rows = np.empty(a.shape[0] + 1, np.int64)
    columns = b.shape[1]
    blocks, largest = merge_kernels.cut_rows(
        row, k, b.indptr, reload_row, np.zeros(a.shape[0], np.int64), BLOCK_WORK,
        max(1, LARGEST_KEY // max(1, columns)), first_rows,
    )  # fmt: skip
    sizes = np.zeros(plan.leaves_per_round, np.int64)
    sizes[: len(inputs)][is_leaf] = plan.weights[inputs[is_leaf]]
    sizes[: len(inputs)][~is_leaf] = np.diff(reload_pointers)
    node_word, words = _node_words(sizes)
    bits = np.zeros(words, np.uint64)
    bits[1 : merge_kernels.LEFT_ONLY_WORDS : 2] = ~np.uint64(0)
    taken = np.zeros(plan.leaves_per_round, np.int64)
    passed = np.zeros(2 * plan.leaves_per_round, np.int64)
    most = int(sizes.sum())
    out_row, out_column = np.empty(most, np.int32), np.empty(most, np.int32)
    merged = merge_kernels.merge_round(
        layers, columns, row, slot, k, b.indptr, b.indices, slot_reloads, reload_pointers, reload_row, reload_column,
        first_rows, blocks, bits, node_word, taken, passed, out_row, out_column,
        *_scratch(layers, largest, len(inputs), reload_pointers),
    )  # fmt: skip
    if passed[1] != merged or (passed[plan.leaves_per_round :] != sizes).any():
        raise LawError(f"sparch, {plan.product.name}: a round lost elements")
    marks = np.searchsorted(out_row[:merged], plan.marked_rows)
    round_trace = RoundTrace(slot, k, position, slot_reloads, inputs[~is_leaf], bits, node_word, taken, passed, marks)
    return round_trace, (out_row[:merged], out_column[:merged])


def _scratch(layers: int, largest: int, slots: int, reload_pointers: IndexArray) -> tuple[npt.NDArray[Any], ...]:
    """Return what ``merge_kernels.merge_round`` works in; every array that a kernel made would be slow to compile."""
    leaves = 2**layers
    codes = np.zeros((2, merge_kernels.CHUNK // 8), np.uint64)
    return (
        np.empty((layers + 1) * (largest + 2 * leaves) + 2, np.uint32),
        np.zeros(2 * leaves, np.int64),
        np.zeros(2 * leaves, np.int64),
        np.empty(slots, np.int64),
        reload_pointers.copy(),
        np.empty((leaves, 7), np.int64),
        np.empty(leaves, np.int64),
        codes,
        *codes.view(np.uint8),
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
