"""HAQ's figure: what a searched policy of widths does to every layer of MobileNetV2 on the bit-serial array."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from accel.bitserial import PRESETS, estimate, roofline
from mappers.bitserial import best_plan
from validation.bitserial import BATCH, POLICY_ACT_BITS, POLICY_WGT_BITS
from validation.figures.drawing import COLOURS
from workloads.catalog import build_table
from workloads.layers import KIND, KINDS

PAPER = PRESETS["paper"]
BEFORE, AFTER = "8 bits everywhere", "HAQ's policy for 60 % of the latency"


def measure_policy() -> pd.DataFrame:
    """Run MobileNetV2 with 8 bits and with the policy that HAQ's authors ship."""
    network = build_table("mobilenet_v2").with_batch(BATCH)
    eight = np.full(len(network), 8)
    rows = []
    policies = ((BEFORE, eight, eight), (AFTER, np.array(POLICY_ACT_BITS), np.array(POLICY_WGT_BITS)))
    for policy, act_bits, wgt_bits in policies:
        table = network.with_bits(act_bits, wgt_bits)
        report = estimate(PAPER, best_plan(PAPER, table))
        for place, layer in enumerate(report.layers):
            kind = KINDS[table.values[place, KIND]]
            widths = act_bits[place], wgt_bits[place]
            rows.append((policy, place, layer.name, kind, *widths, layer.cycles, layer.intensity, layer.gops))
    columns = ["policy", "place", "layer", "kind", "act_bits", "wgt_bits", "cycles", "intensity", "gops"]
    return pd.DataFrame(rows, columns=columns)


def draw_policy(table: pd.DataFrame) -> Figure:
    """Draw the widths of every layer, and every layer's place under the roof before and after."""
    figure = plt.figure(figsize=(10.4, 6.2), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(1.0, 1.5))
    widths = figure.add_subplot(grid[0, :])
    after = table[table.policy == AFTER]
    depthwise = (after.kind == "depthwise").to_numpy()
    for sign, column, name in ((1, "wgt_bits", "weights"), (-1, "act_bits", "activations")):
        for place, (chosen, which) in enumerate(((~depthwise, "other"), (depthwise, "depthwise"))):
            colour = COLOURS[place] if sign > 0 else COLOURS[place + 2]
            part = after[chosen]
            widths.bar(part.place, sign * part[column], width=0.8, color=colour, label=f"{name}, {which}")
    widths.axhline(0, color="#555555", linewidth=0.8)
    widths.set(xlabel="layer", ylabel="bits", xlim=(-0.7, len(after) - 0.3), ylim=(-9, 9))
    widths.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    widths.legend(fontsize=8, ncols=1, loc="center left", bbox_to_anchor=(1.0, 0.5))
    cycles = table.groupby("policy", sort=False).cycles.sum()
    widths.set_title(f"{AFTER}: {cycles[AFTER] / cycles[BEFORE]:.1%} of the cycles of {BEFORE}", fontsize=9, loc="left")
    bounds = roofline(PAPER)
    span = np.geomspace(table.intensity.min() / 2, table.intensity.max() * 2, 100)
    for place, policy in enumerate((BEFORE, AFTER)):
        axes = figure.add_subplot(grid[1, place])
        part = table[table.policy == policy]
        for name, peak in bounds.peak_gops.items():
            axes.plot(span, np.minimum(peak, span * bounds.bytes_per_second / 1e9), color="#777777", linewidth=0.8)
            axes.annotate(name, (span[-1], peak), ha="right", va="bottom", fontsize=7, color="#555555")
        for kind in sorted(part.kind.unique()):
            group = part[part.kind == kind]
            colour = COLOURS[KINDS.index(kind) % len(COLOURS)]
            axes.scatter(group.intensity, group.gops, s=14 + 600 * group.cycles / part.cycles.sum(), alpha=0.6,
                         color=colour, linewidths=0, label=kind)  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="operations per DRAM byte", ylabel="achieved [GOPS]")
        axes.set_ylim(table.gops.min() / 2, None)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
        axes.set_title(f"{policy}: {part.cycles.sum() / 1e6:.1f} M cycles for {BATCH} images", fontsize=9, loc="left")
        axes.legend(fontsize=8, loc="lower right")
    return figure
