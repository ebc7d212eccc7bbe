"""A small character-level Transformer whose attention is computed by SpAtten's functional model, layer by layer.

What the machine prunes is gone: a token that was dropped has no state in the layers behind, a head that was dropped
adds nothing, and queries, keys, values and probabilities are rounded as the machine rounds them. So the classes it
sees under a policy are those the accelerator would see. The last token asks; as in the machine, it is never dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accel.spatten import PRESETS, Config
from accel.spatten.arithmetic import store
from accel.spatten.attention import Selection, attend
from accel.spatten.topk_kernels import keep_largest, scratch, seeded
from mappers.spatten import DENSE_HEAD_LAYERS, DENSE_TOKEN_LAYERS, cascade
from searchers.oracles.accuracy import Keep
from workloads import numpy_archive
from workloads.attention.attention import LayerAttention

SHIPPED = Path(__file__).parent / "measured" / "character_networks.npz"
LENGTH, WIDTH, LAYERS, HEADS, HEAD_DIM, INNER = 24, 32, 3, 4, 8, 64
NORM_EPSILON = 1e-5

Floats32 = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Windows = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class CharacterNetwork:
    """A trained Transformer: an encoder and a classifier of its last token.

    Attributes
    ----------
    values : mapping of str to ndarray of float32
        By their names in training.
    """

    values: Mapping[str, Floats32]

    def classes(self, windows: Windows, keep: Keep) -> Integers:
        """Return the class of every window, shape (n,), from characters of shape (n, 24), under a policy."""
        config = machine(keep)
        random = seeded(config.seed)
        return np.array([int(self._scores(window, config, random).argmax()) for window in windows])

    def _scores(self, window: Windows, config: Config, random: npt.NDArray[np.uint64]) -> Floats32:
        x = self.values["characters"][window] + self.values["places"]
        tokens, heads = np.arange(LENGTH), np.arange(HEADS)
        importance, head_importance = np.zeros(LENGTH, np.int64), np.zeros(HEADS)
        tokens_kept = cascade(LAYERS, config.token_keep, DENSE_TOKEN_LAYERS)
        heads_kept = cascade(LAYERS, config.head_keep, DENSE_HEAD_LAYERS)
        for layer in range(LAYERS):
            count = max(2, int(LENGTH * tokens_kept[layer]))
            if count < len(tokens):
                kept = np.append(_largest(config, importance[tokens[:-1]], count - 1, random), True)
                x, tokens = x[kept], tokens[kept]
            count = max(1, int(HEADS * heads_kept[layer]))
            if count < len(heads):
                heads = heads[_largest(config, head_importance[heads], count, random)]
            # The machine has all heads of the tokens alive; which heads it computes is its own choice.
            q, k, v = self._projected(x, layer)
            alive = np.arange(len(tokens))
            chosen = Selection(heads, alive, alive, np.full(len(alive), len(alive)))
            done = attend(config, store(config, LayerAttention(q, k, v)), chosen, config.value_keep, random)
            importance[tokens] += done.token_importance
            head_importance[heads] += done.head_importance
            together = np.zeros((len(tokens), HEADS, HEAD_DIM), np.float32)
            together[:, heads] = done.output.transpose(1, 0, 2)
            x = x + self._linear(together.reshape(len(tokens), WIDTH), f"layers.{layer}.out")
            inner = np.maximum(self._linear(self._normal(x, f"layers.{layer}.second_norm"), f"layers.{layer}.inner"), 0)
            x = x + self._linear(inner, f"layers.{layer}.outer")
        return self._linear(self._normal(x[-1:], "norm")[0], "classifier")

    def _projected(self, x: Floats32, layer: int) -> list[Floats32]:
        """Return queries, keys and values, each of shape (heads, tokens, head_dim)."""
        all_three = self._linear(self._normal(x, f"layers.{layer}.first_norm"), f"layers.{layer}.qkv")
        parts = all_three.reshape(len(x), 3, HEADS, HEAD_DIM).transpose(1, 2, 0, 3)
        return [np.ascontiguousarray(part) for part in parts]

    def _linear(self, x: Floats32, name: str) -> Floats32:
        product: Floats32 = x @ self.values[f"{name}.weight"].T + self.values[f"{name}.bias"]
        return product

    def _normal(self, x: Floats32, name: str) -> Floats32:
        centred = x - x.mean(1, keepdims=True)
        scale = np.sqrt(np.square(centred).mean(1, keepdims=True) + np.float32(NORM_EPSILON))
        normal: Floats32 = centred / scale * self.values[f"{name}.weight"] + self.values[f"{name}.bias"]
        return normal


def machine(keep: Keep) -> Config:
    """Return the paper's machine with what a policy keeps.

    Raises
    ------
    ConfigError
        If the policy is none that the machine has.
    """
    return replace(
        PRESETS["paper"],
        token_keep=keep.token_keep,
        head_keep=keep.head_keep,
        value_keep=keep.value_keep,
        msb_bits=keep.msb_bits,
        lsb_bits=keep.lsb_bits,
    )


def _largest(
    config: Config, importance: npt.NDArray[np.floating] | Integers, count: int, random: npt.NDArray[np.uint64]
) -> npt.NDArray[np.bool_]:
    """Mark the most important, by the machine's top-k engine."""
    kept, values = np.empty(len(importance), np.bool_), importance.astype(np.float64)
    lanes, turn = config.topk_lanes, config.topk_turn_cycles
    keep_largest(values, len(values), count, lanes, turn, random, scratch(len(values), values.dtype), kept)
    return kept


@lru_cache(maxsize=1)
def shipped() -> tuple[tuple[CharacterNetwork, ...], Windows, Integers]:
    """Return the trained networks, and the windows they are tested on with their classes.

    Raises
    ------
    WorkloadError
        If the file is damaged.
    """
    with numpy_archive.opened(SHIPPED, "Sextant's trained Transformers") as archive:
        arrays = {name: numpy_archive.read_array(archive, name) for name in sorted(numpy_archive.names(archive))}
    windows, labels = arrays.pop("windows"), arrays.pop("labels").astype(np.int64)
    networks = []
    for index in sorted({name.partition(".")[0] for name in arrays}):
        prefix = f"{index}."
        own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        networks.append(CharacterNetwork({name: array.astype(np.float32) for name, array in own.items()}))
    return tuple(networks), windows, labels
