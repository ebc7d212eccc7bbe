"""APQ: architecture, channels and bits searched jointly, beside searching them one after another.

Run: python examples/apq.py [SEEDS]; docs/recipes/apq.md explains it. Both get the same number of evaluations. One after
another is ProxylessNAS -> AMC -> HAQ as far as their order goes: first kernels, depths and image size with all channels
and 8 bits, then channels, then bits; each stage gets a third of the evaluations and its share of the latency.
"""

import sys
from pathlib import Path

import numpy as np

from searchers.algorithms.evolution import Evolution
from searchers.space import Genomes
from searchers.study import Study, read_study

STUDY = Path(__file__).with_name("apq.toml")
SEEDS = 10
# What a stage may take of the latency it was given, as AMC and HAQ report it: 70 % and 60 %.
PRUNED, QUANTIZED = 0.7, 0.6
ARCHITECTURE = ("network.image_size", "network.depth", "network.kernel")
STAGES = (
    (ARCHITECTURE, 1.0 / (PRUNED * QUANTIZED)),
    (("network.expansion",), 1.0 / QUANTIZED),
    (("bits.activations", "bits.weights"), 1.0),
)


def search(study: Study, free: np.ndarray, start: Genomes, limit: float, evaluations: int, seed: int) -> tuple:
    """Evolve the free genes of a candidate; return the best that meets a latency, its accuracy, and its deviation."""
    space = study.problem.space
    evolution = Evolution(space, objectives=1, seed=seed, population=study.population)
    best = (np.inf, 0.0, start, 0.0, 0.0)
    for _ in range(evaluations // study.population):
        asked = space.canonical(np.where(free, evolution.ask(), start))
        found = [outcome.quantities for outcome in study.problem.evaluate(asked)]
        costs = np.array([-quantities["accuracy_bound"] for quantities in found])
        lacking = np.maximum(0.0, np.array([quantities["seconds"] for quantities in found]) / limit - 1.0)
        evolution.tell(asked, costs[:, None], lacking)
        for place in range(len(asked)):
            if (lacking[place], costs[place]) < best[:2]:
                quantities = found[place]
                best = lacking[place], costs[place], asked[place], quantities["accuracy"], quantities["oracle_sigma"]
    return best


def one_after_another(study: Study, limit: float, seed: int) -> tuple:
    """Search architecture, then channels, then bits."""
    space = study.problem.space
    start = np.where(space.places > 0, space.places - 1, 1.0)  # the largest of everything
    for number, (knobs, slack) in enumerate(STAGES):
        free = np.zeros(len(space), dtype=bool)
        for knob in knobs:
            free[space.genes(knob)] = True
        best = search(study, free, start, slack * limit, study.budget // len(STAGES), 100 * seed + number)
        # What is not used by this architecture is not known yet: it stays as large as it can be.
        start = np.where(space.active(best[2][None])[0], best[2], start)
    return best


def main() -> None:
    """Print both over seeds."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    study = read_study(STUDY)
    limit = study.constraints[0].at_most
    everything = np.ones(len(study.problem.space), dtype=bool)
    gains = []
    print(f"accuracy of the oracle [%] within {limit * 1e3:.2f} ms, {study.budget} evaluations each")
    print(f"{'seed':>4}{'jointly':>16}{'one after another':>22}")
    for seed in range(seeds):
        joint = search(study, everything, np.zeros(len(study.problem.space)), limit, study.budget, 100 * seed)
        sequential = one_after_another(study, limit, seed)
        gains.append(joint[3] - sequential[3])
        missed = " (limit not met)" if sequential[0] > 0.0 else ""
        shown = f"{joint[3]:>10.2f} ± {joint[4]:.1f}{sequential[3]:>16.2f} ± {sequential[4]:.1f}"
        print(f"{seed:>4}{shown}{missed}", flush=True)
    low, median, high = np.percentile(gains, [25, 50, 75])
    wins = sum(gain > 0.0 for gain in gains)
    print(f"joint gains {median:+.2f} points (quartiles {low:+.2f} .. {high:+.2f}); above in {wins} of {seeds} seeds")


if __name__ == "__main__":
    main()
