"""BitFusion's mapping search: the eight benchmark networks, and how many mappings are decided per second.

Two readings. Computed: cycles were computed of this very mapping; orders that are the same mapping count once, and
energy is computed where cycles are the fewest. Decided: it is proven not to be better than the answer, computed or not.
The rival is the plain-Python oracle of the tests, which is the specification written out.
"""

from __future__ import annotations

from dataclasses import replace

from accel.bitfusion import PRESETS
from accel.bitfusion.config import costs
from benchmarks.timing import cpu_seconds, keep, show
from mappers.bitfusion import search
from tests.oracles import bitfusion as oracle
from validation.bitfusion import EIGHT
from workloads.catalog import build_table
from workloads.layers import LayerTable

ORACLE_LAYERS = 6
LARGE_LAYER = 3  # its wide space is tried whole: 75 million mappings


def main() -> None:
    config = PRESETS["paper"]
    table = LayerTable.join("eight benchmarks", [build_table(name) for name in EIGHT])
    some = LayerTable.of("some", table.layers()[-ORACLE_LAYERS:])
    _, bounded = search([config], [table])
    _, exhaustive = search([config], [table], bounded=False)
    _, of_some = search([config], [some])
    wide = replace(config, mapping="all")
    large = LayerTable.of("large", [build_table("alexnet-bitfusion-2x").layer(LARGE_LAYER)])
    _, all_bounded = search([wide], [table])
    _, all_of_large = search([wide], [large], bounded=False)
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
            "all, bounded": lambda: search([wide], [table]),
            "all of one layer": lambda: search([wide], [large], bounded=False),
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
        "decided_per_s_bounded": exhaustive.space * repeats / seconds["bounded"],
        "eight_networks_all_mappings_cpu_s": seconds["all, bounded"],
        "all_mappings_in_space": all_bounded.space,
        "all_mappings_evaluated_bounded": all_bounded.evaluated,
        "all_mappings_decided_per_s_bounded": all_bounded.space / seconds["all, bounded"],
        "all_mappings_evaluated_per_s": all_of_large.evaluated / seconds["all of one layer"],
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
        "published space, computed, distinct orders [1/s]",
        f"{figures['evaluated_per_s']:.3g}",
        "bar 1e9, goal 2e9",
    )
    show("published space, decided, every tiling tried [1/s]", f"{figures['decided_per_s_exhaustive']:.3g}")
    show("published space, decided, hopeless tilings skipped [1/s]", f"{figures['decided_per_s_bounded']:.3g}")
    show("wide space of one layer, computed [1/s]", f"{figures['all_mappings_evaluated_per_s']:.3g}")
    show("wide space, decided, branch and bound [1/s]", f"{figures['all_mappings_decided_per_s_bounded']:.3g}")
    show("wide space, all layers of the eight networks [CPU s]", f"{figures['eight_networks_all_mappings_cpu_s']:.4f}")
    show("times faster than the plain-Python oracle, CPU time", f"{figures['ratio_to_plain_python']:.0f}")


if __name__ == "__main__":
    main()
