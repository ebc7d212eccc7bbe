"""The systolic array cycle by cycle, with values: a 512 x 512 x 512 product on 32 x 32 units.

The rival is numpy's integer product of the same matrices, which counts nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accel.systolic import PRESETS, multiply
from benchmarks.timing import cpu_seconds, keep, show


def main() -> None:
    random = np.random.default_rng(0)
    a, b = (random.integers(-128, 128, (512, 512)) for _ in range(2))
    configs = {dataflow: replace(PRESETS["paper"], dataflow=dataflow) for dataflow in ("os", "ws", "is")}
    contenders = {name: lambda config=config: multiply(config, a, b) for name, config in configs.items()}
    seconds = cpu_seconds({**contenders, "numpy": lambda: a @ b})
    keep("systolic_speed", seconds)
    for name, config in configs.items():
        _, cycles = multiply(config, a, b)
        show(f"512 x 512 x 512, {name}, {cycles} cycles [CPU s]", f"{seconds[name]:.3f}", "bar 0.15, goal 0.05")
        show("  simulated cycles [1/s]", f"{cycles / seconds[name]:.3g}")
        show("  relative to numpy's integer product", f"{seconds[name] / seconds['numpy']:.2f}")


if __name__ == "__main__":
    main()
