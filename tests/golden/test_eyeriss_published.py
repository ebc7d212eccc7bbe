"""The row-stationary array against the table that BitFusion's authors ship of Eyeriss, layer by layer."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from accel.eyeriss import PRESETS, estimate
from accel.report import Report
from mappers.eyeriss import best_plan
from workloads.layers import Layer, LayerTable

BASELINE = PRESETS["bitfusion-baseline"]
BATCH = 16
OTHER_NAMES = {"conv1": "conv1_a", "LSTM:fc": "matmul"}
# The table takes AlexNet's first fully connected layer for what it is: a 6 x 6 window over the last map.
FC1 = Layer(
    name="fc1", kind="conv", batch=BATCH, in_h=6, in_w=6, in_c=256, out_h=1, out_w=1, out_c=4096, kernel_h=6,
    kernel_w=6,
)  # fmt: skip


def shapes(shared_data: Path) -> dict[tuple[str, str], Layer]:
    """Every layer of the benchmarks at its regular width: the table's AlexNet and ResNet are not doubled."""
    found = {}
    with (shared_data / "bitfusion" / "benchmark_shapes.csv").open(encoding="utf-8") as file:
        for row in sorted(csv.DictReader(file), key=lambda row: -int(row["wrpn"])):
            kernel, stride, out, channels = (int(row[name]) for name in ("kernel", "stride", "out_h", "in_c"))
            side = (out - 1) * stride + kernel
            layer = Layer(
                name=row["layer"],
                kind="linear" if out == kernel == 1 else "conv",
                batch=BATCH,
                in_h=side,
                in_w=side,
                in_c=channels,
                out_h=out,
                out_w=out,
                out_c=int(row["out_c"]),
                kernel_h=kernel,
                kernel_w=kernel,
                stride=stride,
            )
            found[row["network"], row["layer"].split("/")[-2]] = layer
    return found | {("AlexNet", "fc1"): FC1}


def run(layer: Layer) -> Report:
    return estimate(BASELINE, best_plan(BASELINE, LayerTable.of("one", [layer])))


@pytest.fixture(scope="module")
def compared(shared_data: Path) -> list[tuple[dict[str, str], Report]]:
    layers = shapes(shared_data)
    with (shared_data / "bitfusion" / "eyeriss_baseline_layers.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if not row["layer"].startswith("pool")]
    names = ((row["network"], row["layer"]) for row in rows)
    keys = (key if key in layers else (key[0], OTHER_NAMES[key[1]]) for key in names)
    return [(row, run(layers[key])) for row, key in zip(rows, keys, strict=True)]


def test_every_layers_cycles_are_the_tables(compared: list[tuple[dict[str, str], Report]]) -> None:
    """Without waiting for DRAM, which the table leaves out."""
    assert len(compared) >= 44
    for row, report in compared:
        assert report.counters["compute_cycles"] == int(row["cycles_batch16"]), row


def test_arithmetic_and_register_files_take_the_tables_energy(compared: list[tuple[dict[str, str], Report]]) -> None:
    for row, report in compared:
        for part, column in (("alu", "alu_energy_units"), ("register_files", "rf_energy_units")):
            assert report.energy_pj[part] / BASELINE.mac_pj == pytest.approx(float(row[column]), rel=1e-9), row


def test_traffic_is_a_lower_bound_of_the_tables(compared: list[tuple[dict[str, str], Report]]) -> None:
    """Ours crosses once; theirs again and again where the buffer is too small: 1 to 4 times as much DRAM traffic."""
    for row, report in compared:
        dram = report.energy_pj["dram"] / BASELINE.mac_pj / BASELINE.dram_macs
        assert 0.25 < dram / (float(row["dram_energy_units"]) / 200) <= 1.0, row


def test_a_fully_connected_layer_as_such_fills_the_array() -> None:
    linear = replace(FC1, kind="linear", in_h=1, in_w=1, in_c=9216, kernel_h=1, kernel_w=1)
    assert run(linear).counters["compute_cycles"] * 4 == run(FC1).counters["compute_cycles"] * 3
