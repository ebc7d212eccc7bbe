"""What a generated token's query is shown of the keys: four later methods, on SpAtten's units.

Sources: Xiao et al., StreamingLLM, 2023 (a window); Xiao et al., DuoAttention, 2024 (a window in some heads); Tang et
al., Quest, ICML 2024 (pages chosen by bounds of their keys); Lin et al., Twilight, NeurIPS 2025 (as many keys as hold a
share of the probability, estimated with few bits).

The last two look at something before keys are read. What that takes is counted, not timed event by event: reading,
multiplying, softmax and selecting overlap from head to head, so the longest of them counts, and the pipeline once.
Quest's bounds of a page are two vectors, multiplied as two keys; its score is what the larger of both products adds up
to. Twilight's search for the least probability that belongs is a bisection: a pass of the comparators for each bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accel.spatten.arithmetic import Numbers, Stored
from accel.spatten.config import Config
from accel.spatten.plan import Integers
from accel.spatten.softmax_kernels import softmax_rows
from accel.spatten.topk_kernels import keep_largest, scratch
from accel.spatten.work import IDLE_LATENCY

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Shown:
    """What every head's query is shown.

    Attributes
    ----------
    mask : ndarray of bool, shape (heads, tokens)
        Among the tokens that are alive.
    whole : bool
        Whether keys are read with all of their bits at once, because the first ones were read to choose them.
    cycles : int
        What choosing took.
    read_bytes : int
        What was read to choose.
    """

    mask: Mask
    whole: bool = False
    cycles: int = 0
    read_bytes: int = 0


def show(
    config: Config, stored: Stored, layer: int, heads: Integers, tokens: Integers, retrieval: Mask | None,
    random: npt.NDArray[np.uint64],
) -> Shown | None:  # fmt: skip
    """Choose what the newest token's queries are shown; None: everything.

    Parameters
    ----------
    config : Config
    stored : Stored
    layer : int
    heads, tokens : ndarray of int64
        Those alive; the newest token is the last.
    retrieval : ndarray of bool, shape (all heads,), or None
        The layer's heads that see everything, for ``selection = heads``.
    random : ndarray of uint64, shape (1,)
        State of the pivots' generator; advanced.
    """
    if config.selection in ("window", "heads"):
        newest = int(tokens[-1])
        inside = (tokens < config.sink_tokens) | (tokens > newest - config.recent_tokens)
        mask = np.tile(inside, (len(heads), 1))
        if config.selection == "heads" and retrieval is not None:
            mask = mask | retrieval[heads][:, None]
        return None if mask.all() else Shown(mask)
    if config.selection == "none" or layer < config.dense_layers:
        return None
    q = stored.q[heads, tokens[-1]]
    high = stored.k_high[heads][:, tokens]
    if config.selection == "pages":
        return _pages(config, q, high, random)
    return _top_p(config, q, high, stored.score_scale[heads])


def _pages(config: Config, q: Numbers, high: Numbers, random: npt.NDArray[np.uint64]) -> Shown | None:
    """Show the pages whose bounds allow the largest scores; the newest token's page is one of them."""
    heads, tokens, head_dim = high.shape
    pages, chosen = -(-tokens // config.page_tokens), max(1, config.page_budget // config.page_tokens)
    if chosen >= pages:
        return None
    begins = np.arange(pages) * config.page_tokens
    least, most = np.minimum.reduceat(high, begins, axis=1), np.maximum.reduceat(high, begins, axis=1)
    scores = np.maximum(q[:, None] * least, q[:, None] * most).sum(axis=2, dtype=np.float64)
    scores[:, -1] = np.inf  # what is generated is close to what was generated last
    kept = np.empty((heads, pages), np.bool_)
    room = scratch(pages, np.float64)
    selecting = 0
    for head in range(heads):
        lanes, turn = config.topk_lanes, config.topk_turn_cycles
        selecting += int(keep_largest(scores[head], pages, chosen, lanes, turn, random, room, kept[head]))
        selecting += -(-chosen // lanes)
    mask = kept.repeat(config.page_tokens, axis=1)[:, :tokens]
    read = _read_bytes(config, heads, 2 * pages, head_dim)
    multiplying = heads * -(-2 * pages // config.keys_per_cycle(head_dim))
    return Shown(mask, cycles=_cycles(config, read, multiplying, selecting), read_bytes=read)


def _top_p(config: Config, q: Numbers, high: Numbers, scale: npt.NDArray[np.float64]) -> Shown:
    """Show the fewest keys whose estimated probabilities add up to a share, and what ties with the last of them."""
    heads, tokens, head_dim = high.shape
    scores = np.matmul(high.astype(np.float64), q[:, :, None].astype(np.float64))[:, :, 0]
    probabilities, peaks = np.empty(scores.shape, np.float32), np.empty(heads, np.float32)
    visible = np.full(heads, tokens)
    steps = np.float32(2**config.probability_bits)
    softmax_rows(scores, visible, (scale * 2**config.lsb_bits).astype(np.float32), steps, probabilities, peaks)
    falling = -np.sort(-probabilities, axis=1)
    held = np.cumsum(falling, axis=1, dtype=np.float64)
    enough = (held < config.top_p * held[:, -1:]).sum(axis=1)
    least = falling[np.arange(heads), np.minimum(enough, tokens - 1)]
    mask = probabilities >= np.maximum(least, 1)[:, None]
    mask[:, -1] = True
    read = _read_bytes(config, heads, tokens, head_dim)
    multiplying = heads * -(-tokens // min(config.keys_per_cycle(head_dim), config.softmax_lanes))
    passes = config.probability_bits * (-(-tokens // config.topk_lanes) + config.topk_turn_cycles)
    return Shown(mask, whole=True, cycles=_cycles(config, read, multiplying, heads * passes), read_bytes=read)


def _read_bytes(config: Config, heads: int, vectors: int, head_dim: int) -> int:
    """Return the bytes of some vectors for every head, of the bits of the first plane."""
    groups = -(-heads // config.fused_heads(config.msb_bits, head_dim))
    return groups * vectors * config.bursts(config.msb_bits, head_dim) * config.hbm_burst_bytes


def _cycles(config: Config, read_bytes: int, multiplying: int, selecting: int) -> int:
    return IDLE_LATENCY + max(math.ceil(read_bytes / config.bytes_per_cycle), multiplying, selecting)
