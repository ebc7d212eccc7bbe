"""A picture of a cascade: what is alive in every layer, and which tokens hold the importance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.colors import LogNorm
from matplotlib.ticker import MaxNLocator

from accel.report import Report
from searchers.pictures.figures import ACCENT, BLUE, STYLE, save

NAMED_PARTS = 24
LONGEST_NAME = 22


def draw_alive(report: Report, folder: Path) -> list[Path]:
    """Draw tokens and heads alive in every layer, and the probability every token was given; none without values.

    Layers of generated tokens are drawn one after another. A token that was dropped is grey.
    """
    parts = [layer for layer in report.layers if "tokens" in layer.counters and layer.result is not None]
    if not parts:
        return []
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.2), width_ratios=(1.0, 1.3), layout="constrained")
        _draw_counts(left, parts)
        image = right.imshow(_given(parts), aspect="auto", cmap=_colours(), interpolation="nearest", norm=LogNorm())
        right.grid(visible=False)
        right.set(xlabel="token", ylabel="layer")
        right.set_title("importance: share of the layer's probability; grey: dropped", fontsize=9, loc="left")
        figure.colorbar(image, ax=right, pad=0.02).ax.yaxis.set_major_formatter("{x:g}")
        _name_parts(right.yaxis, parts)
        figure.suptitle(f"{report.name}: what is alive", fontsize=9)
        return [save(figure, folder, "alive.png")]


def _draw_counts(axes: Any, parts: list[Report]) -> None:
    place = np.arange(len(parts))
    heads = axes.twinx()
    for drawn, name, colour in ((axes, "tokens", BLUE), (heads, "heads", ACCENT)):
        counts = [part.counters[name] for part in parts]
        drawn.step(place, counts, where="mid", color=colour, label=name)
        drawn.set_ylim(0, max(counts) * 1.08)
        drawn.set_ylabel(f"{name} alive", color=colour)
        drawn.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    heads.grid(visible=False)
    _name_parts(axes.xaxis, parts)
    if len(parts[0].name) > len("layer 99") or len(parts) > NAMED_PARTS:
        axes.tick_params(axis="x", rotation=90)
    axes.set_xlabel("layer")


def _given(parts: list[Report]) -> npt.NDArray[np.float64]:
    """Return the share of the probability that each token has in each layer; not a number where it was dropped."""
    outputs: list[Any] = [part.result for part in parts]
    tokens = 1 + max(int(output.alive[-1]) for output in outputs)
    given = np.full((len(parts), tokens), np.nan)
    for row, output in enumerate(outputs):
        given[row, output.alive] = np.maximum(output.importance, 1) / max(1, output.importance.sum())  # a step at least
    return given


def _colours() -> Any:
    return plt.get_cmap("viridis").with_extremes(bad="#d9d9d9")


def _name_parts(axis: Any, parts: list[Report]) -> None:
    """Name layers by their numbers, of many only some."""
    every = -(-len(parts) // NAMED_PARTS)
    names = [part.name.removeprefix("layer ")[:LONGEST_NAME] for part in parts]
    axis.set_ticks(range(0, len(parts), every), names[::every], fontsize=7)
