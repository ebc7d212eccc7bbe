"""Costs are the tabulated ones at tabulated sizes, between their neighbours elsewhere, and refused outside."""

from __future__ import annotations

import csv
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from accel.technology import BANK_BYTES, fusion_array, sram_bank, tables
from workloads.errors import ConfigError

SRAM = [row[:-1] for row in tables()["sram_45nm"]["rows"]]  # without the source
ARRAYS = [row[:-1] for row in tables()["fusion_array_45nm"]["rows"]]
COSTS = ("read_pj_per_bit", "write_pj_per_bit", "area_mm2")


def costs(size: float, ports: int) -> tuple[float, ...]:
    bank = sram_bank(size, ports, "wbuf_bytes")
    return tuple(getattr(bank, cost) for cost in COSTS)


@pytest.mark.parametrize("row", SRAM, ids=lambda row: f"{row[0]}B-{row[1]}rw")
def test_tabulated_banks_cost_what_is_tabulated(row: list[float]) -> None:
    size, ports, read_nj, write_nj, area = row
    assert costs(size, int(ports)) == (read_nj * 1e3 / 32, write_nj * 1e3 / 32, area)


@pytest.mark.parametrize("ports", [0, 1])
def test_larger_banks_cost_more_with_no_jump(ports: int) -> None:
    grid = np.array([costs(float(size), ports) for size in np.geomspace(*BANK_BYTES, 2000)])
    steps = grid[1:] / grid[:-1]
    assert (steps > 1.0).all()
    assert (steps < 1.03).all()


@pytest.mark.parametrize("ports", [0, 1])
def test_between_two_tabulated_banks_costs_follow_the_power_law(ports: int) -> None:
    sizes = [row[0] for row in SRAM if row[1] == ports]
    for small, large in pairwise(sizes):
        middle = costs(math.sqrt(small * large), ports)
        ends = zip(costs(small, ports), costs(large, ports), strict=True)
        assert middle == pytest.approx([math.sqrt(low * high) for low, high in ends], rel=1e-12)


@pytest.mark.parametrize("size", [0, 15, 15.999, 262144.001, 262145, 1e12, math.nan, math.inf, -128])
def test_a_bank_of_unknown_cost_is_refused(size: float) -> None:
    with pytest.raises(ConfigError) as caught:
        sram_bank(size, 0, "ibuf_bytes")
    assert str(caught.value) == f"technology: bytes per bank of ibuf_bytes = {size:g}, need 16..262144"


@pytest.mark.parametrize("size", BANK_BYTES)
@pytest.mark.parametrize("ports", [0, 1])
def test_the_smallest_and_largest_bank_are_answered(size: int, ports: int) -> None:
    assert all(0 < cost < math.inf for cost in costs(size, ports))


@pytest.mark.parametrize("row", ARRAYS, ids=lambda row: f"{row[0]}x{row[1]}")
def test_synthesised_arrays_cost_what_was_synthesised(row: list[float]) -> None:
    rows, columns, area_um2, dynamic_nw = row
    array = fusion_array(int(rows), int(columns))
    assert array.area_mm2 == pytest.approx(area_um2 * 1e-6, rel=1e-15)
    assert array.pj_per_cycle == pytest.approx(dynamic_nw * 1e-9 / 500e6 * 1e12, rel=1e-15)


@pytest.mark.parametrize(("rows", "columns"), [(16, 32), (3, 5), (1024, 1024), (1, 3)])
def test_other_arrays_are_multiples_of_four_by_four(rows: int, columns: int) -> None:
    unit, array = fusion_array(4, 4), fusion_array(rows, columns)
    assert array.pj_per_cycle == pytest.approx(unit.pj_per_cycle * rows * columns / 16, rel=1e-15)
    assert array.area_mm2 == pytest.approx(unit.area_mm2 * rows * columns / 16, rel=1e-15)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_banks_are_the_stored_ones(shared_data: Path) -> None:
    names = ("bank_bytes", "rw_ports", "read_energy_nJ_per_access", "write_energy_nJ_per_access", "area_mm2")
    stored = [[float(row[name]) for name in names] for row in read(shared_data / "bitfusion" / "sram_bank_45nm.csv")]
    assert sorted(map(list, SRAM)) == sorted(stored)


def test_arrays_are_the_stored_ones_of_two_to_eight_bits(shared_data: Path) -> None:
    stored = [
        [float(row[name]) for name in ("N", "M", "area_um2", "dynamic_nW")]
        for row in read(shared_data / "bitfusion" / "systolic_array_synth_45nm.csv")
        if (row["max_bits"], row["min_bits"], row["module"]) == ("8", "2", "systolic_array")
    ]
    assert sorted(map(list, ARRAYS)) == sorted(stored)


def test_every_row_names_a_source_that_is_listed() -> None:
    listed = tables()["sources"]
    assert all(entry["source"] and entry["grade"] for entry in listed.values())
    for name, table in tables().items():
        if name != "sources":
            assert all(len(row) == len(table["columns"]) and row[-1] in listed for row in table["rows"]), name
