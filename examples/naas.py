"""NAAS: array shape, what is unrolled along it, buffers and mappings in one search, from Eyeriss's envelope.

Run: python examples/naas.py [EVALUATIONS [SEEDS]]; docs/recipes/naas.md explains it. Writes build/naas.csv. CMA-ES
proposes machines, with the loops to unroll as an order encoded by importance; every layer's mapping is searched inside.
"""

import csv
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from accel.spatial import PRESETS, Config, estimate
from accel.spatial.kernels import DRAM_WORDS, FILLS, MACS, NOC_WORDS
from accel.spatial.plan import least_words, problems
from accel.spatial.technology import costs
from accel.technology import BANK_BYTES
from mappers.spatial import best_plan
from searchers.algorithms.algorithm import make_algorithm
from searchers.problems.problem import Problem
from searchers.sections import read_problem
from searchers.study import FAR, UNBUILDABLE
from workloads.catalog import build_table

NETWORKS = ("mobilenet_v2", "resnet50")
EVALUATIONS, SEEDS, POPULATION = 150, 3, 10
WITH_NETWORK = 4  # times as many evaluations, by a population twice as large
ALGORITHMS = ("random", "cmaes", "evolution")  # the last with the network only, as Once-for-All searches it
EYERISS = PRESETS["paper"]
# The same 168 elements as Eyeriss's chip can fold kernels into its rows: per layer, whatever suits it best.
FOLDED = (
    ("CRY", (4, 3, 14)), ("KRY", (4, 3, 14)), ("RYC", (12, 14, 1)), ("CYK", (12, 14, 1)), ("KYC", (12, 14, 1)),
)  # fmt: skip
SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 42, 48, 56, 64, 84, 112, 168]
SIZING = {
    "name": "spatial",
    "size_1": SIZES,
    "size_2": SIZES,
    "size_3": SIZES[:11],
    "element_bytes": [32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096],
    "buffer_bytes": {"low": 8192, "high": 188416, "step": 4096},
    "unroll": EYERISS.unroll,
}
EVERYTHING = SIZING | {"unroll": {"order": "KCYXRS"}}
FAMILY = {"family": "once-for-all", "image_size": [160, 176, 192, 208, 224]}
# The published gain in accuracy, on top of MobileNetV2's (its authors').
BASE_NETWORK, BASE_ACCURACY, GAIN = "mobilenet_v2", 72.0, 2.7
OUT = Path("build/naas.csv")


def edp(config: Config, network: str) -> float:
    """Return the energy-delay product of a network [J s]."""
    return estimate(config, best_plan(config, build_table(network))).edp


def folded_edp(network: str) -> float:
    """Return the energy-delay product [J s] where every layer runs in the folding that suits it best."""
    configs = [
        replace(EYERISS, unroll=unroll, size_1=sizes[0], size_2=sizes[1], size_3=sizes[2]) for unroll, sizes in FOLDED
    ]
    reports = [estimate(config, best_plan(config, build_table(network))) for config in configs]
    layers = [min(ways, key=lambda way: way.edp) for ways in zip(*(report.layers for report in reports), strict=True)]
    return math.fsum(layer.total_energy_pj for layer in layers) * 1e-12 * sum(layer.seconds for layer in layers)


def most_gain(network: str) -> float:
    """Return what no machine of the envelope gains more than: words move once, elements are busy, buffers smallest."""
    price = costs(replace(EYERISS, element_bytes=BANK_BYTES[0], buffer_bytes=BANK_BYTES[0])).unit_pj
    port = EYERISS.dram_bits_per_cycle // EYERISS.operand_bits
    energy_pj, cycles = 0.0, 0
    table = build_table(network)
    for macs, problem in zip(table.macs.tolist(), problems(table), strict=True):
        words = np.array(least_words(problem))
        energy_pj += macs * price[MACS] + sum(
            words @ price[level : level + 4] for level in (DRAM_WORDS, NOC_WORDS, FILLS)
        )
        cycles += max(-(-macs // EYERISS.elements), -(-int(words.sum()) // port))
    return edp(EYERISS, network) / (energy_pj * 1e-12 * cycles / EYERISS.clock_hz)


def outside(problem: Problem, genomes: np.ndarray) -> np.ndarray:
    """Return by how much machines exceed Eyeriss's elements and on-chip bytes, 0 inside."""
    configs = [problem.searched.configs(problem.space.candidate(genome))[0] for genome in genomes]
    return np.array([
        max(0.0, config.elements / EYERISS.elements - 1.0)
        + max(0.0, config.on_chip_bytes / EYERISS.on_chip_bytes - 1.0)
        for config in configs
    ])  # fmt: skip


def search(
    problem: Problem, algorithm: str, evaluations: int, seed: int, population: int = POPULATION, accuracy: float = 0.0
) -> tuple:
    """Return the least energy-delay product within the envelope, and its candidate.

    Machines outside the envelope are never evaluated, and not counted; networks below the accuracy are.
    """
    search = make_algorithm(algorithm, problem.space, objectives=1, seed=seed, population=population)
    best, chosen, left = np.inf, np.empty(0), evaluations
    while left > 0:
        asked = search.ask()
        lacking = outside(problem, asked)
        found = np.full(len(asked), np.inf)
        inside = np.flatnonzero(lacking == 0.0)[:left]
        left -= len(inside)
        for place, outcome in zip(inside, problem.evaluate(asked[inside]), strict=True):
            if not outcome.quantities:  # a step of the array does not fit the buffers
                lacking[place] = UNBUILDABLE
                continue
            found[place] = outcome.quantities["edp"]
            lacking[place] = max(0.0, accuracy - outcome.quantities.get("accuracy", accuracy))
            if lacking[place] == 0.0 and found[place] < best:
                best, chosen = found[place], asked[place]
        search.tell(asked, np.minimum(found, FAR)[:, None], lacking)
    return best, chosen


def describe(problem: Problem, genome: np.ndarray) -> str:
    """Say what a machine is: ``K16 x C10, 192 B x 160, 108 KB``."""
    (config,) = problem.searched.configs(problem.space.candidate(genome))
    array = " x ".join(f"{loop}{size}" for loop, size in zip(config.unroll, config.sizes, strict=True) if size > 1)
    return f"{array or 'one element'}, {config.element_bytes} B x {config.elements}, {config.buffer_bytes / 1024:g} KB"


def quartiles(values: list[float]) -> str:
    """Return median and quartiles."""
    low, median, high = np.percentile(values, [25, 50, 75])
    return f"{median:>7.2f} ({low:.2f} .. {high:.2f})"


def compare(problem: Problem, base: float, evaluations: int, seeds: int, what: str, *limits: float) -> str:
    """Search by every algorithm over seeds; write a row each, return their gains as text."""
    said = []
    for algorithm in ALGORITHMS if limits else ALGORITHMS[:2]:
        gains = []
        for seed in range(seeds):
            least, genome = search(problem, algorithm, evaluations, seed, *limits)
            gains.append(base / least)
            write((what, algorithm, seed, f"{gains[-1]:.3f}", describe(problem, genome) if len(genome) else "none"))
        said.append(f"{quartiles(gains):<24}")
    return "".join(said)


def write(row: tuple, mode: str = "a") -> None:
    """Add a row to the table of what was found."""
    OUT.parent.mkdir(exist_ok=True)
    with OUT.open(mode, newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerow(row)


def main() -> None:
    """Search every network by itself, then machine and network together; print gains over Eyeriss's configuration."""
    given = [int(argument) for argument in sys.argv[1:]]
    evaluations, seeds = (given + [EVALUATIONS, SEEDS][len(given) :])[:2]
    write(("search", "algorithm", "seed", "gain", "machine"), "w")
    print(f"energy-delay product of Eyeriss's configuration / ours: median (quartiles) of {seeds} seeds")
    heading = f"{f'{evaluations} evaluations':<26}{'Eyeriss [uJ s]':>14}{'folded':>8}{'at most':>9}    "
    print(heading + "".join(f"{name:<24}" for name in ALGORITHMS))
    for network in NETWORKS:
        base = edp(EYERISS, network)
        known = f"{base * 1e6:>14.1f}{base / folded_edp(network):>8.2f}{most_gain(network):>9.2f}    "
        for what, machine in (("everything", EVERYTHING), ("sizing only", SIZING)):
            problem = read_problem({"network": {"name": network}, "machine": machine}, "naas")
            name = f"{network}, {what}"
            print(f"{name:<26}{known}{compare(problem, base, evaluations, seeds, name)}", flush=True)
    base, least = edp(EYERISS, BASE_NETWORK), BASE_ACCURACY + GAIN
    text = {"network": FAMILY, "machine": EVERYTHING, "accuracy": {"oracle": "imagenet", "regime": "fp32"}}
    more = WITH_NETWORK * evaluations
    found = compare(read_problem(text, "naas"), base, more, seeds, "with the network", 2 * POPULATION, least)
    print(f"{f'with the network, {more}':<26}{base * 1e6:>14.1f}{'':>21}{found}")
    print(f"wrote {OUT}")


if __name__ == "__main__":
    main()
