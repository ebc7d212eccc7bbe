"""A character-level encoder with a classifier, a small Transformer that runs on SpAtten's functional model.

A token that was dropped has no state in the layers behind. The last token asks.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from searchers.oracles.accuracy import Keep
from searchers.oracles.attention_network import (
    LAYERS,
    AttentionNetwork,
    Cascade,
    Floats32,
    Integers,
    Windows,
    cascades,
    read_networks,
)
from workloads.attention.attention import LayerAttention

SHIPPED = Path(__file__).parent / "measured" / "character_networks.npz"
LENGTH = 24


class CharacterNetwork(AttentionNetwork):
    """A trained encoder, and a classifier of its last token."""

    def classes(self, windows: Windows, keep: Keep) -> Integers:
        """Return the class of every window, shape (n,), from characters of shape (n, 24), under a policy."""
        texts = zip(windows, cascades(keep, LENGTH), strict=False)
        return np.array([int(self._scores(window, cascade).argmax()) for window, cascade in texts])

    def _scores(self, window: Windows, cascade: Cascade) -> Floats32:
        x = self.values["characters"][window] + self.values["places"]
        for layer in range(LAYERS):
            x = x[cascade.choose(layer)]
            alive = np.arange(len(x))
            attended = cascade.attend(LayerAttention(*self.projected(x, layer)), alive, alive)
            x = self.behind_attention(x, attended, layer)
        return self.scores(x[-1:])


@lru_cache(maxsize=1)
def shipped() -> tuple[tuple[CharacterNetwork, ...], Windows, Integers]:
    """Return the trained networks, and the windows they are tested on with their classes.

    Raises
    ------
    WorkloadError
        If the file is damaged.
    """
    networks, arrays = read_networks(SHIPPED)
    windows, labels = arrays["windows"].astype(np.uint8), arrays["labels"].astype(np.int64)
    return tuple(CharacterNetwork(values) for values in networks), windows, labels
