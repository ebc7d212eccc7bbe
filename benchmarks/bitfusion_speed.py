"""BitFusion simulated with values: CPU time of the eight published networks, and of a layer in closed form."""

from __future__ import annotations

import time
from dataclasses import replace

from accel.bitfusion import PRESETS, estimate, simulate
from benchmarks.timing import cpu_seconds, keep, show
from mappers.bitfusion import best_cycle_plan, best_plan
from validation.bitfusion import EIGHT
from workloads.catalog import build_table

PAPER = PRESETS["paper"]
CYCLE = replace(PAPER, model="cycle")


def main() -> None:
    seconds, cycles, products, layers = {}, 0, 0, 0
    small = build_table("lenet5-bitfusion")
    simulate(PAPER, best_cycle_plan(PAPER, small))  # compiles
    for name in EIGHT:
        table = build_table(name)
        plan = best_cycle_plan(PAPER, table)
        started = time.process_time()
        report = simulate(PAPER, plan)
        seconds[name] = time.process_time() - started
        show(f"{name}, {report.cycles} cycles [CPU s]", f"{seconds[name]:.2f}", "seconds, not minutes")
        cycles, products, layers = cycles + report.cycles, products + report.operations // 2, layers + len(table)
    total = sum(seconds.values())
    show("all eight [CPU s]", f"{total:.1f}")
    show("  simulated cycles [1/s]", f"{cycles / total:.3g}")
    show("  products with values [1/s]", f"{products / total:.3g}")
    tables = [build_table(name) for name in EIGHT]
    plans = [best_cycle_plan(PAPER, table) for table in tables]
    rest = cpu_seconds(
        {
            "closed form": lambda: [estimate(CYCLE, plan) for plan in plans],
            "published model": lambda: [estimate(PAPER, plan) for plan in plans],
            "published mapping": lambda: [best_plan(PAPER, table) for table in tables],
            "mapping of fewest cycles": lambda: [best_cycle_plan(PAPER, table) for table in tables],
        },
        rounds=3,
    )
    for name, spent in rest.items():
        show(f"{name}, a layer [ms CPU]", f"{1e3 * spent / layers:.3f}")
    keep("bitfusion_speed", seconds | rest)


if __name__ == "__main__":
    main()
