"""Laying attention on SpAtten: how many tokens and heads every layer keeps, and what published requests ask for.

Source: Wang et al., SpAtten, HPCA 2021: the first 15 % of the layers prune no tokens and the first 30 % no heads;
behind them the share that is dropped grows linearly about its average. The slope is left open there: here it reaches
half-way from the average to the nearer of nothing and everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import ceil

import numpy as np
import numpy.typing as npt

from accel.spatten.arithmetic import exact_attention
from accel.spatten.config import TOKEN_BLOCK, Config
from accel.spatten.plan import AttentionPart, Integers, LinearPart, Plan, RequestPlan, TranslationPlan
from workloads.attention.attention import Attention
from workloads.attention.models import TransformerShape
from workloads.attention.requests import RequestTable
from workloads.attention.synthetic import synthetic_attention
from workloads.errors import ConfigError, WorkloadError
from workloads.networks.hat import ATTENTION_WIDTH, Translation

DENSE_TOKEN_LAYERS, DENSE_HEAD_LAYERS = 0.15, 0.30
CALIBRATION_QUERIES = 64
PAIRED_BITS = 6  # two requests of these share bursts
TABLE_BITS, TABLE_LOW_BITS = 8, 4  # of keys that the table gives no bits, or more than are read at once


def best_plan(config: Config, workload: Attention | RequestTable | Translation) -> Plan | RequestPlan | TranslationPlan:
    """Schedule a workload's cascade as the configuration says; a table's requests, or a translation, as they are.

    Parameters
    ----------
    config : accel.spatten.Config
        ``token_keep``, ``head_keep``, ``value_keep`` and ``schedule``; nothing of it matters to a table.
    workload : Attention, RequestTable or Translation

    Returns
    -------
    Plan, RequestPlan or TranslationPlan

    Raises
    ------
    ConfigError
        If a translation is to be pruned.
    """
    if isinstance(workload, RequestTable):
        return request_plan(workload)
    if isinstance(workload, Translation):
        return translation_plan(config, workload)
    layers = workload.layers
    return given_plan(
        config,
        workload,
        cascade(layers, config.token_keep, DENSE_TOKEN_LAYERS),
        [max(1, int(workload.heads * share)) for share in cascade(layers, config.head_keep, DENSE_HEAD_LAYERS)],
    )


def cascade(layers: int, keep: float, dense: float) -> list[float]:
    """Return the share every layer keeps: all in the first ``dense`` of them, then ever less, ``keep`` on average.

    Never all of the layers are dense, and at least one is.
    """
    first = min(max(1, ceil(dense * layers)), max(1, layers - 1))
    behind = layers - first
    if behind == 0 or keep == 1:
        return [1.0] * layers
    reach = min(keep, 1 - keep) / 2
    slope = np.linspace(reach, -reach, behind) if behind > 1 else np.zeros(1)
    return [1.0] * first + [float(keep + step) for step in slope]


def given_plan(config: Config, workload: Attention, token_keep: Sequence[float], heads: Sequence[int]) -> Plan:
    """Schedule a cascade layer by layer.

    Parameters
    ----------
    config : accel.spatten.Config
        ``value_keep``, ``schedule`` and ``fc_bits``.
    workload : Attention
    token_keep : sequence of float
        Share of the tokens, or of their importance, alive in each layer: above 0, at most 1.
    heads : sequence of int
        Heads alive in each layer; at least 1, and never more than in the layer before.

    Raises
    ------
    ConfigError
        If there is not one of each for every layer, or one is not allowed.
    """
    for field, given in (("token_keep", token_keep), ("heads", heads)):
        if len(given) != workload.layers:
            need = f"one for each of the {workload.layers} layers"
            raise ConfigError(workload.name, field, f"{len(given)} numbers", need)
    before = workload.heads
    for layer, (share, alive) in enumerate(zip(token_keep, heads, strict=True)):
        where = f"{workload.name}, layer {layer}"
        if not 0 < share <= 1:
            raise ConfigError(where, "token_keep", share, "a number above 0, at most 1")
        if not 1 <= alive <= before:
            raise ConfigError(where, "heads", alive, f"a whole number, 1..{before}: heads do not come back")
        before = alive
    return Plan(
        workload=workload,
        token_keep=tuple(float(share) for share in token_keep),
        heads=tuple(int(alive) for alive in heads),
        value_keep=config.value_keep,
        by_importance=config.schedule == "importance",
        fully_connected=config.fc_bits > 0,
        retrieval=retrieval_heads(config, workload) if config.selection == "heads" else None,
    )


def retrieval_heads(config: Config, workload: Attention) -> npt.NDArray[np.bool_]:
    """Return the heads that see everything where the others see a window: those that look out of it most.

    Measured over the prompt's last queries, in place of DuoAttention's training; ``retrieval_heads`` of every layer.

    Returns
    -------
    ndarray of bool, shape (layers, heads)
    """
    queries = np.arange(max(0, workload.prompt - CALIBRATION_QUERIES), workload.prompt)
    tokens = np.arange(workload.prompt)
    outside = (tokens >= config.sink_tokens) & (tokens <= queries[:, None] - config.recent_tokens)
    count = max(1, round(workload.heads * config.retrieval_heads))
    chosen = np.zeros((workload.layers, workload.heads), np.bool_)
    for number in range(workload.layers):
        layer = workload.layer(number)
        looks = [
            exact_attention(layer.q[head : head + 1, queries], layer.k[head : head + 1, tokens],
                            layer.v[head : head + 1, tokens], queries + 1)[1][0][outside].sum()
            for head in range(workload.heads)
        ]  # fmt: skip
        chosen[number, np.argsort(np.negative(looks), kind="stable")[:count]] = True
    return chosen


def request_plan(table: RequestTable) -> RequestPlan:
    """Convert a published table as the authors' test bench does.

    Keys without bits, or with 10 or 12, are read as 8 bits and then the other 4; values likewise as 8 bits. Tokens are
    counted in eights. Of requests of 6 bits every second shares the bursts, and the selection, of the one before it.

    Raises
    ------
    WorkloadError
        If requests have different head dimensions.
    """
    other = np.flatnonzero(table.head_dim != table.head_dim[0])
    if len(other):
        need = f"{table.head_dim[0]}, as in the rows before: the machine runs one head dimension"
        raise WorkloadError(f"{table.name}, request {other[0]}", "head_dim", table.head_dim[other[0]], need)
    whole = ~np.isin(table.key_bits, (4, PAIRED_BITS, 8))
    key_bits = np.where(whole, TABLE_BITS, table.key_bits)
    again = table.requantised | whole
    low_bits = np.where(table.requant_bits > 0, table.requant_bits, TABLE_LOW_BITS)
    keys, values = (-(-counts // TOKEN_BLOCK) * TOKEN_BLOCK for counts in (table.keys, table.values))
    order = table.iteration * (table.layer.max() + 1) + table.layer
    begins = np.flatnonzero(np.diff(order, prepend=order[0] - 1))
    ends = [*begins[1:], len(order)]
    return RequestPlan(
        name=table.name,
        head_dim=int(table.head_dim[0]),
        layers=tuple(
            (f"step {table.iteration[begin]}, layer {table.layer[begin]}", slice(int(begin), int(end)))
            for begin, end in zip(begins, ends, strict=True)
        ),
        keys=keys,
        values=values,
        exact_keys=table.keys,
        exact_values=table.values,
        key_bits=key_bits,
        low_bits=np.where(again, low_bits, 0),
        value_bits=np.where(np.isin(table.value_bits, (4, PAIRED_BITS, 8)), table.value_bits, TABLE_BITS),
        selects=first_of_pairs(key_bits),
    )


def first_of_pairs(key_bits: Integers) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell which requests, by their bits (requests,), are not the second of two consecutive ones of 6 bits."""
    paired = key_bits == PAIRED_BITS
    at = np.arange(len(paired))
    run_begin = np.maximum.accumulate(np.where(paired, -1, at)) + 1
    first: np.ndarray[tuple[int], np.dtype[np.bool_]] = ~paired | ((at - run_begin) % 2 == 0)
    return first


def translation_plan(config: Config, translation: Translation) -> TranslationPlan:
    """Lay a translation: the encoder over the whole sentence, the decoder a token a step, nothing dropped.

    Every attention is a layer of its own on generated numbers. With ``fc_bits`` the layers around it run too; the keys
    and values that a decoder layer makes of the encoder's outputs are made once.

    Raises
    ------
    ConfigError
        If tokens or heads are to be dropped, or keys to be selected: what an encoder dropped would be missing in every
        step of the decoder, of which nothing is published.
    """
    for field, need in (("token_keep", 1.0), ("head_keep", 1.0), ("schedule", "cascade"), ("selection", "none")):
        if getattr(config, field) != need:
            raise ConfigError(translation.name, field, getattr(config, field), f"{need}: a translation drops nothing")
    around, alone = config.fc_bits > 0, replace(config, fc_bits=0)
    parts = _encoder(alone, translation) + _decoder(alone, translation)
    return TranslationPlan(translation.name, tuple(part for part in parts if around or isinstance(part, AttentionPart)))


def _encoder(config: Config, translation: Translation) -> list[AttentionPart | LinearPart]:
    network, length = translation.architecture, translation.length
    width, parts = network.encoder_embedding, list[AttentionPart | LinearPart]()
    for layer, (inner, heads) in enumerate(
        zip(network.encoder_feed_forward, network.encoder_heads, strict=True), start=1
    ):
        weights = 4 * width * ATTENTION_WIDTH + 2 * width * inner
        parts += [
            AttentionPart(f"encoder{layer}", 1, _one_layer(config, heads, length)),
            LinearPart(f"encoder{layer}, FC", 1, width, weights, length),
        ]
    return parts


def _decoder(config: Config, translation: Translation) -> list[AttentionPart | LinearPart]:
    network, length = translation.architecture, translation.length
    width, parts = network.decoder_embedding, list[AttentionPart | LinearPart]()
    for layer, (inner, heads, cross, attended) in enumerate(
        zip(network.decoder_feed_forward, network.decoder_heads, network.cross_heads, network.attended, strict=True),
        start=1,
    ):
        keys = attended * length
        memory = 2 * network.encoder_embedding * ATTENTION_WIDTH
        weights = (4 + 2) * width * ATTENTION_WIDTH + 2 * width * inner
        parts += [
            LinearPart(f"decoder{layer}, keys and values", 1, network.encoder_embedding, memory, keys),
            AttentionPart(f"decoder{layer}", 1, _one_layer(config, heads, length, 0)),
            AttentionPart(f"decoder{layer}, cross", length, _one_layer(config, cross, keys, keys - 1)),
            LinearPart(f"decoder{layer}, FC", length, width, weights, 1),
        ]
    return parts


@lru_cache(maxsize=1024)
def _one_layer(config: Config, heads: int, tokens: int, prompt: int | None = None) -> Plan:
    """Lay one layer by itself; the same one at every call, so that its report can be remembered.

    All tokens ask all tokens, or those behind the first ``prompt`` ask one by one, each those up to itself.
    """
    shape = TransformerShape(
        name="layer", layers=1, heads=heads, head_dim=ATTENTION_WIDTH // heads, hidden=ATTENTION_WIDTH,
        feed_forward=ATTENTION_WIDTH, causal=prompt is not None, key_value_heads=heads,
    )  # fmt: skip
    attention = synthetic_attention(
        shape, name="layer", tokens=tokens, prompt=prompt, summarise=prompt is None, seed=config.seed
    )
    return given_plan(config, attention, [1.0], [heads])
