"""How many fusion units can 12 GB/s feed? Sweeps the array and the DRAM width for AlexNet, and draws it.

Run: .venv/bin/python examples/sweep_array.py
"""

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt

from accel.bitfusion import PRESETS, estimate_batch
from mappers.bitfusion import best_plans
from workloads.catalog import build_table

network = build_table("alexnet-bitfusion-2x")
paper = PRESETS["paper"]
columns = (8, 16, 32, 64, 128)

figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
for dram_bits in (64, 192, 512):
    # Buffers grow with the array, so that every fusion unit keeps the same share of them.
    configs = [
        replace(
            paper,
            columns=count,
            dram_bits_per_cycle=dram_bits,
            wbuf_bytes=paper.wbuf_bytes * count // paper.columns,
            obuf_bytes=paper.obuf_bytes * count // paper.columns,
        )
        for count in columns
    ]
    reports = estimate_batch(configs, best_plans(configs, [network] * len(configs)))
    axes.plot(
        [16 * count for count in columns], [report.gops for report in reports], "o-", label=f"{dram_bits} bit/cycle"
    )
axes.set(xscale="log", xticks=[16 * count for count in columns], xticklabels=[16 * count for count in columns])
axes.minorticks_off()
axes.set(xlabel="fusion units", ylabel="achieved [GOPS]", title="AlexNet (2x) on BitFusion, 500 MHz")
axes.legend(title="DRAM port", frameon=False)
Path("build").mkdir(exist_ok=True)
figure.savefig("build/sweep_array.png", dpi=150)
print("wrote build/sweep_array.png")
