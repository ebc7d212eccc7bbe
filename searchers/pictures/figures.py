"""Pictures of a study and of one design: front, hypervolume, roofline, cycle stack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from accel.report import Report
from accel.roofline import Roofline
from searchers.front import front_of, hypervolume_history, knee
from searchers.quantities import ACCURACY_BOUND, LOSS_BOUND, QUANTITIES, SIGMA
from searchers.storage.store import Point
from searchers.study import Study
from workloads.errors import OutputError
from workloads.sparse.product import SparseProduct

if TYPE_CHECKING:
    import networkx as nx

STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "savefig.dpi": 160,
    "text.parse_math": False,  # names are shown as they are
}
# Of every machine's cycle stack: one colour for no two causes of a machine, and words for its name.
CAUSES = {
    "compute": ("#3b6ea5", "computing"),
    "dram_stall": ("#d9822b", "waiting for DRAM"),
    "noc_stall": ("#8e6c8a", "waiting for the network on the chip"),
    "fill_drain": ("#9a9a9a", "filling and draining the array"),
    "weight_load": ("#e6b34c", "loading weights"),
    "dram_read": ("#d9822b", "waiting for reads"),
    "dram_write": ("#b3202a", "waiting for writes"),
    "dma_stall": ("#d9822b", "waiting for DMA"),
    "control": ("#9a9a9a", "control"),
    "fetch": ("#d9822b", "fetching"),
    "pipeline": ("#9a9a9a", "filling pipelines"),
    "multiply": ("#3b6ea5", "multiplying"),
    "merge": ("#7fb069", "waiting for the merge tree"),
    "write": ("#b3202a", "waiting for results to be written"),
    "b_read": ("#d9822b", "waiting for B"),
    "partial_read": ("#8e6c8a", "waiting for partial matrices"),
    "a_read": ("#e6b34c", "waiting for A"),
    "multiply_compute": ("#3b6ea5", "multiplying"),
    "multiply_dram": ("#d9822b", "multiplying, as fast as DRAM"),
    "merge_compute": ("#7fb069", "merging"),
    "merge_dram": ("#b3202a", "merging, as fast as DRAM"),
    "filler_entries": ("#e6b34c", "filler entries"),
    "imbalance": ("#b3202a", "uneven shares"),
    "survivors": ("#4f8f8b", "selecting before a layer"),
    "q_read": ("#f0cf8e", "waiting for queries"),
    "k_msb_read": ("#d9822b", "waiting for keys"),
    "k_lsb_read": ("#b3202a", "waiting for keys' lower bits"),
    "v_read": ("#8e6c8a", "waiting for values"),
    "qk": ("#3b6ea5", "queries times keys"),
    "softmax": ("#7fb069", "softmax"),
    "topk": ("#c77aa0", "top-k engine"),
    "pv": ("#8fb4dc", "probabilities times values"),
    "output_write": ("#6b4f3a", "waiting for outputs to be written"),
    "fc": ("#1f3a5f", "layers around attention"),
    "weight_read": ("#e6b34c", "waiting for weights"),
}
BLUE = CAUSES["compute"][0]
POINTS = "; a point is a layer, its area its cycles"
ACCENT = "#b3202a"
LAYER_INCHES = 0.17
NAMED_LAYERS = 6
PIXELS = 240  # of a picture of a matrix, along one side
MOST_LEAVES, MOST_ROUNDS = 320, 12  # of a merge tree that is drawn
LONGEST_NAME = 32


def draw_study(study: Study, points: Sequence[Point], folder: Path) -> list[Path]:
    """Draw the front over the first two objectives, the third as colour, with the hypervolume beside it."""
    front = front_of(study, points)
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.4), width_ratios=(1.7, 1.0), layout="constrained")
        _draw_front(figure, left, study, points, front)
        _draw_history(right, study, points)
        figure.suptitle(f"{study.name}: {len(points)} evaluations with {study.algorithm}, seed {study.seed}")
        if study.problem.provenance:
            figure.supxlabel(study.problem.provenance, fontsize=7, color="#555555")
        return [save(figure, folder, "front.png")]


def _draw_front(figure: Figure, axes: Axes, study: Study, points: Sequence[Point], front: Sequence[Point]) -> None:
    across, up, shade = _shown_objectives(study, points)
    others = [point for point in points if study.feasible(point.outcome)]
    x, y = _columns(others, across, up)
    axes.scatter(x, y, s=7, color="#c9c9c9", linewidths=0, label="feasible")
    colours = _columns(front, shade)[0] if shade else ACCENT
    x, y = _columns(front, across, up)
    drawn = axes.scatter(
        x,
        y,
        s=26,
        c=colours,
        cmap="viridis_r" if shade else None,
        linewidths=0.4,
        edgecolors="white",
        label="front",
    )
    if shade:
        bar = figure.colorbar(drawn, ax=axes, pad=0.02)
        bar.set_label(QUANTITIES[shade].axis)
    if up in (ACCURACY_BOUND, LOSS_BOUND) and SIGMA in study.problem.quantities:
        # From the bound that is searched to as far beyond the oracle's value: one standard deviation to each side.
        sign = 1.0 if up == ACCURACY_BOUND else -1.0
        reach = [2.0 * sign * point.outcome.quantities[SIGMA] * QUANTITIES[up].scale for point in front]
        axes.vlines(x, y, np.add(y, reach), color="#9a9a9a", linewidth=0.8, zorder=1, label="oracle's interval")
    chosen = front[knee(study, front)]
    x, y = _columns([chosen], across, up)
    axes.scatter(
        x, y, s=170, marker="*", color=ACCENT, edgecolors="white", linewidths=0.8,
        label="nearest to the best of every objective", zorder=4,
    )  # fmt: skip
    for axis, name in ((axes.xaxis, across), (axes.yaxis, up)):
        axis.set_label_text(QUANTITIES[name].axis)
        if QUANTITIES[name].log:
            axis.axes.set(**{f"{axis.axis_name}scale": "log"})
            plain_numbers(axis)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, fontsize=8, columnspacing=1.2)
    limits = ", ".join(_limit_text(study, place) for place in range(len(study.constraints)))
    axes.set_title("front" + (f" ({limits})" if limits else ""), fontsize=9, loc="left")


def _shown_objectives(study: Study, points: Sequence[Point]) -> tuple[str, str, str | None]:
    """Return what is drawn across, up and as colour; an oracle's objective goes up, where its interval can be seen."""
    names = list(study.objectives)
    if len(names) == 1:  # beside one objective stands what is limited, or what else matters and is known
        known = next(point.outcome.quantities for point in points if point.outcome.quantities)
        beside = (*(limit.quantity for limit in study.constraints), "area_mm2", "seconds", "cycles")
        names.append(next(name for name in beside if name in known and name not in names))
    names.sort(key=lambda name: name in (ACCURACY_BOUND, LOSS_BOUND))
    if names[-1] in (ACCURACY_BOUND, LOSS_BOUND):
        names.insert(1, names.pop())
    return names[0], names[1], names[2] if len(names) > 2 else None


def plain_numbers(axis: mpl.axis.Axis) -> None:
    """Label a logarithmic axis with plain numbers, also between the decades."""
    axis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(mpl.ticker.LogLocator(subs=(2.0, 5.0)))
    axis.set_minor_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))


def _limit_text(study: Study, place: int) -> str:
    limit = study.constraints[place]
    quantity = QUANTITIES[limit.quantity]
    bounds = [("≥", limit.at_least), ("≤", limit.at_most)]
    said = [f"{sign} {bound * quantity.scale:g}" for sign, bound in bounds if bound is not None]
    return f"{quantity.label} {' and '.join(said)} {quantity.unit}"


def _columns(points: Sequence[Point], *names: str) -> Any:
    return [[point.outcome.quantities[name] * QUANTITIES[name].scale for point in points] for name in names]


def _draw_history(axes: Axes, study: Study, points: Sequence[Point]) -> None:
    counts, volumes = hypervolume_history(study, points)
    axes.plot(counts, volumes, color=BLUE, marker="o", markersize=2.5)
    axes.set(xlabel="evaluations", ylabel="share of the box, best to worst feasible", xlim=(0, None))
    axes.set_title("hypervolume", fontsize=9, loc="left")


def draw_report(roofline: Roofline | None, report: Report, folder: Path) -> list[Path]:
    """Draw one design's roofline, a point per layer, unless it has no DRAM; and its cycle stack per layer."""
    with plt.rc_context(STYLE):
        drawn = [] if roofline is None else [_draw_roofline(roofline, report, folder)]
        return [*drawn, _draw_cycle_stack(report, folder)]


def draw_matrix(product: SparseProduct, folder: Path) -> Path:
    """Draw where the elements of the left matrix lie, and how many rows have how many."""
    a = product.a
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 4.0), width_ratios=(1.0, 1.2), layout="constrained")
        rows = np.repeat(np.arange(a.shape[0]), np.diff(a.indptr))
        bins = [max(1, min(PIXELS, size)) for size in a.shape]
        ranges = [(0, max(1, size)) for size in a.shape]
        density, _, _ = np.histogram2d(rows, a.indices, bins=bins, range=ranges)
        left.imshow(np.log1p(density), cmap="Greys", aspect="auto", extent=(0, ranges[1][1], ranges[0][1], 0))
        left.grid(visible=False)
        left.set(xlabel="column", ylabel="row")
        lengths, rows_of = np.unique(np.diff(a.indptr), return_counts=True)
        right.scatter(lengths, rows_of, s=10, color=BLUE, linewidths=0)
        right.set(xscale="symlog", yscale="log", xlabel="elements of a row", ylabel="rows")
        for axis in (right.xaxis, right.yaxis):
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
        figure.suptitle(
            f"{product.name}: A is {a.shape[0]:,} x {a.shape[1]:,} with {a.nnz:,} elements; "
            f"{product.multiplies:,} products",
            fontsize=9,
        )
        return save(figure, folder, "matrix.png")


def roof_lines(axes: Axes, roofline: Roofline, intensities: Sequence[float], *, beyond: float = 3.0) -> None:
    """Draw the bounds of a machine over the intensities given and some beyond, so that axes have a decade to name."""
    bytes_per_second = roofline.bytes_per_second
    knee_of_highest = max(roofline.peak_gops.values()) * 1e9 / bytes_per_second
    span = np.geomspace(min(*intensities, knee_of_highest) / beyond, max(*intensities, knee_of_highest) * beyond, 200)
    for name, peak in roofline.peak_gops.items():
        axes.plot(span, np.minimum(peak, span * bytes_per_second / 1e9), color="#555555", linewidth=1.0)
        axes.annotate(
            f"{name}, {peak:.0f} GOPS", (span[-1], min(peak, span[-1] * bytes_per_second / 1e9)),
            ha="right", va="bottom", fontsize=8, color="#555555", textcoords="offset points", xytext=(0, 2),
        )  # fmt: skip


def draw_merge_tree(tree: nx.DiGraph[int], name: str, folder: Path) -> list[Path]:
    """Draw how partial matrices merge, a point for each, if there are few enough to be told apart."""
    rounds = [node for node, made_in in tree.nodes(data="round") if made_in is not None]
    leaves = len(tree) - len(rounds)
    if not rounds or leaves > MOST_LEAVES or len(rounds) > MOST_ROUNDS:
        return []
    weights = dict(tree.nodes(data="weight"))
    root, places = rounds[-1], _tree_places(tree, rounds[-1])
    lowest = min(y for _, y in places.values())
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(9.0, 1.6 - 1.1 * lowest), layout="constrained")
        for node, taken_by in tree.edges:
            ends = np.transpose([places[node], places[taken_by]])
            axes.plot(*ends, color="#c9c9c9", linewidth=0.5, zorder=1)
        for kind, colour, what in (
            ([node for node in tree if node not in rounds], CAUSES["multiply"][0], "multiplied"),
            (rounds[:-1], CAUSES["write"][0], "result of a round, written and read again"),
            ([root], CAUSES["merge"][0], "C"),
        ):
            areas = [max(4.0, 420 * weights[node] / weights[root]) for node in kind]
            if kind:
                x, y = np.transpose([places[node] for node in kind])
                axes.scatter(x, y, s=areas, color=colour, linewidths=0.4, edgecolors="white", zorder=2)
                axes.scatter([], [], s=25, color=colour, linewidths=0, label=what)
        for node in rounds:
            text = f"round {tree.nodes[node]['round'] + 1}: {tree.in_degree(node)} inputs, {weights[node]:,}"
            axes.annotate(text, places[node], (0, 14), textcoords="offset points", ha="center", fontsize=7)
        axes.set(xticks=[], yticks=[], ylim=(lowest - 0.3, 0.55))
        axes.grid(visible=False)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3, fontsize=8)
        spilled = sum(weights[node] for node in rounds[:-1])
        figure.suptitle(
            f"{name}: {leaves} partial matrices, {weights[root]:,} products, at most {spilled:,} spilled; "
            "an area is a partial matrix's products",
            fontsize=9,
        )
        return [save(figure, folder, "merge_tree.png")]


def _tree_places(tree: nx.DiGraph[int], root: int) -> dict[int, tuple[float, float]]:
    """Return where a tree's nodes are drawn: inputs below what takes them, leaves side by side."""
    places: dict[int, tuple[float, float]] = {}
    beside = 0

    def place(node: int, depth: int) -> float:
        nonlocal beside
        inputs = sorted(tree.predecessors(node), reverse=True)  # the results of rounds first
        across = [place(part, depth + 1) for part in inputs]
        if not inputs:
            beside += 1
        x = float(np.mean(across)) if inputs else float(beside)
        places[node] = x, -float(depth)
        return x

    place(root, 0)
    return places


def _draw_roofline(roofline: Roofline, report: Report, folder: Path) -> Path:
    figure, axes = plt.subplots(figsize=(8.2, 4.4), layout="constrained")
    layers = [layer for layer in report.layers if layer.total_dram_bytes]
    if not report.total_dram_bytes:
        raise OutputError(f"{report.name}: no DRAM traffic, need some for a roofline")
    intensity = np.array([layer.intensity for layer in layers])
    achieved = np.array([layer.gops for layer in layers])
    share = np.array([layer.cycles / report.cycles for layer in layers])
    roof_lines(axes, roofline, [report.intensity, *intensity], beyond=3 if layers else 10)
    axes.scatter(intensity, achieved, s=12 + 900 * share, color=BLUE, alpha=0.55, linewidths=0)
    named = np.argsort(-share)[:NAMED_LAYERS]
    heights = np.argsort(np.argsort(intensity[named], kind="stable"))
    for rank, (place, height) in enumerate(zip(named, heights, strict=True), 1):
        spot = (intensity[place], achieved[place])
        above = (0, 8 + 9 * (height % 3))  # neighbours' numbers stand at different heights
        axes.annotate(str(rank), spot, xytext=above, textcoords="offset points", fontsize=8, ha="center", weight="bold")
        # An empty mark carries the layer's name into the legend.
        axes.plot([], [], " ", label=f"{rank}  {_shortened(layers[place].name)}, {share[place]:.0%}")
    axes.scatter([report.intensity], [report.gops], s=110, marker="*", color=ACCENT, zorder=4, label="in all")
    axes.set(xscale="log", yscale="log", xlabel="operations per DRAM byte", ylabel="achieved [GOPS]")
    axes.margins(y=0.2)  # numbers stand above their points, below the title
    for axis in (axes.xaxis, axes.yaxis):
        plain_numbers(axis)
    bandwidth = f"roofline at {roofline.bytes_per_second / 1e9:.3g} GB/s"
    points = POINTS if report.layers else ""
    axes.set_title(f"{_shortened(report.name)}: {bandwidth}{points}", fontsize=9, loc="left")
    axes.legend(
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        fontsize=8,
        handlelength=1.0,
        title="largest shares of cycles" if report.layers else None,
    )
    return save(figure, folder, "roofline.png")


def _draw_cycle_stack(report: Report, folder: Path) -> Path:
    layers = (report.layers or (report,))[::-1]
    inches = 1.1 + LAYER_INCHES * max(len(layers), sum(map(bool, report.cycle_stack.values())))
    figure, axes = plt.subplots(figsize=(7.6, max(1.9, inches)), layout="constrained")
    left = np.zeros(len(layers))
    to_ms = 1e3 / report.clock_hz
    for cause in (cause for cause, cycles in report.cycle_stack.items() if cycles):
        width = np.array([layer.cycle_stack.get(cause, 0) for layer in layers]) * to_ms
        colour, words = CAUSES[cause]
        label = f"{words}, {report.cycle_stack[cause] / report.cycles:.0%}"
        axes.barh(np.arange(len(layers)), width, left=left, height=0.78, color=colour, label=label)
        left += width
    axes.set_yticks(np.arange(len(layers)), [_shortened(layer.name) for layer in layers], fontsize=7)
    axes.set(xlabel="time [ms]", ylim=(-0.7, len(layers) - 0.3))
    axes.grid(axis="y", visible=False)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))  # beside the bars, never over them
    total = f"{report.cycles:,} cycles = {report.seconds * 1e3:.3g} ms"
    axes.set_title(f"{_shortened(report.name)}: where the time goes, {total}", fontsize=9, loc="left")
    return save(figure, folder, "cycle_stack.png")


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def save(figure: Figure, folder: Path, name: str) -> Path:
    """Write a picture and let it go."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(folder / name)
    except OSError as error:
        raise OutputError(f"{folder / name}: {error.strerror}, need a file that can be written") from error
    finally:
        plt.close(figure)
    return folder / name
