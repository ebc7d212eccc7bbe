"""Latency of HAT's Transformers on the devices they were measured on: fitted to the authors' measurements.

Source: Wang et al., "HAT", ACL 2020, whose release holds latencies of 2,000 networks a device, encoder and decoder
apart, by ten features. HAT fits a network of four hidden layers of 400 to them; here it is a sum of terms that say how
a device spends its time: in the encoder by embedding, feed-forward width and heads; in the decoder the same for every
layer. ``training/fit_device_latency.py`` fits it and says how far off both are on networks that were held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from accel.config import read_toml
from searchers.oracles.accuracy import Floats
from workloads.errors import OracleError
from workloads.networks.hat import ENCODER_LAYERS, Architecture

FITTED = Path(__file__).parent / "fitted" / "device_latency.toml"
FEATURES = (
    "encoder_embed_dim", "encoder_layer_num", "encoder_ffn_embed_dim_avg", "encoder_self_attention_heads_avg",
    "decoder_embed_dim", "decoder_layer_num", "decoder_ffn_embed_dim_avg", "decoder_self_attention_heads_avg",
    "decoder_ende_attention_heads_avg", "decoder_arbitrary_ende_attn_avg",
)  # fmt: skip
"""HAT's features of a network, as its release calls them; averages over layers, the last of encoder layers attended."""
EMBEDDING, FEED_FORWARD, HEADS = 512.0, 1024.0, 4.0  # units of the terms


def features(architectures: Sequence[Architecture]) -> Floats:
    """Return HAT's ten features of networks, shape (n, 10)."""
    rows = [
        (
            network.encoder_embedding,
            ENCODER_LAYERS,
            _mean(network.encoder_feed_forward),
            _mean(network.encoder_heads),
            network.decoder_embedding,
            network.decoder_layers,
            *map(_mean, (network.decoder_feed_forward, network.decoder_heads, network.cross_heads, network.attended)),
        )
        for network in architectures
    ]
    return np.array(rows, dtype=float).reshape(len(rows), len(FEATURES))


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values)


def terms(given: Floats) -> tuple[Floats, Floats]:
    """Return what the latency of encoder (n, 5) and decoder (n, 11) is a sum of.

    Parameters
    ----------
    given : ndarray, shape (n, 10)
        As ``features``.
    """
    wide, _, inner, heads, narrow, layers, decoder_inner, own, cross, attended = given.T
    e, d = wide / EMBEDDING, narrow / EMBEDDING
    f, g = inner / FEED_FORWARD, decoder_inner / FEED_FORWARD
    one = np.ones(len(given))
    encoder = np.stack([one, e, f, heads / HEADS, e * f], axis=1)
    each = [one, d, g, d * g, own / HEADS, cross / HEADS, attended, attended * e]
    return encoder, np.stack([one, e, d, *(layers * term for term in each)], axis=1)


class DeviceLatency:
    """The latency of a sentence of 30 tokens (of the IWSLT task 23) on a device, five translations kept at a time.

    Parameters
    ----------
    name : str
        Task and device, as HAT's release calls the measurements: one of ``measured_sets``.

    Attributes
    ----------
    held_out : dict of str to float
        On networks it was not fitted to: ``rmse_ms``, ``median_error`` (relative), ``spearman``.

    Raises
    ------
    OracleError
        If there is none of that name.
    """

    def __init__(self, name: str) -> None:
        fitted = read_toml(FITTED)
        if name not in fitted:
            raise OracleError("device latency", "name", name, "one of " + ", ".join(measured_sets()))
        self._encoder, self._decoder = (np.array(fitted[name][part]) for part in ("encoder", "decoder"))
        self.held_out: dict[str, float] = fitted[name]["held_out"]

    def milliseconds(self, given: Floats) -> Floats:
        """Return latencies, shape (n,) [ms], by features, shape (n, 10)."""
        encoder, decoder = terms(given)
        found: Floats = encoder @ self._encoder + decoder @ self._decoder
        return found


@cache
def measured_sets() -> tuple[str, ...]:
    """Return the tasks and devices there is something of."""
    return tuple(read_toml(FITTED))
