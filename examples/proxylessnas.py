"""ProxylessNAS: 21 blocks of seven choices each, a latency table from our own machines, (latency / reference)^beta.

Run: python examples/proxylessnas.py [EVALUATIONS [ALGORITHM]...]; docs/recipes/proxylessnas.md explains it. The
gradient search needs torch (extra rl); without: python examples/proxylessnas.py 1000 random evolution
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from accel.config import read_toml
from searchers.algorithms.algorithm import Algorithm
from searchers.algorithms.evolution import Evolution
from searchers.checks import check_name
from searchers.machines import MACHINES
from searchers.oracles.imagenet import FITTED
from searchers.problems.networks import ProxylessNetwork
from searchers.space import Genomes, Space
from sextant.scripts import WHERE, asked, run_script
from workloads.catalog import build_table
from workloads.networks import once_for_all, proxyless
from workloads.networks.proxyless import BLOCK_NAMES, BLOCKS, Architecture, ProxylessNAS

IMAGE_SIZE = proxyless.IMAGE_SIZES[-1]
REFERENCE = (
    "mobilenet_v2"  # its latency is the reference, as the authors' 80 ms is about MobileNetV2's on their telephone
)
EVALUATIONS, POPULATION, SEEDS = 1000, 50, 5
ALGORITHMS = ("random", "evolution", "gradient")
BETAS, BETA_SEED = (0.5, 1.0, 2.0, 4.0), 1000  # the seed is none of those that are compared
DRAWN, MOST_DRAWS = 2000, 100  # random networks drawn at once, and how often, for those that are fast enough
CHECKED = 50
PRICES = 60  # tried for the best there is
HARDWARE = ("bitfusion", "bitserial", "systolic")
KINDS = [(kernel, expansion) for kernel in proxyless.KERNELS for expansion in proxyless.EXPANSIONS]
CHOICES = len(KINDS) + 1  # the last skips the block
# The family's genes: first blocks of stages, which cannot be skipped, then the others.
FIRSTS = sorted(proxyless.ALWAYS_KEPT)
ORDER = [*FIRSTS, *(block for block in range(BLOCKS) if block not in FIRSTS)]
KNOBS = ProxylessNetwork(batch=1, image_sizes=(IMAGE_SIZE,)).knobs
SPACE = Space({name: knob for name, knob in KNOBS.items() if name != "image_size"})


@dataclass(frozen=True)
class Latency:
    """A machine's latency table [ms].

    Attributes
    ----------
    blocks : ndarray, shape (21, 7)
        Of each block by choice; skipping costs nothing.
    rest : float
        Of what every network has.
    reference : float
        What a network should take.
    """

    machine: str
    blocks: np.ndarray
    rest: float
    reference: float

    def of(self, genomes: Genomes) -> np.ndarray:
        """Return the latencies of networks, shape (n,)."""
        return self.rest + summed(self.blocks, genomes)


def milliseconds(machine: str, table: object) -> list[tuple[str, float]]:
    """Return name and latency of every layer of a network on a machine."""
    found = MACHINES[machine]
    report = found.run(found.presets["paper"], table, "estimate").report
    return [(layer.name, 1e3 * layer.seconds) for layer in report.layers]


def latency_table(machine: str) -> Latency:
    """Run the six networks whose blocks are all alike, and add up the layers of each block."""
    blocks = np.zeros((BLOCKS, CHOICES))
    for choice, kind in enumerate(KINDS):
        layers = milliseconds(machine, ProxylessNAS().table(Architecture(IMAGE_SIZE, (kind,) * BLOCKS)))
        for block, name in enumerate(BLOCK_NAMES):
            blocks[block, choice] = sum(ms for layer, ms in layers if layer.startswith(f"{name}."))
        rest = sum(ms for layer, ms in layers if not layer.startswith(tuple(f"{name}." for name in BLOCK_NAMES)))
    return Latency(machine, blocks, rest, sum(ms for _, ms in milliseconds(machine, build_table(REFERENCE))))


def stand_in() -> np.ndarray:
    """Return what each choice adds to a network's value, shape (21, 7): it ranks, it is no accuracy.

    Five stages of four blocks, kernels and expansions are also what the Once-for-All family has, in the same places and
    at nearly the same widths, and what they are worth there is known (the surrogate in ``searchers.oracles.imagenet``).
    That family always has the first two blocks of a stage: leaving out the second is taken to lose as much as the
    third, and the last block, which has no counterpart, to be like the first of the stage before.
    """
    terms = read_toml(FITTED)["terms"]
    expansions = [once_for_all.EXPANSIONS.index(expansion) for expansion in proxyless.EXPANSIONS]
    values = np.array(terms["kernels"])[:, :, None] + np.array(terms["expansions"])[:, None, expansions]
    values = values.reshape(len(values), len(KINDS))
    first, second, third, fourth = (
        values[place :: once_for_all.MOST_BLOCKS] for place in range(once_for_all.MOST_BLOCKS)
    )
    first = first - first.mean(axis=1, keepdims=True)
    second = second - second.mean(axis=1, keepdims=True) + third.mean(axis=1, keepdims=True)
    known = np.stack([first, second, third, fourth], axis=1).reshape(values.shape)
    found = np.zeros((BLOCKS, CHOICES))
    found[: len(known), :-1], found[-1, :-1] = known, first[-1]
    return found


def summed(table: np.ndarray, genomes: Genomes) -> np.ndarray:
    """Return the sums over blocks of a table, shape (21, 7), for networks."""
    return table[ORDER, genomes.astype(int)].sum(axis=1)


def architecture(genome: Genomes) -> Architecture:
    """Return the network of a genome."""
    chosen = dict(zip(ORDER, genome.astype(int).tolist(), strict=True))
    kinds = [*KINDS, None]
    return Architecture(IMAGE_SIZE, tuple(kinds[chosen[block]] for block in range(BLOCKS)))


def optimum(values: np.ndarray, latency: Latency) -> tuple[Genomes, float]:
    """Return the best network found within the reference by giving time a price, and a bound that none is above."""
    best, bound, (low, high) = np.zeros((1, BLOCKS)), np.inf, (-8.0, 4.0)  # decimal logarithms of the price
    for _ in range(PRICES):
        price = 10 ** ((low + high) / 2)
        worth = values - price * latency.blocks
        worth[FIRSTS, -1] = -np.inf
        genome = worth.argmax(axis=1)[ORDER][None].astype(float)
        value, time = summed(values, genome)[0], latency.of(genome)[0]
        bound = min(bound, value - price * (time - latency.reference))
        if time <= latency.reference:
            high, best = (low + high) / 2, max(best, genome, key=lambda found: summed(values, found)[0])
        else:
            low = (low + high) / 2
    return best, float(bound)


def searched(name: str, latency: Latency, evaluations: int, seed: int, beta: float = 0.0) -> tuple[float, float]:
    """Return the best value an algorithm finds within the reference, and what its last networks take [references].

    All know the latency table: gradient has it in its loss, the others refuse what is too slow before it is evaluated.
    """
    values, best, times = stand_in(), -np.inf, np.empty(0)
    algorithm = make(name, latency, seed, beta)
    for _ in range(max(1, evaluations // POPULATION)):
        asked = algorithm.ask()
        found, times = summed(values, asked), latency.of(asked)
        algorithm.tell(asked, -found[:, None], np.zeros(len(asked)))
        best = max(best, found[times <= latency.reference].max(initial=-np.inf))
    return float(best), float(np.median(times)) / latency.reference


def make(name: str, latency: Latency, seed: int, beta: float) -> Algorithm:
    """Make an algorithm that knows the latency table."""
    if name == "gradient":
        from searchers.algorithms.gradient import GradientSearch, KnownCost

        of_values = np.concatenate([latency.blocks[b, : SPACE.places[g]] for g, b in enumerate(ORDER)])
        known = KnownCost(of_values, latency.rest, latency.reference, beta)
        return GradientSearch(SPACE, objectives=1, seed=seed, population=POPULATION, known=known)

    def accept(genomes: Genomes) -> np.ndarray:
        return latency.of(genomes) <= latency.reference

    if name == "evolution":
        return Evolution(SPACE, objectives=1, seed=seed, population=POPULATION, accept=accept)
    return FastRandom(seed, accept)


class FastRandom:
    """Random search among the networks that are fast enough."""

    def __init__(self, seed: int, accept: Callable[[Genomes], np.ndarray]) -> None:
        self._random, self._accept = np.random.default_rng(seed), accept

    def ask(self) -> Genomes:
        """Return as many as there are in the draws allowed; it may be fewer than a generation."""
        kept = np.empty((0, BLOCKS))
        for _ in range(MOST_DRAWS):
            drawn = SPACE.random(self._random.random((DRAWN, BLOCKS)))
            kept = np.concatenate([kept, drawn[self._accept(drawn)]])
            if len(kept) >= POPULATION:
                break
        return kept[:POPULATION]

    def tell(self, genomes: Genomes, objectives: np.ndarray, violations: np.ndarray) -> None:
        """Learn nothing."""


def check_table(latency: Latency) -> float:
    """Return by how much sums of the table differ from the machine's own latency of whole networks, the worst of 50."""
    genomes = SPACE.random(np.random.default_rng(0).random((CHECKED, BLOCKS)))
    tables = [ProxylessNAS().table(architecture(genome)) for genome in genomes]
    whole = np.array([sum(ms for _, ms in milliseconds(latency.machine, table)) for table in tables])
    return float(np.abs(latency.of(genomes) / whole - 1.0).max())


def trade(latency: Latency, evaluations: int) -> float:
    """Print what the exponent does; return the one whose networks take nearest to the reference."""
    found = {beta: searched("gradient", latency, evaluations, BETA_SEED, beta) for beta in BETAS}
    print(f"{'':<12}gradient by beta: what its last networks take, and the best value within the reference")
    for beta, (value, time) in found.items():
        print(f"{'':<12}{beta:>6g}{time:>8.2f}{'none' if np.isinf(value) else f'{value:.2f}':>8}")
    return min(found, key=lambda beta: abs(found[beta][1] - 1.0))


def compare(latency: Latency, algorithms: list[str], evaluations: int) -> Genomes:
    """Print what algorithms find on a machine, over seeds; return the best network there is."""
    print(f"{latency.machine:<12}reference {latency.reference:.3f} ms, table differs by {check_table(latency):.1e}")
    beta = trade(latency, evaluations) if "gradient" in algorithms else 0.0
    best, bound = optimum(stand_in(), latency)
    found = {
        name: [searched(name, latency, evaluations, seed, beta)[0] for seed in range(SEEDS)] for name in algorithms
    }
    for name, values in found.items():
        label = f"{name} ({beta:g})" if name == "gradient" else name
        told = [
            f"better than {rival} in {sum(a > b for a, b in zip(values, found[rival], strict=True))} of {SEEDS}"
            for rival in found
            if rival != name
        ]
        spread = f"{np.median(values):.2f} ({min(values):.2f}..{max(values):.2f})"
        print(f"{'':<12}{label:<14}{spread:<22}{', '.join(told)}", flush=True)
    print(f"{'':<12}{'best known':<14}{summed(stand_in(), best)[0]:.2f} (none above {bound:.2f})")
    return best


def main() -> None:
    """Compare on every machine; print each machine's best network, and published ones, on all."""
    evaluations, algorithms = asked(EVALUATIONS, ALGORITHMS)
    for name in algorithms:
        check_name(WHERE, "ALGORITHM", name, ALGORITHMS)
    print(
        f"value (a stand-in for accuracy: it only ranks) of networks as fast as {REFERENCE}, {evaluations} evaluations"
    )
    print(f"each, median (least..most) of {SEEDS} seeds")
    latencies = [latency_table(machine) for machine in HARDWARE]
    networks = {f"best for {latency.machine}": compare(latency, algorithms, evaluations) for latency in latencies}
    print(f"\nlatency, {REFERENCE} = 1{'':<11}" + "".join(f"{latency.machine:>12}" for latency in latencies))
    tables = {name: ProxylessNAS().table(architecture(genome[0])) for name, genome in networks.items()}
    tables |= {name: build_table(name) for name in proxyless.PUBLISHED}
    for name, table in tables.items():
        times = [sum(ms for _, ms in milliseconds(each.machine, table)) / each.reference for each in latencies]
        print(f"{name:<32}" + "".join(f"{time:>12.2f}" for time in times))


if __name__ == "__main__":
    run_script(main)
