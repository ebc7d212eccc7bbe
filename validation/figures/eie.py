"""EIE's figure: how much of the time is work, by depth of the queues."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from validation.eie import LAYERS, PAPER, layer_product, run
from validation.figures.drawing import draw_sweep

DEPTHS = (1, 2, 4, 8, 16, 32, 64)


def measure_queues() -> pd.DataFrame:
    """Run the nine layers with every depth."""
    rows = []
    for layer in LAYERS:
        product = layer_product(layer)
        for depth in DEPTHS:
            report = run(replace(PAPER, queue_depth=depth), product)
            work = report.cycle_stack["multiply"] + report.cycle_stack["filler_entries"]
            rows.append((layer, depth, work / report.cycles))
    return pd.DataFrame(rows, columns=["layer", "queue_depth", "share_of_work"])


def draw_queues(table: pd.DataFrame) -> Figure:
    """Draw a curve for each layer."""
    figure, axes = plt.subplots(figsize=(7.4, 3.8), layout="constrained")
    draw_sweep(axes, table, "queue_depth", "share_of_work", "layer", chosen=PAPER.queue_depth)
    axes.set(xlabel="queue depth [activations]", ylabel="share of the time that is work", ylim=(0, 1))
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
