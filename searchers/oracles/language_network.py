"""A character-level decoder, a small language model that runs on SpAtten's functional model as it generates.

Every token of a text, from the first on, is generated: a step with one query in each layer, over the keys and values
of the tokens before it, which were made when these were generated, under the same policy. What is given next is what
the text has (teacher forcing); what is measured is what the model thinks of it. A token that was dropped is not seen
in the layers behind, and may be seen again by the next token, as in the machine. Scales of queries, keys and values
are those of the tokens so far: nothing is known of what comes.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np

from searchers.oracles.accuracy import Floats, Keep
from searchers.oracles.attention_network import (
    HEAD_DIM,
    HEADS,
    LAYERS,
    AttentionNetwork,
    Cascade,
    Windows,
    cascades,
    read_networks,
)
from workloads.attention.attention import LayerAttention

SHIPPED = Path(__file__).parent / "measured" / "language_networks.npz"
LENGTH = 48


class LanguageNetwork(AttentionNetwork):
    """A trained decoder."""

    def surprises(self, windows: Windows, keep: Keep) -> Floats:
        """Return how little each next character was expected under a policy [bits].

        Parameters
        ----------
        windows : ndarray of uint8, shape (n, 48)
            Texts.
        keep : Keep

        Returns
        -------
        ndarray of float64, shape (n, 47)
            Of every character but the first.
        """
        texts = zip(windows, cascades(keep, LENGTH), strict=False)
        return np.array([self._surprises(window, cascade) for window, cascade in texts])

    def _surprises(self, window: Windows, cascade: Cascade) -> list[float]:
        remembered = np.zeros((LAYERS, 3, HEADS, LENGTH, HEAD_DIM), np.float32)
        surprises = []
        for token in range(LENGTH - 1):
            x = self.values["characters"][window[token]][None] + self.values["places"][token]
            cascade.begin(token + 1)
            for layer in range(LAYERS):
                cascade.choose(layer)
                remembered[layer, :, :, token] = self.projected(x, layer)[:, :, 0]
                so_far = LayerAttention(*remembered[layer, :, :, : token + 1])
                attended = cascade.attend(so_far, cascade.tokens[-1:], cascade.tokens)
                x = self.behind_attention(x, attended, layer)
            scores = self.scores(x).astype(np.float64)
            surprises.append(float(np.logaddexp.reduce(scores) - scores[window[token + 1]]) / math.log(2))
        return surprises


@lru_cache(maxsize=1)
def shipped() -> tuple[tuple[LanguageNetwork, ...], Windows]:
    """Return the trained networks, and the texts they are tested on.

    Raises
    ------
    WorkloadError
        If the file is damaged.
    """
    networks, arrays = read_networks(SHIPPED)
    return tuple(LanguageNetwork(values) for values in networks), arrays["windows"].astype(np.uint8)
