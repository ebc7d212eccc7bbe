"""The Once-for-All task on a Samsung Note10: a published accuracy predictor, measured latencies, a hard limit.

Needs a folder of data that is not part of Sextant: ``ofa_note10_lut.csv`` and ``ofa_mbv3_w12_acc_predictor.npz``. The
predictor's output is its own hold-out accuracy and some points too high: values rank, they are no ImageNet accuracies.

Run: python -m benchmarks.once_for_all_note10 FOLDER [SEEDS [EVALUATIONS]]

The published search has 500 generations of 100: 50,000 evaluations.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

from benchmarks.timing import RESULTS, keep, show
from searchers.algorithms.evolution import Evolution
from searchers.space import Choice, Condition, Genomes, Space, Vector
from workloads.layers import IN_C, IN_H, KERNEL_H, OUT_C, OUT_H, STRIDE, LayerTable
from workloads.networks import once_for_all

LIMIT_MS = 25.0
EVALUATIONS, POPULATION = 5000, 100
STEPS = (100, 500, 1000, 5000)
BLOCKS = once_for_all.STAGES * once_for_all.MOST_BLOCKS
WIDTH = 1.2
ASKED_GAIN = 0.7  # points that evolution gains over random


class Note10Task:
    """Networks of the family at width 1.2, their latency by table and their accuracy by the predictor.

    Parameters
    ----------
    folder : Path
        Where the data lie.
    """

    def __init__(self, folder: Path) -> None:
        with (folder / "ofa_note10_lut.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.sizes = sorted({int(row["image_size"]) for row in rows})
        self.space = _space(self.sizes)
        self._tabulate(rows)
        with np.load(folder / "ofa_mbv3_w12_acc_predictor.npz") as weights:
            self._layers = [(weights[f"w{layer}"], weights[f"b{layer}"]) for layer in range(4)]

    def _tabulate(self, rows: list[dict[str, str]]) -> None:
        """Lay the table out by size, block, kernel and expansion."""
        blocks = {
            (row["image_size"], row["input"], row["output"], row["expand_channels"], row["kernel"], row["stride"]):
            float(row["latency_ms_mean"])
            for row in rows
            if row["op"] == "expanded_conv"
        }  # fmt: skip
        family = once_for_all.OnceForAll(WIDTH)
        shape = (len(self.sizes), BLOCKS, len(once_for_all.KERNELS), len(once_for_all.EXPANSIONS))
        self._block_ms, self._fixed_ms = np.empty(shape), np.empty(len(self.sizes))
        for s, size in enumerate(self.sizes):
            others = [row for row in rows if row["image_size"] == str(size) and row["op"] != "expanded_conv"]
            self._fixed_ms[s] = sum(float(row["latency_ms_mean"]) for row in others)
            for k, kernel in enumerate(once_for_all.KERNELS):
                for e, expansion in enumerate(once_for_all.EXPANSIONS):
                    alike = once_for_all.Architecture(size, (4,) * 5, (kernel,) * BLOCKS, (expansion,) * BLOCKS)
                    table = family.table(alike)
                    first, *keys = [
                        (str(size), *key) for key in _block_keys(table, ("first_block", *once_for_all.BLOCK_NAMES))
                    ]
                    self._block_ms[s, :, k, e] = [blocks[key] for key in keys]
            self._fixed_ms[s] += blocks[first]

    def latency_ms(self, genomes: Genomes) -> np.ndarray:
        """Return latencies on the telephone, shape (n,)."""
        size, _, kernel, expansion = self._parts(genomes)
        times = self._block_ms[size, np.arange(BLOCKS), kernel, expansion]
        return self._fixed_ms[size[:, 0]] + np.where(self._used(genomes), times, 0.0).sum(axis=1)

    def accuracy(self, genomes: Genomes) -> np.ndarray:
        """Return the predictor's raw top-1 [%], shape (n,)."""
        size, _, kernel, expansion = self._parts(genomes)
        used = self._used(genomes)[:, :, None]
        levels = np.arange(3)
        sizes = (np.array(self.sizes)[size] - 112) // 16 == np.arange(8)
        values = np.concatenate(
            [
                ((kernel[:, :, None] == levels) & used).reshape(len(genomes), -1),
                ((expansion[:, :, None] == levels) & used).reshape(len(genomes), -1),
                sizes,
            ],
            axis=1,
        ).astype(np.float32)
        for layer, (weights, offset) in enumerate(self._layers):
            values = values @ weights.T + offset
            if layer + 1 < len(self._layers):
                values = np.maximum(values, 0.0)
        return 100.0 * values[:, 0].astype(float)

    def within_limit(self, genomes: Genomes) -> np.ndarray:
        """Return which networks are fast enough."""
        return self.latency_ms(genomes) <= LIMIT_MS

    def _parts(self, genomes: Genomes) -> list[np.ndarray]:
        return [self.space.chosen(genomes, name) for name in ("image_size", "depth", "kernel", "expansion")]

    def _used(self, genomes: Genomes) -> np.ndarray:
        depth = np.array(once_for_all.DEPTHS)[self.space.chosen(genomes, "depth")]
        return np.repeat(depth, once_for_all.MOST_BLOCKS, axis=1) > np.arange(BLOCKS) % once_for_all.MOST_BLOCKS


def _space(sizes: list[int]) -> Space:
    stages = tuple(block // once_for_all.MOST_BLOCKS for block in range(BLOCKS))
    deep = tuple(
        frozenset(depth for depth in once_for_all.DEPTHS if depth > block % once_for_all.MOST_BLOCKS)
        for block in range(BLOCKS)
    )
    used = Condition("depth", stages, deep)
    return Space(
        {
            "image_size": Choice(tuple(sizes)),
            "depth": Vector(Choice(once_for_all.DEPTHS), once_for_all.STAGES),
            "kernel": Vector(Choice(once_for_all.KERNELS), BLOCKS),
            "expansion": Vector(Choice(once_for_all.EXPANSIONS), BLOCKS),
        },
        {"kernel": used, "expansion": used},
    )


def _block_keys(table: LayerTable, names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return input, output, middle channels, kernel and stride of blocks, as the table of latencies has them."""
    row_of = dict(zip(table.layer_names, table.values, strict=True))
    keys = []
    for name in names:
        depthwise, project = row_of[f"{name}.depthwise"], row_of[f"{name}.project"]
        first = row_of.get(f"{name}.expand", depthwise)
        maps = [f"{row[side]}x{row[side]}x{row[channels]}"
                for row, side, channels in ((first, IN_H, IN_C), (project, OUT_H, OUT_C))]  # fmt: skip
        keys.append((*maps, str(depthwise[OUT_C]), str(depthwise[KERNEL_H]), str(depthwise[STRIDE])))
    return keys


def run(task: Note10Task, algorithm: str, seed: int, evaluations: int) -> np.ndarray:
    """Return the best accuracy after each evaluation of a network within the limit."""
    search = Evolution(task.space, objectives=1, seed=seed, population=POPULATION, accept=task.within_limit)
    best: list[float] = []
    while len(best) < evaluations:
        genomes = search.ask()
        accuracy = task.accuracy(genomes)
        best += accuracy.tolist()
        if algorithm == "evolution":  # without being told, it draws at random for ever
            search.tell(genomes, -accuracy[:, None], np.zeros(len(genomes)))
    return np.maximum.accumulate(best[:evaluations])


def main() -> None:
    """Print and keep both algorithms' best accuracy over evaluations."""
    task = Note10Task(Path(sys.argv[1]))
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    evaluations = int(sys.argv[3]) if len(sys.argv) > 3 else EVALUATIONS
    steps = sorted({*(step for step in STEPS if step <= evaluations), evaluations})
    found = {
        name: np.array([run(task, name, seed, evaluations) for seed in range(seeds)])
        for name in ("random", "evolution")
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    with (RESULTS / "once_for_all_note10.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("algorithm", "seed", "evaluations", "best raw top-1 [%]"))
        for name, histories in found.items():
            writer.writerows((name, seed, step, histories[seed, step - 1]) for seed in range(seeds) for step in steps)
    for name, histories in found.items():
        medians = " / ".join(f"{np.median(histories[:, step - 1]):.2f}" for step in steps)
        show(f"{name}: best raw top-1 at {' / '.join(map(str, steps))} evaluations", medians)
    gain = float(np.median(found["evolution"][:, -1]) - np.median(found["random"][:, -1]))
    wins = int((found["evolution"][:, -1] > found["random"][:, -1]).sum())
    show(
        f"evolution's gain at {evaluations} evaluations, limit {LIMIT_MS:g} ms [points]",
        f"{gain:.2f}",
        f"at least {ASKED_GAIN}",
    )
    show(f"seeds of {seeds} in which evolution ends above random", str(wins))
    keep("once_for_all_note10", {"gain": gain, "wins": wins, "seeds": seeds})


if __name__ == "__main__":
    main()
