"""What several figures draw: groups of bars, curves of a sweep, and the means that summarise them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

COLOURS = (
    "#3b6ea5", "#d9822b", "#7fb069", "#8e6c8a", "#b3202a", "#e6b34c", "#9a9a9a", "#4a9a94", "#c77ba9", "#6b4f2a",
)  # fmt: skip
ALL = "geometric mean"


def geometric_mean(values: npt.ArrayLike) -> float:
    """Return the geometric mean of positive values, of any shape."""
    return float(np.exp(np.mean(np.log(np.asarray(values, dtype=float)))))


def draw_bars(axes: Axes, names: Sequence[str], series: Mapping[str, Sequence[float]], *, digits: int = 1) -> None:
    """Draw a group of bars for each name, a bar of it for each series, its value above it."""
    width = 0.8 / len(series)
    for place, (label, values) in enumerate(series.items()):
        at = np.arange(len(names)) + (place - (len(series) - 1) / 2) * width
        drawn = axes.bar(at, values, width=0.94 * width, label=label, color=COLOURS[place])
        axes.bar_label(drawn, fmt=f"%.{digits}f", fontsize=6.5, padding=1.5)
    axes.set_xticks(np.arange(len(names)), names, rotation=35, ha="right", fontsize=8)
    axes.grid(axis="x", visible=False)
    if len(series) > 1:
        axes.legend(fontsize=8, ncols=len(series), loc="lower center", bbox_to_anchor=(0.5, 1.0), columnspacing=1.0)


def draw_sweep(axes: Axes, table: pd.DataFrame, x: str, y: str, by: str, *, chosen: float | None = None) -> None:
    """Draw a curve for each value of column ``by``, over a logarithmic axis; mark the published choice."""
    for place, (name, part) in enumerate(table.groupby(by, sort=False)):
        colour = "#222222" if name == ALL else COLOURS[place % len(COLOURS)]
        weight = 2.2 if name == ALL else 1.1
        axes.plot(part[x], part[y], marker="o", markersize=3, linewidth=weight, color=colour, label=str(name))
    axes.set_xscale("log", base=2)
    axes.set_xticks(sorted(table[x].unique()))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.tick_params(axis="x", labelrotation=35 if table[x].nunique() > 6 else 0)
    axes.set_ylim(0, None)
    if chosen is not None:
        axes.axvline(chosen, color="#b3202a", linewidth=0.9, linestyle=":")
        axes.annotate("published", (chosen, 0.02), xycoords=axes.get_xaxis_transform(), ha="right", va="bottom",
                      rotation=90, fontsize=7, color="#b3202a", textcoords="offset points", xytext=(-2, 0))  # fmt: skip
