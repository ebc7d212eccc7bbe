"""Train character-level Transformers on a task that needs no data, then measure what SpAtten's policies cost them.

    python -m searchers.oracles.training.train_characters weights
    python -m searchers.oracles.training.train_characters table TABLE.csv --policies 80

Of 23 letters, A to H and a to h, the network has to tell which capital is the most frequent; it answers at the 24th
character. Small letters are noise that may be dropped. ``weights`` trains from two seeds and writes the networks and
the test windows; ``table`` runs them with SpAtten's functional model inside, and appends a row for each policy and
network, so that it can be stopped and goes on. Needs the extra ``train`` (torch).
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import click
import numpy as np

from searchers.oracles.accuracy import Keep
from searchers.oracles.character_network import (
    HEADS,
    INNER,
    LAYERS,
    LENGTH,
    SHIPPED,
    WIDTH,
    Integers,
    Windows,
    shipped,
)
from searchers.oracles.training.rows import finished_rows

LETTERS = 8
ASKING = 2 * LETTERS  # the last character
CHARACTERS = ASKING + 1
CAPITALS = 0.5  # share of the letters
TESTED = 800
STEPS, BATCH, LEARNING_RATE, WEIGHT_DECAY, WARM_UP = 800, 64, 0.004, 0.01, 0.1
SEEDS, TEST_SEED, POLICY_SEED = 2, 20240610, 20240611
TOKEN_KEEPS, HEAD_KEEPS, VALUE_KEEPS = (1.0, 0.85, 0.7, 0.55, 0.4, 0.25), (1.0, 0.75, 0.5), (1.0, 0.6, 0.3)
MSB_BITS, LSB_BITS = (3, 4, 6, 8), (0, 4)
COLUMNS = ("policy", "network", "token_keep", "head_keep", "value_keep", "msb_bits", "lsb_bits", "correct", "tested")


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


def draw_policy(index: int) -> Keep:
    """Return a policy of the table; the first keeps everything."""
    if index == 0:
        return Keep(msb_bits=8, lsb_bits=4)
    random = np.random.default_rng(np.random.SeedSequence(POLICY_SEED, spawn_key=(index,)))
    tokens, heads, values = (float(random.choice(options)) for options in (TOKEN_KEEPS, HEAD_KEEPS, VALUE_KEEPS))
    return Keep(tokens, heads, values, int(random.choice(MSB_BITS)), int(random.choice(LSB_BITS)))


def train(seed: int, windows: Windows, labels: Integers) -> dict[str, np.ndarray]:
    """Train one network on windows (n, length) and their labels (n,); return its values."""
    import torch
    from torch.nn import functional

    from searchers.oracles.training.transformer import Transformer

    torch.manual_seed(seed)
    network = Transformer(CHARACTERS, LENGTH, WIDTH, LAYERS, HEADS, INNER, LETTERS)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, STEPS, pct_start=WARM_UP)
    given, told = torch.from_numpy(windows.astype(np.int64)), torch.from_numpy(labels)
    for step in range(STEPS):
        part = slice(step * BATCH, (step + 1) * BATCH)
        loss = functional.cross_entropy(network(given[part]), told[part])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return {name: value.numpy() for name, value in network.state_dict().items()}


@click.group()
def main() -> None:
    """Make the measured attention oracle's networks and table."""


@main.command("weights")
def weights_command() -> None:
    """Train the networks."""
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    tested = draw_windows(TESTED, TEST_SEED)
    arrays: dict[str, np.ndarray] = {"windows": tested[0], "labels": tested[1].astype(np.uint8)}
    for seed in range(SEEDS):
        values = train(seed, *draw_windows(STEPS * BATCH, seed))
        arrays |= {f"{seed}.{name}": value.astype(np.float16) for name, value in values.items()}  # half is enough
    np.savez_compressed(SHIPPED, allow_pickle=False, **arrays)


@main.command("table")
@click.argument("table", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--policies", default=80, help="How many policies the table is to have.")
def table_command(table: Path, policies: int) -> None:
    """Measure what is missing in TABLE."""
    networks, windows, labels = shipped()
    finished = set(finished_rows(table, "policy", "network"))
    with table.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            writer.writerow(COLUMNS)
        for index in range(policies):
            keep = draw_policy(index)
            for number, network in enumerate(networks):
                if (index, number) in finished:
                    continue
                correct = int((network.classes(windows, keep) == labels).sum())
                shares = keep.token_keep, keep.head_keep, keep.value_keep
                writer.writerow((index, number, *shares, keep.msb_bits, keep.lsb_bits, correct, len(labels)))
                file.flush()
                os.fsync(file.fileno())


if __name__ == "__main__":
    main()
