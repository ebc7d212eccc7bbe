"""What pruning and few bits cost a model's attention, layer by layer: a table and a picture.

Run from the repository: python examples/keep_and_bits.py [WORKLOAD [FOLDER]]. WORKLOAD is a trace (.npz) or a model by
name; without one attention is generated, whose values are noise, so that only real traces say how good a model remains.
"""

import sys
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

from accel.spatten import PRESETS, simulate
from mappers.spatten import best_plan
from workloads.attention.attention import Attention
from workloads.attention.catalog import open_attention

mpl.use("Agg")
from matplotlib import pyplot as plt

KEEPS = tuple(round(1 - step / 10, 1) for step in range(10))
BITS = {"12": (12, 0), "8+4": (8, 4), "6+4": (6, 4), "4+4": (4, 4)}


def measure(workload: Attention) -> pd.DataFrame:
    """Return error, importance and rows computed again of every layer, at every keep ratio and number of bits."""
    rows = []
    for bits, (msb_bits, lsb_bits) in BITS.items():
        for keep in KEEPS:
            config = replace(PRESETS["paper"], token_keep=keep, msb_bits=msb_bits, lsb_bits=lsb_bits, value_bits=12)
            report = simulate(config, best_plan(config, workload))
            for number, layer in enumerate(report.layers):
                rows.append(
                    {
                        "bits": bits,
                        "token_keep": keep,
                        "layer": layer.name,
                        "tokens": layer.counters["tokens"],
                        **layer.quality,
                        "refetched_share": layer.counters["refetched_rows"] / layer.counters["rows"],
                        "cycles": layer.cycles,
                        "number": number % workload.layers,
                    }
                )
        print(f"{bits} bits: done", flush=True)
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, path: Path, name: str) -> None:
    """Draw the error, a panel for each number of bits, a line for each layer; beside it the importance kept."""
    figure, panels = plt.subplots(1, len(BITS) + 1, figsize=(15, 3.8), sharex=True, layout="constrained")
    colours = plt.get_cmap("viridis")(np.linspace(0, 0.9, table["number"].max() + 1))
    quantities = [*(("output_error", bits) for bits in BITS), ("kept_importance", next(iter(BITS)))]
    for panel, (quantity, bits) in zip(panels, quantities, strict=True):
        for number, layer in table[table["bits"] == bits].groupby("number"):
            mean = layer.groupby("token_keep")[quantity].mean()
            panel.plot(mean.index, mean, color=colours[number], marker="o", markersize=2.5, label=f"layer {number}")
        panel.set(xlabel="tokens kept, on average", xlim=(1.03, 0.07))
        if quantity == "output_error":
            panel.set(title=f"{bits} bits of keys", yscale="log", ylabel="output error")
            panel.yaxis.set_major_formatter("{x:g}")
            panel.sharey(panels[0])
        else:
            panel.set(title="importance kept", ylim=(0, 1.03))
    panels[-1].legend(fontsize=7, loc="lower left", ncols=2)
    figure.suptitle(f"{name} on SpAtten: error of the attention's output against the exact one; values of 12 bits")
    figure.savefig(path, dpi=140)


def main() -> None:
    """Write keep_and_bits.csv and keep_and_bits.png."""
    workload = open_attention(sys.argv[1] if len(sys.argv) > 1 else "bert-base:length=32")
    if not isinstance(workload, Attention):
        sys.exit(f"{workload.name} is a table of requests, need a trace or a model: there are no values in it")
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("build")
    folder.mkdir(parents=True, exist_ok=True)
    table = measure(workload)
    table.drop(columns="number").to_csv(folder / "keep_and_bits.csv", index=False, lineterminator="\n")
    draw(table, folder / "keep_and_bits.png", workload.name)
    print(f"wrote {folder / 'keep_and_bits.csv'} and {folder / 'keep_and_bits.png'}")


if __name__ == "__main__":
    main()
