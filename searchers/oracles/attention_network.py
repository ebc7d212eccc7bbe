"""What small Transformers share whose attention is computed by SpAtten's functional model, layer by layer.

What the machine prunes is gone: a token that was dropped is not seen in the layers behind, a head that was dropped
adds nothing, and queries, keys, values and probabilities are rounded as the machine rounds them. So what a network
says under a policy is what the accelerator would say. The newest token asks; as in the machine, it is never dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accel.spatten import PRESETS, Config
from accel.spatten.arithmetic import store
from accel.spatten.attention import Selection, attend
from accel.spatten.topk_kernels import keep_largest, scratch, seeded
from mappers.spatten import DENSE_HEAD_LAYERS, DENSE_TOKEN_LAYERS, cascade
from searchers.oracles.accuracy import Keep
from searchers.oracles.policy_model import HEADS as HEADS
from workloads import numpy_archive
from workloads.attention.attention import LayerAttention

WIDTH, LAYERS, HEAD_DIM, INNER = 32, 3, 8, 64
NORM_EPSILON = 1e-5

Floats32 = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Windows = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class AttentionNetwork:
    """A trained Transformer.

    Attributes
    ----------
    values : mapping of str to ndarray of float32
        By their names in training.
    """

    values: Mapping[str, Floats32]

    def projected(self, x: Floats32, layer: int) -> Floats32:
        """Return queries, keys and values, shape (3, heads, tokens, head_dim)."""
        all_three = self.linear(self.normal(x, f"layers.{layer}.first_norm"), f"layers.{layer}.qkv")
        return np.ascontiguousarray(all_three.reshape(len(x), 3, HEADS, HEAD_DIM).transpose(1, 2, 0, 3))

    def behind_attention(self, x: Floats32, attended: Floats32, layer: int) -> Floats32:
        """Return what leaves a layer: what came in, what its attention found, and what is made of both.

        ``x`` and ``attended`` have shape (tokens, width).
        """
        x = x + self.linear(attended, f"layers.{layer}.out")
        inner = np.maximum(self.linear(self.normal(x, f"layers.{layer}.second_norm"), f"layers.{layer}.inner"), 0)
        return x + self.linear(inner, f"layers.{layer}.outer")

    def scores(self, x: Floats32) -> Floats32:
        """Return a score of every class for a token, shape (classes,)."""
        return self.linear(self.normal(x, "norm")[0], "classifier")

    def linear(self, x: Floats32, name: str) -> Floats32:
        """Multiply tokens, shape (tokens, inputs), by a layer's weights and add its bias."""
        product: Floats32 = x @ self.values[f"{name}.weight"].T + self.values[f"{name}.bias"]
        return product

    def normal(self, x: Floats32, name: str) -> Floats32:
        """Normalise every token, shape (tokens, width)."""
        centred = x - x.mean(1, keepdims=True)
        scale = np.sqrt(np.square(centred).mean(1, keepdims=True) + np.float32(NORM_EPSILON))
        normal: Floats32 = centred / scale * self.values[f"{name}.weight"] + self.values[f"{name}.bias"]
        return normal


class Cascade:
    """Attention on the machine over one text: what is alive falls with what was seen of its importance.

    Parameters
    ----------
    config : Config
    length : int
        Tokens of the text.
    random : ndarray of uint64, shape (1,)
        State of the top-k engine's generator; advanced.

    Attributes
    ----------
    tokens, heads : ndarray of int64
        Those alive.
    """

    def __init__(self, config: Config, length: int, random: npt.NDArray[np.uint64]) -> None:
        self._config, self._random = config, random
        self._importance, self._head_importance = np.zeros(length, np.int64), np.zeros(HEADS)
        self._token_keep = cascade(LAYERS, config.token_keep, DENSE_TOKEN_LAYERS)
        self._heads_kept = [max(1, int(HEADS * keep)) for keep in cascade(LAYERS, config.head_keep, DENSE_HEAD_LAYERS)]
        self.begin(length)

    def begin(self, tokens: int) -> None:
        """Have the first tokens, and all heads, alive again, as the machine has for each token that it generates."""
        self.tokens, self.heads, self._everyone = np.arange(tokens), np.arange(HEADS), tokens

    def choose(self, layer: int) -> npt.NDArray[np.bool_]:
        """Drop tokens and heads of little importance in front of a layer; mark the tokens that stay."""
        kept = np.ones(len(self.tokens), np.bool_)
        count = max(1, int(self._everyone * self._token_keep[layer]) - 1)
        importance = self._importance[self.tokens[:-1]]
        if count < len(importance) and importance.any():
            kept[:-1] = self._largest(importance, count)
            self.tokens = self.tokens[kept]
        count = self._heads_kept[layer]
        if count < len(self.heads):
            self.heads = self.heads[self._largest(self._head_importance[self.heads], count)]
        return kept

    def attend(self, layer: LayerAttention, queries: Integers, tokens: Integers) -> Floats32:
        """Compute a layer; the machine has all heads of what it is given, which it computes is its own choice.

        Parameters
        ----------
        layer : LayerAttention
        queries, tokens : ndarray of int64
            Where in its arrays those stand that ask, and those that are alive; every query sees all of them.

        Returns
        -------
        ndarray of float32, shape (queries, width)
            Of heads that are not alive 0.
        """
        chosen = Selection(self.heads, queries, tokens, np.full(len(queries), len(tokens)))
        stored = store(self._config, layer)
        done = attend(self._config, stored, chosen, self._config.value_keep, self._random)
        self._importance[self.tokens] += done.token_importance
        self._head_importance[self.heads] += done.head_importance
        together = np.zeros((len(queries), HEADS, HEAD_DIM), np.float32)
        together[:, self.heads] = done.output.transpose(1, 0, 2)
        return together.reshape(len(queries), WIDTH)

    def _largest(self, importance: npt.NDArray[np.floating] | Integers, count: int) -> npt.NDArray[np.bool_]:
        """Mark the most important, by the machine's top-k engine."""
        kept, values = np.empty(len(importance), np.bool_), importance.astype(np.float64)
        lanes, turn = self._config.topk_lanes, self._config.topk_turn_cycles
        keep_largest(values, len(values), count, lanes, turn, self._random, scratch(len(values), values.dtype), kept)
        return kept


def cascades(keep: Keep, length: int) -> Iterator[Cascade]:
    """Return a cascade for each of many texts of a length under a policy, run one after another on one machine.

    Raises
    ------
    ConfigError
        If the policy is none that the machine has.
    """
    config = machine(keep)
    random = seeded(config.seed)
    while True:
        yield Cascade(config, length, random)


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


def read_networks(path: Path) -> tuple[list[Mapping[str, Floats32]], dict[str, npt.NDArray[np.generic]]]:
    """Return the values of trained networks, and the arrays that belong to all of them.

    Raises
    ------
    WorkloadError
        If the file is damaged.
    """
    arrays = numpy_archive.read_all(path, "Sextant's trained Transformers")
    networks: dict[str, dict[str, Floats32]] = {}
    for name in [name for name in arrays if "." in name]:
        index, _, value = name.partition(".")
        networks.setdefault(index, {})[value] = arrays.pop(name).astype(np.float32)
    return list(networks.values()), arrays
