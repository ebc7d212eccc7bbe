"""The systolic array against what other simulators predict at the same configuration."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

from accel.systolic import PRESETS, estimate
from mappers.systolic import best_plan
from workloads.layers import Layer, LayerTable

PAPER = PRESETS["paper"]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def compute_cycles(row: dict[str, str], dataflow: str, m: int, n: int, k: int) -> int:
    config = replace(PAPER, rows=int(row["rows"]), columns=int(row.get("cols") or row["columns"]), dataflow=dataflow)
    product = Layer(name=row["layer"], kind="matmul", in_h=m, in_w=1, in_c=k, out_h=m, out_w=1, out_c=n)
    table = LayerTable.of("product", [product])
    return estimate(config, best_plan(config, table)).counters["compute_cycles"]


def test_scale_sim_counts_the_same_from_zero(shared_data: Path) -> None:
    rows = read(shared_data / "peers" / "scalesim3_systolic.csv")
    assert len(rows) == 59
    for row in rows:
        if row["kind"] == "gemm":
            m, n, k = (int(row[size]) for size in "MNK")
        else:  # the output size SCALE-Sim used, which it rounds up for strided layers
            m, n = int(row["oh_used"]) * int(row["ow_used"]), int(row["cout"])
            k = int(row["fh"]) * int(row["fw"]) * int(row["cin"])
        assert compute_cycles(row, row["dataflow"], m, n, k) == int(row["cycles"]) + 1, row


def test_stonne_differs_by_its_edges_and_five_cycles_a_fold(shared_data: Path) -> None:
    """STONNE lets an edge fold end early and takes 5 cycles more for every fold, 4 with a single row."""
    rows = read(shared_data / "peers" / "stonne_os_mesh.csv")
    assert len(rows) == 11
    for row in rows:
        m, n, k, height, width = (
            int(row[size]) for size in ("M", "N", "K", "rows", "columns" if "columns" in row else "cols")
        )
        heights = [min(height, m - m0) for m0 in range(0, m, height)]
        widths = [min(width, n - n0) for n0 in range(0, n, width)]
        folds = len(heights) * len(widths)
        idle = sum(height - own for own in heights) * len(widths) + sum(width - own for own in widths) * len(heights)
        extra = 5 if m > 1 else 4
        assert compute_cycles(row, "os", m, n, k) == int(row["cycles"]) + idle - extra * folds, row
