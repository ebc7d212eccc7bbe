"""Every algorithm against random search at equal budget: hypervolume over evaluations, and regret to known optima.

Hypervolume: the study ``examples/joint_vision.toml``, objectives on logarithms, in a box that is fixed below, so that
runs of different days and algorithms can be compared. Regret: three studies small enough to be enumerated. Medians
and quartiles are over seeds; results are kept seed by seed, those of named algorithms in files of their own.

Run: python -m benchmarks.search_quality [SEEDS [BUDGET [hypervolume|regret] [ALGORITHM]...]]
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
from searchers.algorithms.algorithm import ALGORITHMS, make_algorithm
from searchers.front import Scale, hypervolume
from searchers.run import run_study
from searchers.space import Space
from searchers.study import read_study

STUDY = Path(__file__).parent.parent / "examples" / "joint_vision.toml"
SEEDS, BUDGET, STEP = 10, 5000, 100
COMPARISONS = ("hypervolume", "regret")
LATE = ("tpe", "ddpg")  # learn by themselves for seconds a generation: run when they are named
# From the best that any long run has found to what a random candidate is: seconds, energy [pJ], noise [dB].
BOX = Scale(
    log=np.array([True, True, False]),
    low=np.array([np.log10(3e-4), np.log10(3e8), -24.0]),
    high=np.array([np.log10(3e-2), np.log10(1e10), 4.0]),
)
# Spaces that are evaluated whole: what is known of them is what a study would tell.
ENUMERATED = {
    "bits and array of LeNet-5": """
budget = 1
objectives = ["edp"]
[network]
name = "lenet5-bitfusion"
[bits]
activations = [2, 8]
weights = [2, 8]
[machine]
rows = [4, 8, 16]
columns = [4, 8]
dram_bits_per_cycle = [64, 128, 256]
[[constraints]]
quantity = "quantization_noise_db"
at_most = -20.0
""",
    "depths, image and array": """
budget = 1
objectives = ["edp"]
[network]
family = "once-for-all"
image_size = [160, 192, 224]
depth = [2, 3, 4]
kernel = [3]
expansion = [4]
[machine]
rows = [8, 16]
columns = [8, 16, 32]
dram_bits_per_cycle = [64, 192]
[[constraints]]
quantity = "operations"
at_least = 3.6e8
""",
    "kernels, bits and array of digits": """
budget = 1
objectives = ["accuracy_bound"]
[network]
family = "tiny-residual"
depth = [2]
kernel = [3, 5]
expansion = [3]
keep = [1.0]
[bits]
per = "block"
ends = 8
activations = [2, 4]
weights = [2, 4]
[accuracy]
oracle = "digits"
regime = "qat"
[machine]
rows = [4, 8]
columns = [8]
dram_bits_per_cycle = [32, 64]
[[constraints]]
quantity = "energy_pj"
at_most = 8.0e6
""",
}
REGRET_BUDGET, REGRET_POPULATION = 400, 20


def main() -> None:
    """Print, draw and keep both comparisons."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    budget = int(sys.argv[2]) if len(sys.argv) > 2 else BUDGET
    words = sys.argv[3:]
    comparison = words.pop(0) if words and words[0] in COMPARISONS else None
    algorithms = list(dict.fromkeys(["random", *(words or (name for name in ALGORITHMS if name not in LATE))]))
    suffix = "".join(f"_{name}" for name in words)
    RESULTS.mkdir(parents=True, exist_ok=True)
    if comparison != "hypervolume":
        regrets(algorithms, seeds, f"search_regret{suffix}")
    if comparison != "regret":
        hypervolumes(algorithms, seeds, budget, f"search_quality{suffix}")


def hypervolumes(algorithms: list[str], seeds: int, budget: int, title: str) -> None:
    """Compare hypervolume over evaluations."""
    steps = np.arange(STEP, budget + 1, STEP)
    found = {}
    with (RESULTS / f"{title}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("algorithm", "seed", "evaluations", "hypervolume"))
        for name in algorithms:
            histories = []
            for seed in range(seeds):
                histories.append(_history(name, seed, budget, steps))
                rows = zip(steps.tolist(), histories[-1], strict=True)
                writer.writerows((name, seed, step, volume) for step, volume in rows)
                file.flush()
            found[name] = np.array(histories)
            print(f"{name}: median {np.median(found[name][:, -1]):.4f}", file=sys.stderr, flush=True)
    _draw(steps, found, RESULTS / f"{title}.png")
    reference = float(np.median(found["random"][:, -1]))
    figures = {}
    for name, volumes in found.items():
        low, median, high = np.percentile(volumes[:, -1], [25, 50, 75])
        wins = int((volumes[:, -1] > found["random"][:, -1]).sum())
        figures[f"{name}_median"], figures[f"{name}_wins"] = float(median), wins
        below = "" if name == "random" or median > reference else "  NOT ABOVE RANDOM"
        show(
            f"hypervolume of {name} at {budget} evaluations, median (quartiles)", f"{median:.4f}",
            f"({low:.4f}-{high:.4f}), {median / reference:.3f} x random, above it in {wins} of {seeds} seeds{below}",
        )  # fmt: skip
    keep(title, figures)
    print(f"wrote {RESULTS}/{title}.csv and .png")


def _history(algorithm: str, seed: int, budget: int, steps: np.ndarray) -> list[float]:
    """Return the hypervolume of one run after every number of evaluations."""
    study = read_study(STUDY, budget=budget, seed=seed, algorithm=algorithm)
    with tempfile.TemporaryDirectory() as folder:
        points = run_study(study, Path(folder))
    feasible = [
        (place, study.costs(point.outcome)) for place, point in enumerate(points) if study.feasible(point.outcome)
    ]
    places = np.array([place for place, _ in feasible])
    costs = np.array([cost for _, cost in feasible]).reshape(-1, len(study.objectives))
    return [hypervolume(BOX, costs[places < step]) for step in steps]


def regrets(algorithms: list[str], seeds: int, title: str) -> None:
    """Compare how far the best found is from the best there is, in spaces that are evaluated whole."""
    with (RESULTS / f"{title}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("space", "algorithm", "seed", "evaluations", "regret"))
        for described, text in ENUMERATED.items():
            space, objectives, violations = _enumerated(text)
            for name in algorithms:
                reached = [_regret(space, name, seed, objectives, violations) for seed in range(seeds)]
                writer.writerows((described, name, seed, REGRET_BUDGET, regret) for seed, regret in enumerate(reached))
                low, median, high = np.percentile(reached, [25, 50, 75])
                show(
                    f"{described}: regret of {name} after {REGRET_BUDGET} of {len(violations)}", f"{median:.2%}",
                    f"({low:.2%}-{high:.2%})",
                )  # fmt: skip


def _enumerated(text: str) -> tuple[Space, np.ndarray, np.ndarray]:
    """Return a study's space and, in the order of its places, everything an algorithm can be told of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "enumerated.toml"
        path.write_text(text, encoding="utf-8")
        study = read_study(path)
    space = study.problem.space
    size = int(np.prod(space.places))
    whole = np.stack(np.unravel_index(np.arange(size), tuple(space.places)), axis=1).astype(float)
    different, which = np.unique(space.canonical(whole), axis=0, return_inverse=True)
    objectives, violations = study.scores(study.problem.evaluate(different))
    return space, objectives[which.ravel(), 0], violations[which.ravel()]


def _regret(space: Space, algorithm: str, seed: int, objectives: np.ndarray, violations: np.ndarray) -> float:
    """Return by which share the best that one run finds is worse than the best there is."""
    costs = np.where(violations == 0.0, objectives, np.inf)
    best = float(costs.min())
    search = make_algorithm(algorithm, space, objectives=1, seed=seed, population=REGRET_POPULATION)
    least, evaluated = np.inf, 0
    while evaluated < REGRET_BUDGET:
        asked = search.ask()
        places = np.ravel_multi_index(tuple(asked.astype(int).T), tuple(space.places))
        search.tell(asked, objectives[places, None], violations[places])
        least, evaluated = min(least, float(costs[places].min())), evaluated + len(asked)
    return (least - best) / abs(best)


def _draw(steps: np.ndarray, found: dict[str, np.ndarray], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(7.4, 4.4), layout="constrained")
    for name, volumes in found.items():
        low, median, high = np.percentile(volumes, [25, 50, 75], axis=0)
        style = {"color": "#555555", "linestyle": "--"} if name == "random" else {}
        (line,) = axes.plot(steps, median, label=name, **style)
        axes.fill_between(steps, low, high, color=line.get_color(), alpha=0.18, linewidth=0)
    axes.set(xlabel="evaluations", ylabel="hypervolume [share of the fixed box]", xlim=(0, steps[-1]), ylim=(0, None))
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    seeds = len(next(iter(found.values())))
    axes.set_title(f"joint_vision: median and quartiles of {seeds} seeds", fontsize=10, loc="left")
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main()
