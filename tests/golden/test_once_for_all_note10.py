"""The Once-for-All predictor on its published outputs, and evolution against random search on a telephone's limit."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from benchmarks.once_for_all_note10 import ASKED_GAIN, EVALUATIONS, LIMIT_MS, Note10Task, run


@pytest.fixture(scope="module")
def task(shared_data: Path) -> Note10Task:
    return Note10Task(shared_data / "cosearch")


def test_the_predictor_gives_its_golden_outputs(task: Note10Task, shared_data: Path) -> None:
    with (shared_data / "cosearch" / "ofa_mbv3_golden.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["image_size"]) in task.sizes]
    genomes = np.array([
        [
            task.sizes.index(int(row["image_size"])),
            *(int(depth) - 2 for depth in row["depths"]),
            *((3, 5, 7).index(int(kernel)) for kernel in row["kernels"]),
            *((3, 4, 6).index(int(expansion)) for expansion in row["expands"]),
        ]
        for row in rows
    ], dtype=float)  # fmt: skip
    golden = np.array([float(row["pred_top1"]) for row in rows])
    assert len(rows) > 1000
    assert task.accuracy(task.space.canonical(genomes)) / 100 == pytest.approx(golden, abs=1e-5)


def test_evolution_beats_random_at_equal_budget(task: Note10Task) -> None:
    evolved, drawn = (run(task, name, 1, EVALUATIONS)[-1] for name in ("evolution", "random"))
    assert evolved - drawn >= ASKED_GAIN


def test_the_limit_is_met_by_what_is_asked(task: Note10Task) -> None:
    genomes = task.space.random(np.random.default_rng(1).random((500, len(task.space))))
    fast = task.within_limit(genomes)
    assert 0.1 < fast.mean() < 0.5
    assert (task.latency_ms(genomes[fast]) <= LIMIT_MS).all()
