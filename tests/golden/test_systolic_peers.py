"""The systolic array against what other simulators predict at the same configuration."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from accel.systolic import PRESETS, estimate
from mappers.systolic import best_plan
from workloads.layers import Layer, LayerTable

PAPER = PRESETS["paper"]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def counters(rows: int, columns: int, dataflow: str, m: int, n: int, k: int) -> Mapping[str, int]:
    config = replace(PAPER, rows=rows, columns=columns, dataflow=dataflow)
    product = Layer(name="product", kind="matmul", in_h=m, in_w=1, in_c=k, out_h=m, out_w=1, out_c=n)
    return estimate(config, best_plan(config, LayerTable.of("product", [product]))).counters


def compute_cycles(row: dict[str, str], dataflow: str, m: int, n: int, k: int) -> int:
    columns = int(row.get("cols") or row["columns"])
    return counters(int(row["rows"]), columns, dataflow, m, n, k)["compute_cycles"]


def sizes(row: dict[str, str]) -> tuple[int, int, int]:
    """A product's M, N, K, or a convolution's at the output size its simulator used."""
    if row["kind"] == "gemm":
        m, n, k = (int(row[size]) for size in "MNK")
        return m, n, k
    window = int(row["fh"]) * int(row["fw"]) * int(row["cin"])
    return int(row["oh_used"]) * int(row["ow_used"]), int(row["cout"]), window


def steps(row: dict[str, str], rows: int, columns: int) -> tuple[int, int]:
    """Ideal steps of an array with weights in place, input channels on rows: outputs x folds; and window elements."""
    m, n, k = sizes(row)
    window = 1 if row["kind"] == "gemm" else int(row["fh"]) * int(row["fw"])
    return m * counters(rows, columns, "ws", m, n, k // window)["folds"] * window, window


def test_scale_sim_counts_the_same_from_zero(shared_data: Path) -> None:
    rows = read(shared_data / "peers" / "scalesim3_systolic.csv")
    assert len(rows) >= 59
    for row in rows:
        assert compute_cycles(row, row["dataflow"], *sizes(row)) == int(row["cycles"]) + 1, row


def test_scale_sim_waits_for_memory_only_where_an_operand_does_not_fit(shared_data: Path) -> None:
    """Without its stalls it counts what we count; it stalls where an operand exceeds the active 0.9 of its 64 KiB."""
    rows = read(shared_data / "peers" / "scalesim3_bandwidth.csv")
    assert len(rows) >= 8
    for row in rows:
        m, n, k = sizes(row)
        stalls = int(row["stall_cycles"])
        assert compute_cycles(row, row["dataflow"], m, n, k) == int(row["cycles"]) - stalls + 1, row
        assert (stalls > 0) == (max(m * k, k * n, m * n) > 0.9 * 65536), row


def test_stonne_differs_by_its_edges_and_five_cycles_a_fold(shared_data: Path) -> None:
    """STONNE lets an edge fold end early and takes 5 cycles more for every fold, 4 with a single row."""
    rows = read(shared_data / "peers" / "stonne_os_mesh.csv")
    assert len(rows) >= 11
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


def test_maestro_counts_a_step_more_per_window_and_the_first_fetch(shared_data: Path) -> None:
    """Its mapping has output channels across clusters and input channels inside; the array is a square of clusters.

    A window of W elements takes W + 1 steps, a product 2; the first weights come at 1000 elements a cycle.
    """
    rows = read(shared_data / "peers" / "maestro_fixed_mapping.csv")
    assert len(rows) >= 36
    for row in rows:
        side = round(int(row["num_pes"]) ** 0.5)
        ideal, window = steps(row, side, side)
        channels = sizes(row)[2] // window
        first = -(-side * min(side, channels) * window // 1000)
        assert ideal // window * (window + 1) + first == int(row["cycles"]), row


def test_zigzag_is_our_folds_without_fill_and_drain_and_waiting_for_memory(shared_data: Path) -> None:
    """A fold takes M + rows - 1 cycles there: weights enter a row a cycle, nothing fills or drains.

    What is left is never negative. In two of three rows it is a first load and last store, at most 5,000 cycles (half
    a scratch memory takes 2,048); in the others the DRAM port is the slower one, and the mapping that decides how slow
    is not in the file.
    """
    rows = read(shared_data / "peers" / "zigzag_ws.csv")
    assert len(rows) >= 36
    left = []
    for row in rows:
        side = int(row["rows"])
        ideal, _ = steps(row, side, int(row["cols"]))
        m, n, k = sizes(row)
        assert float(row["cycles"]) > 8 * k * n / 128, row
        left.append(float(row["cycles"]) - ideal // m * (m + side - 1))
    assert min(left) > 0
    assert sum(cycles < 5000 for cycles in left) > len(rows) / 2


def test_sigma_like_cycles_are_folds_of_the_stationary_nonzeros(shared_data: Path) -> None:
    """Not a machine of ours: what is bounded is each fold of 256 nonzeros of A meeting all columns of B."""
    rows = read(shared_data / "peers" / "stonne_sigma_like_spgemm.csv")
    assert len(rows) >= 5
    for row in rows:
        m, n, k, multipliers = (int(row[name]) for name in ("M", "N", "K", "multipliers"))
        nonzeros = m * k * (1 - int(row["zeros_pct_A"]) / 100)
        folds = -(-nonzeros // multipliers)
        assert folds * n < int(row["cycles"]) < 2.2 * folds * n, row
