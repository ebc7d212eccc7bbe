"""APQ's and Once-for-All's fronts: network and bits searched together, and networks specialised for machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from validation import apq
from validation.figures.drawing import COLOURS
from validation.fronts import Design, designs, front, once_for_all
from validation.numbers import read_numbers

JOINT, PUBLISHED = "network and bits", "APQ, published"
UNIFORM = ("8 bits everywhere", 8), ("4 bits everywhere", 4)
MACHINES: Mapping[str, Mapping[str, Any]] = {
    "BitFusion": {"name": "bitfusion"},
    "BitFusion, 4 x 128": {
        "name": "bitfusion",
        "rows": 4,
        "columns": 128,
        "obuf_bytes": 65536,
        "dram_bits_per_cycle": 512,
    },
    "bit-serial": {"name": "bitserial"},
    "systolic": {"name": "systolic", "dataflow": "ws"},
}
GENERATIONS = 40


def measure_apq() -> pd.DataFrame:
    """Search networks with their bits, and with 8 or 4 bits everywhere; add the networks that APQ printed."""
    found = {JOINT: apq.joint()}
    for name, bits in UNIFORM:
        found[name] = front(once_for_all(apq.MACHINE, apq.REGIME, [bits]), GENERATIONS)
    rows = [_row(name, design) for name, of in found.items() for design in of]
    printed = {number.id: number.value for number in read_numbers("apq")}
    rows += [
        (PUBLISHED, float(limit), printed[f"energy.{limit}_ms"], printed[f"accuracy.{limit}_ms"], 0.0)
        for limit in apq.LIMITS_MS
    ]
    return pd.DataFrame(rows, columns=["searched", "milliseconds", "millijoules", "accuracy", "sigma"])


def _row(name: str, design: Design) -> tuple[str, float, float, float, float]:
    return name, design.milliseconds, design.millijoules, design.accuracy, design.sigma


def draw_apq(table: pd.DataFrame) -> Figure:
    """Draw accuracy over latency and over energy; the band is the oracle's standard deviation to each side."""
    figure, sides = plt.subplots(1, 2, figsize=(9.6, 4.2), layout="constrained", sharey=True)
    for axes, column, label in ((sides[0], "milliseconds", "latency [ms]"), (sides[1], "millijoules", "energy [mJ]")):
        for colour, (name, part) in zip(COLOURS, table.groupby("searched", sort=False), strict=False):
            if name == PUBLISHED:
                axes.scatter(part[column], part.accuracy, marker="*", s=90, color="#b3202a", zorder=4, label=name)
                continue
            axes.plot(part[column], part.accuracy, marker="o", markersize=2.5, linewidth=1.1, color=colour, label=name)
            axes.fill_between(
                part[column], part.accuracy - part.sigma, part.accuracy + part.sigma, color=colour, alpha=0.12,
                linewidth=0,
            )  # fmt: skip
        axes.set(xlabel=f"{label}, one image", xlim=(0, 1.15 * table[table.searched == PUBLISHED][column].max()))
    sides[0].set_ylabel("ImageNet top-1 [%], by the oracle")
    handles, names = sides[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize=8)
    return figure


def measure_once_for_all() -> pd.DataFrame:
    """Search the family for each machine, and run what was found on every machine."""
    problems = {name: once_for_all(machine, "fp32") for name, machine in MACHINES.items()}
    rows = []
    for specialised, problem in problems.items():
        genomes = np.array([design.genome for design in front(problem, GENERATIONS)])
        for name, other in problems.items():
            rows += [
                (name, specialised, design.milliseconds, design.accuracy)
                for design in designs(other, genomes)
                if design is not None
            ]
    return pd.DataFrame(rows, columns=["machine", "specialised_for", "milliseconds", "accuracy"])


def draw_once_for_all(table: pd.DataFrame) -> Figure:
    """Draw a machine in each panel: the networks found for it as a line, those found for others as points."""
    figure, grid = plt.subplots(2, 2, figsize=(9.0, 6.2), layout="constrained", sharey=True)
    colours = dict(zip(MACHINES, COLOURS, strict=False))
    for axes, machine in zip(grid.flat, MACHINES, strict=True):
        here = table[table.machine == machine]
        for name, colour in colours.items():
            part = here[here.specialised_for == name]
            if name == machine:
                axes.plot(part.milliseconds, part.accuracy, color=colour, linewidth=2.0, zorder=3)
            else:
                axes.scatter(part.milliseconds, part.accuracy, color=colour, s=9, linewidths=0, alpha=0.8)
        axes.set(xscale="log", xlabel="latency [ms], one image")
        axes.set_title(f"on {machine}", fontsize=9, loc="left")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("{x:g}")
        axes.tick_params(axis="x", which="both", labelsize=8)
    for axes in grid[:, 0]:
        axes.set_ylabel("ImageNet top-1 [%], by the oracle")
    handles = [Line2D([], [], color=colour, linewidth=2.0) for colour in colours.values()]
    figure.legend(handles, [f"found for {name}" for name in colours], loc="outside lower center", ncols=4, fontsize=8)
    return figure
