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
from accel.spatten.plan import Integers
from accel.spatten.selection import Shown
from accel.spatten.softmax_kernels import prune_rows, softmax_rows

if TYPE_CHECKING:
    from workloads.attention.attention import LayerAttention


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
    rows = _Rows(config, chosen, value_keep, random, shown)
    q = _part(stored.q, chosen.heads, chosen.queries)
    high, low, v = (_part(plane, chosen.heads, chosen.tokens) for plane in (stored.k_high, stored.k_low, stored.v))
    scale = stored.score_scale[chosen.heads]
    heads, queries = len(chosen.heads), len(chosen.queries)
    if shown is not None:
        weighed = np.empty((heads, 1, q.shape[2]), np.float32)
        for head in range(heads):
            one, keys = slice(head, head + 1), np.flatnonzero(shown.mask[head])
            probabilities = rows.compute(one, q[one], high[one, keys], low[one, keys], scale[one], keys)
            weighed[head] = _weighed(config, probabilities, v[head, keys])
    elif queries == 1:  # heads are rows of one table
        probabilities = rows.compute(slice(0, heads), q, high, low, scale)
        weighed = _weighed(config, probabilities[:, None, :], v)
    else:
        weighed = np.empty((heads, queries, q.shape[2]), np.float32)
        for head in range(heads):
            part = slice(head * queries, (head + 1) * queries)
            one = slice(head, head + 1)
            probabilities = rows.compute(part, q[one], high[one], low[one], scale[one].repeat(queries))
            weighed[head] = _weighed(config, probabilities, v[head])
    step = stored.value_scale[chosen.heads] / 2**config.probability_bits
    return Attended(
        output=weighed * step[:, None, None],
        again=rows.again,
        keeps=rows.keeps,
        select_cycles=rows.select_cycles,
        kept=rows.kept if queries == 1 else None,
        token_importance=rows.importance,
        head_importance=np.abs(weighed).sum(axis=(1, 2), dtype=np.float64) * step,
    )


def compared(
    layer: LayerAttention, chosen: Selection, output: npt.NDArray[np.float64], causal: bool
) -> tuple[float, float, float]:
    """Compare a layer's outputs with exact attention over all tokens.

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


def _weighed(config: Config, probabilities: Numbers, v: Numbers) -> Numbers:
    """Add up values by their probabilities, exactly."""
    rounded_up = probabilities.shape[-1] // 2  # every one by at most half a step
    return product(probabilities, v, (2**config.probability_bits + rounded_up) * 2 ** (config.stored_value_bits - 1))


class _Rows:
    """All rows of a layer, computed some at a time."""

    def __init__(
        self,
        config: Config,
        chosen: Selection,
        value_keep: float,
        random: npt.NDArray[np.uint64],
        shown: Shown | None,
    ) -> None:
        heads, keys = len(chosen.heads), len(chosen.tokens)
        rows = heads * len(chosen.queries)
        self.config, self.random = config, random
        self.whole = shown is not None and shown.whole
        self.visible = np.tile(chosen.visible, heads) if shown is None else np.count_nonzero(shown.mask, axis=1)
        self.keeps = np.maximum(1, (self.visible * value_keep).astype(np.int64))
        self.again = np.zeros(rows, np.bool_)
        self.select_cycles = np.zeros(rows, np.int64)
        self.importance = np.zeros(keys, np.int64)
        self.kept = np.full((rows if len(chosen.queries) == 1 else 1, keys), shown is None)
        self._live = np.empty(keys, np.float32)

    def compute(
        self,
        part: slice,
        q: Numbers,
        high: Numbers,
        low: Numbers,
        scale: npt.NDArray[np.float64],
        keys: Integers | None = None,
    ) -> Numbers:
        """Return the probabilities of some rows that are kept [steps], shape (rows, tokens).

        ``q`` has the rows' queries, and the planes the keys, of one head, or of one for each row. A single row may have
        been shown only some of the ``keys``.
        """
        config, visible = self.config, self.visible[part]
        steps = np.float32(2**config.probability_bits)
        low_step = 2**config.lsb_bits
        largest_query = (2 ** (OPERAND_BITS - 1) - 1) * q.shape[2]
        scores = product(q, high.transpose(0, 2, 1), largest_query * 2 ** (config.msb_bits - 1))
        scores = scores.reshape(len(visible), -1)
        probabilities = np.empty(scores.shape, np.float32)
        peaks = np.empty(len(visible), np.float32)
        if self.whole:
            rest = product(q, low.transpose(0, 2, 1), largest_query * low_step)
            scores = scores.astype(np.float64) * low_step + rest.reshape(scores.shape)
            scale = scale / low_step
        softmax_rows(scores, visible, (scale * low_step).astype(np.float32), steps, probabilities, peaks)
        if config.progressive and not self.whole:
            again = self.again[part] = peaks < np.float32(config.requant_threshold)
            if again.any():
                if len(q) == 1:
                    q = q[:, again]
                elif not again.all():
                    q, low = q[again], low[again]
                rest = product(q, low.transpose(0, 2, 1), largest_query * low_step)
                whole = scores[again].astype(np.float64) * low_step + rest.reshape(-1, scores.shape[1])
                second = np.empty(whole.shape, np.float32)
                softmax_rows(
                    whole, visible[again], scale[again].astype(np.float32), steps, second, peaks[: len(second)]
                )
                probabilities[again] = second
        importance = np.zeros(scores.shape[1], np.float32)
        kept = self.kept if keys is None else np.ones((1, len(keys)), np.bool_)
        prune_rows(
            probabilities, visible, self.keeps[part], config.topk_lanes, config.topk_turn_cycles, self.random,
            self._live, kept, importance, self.select_cycles[part],
        )  # fmt: skip
        if keys is None:
            self.importance += importance.astype(np.int64)
        else:
            self.importance[keys] += importance.astype(np.int64)
            self.kept[part, keys] = kept
        return probabilities
