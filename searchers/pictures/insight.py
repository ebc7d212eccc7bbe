"""Pictures that explain a study's result: the front across all choices, which choices mattered, bits layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from accel.report import Report
from searchers.front import front_of
from searchers.pictures.figures import ACCENT, BLUE, STYLE, plain_numbers, roof_lines, save
from searchers.quantities import QUANTITIES
from searchers.space import Vector
from searchers.storage.store import Point
from searchers.study import Study
from workloads.layers import ACT_BITS, WGT_BITS, LayerTable

Floats = npt.NDArray[np.float64]
BINS = 5  # of a real knob, for its influence
RIDGE = 5.0  # candidates' worth of doubt about every value's share
FEWEST_POINTS = 10
BIT_COLOURS = {"activations": "#d9822b", "weights": "#3b6ea5"}
WIDTHS = ("bits.activations", "bits.weights")


def draw_insight(study: Study, points: Sequence[Point], chosen: Point, folder: Path) -> list[Path]:
    """Draw what can be drawn of these: parallel coordinates, influence, bits per layer, roofline before and after."""
    with plt.rc_context(STYLE):
        pictures = [_draw_parallel(study, front_of(study, points), chosen, folder)]
        built = [point for point in points if point.outcome.quantities]
        if len(built) >= FEWEST_POINTS:
            pictures.append(_draw_influence(study, built, folder))
        if any(name in study.problem.space.knobs for name in WIDTHS):
            table = study.problem.situations(chosen.genome)[0][1]
            pictures.append(_draw_bits(study, table, folder))
            pictures.append(_draw_before_and_after(study, chosen, folder))
        return pictures


def influence(study: Study, points: Sequence[Point]) -> dict[str, dict[str, float]]:
    """Return how much of each objective's variance each knob explains in an additive model, among the points given.

    The model gives every value of every gene a share (ridge regression). A knob's influence is the covariance of what
    its genes add with the objective, by the objective's variance: influences add up to what the model explains.
    Quantities that span orders of magnitude are compared on logarithms. What two knobs do only together is not seen.
    """
    space = study.problem.space
    genomes = np.array([point.genome for point in points])
    levels = np.where(space.places > 0, genomes, np.minimum(np.floor(genomes * BINS), BINS - 1))
    levels = np.where(space.active(genomes), levels, -1.0)
    held = [(gene, column[:, None] == np.unique(column)) for gene, column in enumerate(levels.T)]
    gene_of = np.repeat([gene for gene, _ in held], [columns.shape[1] for _, columns in held])
    values = np.concatenate([columns for _, columns in held], axis=1).astype(float)
    values -= values.mean(axis=0)
    normal = values.T @ values + RIDGE * np.eye(values.shape[1])
    shares: dict[str, dict[str, float]] = {}
    for objective in study.objectives:
        found = np.array([point.outcome.quantities[objective] for point in points])
        if QUANTITIES[objective].log and (found > 0.0).all():
            found = np.log(found)
        found -= found.mean()
        added = values * np.linalg.solve(normal, values.T @ found)
        total = float(found @ found) or 1.0
        explained = np.bincount(gene_of, found @ added, len(space)) / total
        shares[objective] = {name: float(explained[space.genes(name)].sum()) for name in space.knobs}
    return shares


def _draw_parallel(study: Study, front: Sequence[Point], chosen: Point, folder: Path) -> Path:
    """Draw each design of the front as a line across objectives and choices."""
    designs = [*front, *([] if chosen in front else [chosen])]
    headings, columns = _axes_of(study, designs)
    values = np.array(columns, dtype=float)
    low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    scaled = np.where(high > low, (values - low) / np.where(high > low, high - low, 1.0), 0.5)
    figure, axes = plt.subplots(figsize=(max(7.0, 0.95 * len(headings)), 4.4), layout="constrained")
    rank = np.argsort(np.argsort(values[0], kind="stable"))
    for design, point in enumerate(designs):
        is_chosen = point is chosen or point == chosen
        colour = ACCENT if is_chosen else plt.get_cmap("viridis")(rank[design] / max(1, len(designs) - 1))
        axes.plot(range(len(headings)), scaled[:, design], color=colour, linewidth=2.2 if is_chosen else 0.8,
                  alpha=1.0 if is_chosen else 0.6, zorder=3 if is_chosen else 2)  # fmt: skip
    for place in range(len(headings)):
        for position, bound, below in ((-0.03, low, "top"), (1.03, high, "bottom")):
            axes.text(place, position, _shown(bound[place, 0]), ha="center", va=below, fontsize=7)
    axes.set(xlim=(-0.3, len(headings) - 0.7), ylim=(-0.12, 1.12), yticks=[])
    axes.set_xticks(range(len(headings)), headings, fontsize=7)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    coloured = f"coloured by {QUANTITIES[study.objectives[0]].label}; thick: the chosen one"
    axes.set_title(f"{study.name}: {len(front)} on the front, {coloured}", fontsize=9, loc="left")
    return save(figure, folder, "parallel.png")


def _axes_of(study: Study, designs: Sequence[Point]) -> tuple[list[str], list[list[float]]]:
    """Return headings and values: objectives, then each knob that is a number, vectors by their mean."""
    headings, columns = [], []
    for name in study.objectives:
        quantity = QUANTITIES[name]
        headings.append(quantity.heading.replace(" ", "\n", 1))
        columns.append([point.outcome.quantities[name] * quantity.scale for point in designs])
    described = [study.problem.describe(point.genome) for point in designs]
    for name, knob in study.problem.space.knobs.items():
        values = [_number(candidate[name]) for candidate in described]
        if all(value is not None for value in values):
            mean = "mean " if isinstance(knob, Vector) else ""
            headings.append(mean + name.partition(".")[2].replace("_", "\n"))
            columns.append([float(value) for value in values if value is not None])
    return headings, columns


def _shown(value: float) -> str:
    """Write a bound: whole numbers as they are, such as bytes, others to four digits."""
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e7 else f"{value:.4g}"


def _number(value: Any) -> float | None:
    parts = value if isinstance(value, tuple) else (value,)
    if not parts or any(isinstance(part, str) for part in parts):
        return None
    return float(np.mean(parts))


def _draw_influence(study: Study, points: Sequence[Point], folder: Path) -> Path:
    shares = influence(study, points)
    names = sorted(study.problem.space.knobs, key=lambda name: sum(share[name] for share in shares.values()))
    figure, axes = plt.subplots(
        1, len(shares), figsize=(2.6 + 2.5 * len(shares), 1.2 + 0.24 * len(names)), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axis, (objective, share) in zip(axes[0], shares.items(), strict=True):
        axis.barh(range(len(names)), [share[name] for name in names], color=BLUE, height=0.7)
        axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=7)
        axis.set_title(QUANTITIES[objective].label, fontsize=9, loc="left")
        axis.grid(axis="y", visible=False)
    figure.supxlabel(
        f"share of the variance that an additive model of {len(points)} designs gives to the knob", fontsize=8
    )
    return save(figure, folder, "influence.png")


def _draw_bits(study: Study, table: LayerTable, folder: Path) -> Path:
    figure, axes = plt.subplots(figsize=(9.0, 3.2), layout="constrained")
    for layer, name in enumerate(table.layer_names):
        if "depthwise" in name:
            axes.axvspan(layer - 0.5, layer + 0.5, color="#ececec", linewidth=0)
    for (operand, colour), column in zip(BIT_COLOURS.items(), (ACT_BITS, WGT_BITS), strict=True):
        axes.step(range(len(table)), table.values[:, column], where="mid", color=colour, label=operand, linewidth=1.2)
    widest = int(table.values[:, [ACT_BITS, WGT_BITS]].max())
    axes.set(
        xlabel="layer; depthwise ones shaded", ylabel="bits", ylim=(0.0, widest + 1.0), xlim=(-0.5, len(table) - 0.5)
    )
    axes.legend(fontsize=8, ncols=2, loc="lower right")
    axes.set_title(f"{study.name}: bits of every layer of the chosen design", fontsize=9, loc="left")
    return save(figure, folder, "bits.png")


def _draw_before_and_after(study: Study, chosen: Point, folder: Path) -> Path:
    """Draw the chosen design's layers on the roofline: with the widest operands there are to choose, with its own."""
    space = study.problem.space
    widest = np.array(chosen.genome)
    for name in WIDTHS:
        if name in space.knobs:
            widest[space.genes(name)] = float(np.argmax(space.options(name)))
    before, after = study.problem.run(space.canonical(widest[None])[0]), study.problem.run(chosen.genome)
    figure, axes = plt.subplots(figsize=(7.4, 4.4), layout="constrained")
    reports = (before.report, after.report)
    if after.roofline is not None:
        roof_lines(axes, after.roofline, [layer.intensity for report in reports for layer in _moving(report)])
    for report, colour, label in (
        (before.report, "#9a9a9a", "widest operands"),
        (after.report, BLUE, "chosen"),
    ):
        _scatter(axes, report, colour, f"{label}: {report.seconds * 1e3:.3g} ms")
    axes.set(xscale="log", yscale="log", xlabel="operations per DRAM byte", ylabel="achieved [GOPS]")
    for axis in (axes.xaxis, axes.yaxis):
        plain_numbers(axis)
    axes.legend(loc="lower right", fontsize=8)
    axes.set_title(f"{study.name}: the chosen design's layers before and after choosing bits", fontsize=9, loc="left")
    return save(figure, folder, "before_after.png")


def _moving(report: Report) -> list[Report]:
    return [layer for layer in report.layers if layer.total_dram_bytes]


def _scatter(axes: Axes, report: Report, colour: str, label: str) -> None:
    layers = _moving(report)
    share = np.array([layer.cycles / report.cycles for layer in layers])
    axes.scatter(
        [layer.intensity for layer in layers], [layer.gops for layer in layers], s=10 + 600 * share, color=colour,
        alpha=0.55, linewidths=0, label=label,
    )  # fmt: skip
