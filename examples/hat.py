"""HAT: Transformers specialised for SpAtten, a dense array and three measured devices, and each of them on every one.

Run: python examples/hat.py [ITERATIONS]; docs/recipes/hat.md explains it. Writes build/hat/. The published search has
30 iterations of 125.
"""

import csv
import sys
from itertools import combinations_with_replacement, product
from pathlib import Path
from typing import Protocol

import numpy as np

from searchers.algorithms.evolution import Evolution
from searchers.oracles.device_latency import DeviceLatency, features
from searchers.problems.problem import Problem
from searchers.problems.transformers import architecture_of
from searchers.sections import read_problem
from searchers.space import Space
from workloads.networks import hat
from workloads.networks.hat_published import PUBLISHED

POPULATION, ITERATIONS, SEED = 125, 30, 1
PERCENTILE = 25  # of random networks' latency: the limit on every device
FAMILY = {"family": "hat", "feed_forward": [1024, 2048, 3072], "heads": [4, 8]}  # HAT's space of the WMT tasks
# As many multipliers as SpAtten has in both arrays, its clock and its memory's rate.
DENSE = {"name": "systolic", "dataflow": "best", "clock_hz": 1e9, "dram_bits_per_cycle": 4096}
SIMULATED = {
    "SpAtten": {"workload": FAMILY, "machine": {"name": "spatten", "fc_bits": 8}},
    "dense array": {"network": FAMILY, "machine": DENSE},
}
MEASURED = {
    "Raspberry Pi": "wmt14ende_cpu_raspberrypi",
    "Xeon": "wmt14ende_cpu_xeon",
    "TITAN Xp": "wmt14ende_gpu_titanxp",
}
FOUND_ON = {"raspberrypi": "Raspberry Pi", "xeon": "Xeon", "titanxp": "TITAN Xp"}


class Device(Protocol):
    """Where networks run."""

    def __call__(self, genomes: np.ndarray) -> np.ndarray:
        """Return latencies of a sentence [ms], shape (n,)."""
        ...


class Simulated:
    """One of our machines."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def __call__(self, genomes: np.ndarray) -> np.ndarray:
        """Return latencies of a sentence [ms], shape (n,)."""
        return self.read("seconds", genomes) * 1e3

    def read(self, quantity: str, genomes: np.ndarray) -> np.ndarray:
        """Return a quantity of networks, shape (n,)."""
        return np.array([outcome.quantities[quantity] for outcome in self.problem.evaluate(genomes)])


class Measured:
    """A device of HAT's, by what was fitted to its measurements."""

    def __init__(self, name: str, space: Space) -> None:
        self._latency, self._space = DeviceLatency(name), space
        self.held_out = self._latency.held_out

    def __call__(self, genomes: np.ndarray) -> np.ndarray:
        """Return latencies of a sentence [ms], shape (n,)."""
        return self._latency.milliseconds(features([network_of(self._space, genome) for genome in genomes]))


def network_of(space: Space, genome: np.ndarray) -> hat.Architecture:
    """Return the architecture of a genome."""
    return architecture_of({name.partition(".")[2]: value for name, value in space.candidate(genome).items()})


def genome_of(space: Space, network: hat.Architecture) -> np.ndarray:
    """Return the genome of an architecture."""
    genome = np.zeros((1, len(space)))
    for name in space.knobs:
        values, options = np.atleast_1d(getattr(network, name.partition(".")[2])), space.options(name).tolist()
        start = space.genes(name).start
        genome[0, start : start + len(values)] = [options.index(value) for value in values]
    return space.canonical(genome)[0]


class Search:
    """Networks of as many multiply-accumulates as possible within a latency: the proxy stands for BLEU."""

    def __init__(self, dense: Simulated) -> None:
        self.space = dense.problem.space
        self._dense = dense

    def gmacs(self, genomes: np.ndarray) -> np.ndarray:
        """Return the proxy: multiply-accumulates of a sentence [10^9], shape (n,)."""
        return self._dense.read("operations", genomes) / 2e9

    def drawn(self, count: int) -> np.ndarray:
        """Return random networks."""
        return self.space.random(np.random.default_rng(SEED).random((count, len(self.space))))

    def best(self, device: Device, limit: float, iterations: int, *, learns: bool) -> np.ndarray:
        """Return the best network of an evolution whose networks all meet a limit; without learning, of random ones."""
        evolution = Evolution(
            self.space, objectives=1, seed=SEED, population=POPULATION, accept=lambda made: device(made) <= limit
        )
        found, most = np.empty(0), -np.inf
        for _ in range(iterations):
            asked = evolution.ask()
            lacking = np.maximum(0.0, device(asked) / limit - 1.0)
            gmacs = np.where(lacking == 0.0, self.gmacs(asked), -np.inf)
            if learns:
                evolution.tell(asked, -self.gmacs(asked)[:, None], lacking)
            if gmacs.max() > most:
                found, most = asked[gmacs.argmax()], float(gmacs.max())
        return found


class Layers:
    """What every layer adds to latency and proxy on a device: both are sums over layers.

    So the most multiply-accumulates within a latency are known: of encoder layers, and of decoder layers, only how
    many there are of each kind matters, and these combinations can be counted.
    """

    def __init__(self, search: Search, device: Device) -> None:
        space = self._space = search.space
        choices = {name.partition(".")[2]: range(len(space.options(name))) for name in space.knobs}
        self._depths = space.options(self._name("decoder_layers")).tolist()
        kinds = {
            "encoder": list(product(choices["encoder_feed_forward"], choices["encoder_heads"])),
            "decoder": list(product(*(choices[name] for name in DECODER))),
        }
        embeddings = list(product(choices["encoder_embedding"], choices["decoder_embedding"]))
        genomes = [
            self._genome(embedding, depth, part, kind)
            for embedding in embeddings
            for part, depth, kind in (
                *(("decoder", depth, kinds["decoder"][0]) for depth in range(len(self._depths))),
                *((part, 0, kind) for part in kinds for kind in kinds[part]),
            )
        ]
        asked = np.array(genomes)
        cost = np.stack([device(asked), search.gmacs(asked)], axis=1).reshape(len(embeddings), -1, 2)
        at, split = len(self._depths), len(self._depths) + len(kinds["encoder"])
        self._by_depth = cost[:, :at]
        self._encoder = cost[:, at:split] - cost[:, :1]
        self._decoder = cost[:, split:] - cost[:, :1]

    def _name(self, knob: str) -> str:
        return next(name for name in self._space.knobs if name.endswith(f".{knob}"))

    def _genome(self, embedding: tuple[int, ...], depth: int, part: str, kind: tuple[int, ...]) -> np.ndarray:
        """Return a network of first options, but for embeddings, depth, and the first layer of one part."""
        genome = np.zeros(len(self._space))
        knobs = ENCODER if part == "encoder" else DECODER
        for name, place in zip(("encoder_embedding", "decoder_embedding", *knobs), (*embedding, *kind), strict=True):
            genome[self._space.genes(self._name(name)).start] = place
        genome[self._space.genes(self._name("decoder_layers"))] = depth
        return genome

    def optimum(self, limit: float) -> float:
        """Return the most multiply-accumulates [10^9] within a latency [ms]; none where no network is fast enough."""
        most = -np.inf
        for base, encoder, decoder in zip(self._by_depth, self._encoder, self._decoder, strict=True):
            front = combined(encoder, hat.ENCODER_LAYERS)
            for depth, layers in zip(base, self._depths, strict=True):
                both = (front[:, None] + combined(decoder, layers)[None]).reshape(-1, 2) + depth
                within = both[both[:, 0] <= limit + 1e-9, 1]
                most = max(most, float(within.max(initial=-np.inf)))
        return most


ENCODER = ("encoder_feed_forward", "encoder_heads")
DECODER = ("decoder_feed_forward", "decoder_heads", "cross_heads", "attended")


def combined(costs: np.ndarray, layers: int) -> np.ndarray:
    """Return latency and proxy of all combinations of layers that no other beats, shape (n, 2)."""
    kinds = unbeaten(costs)
    return unbeaten(np.array([kinds[list(chosen)].sum(axis=0) for chosen in
                              combinations_with_replacement(range(len(kinds)), layers)]))  # fmt: skip


def unbeaten(costs: np.ndarray) -> np.ndarray:
    """Return those that are faster, or do more, than every other."""
    ordered = costs[np.lexsort((-costs[:, 1], costs[:, 0]))]
    before = np.maximum.accumulate(np.concatenate([[-np.inf], ordered[:-1, 1]]))
    return ordered[ordered[:, 1] > before + 1e-12]


def main() -> None:
    """Search for every device; print what is found, each on every device, and published networks."""
    iterations = int(sys.argv[1]) if len(sys.argv) > 1 else ITERATIONS
    simulated = {name: Simulated(read_problem(text, name)) for name, text in SIMULATED.items()}
    search = Search(simulated["dense array"])
    measured = {name: Measured(of, search.space) for name, of in MEASURED.items()}
    print("latency predictors, on networks held out from their fit")
    for name, device in measured.items():
        off = device.held_out
        print(f"{name:<14}RMSE {off['rmse_ms']:.1f} ms, median error {off['median_error']:.1%}, "
              f"Spearman {off['spearman']:.3f}")  # fmt: skip
    devices: dict[str, Device] = {**simulated, **measured}
    layers = {name: Layers(search, device) for name, device in devices.items()}
    limits = {name: float(np.percentile(device(search.drawn(200)), PERCENTILE)) for name, device in devices.items()}
    found = specialise(search, devices, layers, limits, iterations)
    compare_across(search, devices, limits, found)
    compare_published(search, devices, layers)


def specialise(
    search: Search, devices: dict[str, Device], layers: dict[str, Layers], limits: dict[str, float], iterations: int
) -> dict[str, np.ndarray]:
    """Return the network that evolution finds for every device."""
    print(f"\nmost multiply-accumulates [G] within a limit, {iterations} iterations of {POPULATION}")
    print(f"{'':<14}{'limit [ms]':>12}{'random':>10}{'evolution':>11}{'optimum':>10}")
    found = {}
    for name, device in devices.items():
        limit = limits[name]
        random, found[name] = (search.best(device, limit, iterations, learns=learns) for learns in (False, True))
        reached = search.gmacs(np.array([random, found[name]]))
        print(f"{name:<14}{limit:>12.4g}{reached[0]:>10.3f}{reached[1]:>11.3f}{layers[name].optimum(limit):>10.3f}")
    return found


def compare_across(
    search: Search, devices: dict[str, Device], limits: dict[str, float], found: dict[str, np.ndarray]
) -> None:
    """Print each network, and its latency on every device."""
    genomes = np.array(list(found.values()))
    shares = np.array([device(genomes) / limits[name] for name, device in devices.items()]).T
    print("\nlatency as a share of each device's limit")
    print(f"{'searched for':<14}{'GMACs':>7}  {'layers':<22}" + "".join(f"{name:>14}" for name in devices))
    folder = Path("build/hat")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "across.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("searched for", "GMACs", *devices))
        for name, genome, gmacs, row in zip(found, genomes, search.gmacs(genomes), shares, strict=True):
            writer.writerow((name, f"{gmacs:.6g}", *(f"{share:.6g}" for share in row)))
            network = network_of(search.space, genome)
            (folder / f"{name.lower().replace(' ', '_')}.json").write_text(hat.to_json(network), encoding="utf-8")
            print(f"{name:<14}{gmacs:>7.3f}  {said(network):<22}" + "".join(f"{share:>14.2f}" for share in row))
    # Within a limit the network of the most multiply-accumulates wins.
    within = np.where(shares <= 1.0, search.gmacs(genomes)[:, None], -np.inf)
    wins = ", ".join(
        f"{list(found)[place]} on {name}" for place, name in zip(within.argmax(axis=0), devices, strict=True)
    )
    print(f"best within the limit: {wins}")
    print(f"wrote {folder}/across.csv and the networks beside it")


def said(network: hat.Architecture) -> str:
    """Say in a few words what a network has: embeddings, mean feed-forward widths, layers, encoder layers attended."""
    encoder = f"6 x {network.encoder_embedding}/{np.mean(network.encoder_feed_forward):.0f}"
    decoder = f"{network.decoder_layers} x {network.decoder_embedding}/{np.mean(network.decoder_feed_forward):.0f}"
    return f"{encoder} {decoder}"


def compare_published(search: Search, devices: dict[str, Device], layers: dict[str, Layers]) -> None:
    """Print published networks: latencies everywhere, and their share of the most that could be done as fast."""
    print("\npublished networks, latency [ms]; share: of the most multiply-accumulates as fast on their device")
    print(f"{'':<28}{'GMACs':>7}{'share':>7}" + "".join(f"{name:>14}" for name in devices))
    for name, network in PUBLISHED.items():
        genome = genome_of(search.space, network)[None]
        gmacs = float(search.gmacs(genome)[0])
        times = {other: float(device(genome)[0]) for other, device in devices.items()}
        home = FOUND_ON[name.split("_")[2].partition("@")[0]]
        share = gmacs / layers[home].optimum(times[home])
        shown = name.removeprefix("HAT_wmt14ende_").replace("_bleu@", ", BLEU ")
        print(f"{shown:<28}{gmacs:>7.3f}{share:>7.0%}" + "".join(f"{time:>14.4g}" for time in times.values()))


if __name__ == "__main__":
    main()
