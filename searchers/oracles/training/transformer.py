"""The character-level Transformers in PyTorch: an encoder with a classifier of its last token, and a decoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from searchers.oracles.attention_network import HEADS, INNER, LAYERS, WIDTH

LEARNING_RATE, WEIGHT_DECAY, WARM_UP = 0.004, 0.01, 0.1


class Layer(nn.Module):
    """Attention, then a feed-forward network, each behind a normalisation and added to what came in."""

    def __init__(self, *, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.first_norm, self.second_norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.inner, self.outer = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output, shape (n, tokens, width)."""
        count, tokens, width = x.shape
        q, k, v = self.qkv(self.first_norm(x)).view(count, tokens, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.out(attended.transpose(1, 2).reshape(count, tokens, width))
        return x + self.outer(self.inner(self.second_norm(x)).relu())


class Transformer(nn.Module):
    """The network; names of its values are those that ``attention_network`` reads.

    Parameters
    ----------
    characters, length, classes : int
        Different characters, tokens of a text, and what is told apart.
    causal : bool
        Whether it is a decoder: every token sees those before it, and each is scored.
    """

    def __init__(self, characters: int, length: int, classes: int, *, causal: bool = False) -> None:
        super().__init__()
        self.causal = causal
        self.characters = nn.Parameter(torch.randn(characters, WIDTH) * 0.5)
        self.places = nn.Parameter(torch.randn(length, WIDTH) * 0.1)
        self.layers = nn.ModuleList(Layer(causal=causal) for _ in range(LAYERS))
        self.norm, self.classifier = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, classes)

    def forward(self, windows: Tensor) -> Tensor:
        """Return scores from characters of shape (n, tokens).

        Returns
        -------
        Tensor, shape (n, classes), or (n, tokens, classes) of a decoder
        """
        x = self.characters[windows] + self.places
        for layer in self.layers:
            x = layer(x)
        return self.classifier(self.norm(x if self.causal else x[:, -1]))


def train(
    make: Callable[[], Transformer], seed: int, steps: int, losses: Callable[[Transformer], Iterable[Tensor]]
) -> dict[str, np.ndarray]:
    """Train one network from scratch.

    Parameters
    ----------
    make : callable
    seed : int
        Of its first values.
    steps : int
    losses : callable
        Returns, one by one, the losses of a network on ``steps`` batches.

    Returns
    -------
    dict of str to ndarray of float16
        Its values; half is enough.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    network = make()
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, steps, pct_start=WARM_UP)
    for loss in losses(network):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return {name: value.numpy().astype(np.float16) for name, value in network.state_dict().items()}


def write(path: Path, networks: Iterable[dict[str, np.ndarray]], **shared: np.ndarray) -> None:
    """Write trained networks as ``attention_network.read_networks`` reads them, with what belongs to all of them.

    Arrays keep their shapes.
    """
    arrays: dict[str, Any] = dict(shared)
    for index, values in enumerate(networks):
        arrays |= {f"{index}.{name}": value for name, value in values.items()}
    np.savez_compressed(path, allow_pickle=False, **arrays)
