"""Which layers of MobileNetV2 gain most from 4-bit operands? One layer at a time, on the published BitFusion.

Run: .venv/bin/python examples/bits_per_layer.py
"""

import numpy as np

from accel.bitfusion import PRESETS, estimate, estimate_batch
from mappers.bitfusion import best_plan, best_plans
from workloads.catalog import build_table

paper = PRESETS["paper"]
network = build_table("mobilenet_v2:batch=16")
everything_8_bit = estimate(paper, best_plan(paper, network))

candidates = []
for layer in range(len(network)):
    widths = np.where(np.arange(len(network)) == layer, 4, 8)
    candidates.append(network.with_bits(widths, widths))
machines = [paper] * len(candidates)
reports = estimate_batch(machines, best_plans(machines, candidates))

saved = [everything_8_bit.seconds - report.seconds for report in reports]
print(f"MobileNetV2, batch 16, 8 bits everywhere: {everything_8_bit.seconds * 1e3:.2f} ms")
for layer in np.argsort(saved)[::-1][:10]:
    share = saved[layer] / everything_8_bit.seconds
    print(f"{network.layer_names[layer]:<22} saves {saved[layer] * 1e3:6.3f} ms  {share:6.1%}")
