"""SpAtten's figures: GPT-2 step by step, everything under one roof, and the two sizes the paper sweeps."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from accel.spatten import PRESETS, roofline, simulate
from mappers.spatten import best_plan, request_plan
from validation.figures.drawing import COLOURS, draw_sweep
from validation.spatten import dense, published_schedule
from workloads.attention.npz import read_attention
from workloads.data_folder import data_folder

PAPER, HBM2 = PRESETS["paper"], PRESETS["hbm2"]
LANES = (1, 2, 4, 8, 16, 32, 64)
SRAM_SHARES = (0.5, 1.0, 2.0, 4.0)
LENGTHS = (64, 128, 256, 384, 512)
SENTENCE = "attention/minilm_L25.npz"  # below the data folder: 23 tokens of a sentence encoder
KEEPS = (1.0, 0.5)


def measure_ablation() -> pd.DataFrame:
    """Run GPT-2's published schedule as techniques are added, with the memory that the release simulates."""
    whole, kept, quantized = (
        request_plan(published_schedule(keep=keep, bits=bits)) for keep, bits in ((False, 12), (True, 12), (True, 6))
    )
    steps = {
        "dense, 12 bit": (HBM2, whole),
        "pruning, 1 comparator": (replace(HBM2, topk_lanes=1), kept),
        "16 comparators": (HBM2, kept),
        "6 bit, 4 more where needed": (HBM2, quantized),
    }
    reports = {step: simulate(config, plan) for step, (config, plan) in steps.items()}
    rows = [(step, report.seconds * 1e3, report.total_dram_bytes / 1e6) for step, report in reports.items()]
    return pd.DataFrame(rows, columns=["step", "milliseconds", "dram_mb"])


def draw_ablation(table: pd.DataFrame) -> Figure:
    """Draw time and traffic at each step, and the factor from the step before."""
    figure, sides = plt.subplots(1, 2, figsize=(9.0, 3.4), layout="constrained", sharey=True)
    place = np.arange(len(table))[::-1]
    for axes, column, label in ((sides[0], "milliseconds", "time [ms]"), (sides[1], "dram_mb", "DRAM traffic [MB]")):
        values = table[column].to_numpy()
        bars = axes.barh(place, values, color=COLOURS[0], height=0.6)
        factors = ["", *(f"  {before / after:.2f}x" for before, after in pairwise(values))]
        axes.bar_label(bars, [f"{value:.3g}{factor}" for value, factor in zip(values, factors, strict=True)],
                       fontsize=8, padding=3)  # fmt: skip
        axes.set(xlabel=label, xlim=(0, 1.25 * values.max()))
        axes.grid(axis="y", visible=False)
    sides[0].set_yticks(place, table.step)
    figure.suptitle("GPT-2-small, 32 steps after 992 tokens; factors are to the step above", fontsize=9)
    return figure


def measure_roofline() -> pd.DataFrame:
    """Place dense BERT of several lengths, and GPT-2 dense and pruned."""
    rows = []
    for length in LENGTHS:
        report = dense(replace(PAPER, lsb_bits=0), 12, length)
        rows.append((f"BERT-base, dense, 8 bit, {length} tokens", report.intensity, report.gops))
    for name, keep, bits in (("GPT-2-small, dense, 12 bit", False, 12), ("GPT-2-small, pruned, 6 + 4 bit", True, 6)):
        report = simulate(PAPER, request_plan(published_schedule(keep=keep, bits=bits)))
        rows.append((name, report.intensity, report.gops))
    return pd.DataFrame(rows, columns=["workload", "intensity", "gops"])


def draw_roofline(table: pd.DataFrame) -> Figure:
    """Draw the workloads under the machine's bounds."""
    figure, axes = plt.subplots(figsize=(7.6, 4.0), layout="constrained")
    bounds = roofline(PAPER)
    span = np.geomspace(table.intensity.min() / 4, table.intensity.max() * 4, 200)
    peak = max(bounds.peak_gops.values())
    axes.plot(span, np.minimum(peak, span * bounds.bytes_per_second / 1e9), color="#555555", linewidth=1.0)
    placed = zip(COLOURS, table.workload, table.intensity, table.gops, strict=False)
    for colour, workload, intensity, gops in placed:
        axes.scatter(intensity, gops, s=34, color=colour, label=workload, zorder=3)
    axes.set(xscale="log", yscale="log", xlabel="operations per DRAM byte", ylabel="achieved [GOPS]")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    axes.set_title(f"{peak:.0f} GOPS, {bounds.bytes_per_second / 1e9:.0f} GB/s", fontsize=9, loc="left")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def measure_sweeps() -> pd.DataFrame:
    """Sweep the comparators and the SRAM, pruned GPT-2 and dense BERT."""
    plan = request_plan(published_schedule(keep=True, bits=6))
    rows: list[tuple[str, str, float, int]] = []
    for lanes in LANES:
        rows.append(("topk_lanes", "GPT-2, pruned", lanes, simulate(replace(PAPER, topk_lanes=lanes), plan).cycles))
    for share in SRAM_SHARES:
        config = replace(PAPER, sram_bytes=int(share * PAPER.sram_bytes))
        rows.append(("sram_kb", "GPT-2, pruned", config.sram_bytes / 1024, simulate(config, plan).cycles))
        rows.append(("sram_kb", "BERT-base, 384 tokens", config.sram_bytes / 1024, dense(config, 12, 384).cycles))
    table = pd.DataFrame(rows, columns=["field", "workload", "value", "cycles"])
    published = {"topk_lanes": PAPER.topk_lanes, "sram_kb": PAPER.sram_bytes / 1024}
    at = table[table.value == table.field.map(published)].set_index(["field", "workload"]).cycles
    keys = pd.MultiIndex.from_frame(table[["field", "workload"]])
    return table.assign(relative_rate=at.reindex(keys).to_numpy() / table.cycles)


def draw_sweeps(table: pd.DataFrame) -> Figure:
    """Draw the rate relative to the published machine's."""
    figure, sides = plt.subplots(1, 2, figsize=(9.0, 3.6), layout="constrained", sharey=True)
    published = {"topk_lanes": PAPER.topk_lanes, "sram_kb": PAPER.sram_bytes / 1024}
    labels = {"topk_lanes": "comparators of the top-k engine", "sram_kb": "SRAM of keys, and of values [KB]"}
    for axes, field in zip(sides, published, strict=True):
        draw_sweep(axes, table[table.field == field], "value", "relative_rate", "workload", chosen=published[field])
        axes.set(xlabel=labels[field])
    sides[0].set_ylabel("rate relative to the published machine")
    sides[1].legend(fontsize=8, loc="lower right")
    return figure


def measure_importance() -> pd.DataFrame:
    """Run a recorded sentence with all tokens and with half of them; list what each token is given in every layer."""
    sentence = read_attention(data_folder() / SENTENCE)
    rows = []
    for keep in KEEPS:
        config = replace(PAPER, token_keep=keep)
        for layer, part in enumerate(simulate(config, best_plan(config, sentence)).layers):
            output = part.result
            assert output is not None
            share = np.full(sentence.tokens, np.nan)
            share[output.alive] = output.importance / output.importance.sum()
            rows += [(keep, layer, token, given) for token, given in enumerate(share)]
    return pd.DataFrame(rows, columns=["token_keep", "layer", "token", "share"])


def draw_importance(table: pd.DataFrame) -> Figure:
    """Draw a map of tokens over layers for each share that is kept; what was dropped is grey."""
    figure, sides = plt.subplots(2, 1, figsize=(8.4, 4.6), layout="constrained", sharex=True)
    colours = plt.get_cmap("viridis").with_extremes(bad="#d9d9d9")
    given = 100 * table.share.dropna().to_numpy(dtype=float)
    scale = LogNorm(float(given.min()), float(given.max()))  # the first token is given most
    for axes, keep in zip(sides, KEEPS, strict=True):
        share = 100 * table[table.token_keep == keep].pivot(index="layer", columns="token", values="share")
        image = axes.imshow(share, aspect="auto", cmap=colours, interpolation="nearest", norm=scale)
        axes.grid(visible=False)
        axes.set_yticks(share.index)
        axes.set_ylabel("layer")
        kept = f"{keep:.0%} of the tokens on average; grey: dropped" if keep < 1 else "all tokens"
        axes.set_title(kept, fontsize=9, loc="left")
    sides[-1].set_xlabel("token of a sentence, from its first to its last")
    bar = figure.colorbar(image, ax=sides, pad=0.02, label="share of the layer's probability [%]")
    bar.ax.yaxis.set_major_formatter("{x:g}")
    return figure
