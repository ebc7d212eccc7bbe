"""BitFusion's mapping search: the eight benchmark networks, and how many mappings are decided per second.

The rival is the plain-Python oracle of the tests, which is the specification written out.
"""

from __future__ import annotations

from accel.bitfusion import PRESETS
from accel.bitfusion.config import costs
from benchmarks.timing import cpu_seconds, keep, show
from mappers.bitfusion import search
from tests.oracles import bitfusion as oracle
from validation.bitfusion import EIGHT
from workloads.catalog import build_table
from workloads.layers import LayerTable

ORACLE_LAYERS = 6


def main() -> None:
    config = PRESETS["paper"]
    table = LayerTable.join("eight benchmarks", [build_table(name) for name in EIGHT])
    some = LayerTable.of("some", table.layers()[-ORACLE_LAYERS:])
    _, bounded = search([config], [table])
    _, exhaustive = search([config], [table], bounded=False)
    _, of_some = search([config], [some])
    machine = oracle.Machine(
        rows=config.rows,
        columns=config.columns,
        wbuf_bytes=config.wbuf_bytes,
        ibuf_bytes=config.ibuf_bytes,
        obuf_bytes=config.obuf_bytes,
        dram_bits_per_cycle=config.dram_bits_per_cycle,
    )
    names = (
        "core_pj_per_cycle",
        "wbuf_read",
        "wbuf_write",
        "ibuf_read",
        "ibuf_write",
        "obuf_read",
        "obuf_write",
        "dram",
    )
    pj = dict(zip(names, costs(config).unit_pj.tolist(), strict=False))
    repeats = 20
    seconds = cpu_seconds(
        {
            "bounded": lambda: [search([config], [table]) for _ in range(repeats)],
            "exhaustive": lambda: [search([config], [table], bounded=False) for _ in range(repeats)],
            "oracle": lambda: [oracle.best(layer, machine, pj) for layer in some.layers()],
            "kernel on the oracle's layers": lambda: [search([config], [some]) for _ in range(repeats)],
        },
        rounds=3,
    )
    figures = {
        "layers": len(table),
        "eight_networks_cpu_s": seconds["bounded"] / repeats,
        "mappings_in_space": exhaustive.space,
        "mappings_evaluated_exhaustively": exhaustive.evaluated,
        "mappings_evaluated_bounded": bounded.evaluated,
        "evaluated_per_s": exhaustive.evaluated * repeats / seconds["exhaustive"],
        "decided_per_s_exhaustive": exhaustive.space * repeats / seconds["exhaustive"],
        "decided_per_s_bounded": bounded.space * repeats / seconds["bounded"],
        "ratio_to_plain_python": seconds["oracle"] * repeats / seconds["kernel on the oracle's layers"],
        "plain_python_decided_per_s": of_some.space / seconds["oracle"],
    }
    keep("mapping_speed", figures)
    show(
        f"all {len(table)} layers of the eight networks, warm [CPU s]",
        f"{figures['eight_networks_cpu_s']:.4f}",
        "bar 0.3, goal 0.03",
    )
    show(
        "mappings evaluated one by one, distinct orders [1/s]",
        f"{figures['evaluated_per_s']:.3g}",
        "bar 5e8, goal 1.5e9",
    )
    show("mappings decided, every tiling tried [1/s]", f"{figures['decided_per_s_exhaustive']:.3g}")
    show("mappings decided, hopeless tilings skipped [1/s]", f"{figures['decided_per_s_bounded']:.3g}")
    show("times faster than the plain-Python oracle, CPU time", f"{figures['ratio_to_plain_python']:.0f}")


if __name__ == "__main__":
    main()
