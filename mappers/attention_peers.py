"""Laying attention on a machine without a cascade: what it would skip, measured on some of the queries.

Source: Ham et al., A3, HPCA 2020, greedy search of candidates and scoring afterwards; Jang et al., MnnFast, ISCA 2019,
skipping of small probabilities; both as their readers sum them up.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accel.attention_peers.config import Config
from accel.attention_peers.plan import Plan
from workloads.attention.attention import Attention, LayerAttention
from workloads.attention.requests import RequestTable
from workloads.errors import WorkloadError
from workloads.networks.hat import Translation

SAMPLED_QUERIES = 16  # of every head


def best_plan(
    config: Config, workload: Attention | RequestTable | Translation, machine: str = "dense_attention"
) -> Plan:
    """Measure what a machine skips.

    Parameters
    ----------
    config : accel.attention_peers.Config
    workload : Attention
    machine : str
        What reports call it.

    Raises
    ------
    WorkloadError
        If the workload is a table of requests, or a translation.
    """
    if isinstance(workload, RequestTable):
        need = f"a trace or a model: {machine} keeps all tokens, and a table says what SpAtten keeps"
        raise WorkloadError(workload.name, "workload", "a table of requests", need)
    if isinstance(workload, Translation):
        need = f"a trace or a model: {machine} runs nothing around attention"
        raise WorkloadError(workload.name, "workload", "a translation", need)
    shares = [
        _shares(config, workload, workload.layer(layer)) if config.looks_at_values else (1.0, 1.0)
        for layer in range(workload.layers)
    ]
    candidates, values = zip(*shares, strict=True)
    return Plan(machine, workload, candidates, values)


def _shares(config: Config, workload: Attention, layer: LayerAttention) -> tuple[float, float]:
    """Return the shares of a layer's keys that are candidates, and whose values are used, of the queries sampled."""
    first = 0 if workload.summarise else workload.prompt
    queries = np.unique(np.linspace(first, workload.tokens - 1, SAMPLED_QUERIES).astype(np.int64))
    keys = candidates = values = 0
    for head in range(workload.heads):
        for query in queries:
            seen = int(query) + 1 if workload.causal else workload.tokens
            q, k = layer.q[head, query].astype(np.float64), layer.k[head, :seen].astype(np.float64)
            chosen = search(q, k, config.searched_share)
            scores = (k @ q)[chosen] / np.sqrt(workload.head_dim)
            probabilities = np.exp(scores - scores.max())
            probabilities /= probabilities.sum()
            used = (probabilities >= config.least_of_largest * probabilities.max()) & (
                probabilities >= min(config.least_probability, probabilities.max())
            )
            keys, candidates, values = keys + seen, candidates + int(chosen.sum()), values + int(used.sum())
    return candidates / keys, values / keys


def search(q: npt.NDArray[np.float64], k: npt.NDArray[np.float64], share: float) -> npt.NDArray[np.bool_]:
    """Return which of k (keys, head_dim) A3's search calls candidates for q (head_dim,): they score above 0.

    A step takes, of the products of an element of the query and one of a key, the largest that is left, if it is
    positive, and the least, if it is negative; a key scores what was taken of it. There are ``share`` steps a key. If
    no key scores, the one with the largest product is a candidate.
    """
    if share == 0:
        return np.ones(len(k), np.bool_)
    products = (k * q).ravel()
    steps = min(len(products), int(np.ceil(share * len(k))))
    owners = np.arange(len(products)) // k.shape[1]
    taken = np.zeros(len(k))
    largest, least = (np.argpartition(sign * products, steps - 1)[:steps] for sign in (-1, 1))
    np.add.at(taken, owners[largest], np.maximum(products[largest], 0))
    np.add.at(taken, owners[least], np.minimum(products[least], 0))
    chosen: npt.NDArray[np.bool_] = taken > 0
    if not chosen.any():
        chosen[owners[np.argmax(products)]] = True
    return chosen
