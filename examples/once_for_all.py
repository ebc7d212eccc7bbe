"""Once-for-All: networks specialised for four machines by the published evolution, and each of them on every machine.

Run: python examples/once_for_all.py [GENERATIONS [WEIGHTS]]; docs/recipes/once_for_all.md explains it. The published
search has 500 generations of 100. WEIGHTS are the published predictor's (.npz), instead of our surrogate of it.
"""

import sys

import numpy as np

from searchers.algorithms.evolution import Evolution
from searchers.problems.layer_problem import LayerProblem
from searchers.sections import read_problem

POPULATION, GENERATIONS = 100, 50
PERCENTILE = 10  # of random networks' latency: the limit on every machine
SIZES = [160, 176, 192, 208, 224]
MACHINES = {
    "BitFusion": {"name": "bitfusion"},
    "BitFusion, wide": {
        "name": "bitfusion",
        "rows": 4,
        "columns": 128,
        "obuf_bytes": 65536,
        "dram_bits_per_cycle": 512,
    },
    "bit-serial": {"name": "bitserial"},
    "systolic": {"name": "systolic", "dataflow": "ws"},
}


def problem_of(machine: dict[str, object], weights: list[str]) -> LayerProblem:
    """Return the family on a machine, with the oracle of its full-precision accuracy."""
    text = {
        "network": {"family": "once-for-all", "image_size": SIZES},
        "machine": machine,
        "accuracy": {"oracle": "imagenet", "regime": "fp32"} | ({"file": weights[0]} if weights else {}),
    }
    problem = read_problem(text, "once_for_all")
    assert isinstance(problem, LayerProblem)
    return problem


def specialise(problem: LayerProblem, limit: float, generations: int) -> tuple[np.ndarray, float]:
    """Return the most accurate network within a latency, and its accuracy."""
    evolution = Evolution(problem.space, objectives=1, seed=1, population=POPULATION)
    best, least = np.empty(0), np.inf
    for _ in range(generations):
        asked = evolution.ask()
        found = [outcome.quantities for outcome in problem.evaluate(asked)]
        costs = np.array([-quantities["accuracy"] for quantities in found])
        lacking = np.maximum(0.0, np.array([quantities["seconds"] for quantities in found]) / limit - 1.0)
        evolution.tell(asked, costs[:, None], lacking)
        within = np.where(lacking == 0.0, costs, np.inf)
        if within.min() < least:
            best, least = asked[within.argmin()], float(within.min())
    return best, -least


def main() -> None:
    """Specialise for every machine; print accuracies, and latencies of each network on each machine."""
    generations = int(sys.argv[1]) if len(sys.argv) > 1 else GENERATIONS
    problems = {name: problem_of(machine, sys.argv[2:]) for name, machine in MACHINES.items()}
    rows = []
    limits = {}
    for name, problem in problems.items():
        drawn = problem.space.random(np.random.default_rng(1).random((POPULATION, len(problem.space))))
        seconds = [outcome.quantities["seconds"] for outcome in problem.evaluate(drawn)]
        limits[name] = float(np.percentile(seconds, PERCENTILE))
        network, accuracy = specialise(problem, limits[name], generations)
        rows.append((name, accuracy, network))
    print(f"networks after {generations} generations of {POPULATION}; latency as a share of each machine's limit")
    print(f"{'specialised for':<20}{'top-1 [%]':>10}" + "".join(f"{name:>18}" for name in problems))
    for name, accuracy, network in rows:
        shares = [
            problem.evaluate(network[None])[0].quantities["seconds"] / limits[other]
            for other, problem in problems.items()
        ]
        print(f"{name:<20}{accuracy:>10.2f}" + "".join(f"{share:>18.2f}" for share in shares))
    print("limits [ms]:" + "".join(f"  {name} {limit * 1e3:.3f}" for name, limit in limits.items()))


if __name__ == "__main__":
    main()
