"""The character-level Transformer in PyTorch: an encoder and a classifier of its last token."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Layer(nn.Module):
    """Attention, then a feed-forward network, each behind a normalisation and added to what came in."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.inner, self.outer = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output, shape (n, tokens, width)."""
        count, tokens, width = x.shape
        parts = self.qkv(self.first_norm(x)).view(count, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(*parts)
        x = x + self.out(attended.transpose(1, 2).reshape(count, tokens, width))
        return x + self.outer(self.inner(self.second_norm(x)).relu())


class Transformer(nn.Module):
    """The network; names of its values are those that ``character_network`` reads."""

    def __init__(
        self, characters: int, length: int, width: int, layers: int, heads: int, inner: int, classes: int
    ) -> None:
        super().__init__()
        self.characters = nn.Parameter(torch.randn(characters, width) * 0.5)
        self.places = nn.Parameter(torch.randn(length, width) * 0.1)
        self.layers = nn.ModuleList(Layer(width, heads, inner) for _ in range(layers))
        self.norm, self.classifier = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, windows: Tensor) -> Tensor:
        """Return a score of every class, shape (n, classes), from characters of shape (n, tokens)."""
        x = self.characters[windows] + self.places
        for layer in self.layers:
            x = layer(x)
        return self.classifier(self.norm(x[:, -1]))
