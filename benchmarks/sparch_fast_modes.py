"""SpArch's fast modes beside the exact one: how far their cycles and traffic lie from it, and what they cost.

The lowest and the highest error of cycles are what ``accel.sparch`` reports as a mode's error band. Named matrices are
generated; with ``SEXTANT_DATA`` set to a folder that has ``matrices/*.npz``, those are measured too.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from accel.report import Report
from accel.sparch import PRESETS, estimate, sample, simulate
from benchmarks.sparch_speed import GENERATED, narrow
from benchmarks.timing import cpu_seconds, keep, show
from mappers.sparch import SHARE, best_plan, sample_plan
from workloads.sparse.catalog import open_sparse
from workloads.sparse.product import SparseProduct

PAPER = PRESETS["paper"]
MORE = ("banded:rows=30000,bandwidth=8", "poisson3d:30", "rmat:scale=12,edges=8")
SHARES = (0.05, SHARE, 0.25, 0.5)
SEEDS = 4


def errors(product: SparseProduct) -> dict[str, list[tuple[float, float]]]:
    """Return the errors of cycles and of DRAM traffic of every mode, relative to ``simulate``; of samples, by seed."""
    plan = best_plan(PAPER, product)
    exact = simulate(PAPER, plan)
    found = {"estimate": [error(estimate(PAPER, plan), exact)]}
    for share in SHARES:
        reports = [sample(PAPER, sample_plan(PAPER, product, share, seed)) for seed in range(SEEDS)]
        found[f"sample={share:g}"] = [error(report, exact) for report in reports]
    return found


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
    names = [*(name for name, _ in GENERATED.values()), *MORE, *map(str, real)]
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
    kept: dict[str, float] = {}
    for mode, pairs in found.items():
        for what, values in zip(("cycles", "DRAM traffic"), np.array(pairs).T, strict=True):
            figures = f"{np.abs(values).mean():.1%}, {values.min():+.1%} to {values.max():+.1%}"
            show(f"{mode}, {what}: mean error, lowest and highest", figures)
            kept |= {f"{mode} {what} lowest": float(values.min()), f"{mode} {what} highest": float(values.max())}
    for mode, values in ratios.items():
        kept[f"{mode} CPU"] = float(np.exp(np.mean(np.log(values))))
        asked = "goal 1.2" if mode.startswith("sample") else ""
        show(f"{mode}: CPU / scipy, geometric mean", f"{kept[f'{mode} CPU']:.2f}", asked)
    keep("sparch_fast_modes", kept)


if __name__ == "__main__":
    main()
