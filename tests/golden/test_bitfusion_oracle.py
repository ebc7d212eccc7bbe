"""The oracle's best mapping counts what the authors' simulator counted, on a sample of its layers."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.golden.rows import layer_of
from tests.oracles.bitfusion import BUFFERS, LOOPS, Machine, Mapping, best, cost, energy
from workloads.layers import Layer

LAYERS = "layers.csv"
GRID = "precision_grid_alexnet_resnet18.csv"
TRAFFIC = [f"{memory}_{access}_bits" for memory in (*BUFFERS, "dram") for access in ("read", "write")]
COUNTERS = ("cycles", "compute_cycles", "stall_cycles", *TRAFFIC)
LOOP_NAMES = dict(zip(("B", "OW", "OH", "IC", "OC"), LOOPS, strict=True))

# Every configuration, network, kernel size and stride is in here; all 1048 rows take about a minute.
SAMPLE = [(LAYERS, index) for index in range(0, 778, 35)] + [(GRID, index) for index in range(0, 270, 33)]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def golden(shared_data: Path) -> dict[str, list[dict[str, str]]]:
    return {name: read(shared_data / "bitfusion" / name) for name in (LAYERS, GRID)}


@pytest.fixture(scope="module")
def constants(shared_data: Path) -> dict[tuple[str, str], dict[str, float]]:
    rows = read(shared_data / "bitfusion" / "energy_area_constants.csv")
    return {(row["array_n"], row["array_m"]): unit_energies(row) for row in rows}


def unit_energies(row: dict[str, str]) -> dict[str, float]:
    accesses = [f"{buffer}_{access}" for buffer in BUFFERS for access in ("read", "write")]
    per_bit = {name: float(row[f"{name}_pJ_per_bit"]) for name in (*accesses, "dram")}
    return {"core_pj_per_cycle": float(row["core_pJ_per_cycle"]), **per_bit}


def problem(row: dict[str, str]) -> tuple[Layer, Machine]:
    sizes = ("array_n", "array_m", "wbuf_bytes", "ibuf_bytes", "obuf_bytes", "bw_bits_per_cycle")
    return layer_of(row), Machine(*(int(row[name]) for name in sizes))


def published_mapping(row: dict[str, str]) -> Mapping:
    sizes = (int(row[name]) for name in ("t_b", "t_ow", "t_oh", "t_ic", "t_oc"))
    return Mapping(*sizes, tuple(LOOP_NAMES[loop] for loop in row["loop_order"].split(">")))


@pytest.mark.parametrize(("name", "index"), SAMPLE)
def test_best_mapping_has_the_published_counters(golden, constants, name: str, index: int) -> None:
    row = golden[name][index]
    layer, machine = problem(row)
    _, counters = best(layer, machine, constants[row["array_n"], row["array_m"]])
    assert {counter: counters[counter] for counter in COUNTERS} == {c: int(row[c]) for c in COUNTERS}


@pytest.mark.parametrize("name", [LAYERS, GRID])
def test_published_mapping_has_the_published_counters_and_energy(golden, constants, name: str) -> None:
    for row in golden[name]:
        counters = cost(*problem(row), published_mapping(row))
        assert {c: counters[c] for c in COUNTERS} == {c: int(row[c]) for c in COUNTERS}, row
        joules = energy(counters, constants[row["array_n"], row["array_m"]])
        assert joules / 1e3 == pytest.approx(float(row["e_total_nJ"]), rel=1e-5), row
