"""HAQ: bits for every layer of MobileNetV2 within 60 % of the 8-bit latency, on three machines, and each policy on all.

Run: python examples/haq.py [EVALUATIONS [ALGORITHM]...]; docs/recipes/haq.md explains it. Writes build/haq/. HAQ's own
agent is the algorithm ddpg (extra rl; a minute or two instead of seconds).
"""

import csv
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

from accel import bitfusion, bitserial
from searchers.algorithms.algorithm import make_algorithm
from searchers.machines import MACHINES
from searchers.space import Choice, Space, Vector
from sextant.scripts import asked, run_script
from workloads.catalog import build_table

RATIO, BITS, END_BITS = 0.6, tuple(range(2, 9)), 8
EVALUATIONS, POPULATION, SEED = 2000, 50, 1
CLOUD = bitserial.PRESETS["paper"]
HARDWARE = {
    "BitFusion": ("bitfusion", bitfusion.PRESETS["paper"], 1),
    # A quarter of the published array at an eighth of its bandwidth, one image at a time.
    "bit-serial, edge": ("bitserial", replace(CLOUD, tile_rows=8, tile_columns=8, stream_bits_per_cycle=32), 1),
    "bit-serial, cloud": ("bitserial", CLOUD, 16),
}
LAYERS = build_table("mobilenet_v2")
SPACE = Space({"activations": Vector(Choice(BITS), len(LAYERS)), "weights": Vector(Choice(BITS), len(LAYERS))})
LAST_TO_FIRST = tuple(range(len(LAYERS) - 2, 0, -1))
SHARE = LAYERS.macs / LAYERS.macs.sum()


def latency_table(machine: str, config: object, batch: int) -> np.ndarray:
    """Return milliseconds of every layer by activation and weight bits, shape (layers, 7, 7)."""
    network = build_table(f"mobilenet_v2:batch={batch}")
    table = np.empty((len(LAYERS), len(BITS), len(BITS)))
    for a, act_bits in enumerate(BITS):
        for w, wgt_bits in enumerate(BITS):
            report = MACHINES[machine].run(config, network.with_bits(act_bits, wgt_bits), "estimate").report
            table[:, a, w] = [1e3 * layer.seconds for layer in report.layers]
    return table


def policies(genomes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return places of activation and weight bits, shape (n, layers) each; the ends have 8 bits, as in HAQ."""
    act, wgt = (SPACE.chosen(genomes, name) for name in ("activations", "weights"))
    for places in (act, wgt):
        places[:, [0, -1]] = BITS.index(END_BITS)
    return act, wgt


def latency(table: np.ndarray, act: np.ndarray, wgt: np.ndarray) -> np.ndarray:
    """Return milliseconds of policies, shape (n,)."""
    return table[np.arange(len(LAYERS)), act, wgt].sum(axis=-1)


def noise_db(act: np.ndarray, wgt: np.ndarray) -> np.ndarray:
    """Return the quantization-noise proxy of policies [dB]: it ranks them, it is no accuracy."""
    power = 4.0 ** -np.array(BITS, dtype=float)
    return 10.0 * np.log10(((power[act] + power[wgt]) * SHARE).sum(axis=-1))


def within(table: np.ndarray, budget: float, act: np.ndarray, wgt: np.ndarray) -> None:
    """Lower bits by one, activations then weights, from the last layer to the first, until the budget is met."""
    for a, w in zip(act, wgt, strict=True):
        spent = float(latency(table, a, w))
        for layer in LAST_TO_FIRST * len(BITS):
            if spent > budget:
                for bits in (a, w):
                    if spent > budget and bits[layer] > 0:
                        spent -= table[layer, a[layer], w[layer]]
                        bits[layer] -= 1
                        spent += table[layer, a[layer], w[layer]]


def budget_of(table: np.ndarray) -> float:
    """Return HAQ's 60 % of the 8-bit latency; where 2 bits do not reach it, half of the way they come."""
    full, (least,) = np.full(len(LAYERS), BITS.index(8)), policies(np.zeros((1, len(SPACE))))[:1]
    eight, two = float(latency(table, full, full)), float(latency(table, least[0], least[0]))
    return RATIO * eight if two < RATIO * eight else (eight + two) / 2


def best(table: np.ndarray, budget: float, algorithm: str, evaluations: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the least noisy policy an algorithm finds within a budget."""
    search = make_algorithm(algorithm, SPACE, objectives=1, seed=SEED, population=POPULATION)
    found, least = (np.empty(0), np.empty(0)), np.inf
    for _ in range(evaluations // POPULATION):
        asked = search.ask()
        act, wgt = policies(asked)
        within(table, budget, act, wgt)
        noise = noise_db(act, wgt)
        met = np.concatenate([act, wgt], axis=1).astype(float)
        search.tell(met, noise[:, None], np.zeros(len(noise)))
        if noise.min() < least:
            least, place = noise.min(), noise.argmin()
            found = act[place], wgt[place]
    return found


def optimum(table: np.ndarray, *, budget: float = np.inf, noise: float = np.inf) -> tuple[np.ndarray, np.ndarray]:
    """Return the best policy at a price of time: both sums are over layers, so every layer chooses by itself.

    The price is the lowest that meets the budget, or the highest that meets the noise.
    """
    power = 4.0 ** -np.array(BITS, dtype=float)
    noises = SHARE[:, None, None] * (power[:, None] + power[None, :])
    cheap, dear = -12.0, 6.0  # decimal logarithms of the price
    found = policies(np.zeros((1, len(SPACE))))
    for _ in range(60):
        middle = (cheap + dear) / 2
        cost = noises + 10**middle * table
        act, wgt = np.divmod(cost.reshape(len(LAYERS), -1).argmin(axis=1), len(BITS))
        act[[0, -1]] = wgt[[0, -1]] = BITS.index(END_BITS)
        met = noise_db(act, wgt) <= noise and latency(table, act, wgt) <= budget
        if met:
            found = act, wgt
        # A dearer price is faster and noisier: go dearer while the noise is met, cheaper while the budget is.
        if met == np.isfinite(noise):
            cheap = middle
        else:
            dear = middle
    return found


def main() -> None:
    """Search, compare across machines, draw."""
    evaluations, algorithms = asked(EVALUATIONS, ("random", "evolution"))
    folder = Path("build/haq")
    folder.mkdir(parents=True, exist_ok=True)
    tables = {name: latency_table(*hardware) for name, hardware in HARDWARE.items()}
    full = np.full(len(LAYERS), BITS.index(8))
    print(f"least noise [dB] within a budget of the 8-bit latency, {evaluations} evaluations each")
    print(f"{'':<20}{'8 bits [ms]':>12}{'budget':>8}" + "".join(f"{name:>12}" for name in (*algorithms, "optimum")))
    chosen = {}
    for name, table in tables.items():
        budget = budget_of(table)
        found = {algorithm: best(table, budget, algorithm, evaluations) for algorithm in algorithms}
        found["optimum"] = optimum(table, budget=budget)
        chosen[name] = found["optimum"]
        row = "".join(f"{float(noise_db(*policy)):12.2f}" for policy in found.values())
        print(
            f"{name:<20}{float(latency(table, full, full)):12.3f}{budget / float(latency(table, full, full)):8.0%}{row}"
        )
    compare_across(tables, folder)
    draw(tables, chosen, folder)


def compare_across(tables: dict[str, np.ndarray], folder: Path) -> None:
    """Print what policies of one noise, each the fastest on its machine, take on every machine."""
    five = np.full(len(LAYERS), BITS.index(5))
    five[[0, -1]] = BITS.index(END_BITS)
    noise = float(noise_db(five, five))
    rows = [("5 bits everywhere", five, five)]
    rows += [(f"for {name}", *optimum(table, noise=noise)) for name, table in tables.items()]
    print(f"\nlatency [ms] of policies as noisy as 5 bits everywhere ({noise:.2f} dB), on")
    print(f"{'policy':<24}" + "".join(f"{name:>20}" for name in tables))
    with (folder / "across.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("policy", *tables))
        for name, act, wgt in rows:
            times = [float(latency(table, act, wgt)) for table in tables.values()]
            writer.writerow((name, *times))
            print(f"{name:<24}" + "".join(f"{time:20.3f}" for time in times))


def draw(tables: dict[str, np.ndarray], chosen: dict[str, tuple[np.ndarray, np.ndarray]], folder: Path) -> None:
    """Draw the bits of every layer on every machine; depthwise layers are shaded."""
    figure, axes = plt.subplots(len(chosen), 1, figsize=(9, 6.5), sharex=True, layout="constrained")
    depthwise = ["depthwise" in name for name in LAYERS.layer_names]
    values = np.array(BITS)
    for axis, (name, (act, wgt)) in zip(axes, chosen.items(), strict=True):
        for layer in np.flatnonzero(depthwise):
            axis.axvspan(layer - 0.5, layer + 0.5, color="#eeeeee", linewidth=0)
        axis.step(range(len(LAYERS)), values[act], where="mid", color="#d9822b", label="activations")
        axis.step(range(len(LAYERS)), values[wgt], where="mid", color="#3b6ea5", label="weights")
        eight = np.full(len(LAYERS), BITS.index(8))
        share = float(latency(tables[name], act, wgt) / latency(tables[name], eight, eight))
        axis.set(ylabel="bits", ylim=(1.5, 8.5), yticks=range(2, 9, 2))
        axis.set_title(f"{name}: {share:.0%} of the 8-bit latency", fontsize=9, loc="left")
    axes[-1].set(xlabel="layer of MobileNetV2; depthwise ones shaded", xlim=(-0.5, len(LAYERS) - 0.5))
    axes[0].legend(frameon=False, ncols=2, fontsize=8, loc="lower right")
    figure.savefig(folder / "bits.png", dpi=150)
    plt.close(figure)
    print(f"\nwrote {folder}/across.csv and {folder}/bits.png")


if __name__ == "__main__":
    run_script(main)
