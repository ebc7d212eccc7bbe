"""A layer of attention in the machine's arithmetic: scores, softmax, second looks, selection, importance.

Source: Wang et al., SpAtten, HPCA 2021, cascade pruning and progressive quantization.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from accel.spatten.arithmetic import Numbers, Stored, exact_attention, product
from accel.spatten.config import OPERAND_BITS, Config
from accel.spatten.one_query_kernels import attend_once
from accel.spatten.plan import Integers
from accel.spatten.selection import Shown
from accel.spatten.softmax_kernels import prune_rows, softmax_again, softmax_rows
from accel.spatten.topk_kernels import scratch

if TYPE_CHECKING:
    from workloads.attention.attention import LayerAttention

SCORES_TOGETHER = 2**16  # of several heads: they and their probabilities stay in the processor's caches


@dataclass(frozen=True, slots=True)
class Selection:
    """Who takes part in a layer.

    Attributes
    ----------
    heads : ndarray of int64, rising
    queries : ndarray of int64, rising
        Tokens that ask.
    tokens : ndarray of int64, rising
        Tokens that are asked.
    visible : ndarray of int64, shape (queries,)
        How many of ``tokens`` each query sees, from the first on.
    """

    heads: Integers
    queries: Integers
    tokens: Integers
    visible: Integers


@dataclass(frozen=True, slots=True)
class Attended:
    """What a layer computed. Rows are queries of the first head, then of the next.

    Attributes
    ----------
    output : ndarray of float64, shape (heads, queries, head_dim)
    again : ndarray of bool, shape (rows,)
        Rows that were computed again with all of the keys' bits.
    keeps, select_cycles : ndarray of int64, shape (rows,)
        Values used, and what choosing them took.
    kept : ndarray of bool, shape (rows, tokens), or None
        Which; None where a head has several rows, which share what was fetched.
    token_importance : ndarray of int64, shape (tokens,)
        Probability each token was given [steps].
    head_importance : ndarray of float64, shape (heads,)
        Sum of the magnitudes of a head's outputs.
    """

    output: npt.NDArray[np.float64]
    again: npt.NDArray[np.bool_]
    keeps: Integers
    select_cycles: Integers
    kept: npt.NDArray[np.bool_] | None
    token_importance: Integers
    head_importance: npt.NDArray[np.float64]


def attend(
    config: Config,
    stored: Stored,
    chosen: Selection,
    value_keep: float,
    random: npt.NDArray[np.uint64],
    shown: Shown | None = None,
) -> Attended:
    """Compute a layer.

    Parameters
    ----------
    config : Config
    stored : Stored
    chosen : Selection
    value_keep : float
        Share of the keys a query sees whose values are used; at least one is.
    random : ndarray of uint64, shape (1,)
        State of the pivots' generator; advanced.
    shown : Shown, optional
        What of the tokens each head's query sees, where there is one query.
    """
    rows = _Rows(config, stored, chosen, value_keep, random, shown)
    one_query = len(chosen.queries) == 1
    weighed = rows.of_one_query(shown) if one_query else rows.of_many_queries()
    step = stored.value_scale[chosen.heads] / 2**config.probability_bits
    return Attended(
        output=weighed * step[:, None, None],
        again=rows.again,
        keeps=rows.keeps,
        select_cycles=rows.select_cycles,
        kept=rows.kept if one_query else None,
        token_importance=rows.importance,
        head_importance=np.abs(weighed).sum(axis=(1, 2), dtype=np.float64) * step,
    )


def compared(
    layer: LayerAttention, chosen: Selection, output: npt.NDArray[np.float64], causal: bool
) -> tuple[float, float, float]:
    """Compare a layer's outputs (heads, queries, head_dim) with exact attention over all tokens.

    Returns
    -------
    error, magnitude : float
        Squares of the difference and of the exact outputs, summed.
    mass : float
        Probability that exactly falls on the chosen tokens, averaged over rows.
    """
    visible = chosen.queries + 1 if causal else np.full(len(chosen.queries), layer.k.shape[1])
    error = magnitude = mass = 0.0
    for head, ours in zip(chosen.heads, output, strict=True):
        one = slice(head, head + 1)
        exact, probabilities = exact_attention(layer.q[one, chosen.queries], layer.k[one], layer.v[one], visible)
        error += float(np.square(ours - exact[0]).sum())
        magnitude += float(np.square(exact[0]).sum())
        mass += float(probabilities[0][:, chosen.tokens].sum())
    return error, magnitude, mass / (len(chosen.heads) * len(chosen.queries))


def _part(plane: Numbers, heads: Integers, tokens: Integers) -> Numbers:
    """Return some heads and tokens of a layer; without copying where they are the first or all of them."""
    if len(heads) < plane.shape[0]:
        plane = plane[heads]
    count = len(tokens)
    if tokens[-1] - tokens[0] == count - 1:
        return plane[:, tokens[0] : tokens[0] + count]
    return plane[:, tokens]


class _Rows:
    """All rows of a layer, and what becomes of them."""

    def __init__(
        self,
        config: Config,
        stored: Stored,
        chosen: Selection,
        value_keep: float,
        random: npt.NDArray[np.uint64],
        shown: Shown | None,
    ) -> None:
        heads, keys = len(chosen.heads), len(chosen.tokens)
        rows = heads * len(chosen.queries)
        self.config, self.stored, self.chosen, self.random = config, stored, chosen, random
        visible = np.tile(chosen.visible, heads) if shown is None else np.count_nonzero(shown.mask, axis=1)
        self.visible = visible
        self.keeps = np.maximum(1, (visible * value_keep).astype(np.int64))
        self.again = np.zeros(rows, np.bool_)
        self.select_cycles = np.zeros(rows, np.int64)
        self.importance = np.zeros(keys, np.int64)
        self.kept = np.empty((heads, keys), np.bool_)
        self._room, self._chosen = scratch(keys, np.float32), np.empty(keys, np.bool_)
        self._whole_scores = np.empty(keys, np.int32)
        self._steps, self._low_step = np.float32(2**config.probability_bits), 2**config.lsb_bits
        self._threshold = np.float32(config.requant_threshold if config.progressive else 0)

    def of_one_query(self, shown: Shown | None) -> Numbers:
        """Compute a row in every head; return the outputs, as sums in steps."""
        config, stored, chosen = self.config, self.stored, self.chosen
        heads, keys = self.kept.shape
        output, given = np.zeros((heads, 1, stored.v.shape[2]), np.float32), np.zeros(keys, np.int32)
        attend_once(
            (stored.q, stored.k_high, stored.k_low, stored.v), chosen.queries[0], chosen.heads, chosen.tokens,
            np.ones((heads, keys), np.bool_) if shown is None else shown.mask,
            shown is not None and shown.whole, stored.score_scale[chosen.heads].astype(np.float32),
            np.float32(self._low_step), self._steps, self._threshold, self.keeps, config.topk_lanes,
            config.topk_turn_cycles, self.random, self._room,
            (np.empty(keys, np.int64), self._whole_scores, np.empty(keys, np.float32), self._chosen,
             np.empty(keys, np.int32)),
            self.again, self.select_cycles, self.kept, given, output[:, 0],
        )  # fmt: skip
        self.importance += given
        return output

    def of_many_queries(self) -> Numbers:
        """Compute all rows, as many heads at once as the caches hold; return the outputs, as sums in steps."""
        config, stored, chosen = self.config, self.stored, self.chosen
        q = _part(stored.q, chosen.heads, chosen.queries)
        high, low, v = (_part(plane, chosen.heads, chosen.tokens) for plane in (stored.k_high, stored.k_low, stored.v))
        scale = stored.score_scale[chosen.heads].astype(np.float32)
        heads, queries, keys = len(q), q.shape[1], high.shape[1]
        rounded_up = keys // 2  # probabilities, every one by at most half a step
        largest = (2**config.probability_bits + rounded_up) * 2 ** (config.stored_value_bits - 1)
        together = max(1, SCORES_TOGETHER // (queries * keys))
        output = np.empty(q.shape, np.float32)  # holds them exactly: they are below 2**24
        for first in range(0, heads, together):
            part = slice(first, min(first + together, heads))
            probabilities = self._probabilities(part, q[part], high[part], low[part], scale[part].repeat(queries))
            output[part] = product(probabilities, v[part], largest)
        return output

    def _probabilities(
        self, part: slice, q: Numbers, high: Numbers, low: Numbers, scale: npt.NDArray[np.float32]
    ) -> Numbers:
        """Return what is kept of some heads' probabilities [steps], shape (heads, queries, keys)."""
        config, queries = self.config, q.shape[1]
        rows = slice(part.start * queries, part.stop * queries)
        visible, again = self.visible[rows], self.again[rows]
        largest_query = (2 ** (OPERAND_BITS - 1) - 1) * q.shape[2]
        scores = product(q, high.transpose(0, 2, 1), largest_query * 2 ** (config.msb_bits - 1))
        table = scores.reshape(len(visible), -1)
        probabilities, peaks = np.empty(table.shape, np.float32), np.empty(len(visible), np.float32)
        softmax_rows(table, visible, scale * np.float32(self._low_step), self._steps, probabilities, peaks)
        again[:] = peaks < self._threshold
        for head in np.flatnonzero(again.reshape(len(q), queries).any(axis=1)):
            asking = np.flatnonzero(again[head * queries : (head + 1) * queries])
            rest = product(q[head, asking], low[head].T, largest_query * self._low_step)
            softmax_again(
                table, rest, head * queries + asking, visible, scale, np.float32(self._low_step), self._steps,
                self._whole_scores, probabilities,
            )  # fmt: skip
        given = np.zeros(table.shape[1], np.int32)  # a head's rows fit
        prune_rows(
            probabilities, visible, self.keeps[rows], config.topk_lanes, config.topk_turn_cycles, self.random,
            self._room, self._chosen, given, self.select_cycles[rows],
        )  # fmt: skip
        self.importance += given
        return probabilities.reshape(scores.shape)
