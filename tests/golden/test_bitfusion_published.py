"""The fast search and model give every row the authors' simulator gave: cycles, traffic, energy, area."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from accel.bitfusion import PRESETS, Config, estimate
from accel.bitfusion.config import costs
from accel.bitfusion.kernels import COUNTERS
from accel.report import Report
from mappers.bitfusion import best_plan
from tests.golden.rows import layer_of
from workloads.layers import LayerTable

Row = dict[str, str]

LAYERS = ("layers.csv", 778)
GRID = ("precision_grid_alexnet_resnet18.csv", 270)
COMPONENTS = ("core", "wbuf", "ibuf", "obuf", "dram")
HALF_UNIT_NJ = 0.5e-3  # energies are stored with three decimals
RELATIVE = 1e-9


def read(path: Path) -> list[Row]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def config_of(row: Row) -> Config:
    return replace(
        PRESETS["paper"],
        rows=int(row["array_n"]),
        columns=int(row["array_m"]),
        wbuf_bytes=int(row["wbuf_bytes"]),
        ibuf_bytes=int(row["ibuf_bytes"]),
        obuf_bytes=int(row["obuf_bytes"]),
        dram_bits_per_cycle=int(row["bw_bits_per_cycle"]),
    )


def grouped(rows: list[Row]) -> dict[tuple[str, str, str], list[Row]]:
    """Rows by configuration, network and its width."""
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["config"], row["network"], row["wrpn"]].append(row)
    return groups


def reported(rows: list[Row], mapping: str = "published") -> Report:
    """Plan and estimate the layers of one group."""
    (config,) = {replace(config_of(row), mapping=mapping) for row in rows}
    return estimate(config, best_plan(config, LayerTable.of(rows[0]["network"], map(layer_of, rows))))


def assert_counts_and_energy(report: Report, row: Row) -> None:
    assert {name: report.counters[name] for name in COUNTERS} == {name: int(row[name]) for name in COUNTERS}, row
    assert report.cycles == int(row["cycles"]), row
    assert report.operations == 2 * int(row["macs"]), row
    nanojoules = {component: pj / 1e3 for component, pj in report.energy_pj.items()}
    assert set(nanojoules) == set(COMPONENTS)
    for component, value in {**nanojoules, "total": report.total_energy_pj / 1e3}.items():
        published = float(row[f"e_{component}_nJ"])
        assert abs(value - published) <= RELATIVE * published + HALF_UNIT_NJ, (component, value, row)


@pytest.mark.parametrize(("file", "count"), [LAYERS, GRID])
def test_every_layer_has_the_published_counters_and_energy(shared_data: Path, file: str, count: int) -> None:
    rows = read(shared_data / "bitfusion" / file)
    assert len(rows) == count
    for group in grouped(rows).values():
        report = reported(group)
        assert len(report.layers) == len(group)
        for layer, row in zip(report.layers, group, strict=True):
            assert layer.name == row["layer"]
            assert_counts_and_energy(layer, row)


def test_all_mappings_are_never_worse_on_any_layer(shared_data: Path) -> None:
    """Every published layer on every published machine; geometric means in docs/mapping.md."""
    better = 0
    for rows in grouped(read(shared_data / "bitfusion" / LAYERS[0])).values():
        report = reported(rows, mapping="all")
        for layer, row in zip(report.layers, rows, strict=True):
            assert layer.cycles <= int(row["cycles"]), row
            better += layer.cycles < int(row["cycles"])
    assert better > 0


def test_every_network_has_the_published_totals(shared_data: Path) -> None:
    groups = grouped(read(shared_data / "bitfusion" / LAYERS[0]))
    totals = read(shared_data / "bitfusion" / "totals.csv")
    assert {(row["config"], row["network"], row["wrpn"]) for row in totals} == set(groups)
    for row in totals:
        layers = reported(groups[row["config"], row["network"], row["wrpn"]]).layers
        assert len(layers) == int(row["layers"])
        report = Report.of_layers(layers, name=row["network"])
        assert_counts_and_energy(report, row)
        assert report.seconds * 1e3 == pytest.approx(float(row["ms_per_batch_at_500MHz"]), abs=0.5e-6)
        rate = int(row["batch"]) / report.seconds
        assert rate == pytest.approx(float(row["frames_per_s_at_500MHz"]), abs=0.5e-3)


def test_every_array_has_the_published_energies_and_areas(shared_data: Path) -> None:
    machines = {row["config"]: config_of(row) for row in read(shared_data / "bitfusion" / LAYERS[0])}
    rows = read(shared_data / "bitfusion" / "energy_area_constants.csv")
    assert len(rows) == 6
    for row in rows:
        cost = costs(machines[row["config"]])
        accesses = [f"{buffer}_{access}" for buffer in ("wbuf", "ibuf", "obuf") for access in ("read", "write")]
        columns = ["core_pJ_per_cycle", *(f"{name}_pJ_per_bit" for name in accesses), *["dram_pJ_per_bit"] * 2]
        assert cost.unit_pj.tolist() == pytest.approx([float(row[name]) for name in columns], rel=0, abs=0.5e-6)
        areas = {name: float(row[f"area_{name}_mm2"]) for name in ("core", "wbuf", "ibuf", "obuf")}
        assert cost.area_mm2 == pytest.approx(areas, rel=0, abs=0.5e-6)
        assert sum(cost.area_mm2.values()) == pytest.approx(float(row["area_total_mm2"]), rel=0, abs=0.5e-6)
