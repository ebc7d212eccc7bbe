"""NSGA-II against random search on the first study: hypervolume over evaluations, 10 seeds each, equal budget.

One scale for all runs: from the best to the worst feasible value of each objective over every run.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.timing import RESULTS, keep, show
from searchers.algorithm import ALGORITHMS
from searchers.front import Scale, hypervolume
from searchers.run import run_study
from searchers.study import read_study

STUDY = Path(__file__).parent.parent / "examples" / "edge_vision.toml"
BUDGET, SEEDS = 2000, 10


def main() -> None:
    runs = {}
    for algorithm in ALGORITHMS:
        for seed in range(SEEDS):
            runs[algorithm, seed] = _run(algorithm, seed)
            print(f"{algorithm}, seed {seed}: {len(runs[algorithm, seed][1])} feasible", file=sys.stderr)
    study = read_study(STUDY)
    scale = Scale.spanning(study, np.concatenate([costs for _, costs in runs.values()]))
    steps = np.arange(100, BUDGET + 1, 100)
    histories = {
        key: [hypervolume(scale, costs[places < step]) for step in steps] for key, (places, costs) in runs.items()
    }
    _write(steps, histories)
    quartiles = {
        algorithm: np.percentile([histories[algorithm, seed] for seed in range(SEEDS)], [25, 50, 75], axis=0)
        for algorithm in ALGORITHMS
    }
    _draw(steps, quartiles)
    figures = {f"{name}_median": float(values[1, -1]) for name, values in quartiles.items()}
    wins = sum(histories["nsga2", seed][-1] > histories["random", seed][-1] for seed in range(SEEDS))
    keep("search_quality", {**figures, "nsga2_wins": wins})
    for name, values in quartiles.items():
        low, median, high = values[:, -1]
        show(
            f"hypervolume of {name} at {BUDGET} evaluations, median (quartiles)",
            f"{median:.3f}",
            f"({low:.3f}-{high:.3f})",
        )
    show(
        "median of NSGA-II relative to random's", f"{figures['nsga2_median'] / figures['random_median']:.2f}", "above 1"
    )
    show(f"seeds of {SEEDS} in which NSGA-II ends above random", str(wins))
    print(f"wrote {RESULTS}/search_quality.csv and .png")


def _run(algorithm: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return when each feasible candidate was evaluated, and its objectives."""
    study = read_study(STUDY, budget=BUDGET, seed=seed, algorithm=algorithm)
    with tempfile.TemporaryDirectory() as folder:
        points = run_study(study, Path(folder))
    feasible = [
        (place, study.costs(point.outcome)) for place, point in enumerate(points) if study.feasible(point.outcome)
    ]
    return np.array([place for place, _ in feasible]), np.array([costs for _, costs in feasible])


def _write(steps: np.ndarray, histories: dict[tuple[str, int], list[float]]) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    with (RESULTS / "search_quality.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("algorithm", "seed", "evaluations", "hypervolume"))
        for (algorithm, seed), volumes in histories.items():
            writer.writerows((algorithm, seed, int(step), volume) for step, volume in zip(steps, volumes, strict=True))


def _draw(steps: np.ndarray, quartiles: dict[str, np.ndarray]) -> None:
    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    for name, (low, median, high) in quartiles.items():
        (line,) = axes.plot(steps, median, label=f"{name}, median and quartiles of {SEEDS} seeds")
        axes.fill_between(steps, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.set(xlabel="evaluations", ylabel="hypervolume [share of the box]", xlim=(0, BUDGET), ylim=(0, None))
    axes.legend(frameon=False, loc="lower right")
    axes.set_title("edge_vision: latency, energy, quantization-noise proxy", fontsize=10, loc="left")
    figure.savefig(RESULTS / "search_quality.png", dpi=150)


if __name__ == "__main__":
    main()
