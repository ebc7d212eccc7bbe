"""SpArch's figures: matrix by matrix, technique by technique, and its design space.

Matrices of the benchmark set that lie in the data folder are used as they are; the others are stand-ins, and the
picture says which.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from accel.config import configure
from accel.outerspace import PRESETS as OUTERSPACE
from accel.outerspace import estimate
from accel.sparch import PRESETS, simulate
from mappers.outerspace import best_plan as outerspace_plan
from mappers.sparch import best_plan
from validation.figures.drawing import ALL, COLOURS, draw_bars, draw_sweep, geometric_mean
from validation.sparch import run
from workloads.sparse.catalog import open_sparse
from workloads.sparse.collection import kept_matrix
from workloads.sparse.product import SparseProduct
from workloads.sparse.stand_in import published_figures

PAPER = PRESETS["paper"]
STREAMS = {
    "a_read": "A read",
    "b_read": "B read",
    "partial_write": "partial matrices written",
    "partial_read": "partial matrices read",
    "c_write": "C written",
}
# Small enough to be multiplied without condensing, one round after the other.
SWEPT = ("rmat:scale=13,edges=8", "power_law:rows=20000,per_row=8", "stand_in:poisson3Da", "stencil27:20")
STEPS = {
    "pipelined merge": {"prefetcher": False, "huffman": False, "condensing": False},
    "+ condensing": {"prefetcher": False, "huffman": False},
    "+ Huffman": {"prefetcher": False},
    "+ prefetcher": {},
}
SWEEPS = {
    "look_ahead": (512, 1024, 2048, 4096, 8192, 16384),
    "prefetch_lines": (128, 256, 512, 1024, 2048, 4096),
    "merge_width": (1, 2, 4, 8, 16, 32),
}
AXES = {
    "look_ahead": "look-ahead [elements]",
    "prefetch_lines": "prefetch buffer [lines]",
    "merge_width": "merger width [elements a cycle]",
}


def measure_matrices() -> pd.DataFrame:
    """Run the benchmark matrices."""
    return pd.DataFrame([measure_matrix(name) for name in published_figures()])


def measure_matrix(name: str) -> dict[str, object]:
    """Run one benchmark matrix; traffic is relative to reading A and B once and writing C once."""
    kept = kept_matrix(name)
    product = open_sparse(f"stand_in:{name}" if kept is None else str(kept))
    report = run(product)
    other = estimate(OUTERSPACE["paper"], outerspace_plan(OUTERSPACE["paper"], product))
    least = PAPER.element_bytes * (product.a.nnz + product.b.nnz + report.counters["output_nnz"])
    row: dict[str, object] = {"matrix": name, "stand_in": kept is None, "gflops": report.gops}
    row |= {stream: report.dram_bytes[stream] / least for stream in STREAMS}
    return row | {f"outerspace_{stream}": other.dram_bytes[stream] / least for stream in STREAMS}


def draw_matrices(table: pd.DataFrame) -> Figure:
    """Draw the rate, and the traffic by stream with OuterSPACE's beside it."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(9.0, 6.4), layout="constrained", sharex=True)
    names = [f"{name}*" if drawn else name for name, drawn in zip(table.matrix, table.stand_in, strict=True)]
    draw_bars(above, [*names, ALL], {"SpArch": [*table.gflops, geometric_mean(table.gflops)]})
    above.set_ylabel("rate [GFLOP/s]")
    place = np.arange(len(table))
    for offset, prefix, machine in ((-0.2, "", "SpArch"), (0.2, "outerspace_", "OuterSPACE")):
        bottom = np.zeros(len(table))
        for colour, (stream, label) in zip(COLOURS, STREAMS.items(), strict=False):
            height = table[prefix + stream].to_numpy()
            below.bar(place + offset, height, 0.36, bottom=bottom, color=colour, label=None if prefix else label)
            bottom += height
        for at, top in zip(place + offset, bottom, strict=True):
            text = f"{machine[0]} {top:.1f}"
            below.annotate(text, (at, top), ha="center", fontsize=6, textcoords="offset points", xytext=(0, 2))
    below.set(ylabel="DRAM traffic / least possible")
    below.set_title("S: SpArch, O: OuterSPACE; a star marks a stand-in drawn from published row lengths", fontsize=8,
                    loc="left")  # fmt: skip
    below.tick_params(axis="x", labelbottom=True)
    for label in below.get_xticklabels():
        label.set(rotation=35, ha="right", fontsize=8)
    figure.legend(*below.get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8)
    return figure


def measure_ablation() -> pd.DataFrame:
    """Run the products that are swept with one technique after the other."""
    rows = []
    for product in map(open_sparse, SWEPT):
        for step, switches in STEPS.items():
            report = run(product, **switches)
            rows.append((product.name, step, report.total_dram_bytes / 1e6, report.gops))
    return pd.DataFrame(rows, columns=["product", "step", "dram_mb", "gflops"])


def draw_ablation(table: pd.DataFrame) -> Figure:
    """Draw traffic and rate at each step, by product and as a mean."""
    figure, sides = plt.subplots(1, 2, figsize=(10.0, 3.9), layout="constrained")
    steps = list(dict.fromkeys(table.step))
    for axes, column, label in ((sides[0], "dram_mb", "DRAM traffic [MB]"), (sides[1], "gflops", "rate [GFLOP/s]")):
        by_step = {step: table[table.step == step][column].tolist() for step in steps}
        series = {step: [*values, geometric_mean(values)] for step, values in by_step.items()}
        draw_bars(axes, [*dict.fromkeys(table["product"]), ALL], series)
        axes.set_ylabel(label)
    sides[0].set_yscale("log")
    return figure


def measure_sweeps() -> pd.DataFrame:
    """Sweep three sizes, each around the published machine; the product is merged once for all but merger widths."""
    rows = []
    for product in map(open_sparse, SWEPT):
        for field, values in SWEEPS.items():
            rows += [(field, product.name, value, *_point(product, field, value)) for value in values]
    table = pd.DataFrame(rows, columns=["field", "product", "value", "gflops", "hit_rate"])
    mean = table.groupby(["field", "value"], sort=False).agg(
        gflops=("gflops", geometric_mean), hit_rate=("hit_rate", "mean")
    )
    return pd.concat([table, mean.reset_index().assign(product=ALL)], ignore_index=True)


def _point(product: SparseProduct, field: str, value: int) -> tuple[float, float]:
    config = configure(PAPER, {field: value}, "sweep")
    report = simulate(config, best_plan(config, product))
    return report.gops, report.counters["prefetch_hits"] / report.counters["multiplies"]


def draw_sweeps(table: pd.DataFrame) -> Figure:
    """Draw the rate over each size, the published one marked."""
    figure, sides = plt.subplots(1, len(SWEEPS), figsize=(11.0, 3.9), layout="constrained", sharey=True)
    for axes, field in zip(sides, SWEEPS, strict=True):
        draw_sweep(axes, table[table.field == field], "value", "gflops", "product", chosen=getattr(PAPER, field))
        axes.set(xlabel=AXES[field])
    sides[0].set_ylabel("rate [GFLOP/s]")
    handles, labels = sides[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=8)
    return figure
