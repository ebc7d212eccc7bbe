"""SpArch's fast modes beside the exact one: how far their cycles and traffic lie from it, and what they cost.

The lowest and the highest error of cycles are what ``accel.sparch`` reports as a mode's error band: at the published
configuration, and at others, which are drawn around it. Named matrices are generated; with ``SEXTANT_DATA`` set to a
folder that has ``matrices/*.npz``, those are measured too, at the published configuration.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from accel.config import configure
from accel.report import Report
from accel.sparch import PRESETS, Config, estimate, sample, simulate
from benchmarks.sparch_speed import GENERATED, narrow
from benchmarks.timing import cpu_seconds, keep, show
from mappers.sparch import SHARE, best_plan, sample_plan
from workloads.sparse.catalog import open_sparse
from workloads.sparse.product import SparseProduct

PAPER = PRESETS["paper"]
MORE = ("banded:rows=30000,bandwidth=8", "poisson3d:30", "rmat:scale=12,edges=8")
# Grids of sizes at which B and C meet in the same banks, row after row: the worst of 359 that were tried.
RESONANT = ("poisson2d:120", "poisson2d:250", "poisson2d:259", "poisson3d:25", "poisson3d:27")
SHARES = (0.05, SHARE, 0.25, 0.5)
SEEDS = 4

DRAWS, MOST_CHANGES = 1500, 3  # other machines, and fields that are changed in one
SMALL = (
    "rmat:scale=11,edges=8,seed=3", "uniform:rows=6000,per_row=6", "power_law:rows=6000,per_row=5", "poisson2d:120",
    "poisson3d:18", "stencil27:13", "banded:rows=4000,bandwidth=4", "block_diagonal:rows=3000,block=12",
    "pruned:rows=400,columns=400,density=0.1",
)  # fmt: skip
AROUND: dict[str, tuple[int | bool, ...]] = {
    "merge_layers": (4, 5, 7),
    "merge_width": (4, 8, 32),
    "fifo_depth": (64, 256, 1024),
    "multipliers": (8, 32),
    "look_ahead": (1024, 4096, 16384),
    "prefetch_lines": (256, 512, 2048, 4096),
    "prefetch_line_elements": (12, 24, 96),
    "prefetch_fetchers": (8, 32, 64),
    "prefetch_distance": (32, 512),
    "hbm_channels": (4, 8, 32),
    "hbm_bytes_per_cycle": (4, 16, 32),
    "hbm_latency_cycles": (0, 26, 104),
    "hbm_row_miss_cycles": (0, 14, 56),
    **dict.fromkeys(("pipelined_merge", "condensing", "huffman", "prefetcher"), (False,)),
}


def errors(
    product: SparseProduct, config: Config = PAPER, seeds: range = range(SEEDS)
) -> dict[str, list[tuple[float, float]]]:
    """Return the errors of cycles and of DRAM traffic of every mode, relative to ``simulate``; of samples, by seed."""
    plan = best_plan(config, product)
    exact = simulate(config, plan)
    found = {"estimate": [error(estimate(config, plan), exact)]}
    for share in SHARES:
        reports = [sample(config, sample_plan(config, product, share, seed)) for seed in seeds]
        found[f"sample={share:g}"] = [error(report, exact) for report in reports]
    return found


def other_machines() -> Iterator[tuple[Config, SparseProduct, int]]:
    """Yield configurations around the published one, each with a small matrix and a seed for its samples."""
    random = np.random.default_rng(1)
    products = [open_sparse(name) for name in SMALL]
    for _ in range(DRAWS):
        changed = random.choice(list(AROUND), int(random.integers(1, MOST_CHANGES + 1)), replace=False)
        fields = {str(field): AROUND[field][random.integers(len(AROUND[field]))] for field in changed}
        config = configure(PAPER, fields, "other machines")
        yield config, products[random.integers(len(products))], int(random.integers(100))


def error(report: Report, exact: Report) -> tuple[float, float]:
    """Return how far cycles and DRAM traffic lie from the exact ones."""
    return report.cycles / exact.cycles - 1, report.total_dram_bytes / exact.total_dram_bytes - 1


def costs(product: SparseProduct) -> dict[str, float]:
    """Return CPU seconds of every mode, from the matrix on, and of scipy."""
    a, b = narrow(product.a), narrow(product.b)
    return cpu_seconds(
        {
            "simulate": lambda: simulate(PAPER, best_plan(PAPER, product)),
            "estimate": lambda: estimate(PAPER, best_plan(PAPER, product)),
            f"sample={SHARE:g}": lambda: sample(PAPER, sample_plan(PAPER, product)),
            "scipy": lambda: a @ b,
        },
        rounds=3,
    )


def main() -> None:
    real = sorted((Path(os.environ.get("SEXTANT_DATA", "")) / "matrices").glob("*.npz"))
    names = [*(name for name, _ in GENERATED.values()), *MORE, *RESONANT, *map(str, real)]
    found: dict[str, list[tuple[float, float]]] = {}
    ratios: dict[str, list[float]] = {}
    print(f"{'':<58}{'cycles':>8}{'DRAM':>8}{'CPU / scipy':>13}{'CPU / simulate':>16}")
    for name in names:
        product = open_sparse(name)
        seconds = costs(product)
        for mode, by_seed in errors(product).items():
            found.setdefault(mode, []).extend(by_seed)
            cycles, traffic = by_seed[0]
            if mode in seconds:
                ratios.setdefault(mode, []).append(seconds[mode] / seconds["scipy"])
                figures = f"{ratios[mode][-1]:>13.2f}{seconds[mode] / seconds['simulate']:>16.2f}"
                label = Path(name).name.removesuffix(".npz")
                print(f"{label:<46}{mode:<12}{cycles:>+8.1%}{traffic:>+8.1%}{figures}", flush=True)
    elsewhere: dict[str, list[tuple[float, float]]] = {}
    for config, product, seed in other_machines():
        for mode, pairs in errors(product, config, range(seed, seed + 1)).items():
            elsewhere.setdefault(f"others, {mode}", []).extend(pairs)
    kept = show_bands(found) | show_bands(elsewhere)
    for mode, values in ratios.items():
        kept[f"{mode} CPU"] = float(np.exp(np.mean(np.log(values))))
        asked = "goal 1.2" if mode.startswith("sample") else ""
        show(f"{mode}: CPU / scipy, geometric mean", f"{kept[f'{mode} CPU']:.2f}", asked)
    keep("sparch_fast_modes", kept)


def show_bands(found: dict[str, list[tuple[float, float]]]) -> dict[str, float]:
    """Show mean, lowest and highest error of every mode; return what is kept of them."""
    kept: dict[str, float] = {}
    for mode, pairs in found.items():
        for what, values in zip(("cycles", "DRAM traffic"), np.array(pairs).T, strict=True):
            figures = f"{np.abs(values).mean():.1%}, {values.min():+.1%} to {values.max():+.1%}"
            show(f"{mode}, {what}: mean error, lowest and highest", figures)
            kept |= {f"{mode} {what} lowest": float(values.min()), f"{mode} {what} highest": float(values.max())}
    return kept


if __name__ == "__main__":
    main()
