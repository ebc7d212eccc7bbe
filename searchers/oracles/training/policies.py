"""Policies of SpAtten that trained Transformers are run under, and the table of what each network reached."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from searchers.oracles.accuracy import Keep
from searchers.oracles.training.rows import finished_rows

SEED = 20240611
TOKEN_KEEPS, HEAD_KEEPS, VALUE_KEEPS = (1.0, 0.85, 0.7, 0.55, 0.4, 0.25), (1.0, 0.75, 0.5), (1.0, 0.6, 0.3)
MSB_BITS, LSB_BITS = (3, 4, 6, 8), (0, 4)
COLUMNS = ("policy", "network", "token_keep", "head_keep", "value_keep", "msb_bits", "lsb_bits")


def draw_policy(index: int) -> Keep:
    """Return a policy of the tables; the first keeps everything."""
    if index == 0:
        return Keep(msb_bits=8, lsb_bits=4)
    random = np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(index,)))
    tokens, heads, values = (float(random.choice(options)) for options in (TOKEN_KEEPS, HEAD_KEEPS, VALUE_KEEPS))
    return Keep(tokens, heads, values, int(random.choice(MSB_BITS)), int(random.choice(LSB_BITS)))


def measure(
    table: Path,
    columns: Sequence[str],
    policies: int,
    networks: int,
    reached: Callable[[int, Keep], tuple[float, ...]],
) -> None:
    """Append what is missing in a table, a row for each policy and network, so that it can be stopped and goes on.

    Parameters
    ----------
    table : Path
    columns : sequence of str
        What is measured.
    policies, networks : int
        How many the table is to have.
    reached : callable
        Returns the columns of a network, by its number, under a policy.
    """
    finished = set(finished_rows(table, "policy", "network"))
    with table.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            writer.writerow((*COLUMNS, *columns))
        measured: set[Keep] = set()
        for index in range(policies):
            keep = draw_policy(index)
            if keep in measured:  # drawn before
                continue
            measured.add(keep)
            shares = keep.token_keep, keep.head_keep, keep.value_keep
            for number in range(networks):
                if (index, number) not in finished:
                    found = reached(number, keep)
                    writer.writerow((index, number, *shares, keep.msb_bits, keep.lsb_bits, *found))
                    file.flush()
                    os.fsync(file.fileno())
