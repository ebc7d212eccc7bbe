"""AMC: channels kept of every layer, within half of the multiply-accumulates or half of the latency.

Run: python examples/amc.py [EVALUATIONS [ALGORITHM]...]; docs/recipes/amc.md explains it. AMC's own agent is the
algorithm ddpg (extra rl; half an hour instead of seconds): python examples/amc.py 800 random evolution ddpg
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

from searchers.algorithms.algorithm import Algorithm, make_algorithm
from searchers.algorithms.clipping import Clip
from searchers.algorithms.walk import Walk
from searchers.machines import MACHINES
from searchers.problems.networks import FixedNetworks, PrunedNetwork
from searchers.sections import read_problem
from searchers.space import Choice, Genomes, Space, Vector
from sextant.scripts import asked, run_script
from workloads.catalog import build_table
from workloads.layers import IN_C, KIND, KINDS, LayerTable
from workloads.networks.tiny_residual import EXPANSIONS, KEEPS

MACHINE = "systolic"
SHARE = 0.5  # of the whole network's cost
KEEP = [round(0.2 + 0.025 * step, 3) for step in range(33)]
EVALUATIONS, POPULATION, SEEDS = 800, 20, 5
PRICES = 60  # tried for the best there is
ALGORITHMS = ("random", "evolution")
NETWORKS = ("mobilenet_v1", "mobilenet_v2")
PUBLISHED = {
    "mobilenet_v1": ("mobilenet_v1-0.75", "mobilenet_v1-amc-0.5-flops", "mobilenet_v1-amc-0.5-latency"),
    "mobilenet_v2": ("mobilenet_v2-amc-0.7-flops",),
}

Costs = Callable[[Genomes], np.ndarray]


@dataclass(frozen=True)
class Task:
    """Something to prune within a budget: less loss is better.

    Attributes
    ----------
    best, bound : float
        The least loss that is known of, and what none is below.
    sigma : float
        Standard deviation of a loss; 0 for a proxy, which only ranks.
    """

    name: str
    space: Space
    loss: Costs
    cost: Costs
    budget: float
    best: float
    bound: float
    sigma: float = 0.0

    @property
    def uniform(self) -> float:
        """Return the least loss with one ratio for all layers."""
        alike = np.repeat(np.arange(self.space.places[0])[:, None], len(self.space), axis=1).astype(float)
        return float(self.loss(alike)[self.cost(alike) <= self.budget].min())


class Chain:
    """Layers whose costs depend on what two neighbours keep: all costs of a network, and its cheapest pruning.

    Attributes
    ----------
    first, pairs, last : ndarray, shapes (K,), (genes - 1, K, K), (K,)
        Costs of the layers before the second group of channels, between neighbours, and behind the last.
    """

    def __init__(self, of_slots: np.ndarray, group_of: np.ndarray, groups: int) -> None:
        """Sum costs of layers, shape (K, K, slots), over networks that keep K x K alternating ratios."""
        sums = [of_slots[:, :, group_of == group].sum(axis=2) for group in range(-1, groups)]
        # Even groups keep the first ratio of the two, odd ones the second.
        turned = [costs if group % 2 else costs.T for group, costs in enumerate(sums[1:], start=1)]
        self.first = sums[0][:, 0]
        self.pairs = np.array(turned[:-1])
        self.last = turned[-1][:, 0]

    def cost(self, genomes: Genomes) -> np.ndarray:
        """Return the costs of prunings, shape (n,)."""
        kept = genomes.astype(int)
        between = self.pairs[np.arange(len(self.pairs)), kept[:, :-1], kept[:, 1:]].sum(axis=1)
        return self.first[kept[:, 0]] + between + self.last[kept[:, -1]]

    def cheapest(self, losses: np.ndarray, price: float) -> Genomes:
        """Return the pruning of least loss (genes, K) and price times cost, by dynamic programming from the end."""
        rest, chosen = losses[-1] + price * self.last, []
        for pair, loss in zip(self.pairs[::-1], losses[-2::-1], strict=True):
            total = price * pair + rest
            chosen.append(total.argmin(axis=1))
            rest = loss + total.min(axis=1)
        kept = [int((rest + price * self.first).argmin())]
        for choice in reversed(chosen):
            kept.append(int(choice[kept[-1]]))
        return np.array([kept], float)


def best_of(chain: Chain, losses: np.ndarray, budget: float) -> tuple[float, float]:
    """Return the least loss found within a budget by giving cost a price, and a bound that no pruning is below."""
    least, bound, (low, high) = np.inf, 0.0, (-8.0, 4.0)  # decimal logarithms of the price
    for _ in range(PRICES):
        price = 10 ** ((low + high) / 2)
        kept = chain.cheapest(losses, price)
        loss, cost = float(loss_of(losses)(kept)[0]), float(chain.cost(kept)[0])
        bound = max(bound, loss + price * (cost - budget))
        if cost <= budget:
            high, least = (low + high) / 2, min(least, loss)
        else:
            low = (low + high) / 2
    return least, bound


def loss_of(losses: np.ndarray) -> Costs:
    """Return what sums the losses of groups, shape (genes, K)."""
    return lambda genomes: losses[np.arange(len(losses)), genomes.astype(int)].sum(axis=1)


def mobilenet_tasks(name: str) -> list[Task]:
    """Return a network at half of its multiply-accumulates and at half of its latency.

    The loss is a proxy that only ranks: halvings of channels, averaged over the layers whose channels are pruned.
    """
    network = PrunedNetwork(FixedNetworks([name]), KEEP)
    space, count = Space(network.knobs), len(KEEP)
    groups = len(space)
    first, second = np.divmod(np.arange(count**2), count)
    alternating = np.where(np.arange(groups) % 2, second[:, None], first[:, None])
    rows, _ = network.rows({"keep": alternating}, count**2)
    distinct, where = np.unique(rows.reshape(-1, rows.shape[2]), axis=0, return_inverse=True)
    table = LayerTable(name, tuple(f"layer{index}" for index in range(len(distinct))), distinct)
    machine = MACHINES[MACHINE]
    report = machine.run(machine.presets["paper"], table, "estimate").report
    costs = {"MACs": table.macs / 1e6, "ms": np.array([1e3 * layer.seconds for layer in report.layers])}
    depthwise = rows[0, :, KIND] == KINDS.index("depthwise")
    group_of = np.cumsum(depthwise) - 1
    channels = rows[np.arange(count) * (count + 1)][:, depthwise, IN_C]  # all layers keep the same ratio
    losses = np.log2(channels[-1] / channels).T / groups
    tasks = []
    for unit, values in costs.items():
        chain = Chain(values[where].reshape(count, count, -1), group_of, groups)
        budget = SHARE * float(chain.cost(np.full((1, groups), count - 1.0))[0])
        known = best_of(chain, losses, budget)
        tasks.append(Task(f"{name}, {budget:.4g} {unit}", space, loss_of(losses), chain.cost, budget, *known))
    return tasks


def digits_tasks() -> list[Task]:
    """Return the tiny residual network at half of each cost; the loss is the measured oracle's error [%].

    A block keeps one of seven shares of its expanded channels; all 2,401 networks are evaluated.
    """
    text = {
        "network": {"family": "tiny-residual", "depth": [2], "kernel": [5]},
        "bits": {"activations": [8], "weights": [8], "per": "block", "ends": 8},
        "machine": {"name": MACHINE},
        "accuracy": {"oracle": "digits", "regime": "qat"},
    }
    problem = read_problem(text, "amc")
    ways = {EXPANSIONS[e] * KEEPS[k]: (e, k) for e, k in product(range(len(EXPANSIONS)), range(len(KEEPS)))}
    space = Space({"channels": Vector(Choice(tuple(sorted(ways))), 4)})
    kept = np.array(list(product(range(len(ways)), repeat=4)))
    places = np.array([ways[expansion] for expansion in sorted(ways)])[kept]
    genomes = np.zeros((len(kept), len(problem.space)))
    for part, name in enumerate(("network.expansion", "network.keep")):
        genomes[:, problem.space.genes(name)] = places[:, :, part]
    found = [outcome.quantities for outcome in problem.evaluate(genomes)]
    error = np.array([100.0 - quantities["accuracy"] for quantities in found])
    costs = {
        "MACs": np.array([quantities["operations"] / 2e6 for quantities in found]),
        "ms": np.array([1e3 * quantities["seconds"] for quantities in found]),
    }

    def reader(values: np.ndarray) -> Costs:
        return lambda asked: values.reshape((len(ways),) * 4)[tuple(asked.astype(int).T)]

    tasks = []
    for unit, values in costs.items():
        budget = SHARE * float(values[-1])
        best = float(error[values <= budget].min())
        name, sigma = f"digits, {budget:.4g} {unit}", found[0]["oracle_sigma"]
        tasks.append(Task(name, space, reader(error), reader(values), budget, best, best, sigma))
    return tasks


def searched(task: Task, name: str, evaluations: int, seed: int) -> float:
    """Return the least loss an algorithm finds; whatever it asks is clipped to the budget, layer by layer."""
    clip = Clip(task.space, lambda genomes: task.cost(genomes) <= task.budget)
    algorithm = make(name, task, clip, seed)
    least = np.inf
    for _ in range(max(1, evaluations // POPULATION)):
        asked = algorithm.ask()
        if name != "ddpg":  # which has clipped its walks itself
            asked = Walk(task.space).genomes(clip.walk((asked + 0.5) / task.space.places))
        losses = task.loss(asked)
        algorithm.tell(asked, losses[:, None], np.zeros(len(asked)))
        least = min(least, float(losses.min()))
    return least


def make(name: str, task: Task, clip: Clip, seed: int) -> Algorithm:
    """Make an algorithm; DDPG sees what became of its actions."""
    if name != "ddpg":
        return make_algorithm(name, task.space, objectives=1, seed=seed, population=POPULATION)
    from searchers.algorithms.ddpg import AMC, DDPG

    return DDPG(task.space, objectives=1, seed=seed, population=POPULATION, clip=clip, episodes=AMC)


def compare(task: Task, algorithms: list[str], evaluations: int) -> None:
    """Print the uniform ratio, every algorithm over seeds, and the best there is; then who is better than whom."""
    found = {name: [searched(task, name, evaluations, seed) for seed in range(SEEDS)] for name in algorithms}
    cells = [f"{np.median(losses):8.3f} ({min(losses):.3f}..{max(losses):.3f})" for losses in found.values()]
    known = f"{task.best:.3f} (none below {task.bound:.3f})"
    print(
        f"{task.name:<24}{task.uniform:>9.3f}" + "".join(f"{cell:>25}" for cell in cells) + f"{known:>28}", flush=True
    )
    rivals = {"uniform": [task.uniform] * SEEDS, **found}
    told = []
    for rival in ("uniform", "random"):
        for name in algorithms:
            if rival in rivals and name != rival:
                wins = sum(loss < other for loss, other in zip(found[name], rivals[rival], strict=True))
                told.append(f"{name} better than {rival} in {wins} of {SEEDS}")
    print(f"{'':<6}{'; '.join(told)}")
    if task.sigma:
        # Two networks differ if their values do by twice what both may be off.
        gain, doubt = task.uniform - task.best, 2.0 * np.sqrt(2.0) * task.sigma
        word = "a tie" if gain < doubt else "different"
        print(f"{'':<6}the best is {gain:.1f} points above uniform, both are known to {doubt:.1f}: {word}")


def published() -> None:
    """Print what AMC's published networks cost here, as shares of the whole networks."""
    machine = MACHINES[MACHINE]
    print(f"\npublished networks{'':<14}{'MACs':>8}{'share':>8}{'share of the time':>20}")
    for whole, names in PUBLISHED.items():
        tables = [build_table(name) for name in (whole, *names)]
        times = [machine.run(machine.presets["paper"], table, "estimate").report.seconds for table in tables]
        for table, time in zip(tables[1:], times[1:], strict=True):
            macs = int(table.macs.sum())
            print(f"{table.name:<32}{macs / 1e6:>7.0f}M{macs / tables[0].macs.sum():>8.0%}{time / times[0]:>20.0%}")


def main() -> None:
    """Compare on every task, then show the published networks."""
    evaluations, algorithms = asked(EVALUATIONS, ALGORITHMS)
    print(f"loss within {SHARE:.0%}, less is better; {evaluations} evaluations, median (least..most) of {SEEDS} seeds")
    print("MobileNets: halvings of channels, mean of layers: a proxy, it only ranks. Digits: error of the oracle [%],")
    print(f"with a tenth of the evaluations.\n{'task':<24}{'uniform':>9}", end="")
    print("".join(f"{name:>25}" for name in algorithms) + f"{'best known':>28}")
    for name in NETWORKS:
        for task in mobilenet_tasks(name):
            compare(task, algorithms, evaluations)
    for task in digits_tasks():
        compare(task, algorithms, evaluations // 10)
    published()


if __name__ == "__main__":
    run_script(main)
