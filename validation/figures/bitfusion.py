"""BitFusion's figures: against Eyeriss, and over bandwidth and batch, network by network."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from accel.bitfusion import PRESETS, estimate_batch
from mappers.bitfusion import best_plans
from validation.bitfusion import EIGHT, EYERISS
from validation.figures.drawing import ALL, draw_bars, draw_sweep, geometric_mean
from workloads.catalog import build_table

PAPER = PRESETS["paper"]
WIDTHS = (32, 64, 128, 192, 256, 512, 1024)
BATCHES = (1, 4, 16, 64, 256)


def short(name: str) -> str:
    """Return a benchmark's name without what they all share."""
    return name.replace("-bitfusion", "").replace("-2x", " 2x")


def measure_eyeriss() -> pd.DataFrame:
    """Compare the networks whose Eyeriss figures are published with the authors' simulator."""
    tables = [build_table(name) for name in EYERISS]
    configs = [PAPER] * len(tables)
    reports = estimate_batch(configs, best_plans(configs, tables))
    rows = [
        (short(name), cycles / report.cycles, energy / report.total_energy_pj)
        for (name, (cycles, energy)), report in zip(EYERISS.items(), reports, strict=True)
    ]
    return pd.DataFrame(rows, columns=["network", "speed", "energy"])


def draw_eyeriss(table: pd.DataFrame) -> Figure:
    """Draw both factors for each network and their means."""
    figure, axes = plt.subplots(figsize=(7.6, 3.6), layout="constrained")
    series = {
        "speed-up": [*table.speed, geometric_mean(table.speed)],
        "energy reduction": [*table.energy, geometric_mean(table.energy)],
    }
    draw_bars(axes, [*table.network, ALL], series, digits=2)
    axes.axhline(1.0, color="#555555", linewidth=0.8)
    axes.set(ylabel="against Eyeriss, same compute area")
    axes.set_xlabel("networks whose Eyeriss figures are published; 16 images", fontsize=8)
    return figure


def measure_sweeps() -> pd.DataFrame:
    """Sweep the DRAM port and the batch of the eight networks."""
    rows = []
    points = [("dram_bits_per_cycle", width, width, 16) for width in WIDTHS]
    points += [("batch", batch, PAPER.dram_bits_per_cycle, batch) for batch in BATCHES]
    for field, value, width, batch in points:
        tables = [build_table(name).with_batch(batch) for name in EIGHT]
        configs = [replace(PAPER, dram_bits_per_cycle=width)] * len(tables)
        reports = estimate_batch(configs, best_plans(configs, tables))
        rates = [batch / report.seconds for report in reports]
        rows += [(field, short(name), value, rate) for name, rate in zip(EIGHT, rates, strict=True)]
        rows.append((field, ALL, value, geometric_mean(rates)))
    table = pd.DataFrame(rows, columns=["field", "network", "value", "images_per_second"])
    first = table.groupby(["field", "network"], sort=False).images_per_second.transform("first")
    return table.assign(relative=table.images_per_second / first)


def draw_sweeps(table: pd.DataFrame) -> Figure:
    """Draw rates relative to the narrowest port and to single images."""
    figure, sides = plt.subplots(1, 2, figsize=(9.6, 3.8), layout="constrained")
    labels = {"dram_bits_per_cycle": "DRAM port [bits a cycle]", "batch": "batch [images]"}
    for axes, field in zip(sides, labels, strict=True):
        chosen = PAPER.dram_bits_per_cycle if field == "dram_bits_per_cycle" else 16
        draw_sweep(axes, table[table.field == field], "value", "relative", "network", chosen=chosen)
        axes.set(xlabel=labels[field], yscale="log")
        axes.set_ylim(0.9, None)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
    sides[0].set_ylabel("images a second, relative to the first point")
    handles, names = sides[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=5, fontsize=8)
    return figure
