"""Train character-level Transformers on a task that needs no data, then measure what SpAtten's policies cost them.

    python -m searchers.oracles.training.train_characters weights
    python -m searchers.oracles.training.train_characters table TABLE.csv --policies 80

Of 23 letters, A to H and a to h, the network has to tell which capital is the most frequent; it answers at the 24th
character. Small letters are noise that may be dropped. ``weights`` trains from two seeds and writes the networks and
the test windows; ``table`` runs them with SpAtten's functional model inside, and appends a row for each policy and
network, so that it can be stopped and goes on. Needs the extra ``train`` (torch).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from searchers.oracles.accuracy import Keep
from searchers.oracles.attention_network import Integers, Windows
from searchers.oracles.character_network import LENGTH, SHIPPED, shipped
from searchers.oracles.training.extra import need
from searchers.oracles.training.policies import measure

if TYPE_CHECKING:
    from torch import Tensor

    from searchers.oracles.training.transformer import Transformer

LETTERS = 8
ASKING = 2 * LETTERS  # the last character
CHARACTERS = ASKING + 1
CAPITALS = 0.5  # share of the letters
TESTED = 800
STEPS, BATCH = 800, 64
SEEDS, TEST_SEED = 2, 20240610


def draw_windows(count: int, seed: int) -> tuple[Windows, Integers]:
    """Return windows in which one capital is the most frequent, and which."""
    random = np.random.default_rng(seed)
    windows: list[Windows] = []
    labels: list[int] = []
    while len(windows) < count:
        letters = random.integers(LETTERS, size=LENGTH - 1) + LETTERS * (random.random(LENGTH - 1) >= CAPITALS)
        often = np.bincount(letters, minlength=ASKING)[:LETTERS]
        if np.count_nonzero(often == often.max()) == 1:
            windows.append(np.append(letters, ASKING).astype(np.uint8))
            labels.append(int(often.argmax()))
    return np.array(windows), np.array(labels)


def train(seed: int) -> dict[str, np.ndarray]:
    """Train one network and return its values."""
    import torch
    from torch.nn import functional

    from searchers.oracles.training import transformer

    windows, labels = draw_windows(STEPS * BATCH, seed)
    given, told = torch.from_numpy(windows.astype(np.int64)), torch.from_numpy(labels)

    def losses(network: Transformer) -> Iterator[Tensor]:
        for part, right in zip(given.split(BATCH), told.split(BATCH), strict=True):
            yield functional.cross_entropy(network(part), right)

    return transformer.train(lambda: transformer.Transformer(CHARACTERS, LENGTH, LETTERS), seed, STEPS, losses)


@click.group()
def main() -> None:
    """Make the measured attention oracle's networks and table."""


@main.command("weights")
def weights_command() -> None:
    """Train the networks."""
    need("torch")
    from searchers.oracles.training.transformer import write

    windows, labels = draw_windows(TESTED, TEST_SEED)
    write(SHIPPED, map(train, range(SEEDS)), windows=windows, labels=labels.astype(np.uint8))


@main.command("table")
@click.argument("table", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--policies", default=80, help="How many policies the table is to have.")
def table_command(table: Path, policies: int) -> None:
    """Measure what is missing in TABLE."""
    networks, windows, labels = shipped()

    def reached(number: int, keep: Keep) -> tuple[float, ...]:
        return int((networks[number].classes(windows, keep) == labels).sum()), len(labels)

    measure(table, ("correct", "tested"), policies, len(networks), reached)


if __name__ == "__main__":
    main()
