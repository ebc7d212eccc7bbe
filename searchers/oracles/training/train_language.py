"""Train character-level language models on a made-up language, then measure what SpAtten's policies cost them.

    python -m searchers.oracles.training.train_language weights
    python -m searchers.oracles.training.train_language table TABLE.csv --policies 80

A text has three words of its own, consonant, vowel, consonant, that begin differently; they follow each other at
random with a space in front of each. What a word is like is only told by where it stood before, so a model has to look
back. ``weights`` trains from three seeds and writes the networks and the test texts; ``table`` has them generate these
texts with SpAtten's functional model inside, and appends a row for each policy and network, so that it can be stopped
and goes on. Needs the extra ``train`` (torch).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from searchers.oracles.accuracy import Keep
from searchers.oracles.attention_network import Windows
from searchers.oracles.language_network import LENGTH, SHIPPED, shipped
from searchers.oracles.training.extra import need
from searchers.oracles.training.policies import measure

if TYPE_CHECKING:
    from torch import Tensor

    from searchers.oracles.training.transformer import Transformer

CONSONANTS, VOWELS = 8, 4
SPACE = CONSONANTS + VOWELS
CHARACTERS = SPACE + 1
WORDS, LETTERS = 3, 3  # of a text, and of a word
TESTED = 40
STEPS, BATCH = 1500, 64
SEEDS, TEST_SEED = 3, 20240612


def draw_texts(count: int, seed: int) -> Windows:
    """Return texts, shape (count, 48)."""
    random = np.random.default_rng(seed)
    first = random.random((count, CONSONANTS)).argsort(1)[:, :WORDS]
    vowel = CONSONANTS + random.integers(VOWELS, size=(count, WORDS))
    last = random.integers(CONSONANTS, size=(count, WORDS))
    words = np.stack([np.full((count, WORDS), SPACE), first, vowel, last], axis=2)
    order = random.integers(WORDS, size=(count, LENGTH // (LETTERS + 1)))
    return words[np.arange(count)[:, None], order].reshape(count, LENGTH).astype(np.uint8)


def train(seed: int) -> dict[str, np.ndarray]:
    """Train one network and return its values."""
    import torch
    from torch.nn import functional

    from searchers.oracles.training import transformer

    texts = torch.from_numpy(draw_texts(STEPS * BATCH, seed).astype(np.int64))

    def losses(network: Transformer) -> Iterator[Tensor]:
        for part in texts.split(BATCH):
            yield functional.cross_entropy(network(part)[:, :-1].flatten(0, 1), part[:, 1:].flatten())

    return transformer.train(
        lambda: transformer.Transformer(CHARACTERS, LENGTH, CHARACTERS, causal=True), seed, STEPS, losses
    )


@click.group()
def main() -> None:
    """Make the measured language oracle's networks and table."""


@main.command("weights")
def weights_command() -> None:
    """Train the networks."""
    need("torch")
    from searchers.oracles.training.transformer import write

    write(SHIPPED, map(train, range(SEEDS)), windows=draw_texts(TESTED, TEST_SEED))


@main.command("table")
@click.argument("table", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--policies", default=80, help="How many policies the table is to have.")
def table_command(table: Path, policies: int) -> None:
    """Measure what is missing in TABLE."""
    networks, texts = shipped()

    def reached(number: int, keep: Keep) -> tuple[float, ...]:
        return (round(float(networks[number].surprises(texts, keep).mean()), 4),)

    measure(table, ("bits",), policies, len(networks), reached)


if __name__ == "__main__":
    main()
