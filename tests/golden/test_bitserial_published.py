"""The bit-serial array against every entry of HAQ's published latency table that is at hand."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from accel.bitserial import PRESETS, estimate
from mappers.bitserial import best_plan
from workloads.layers import Layer, LayerTable

KINDS = {"conv": "conv", "pw": "conv", "dw": "depthwise", "fc": "linear"}
BATCH = 16


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> list[dict[str, str]]:
    with (shared_data / "haq" / "lut_qmobilenetv2_batch16.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def layer(name: str, row: dict[str, str]) -> Layer:
    kind = KINDS[row["type"]]
    size = {field: int(row[field]) for field in ("in_c", "out_c", "kernel", "stride", "in_hw", "out_hw")}
    return Layer(
        name=name,
        kind=kind,
        batch=BATCH,
        in_h=size["in_hw"],
        in_w=size["in_hw"],
        in_c=size["in_c"],
        out_h=size["out_hw"],
        out_w=size["out_hw"],
        out_c=size["out_c"],
        kernel_h=size["kernel"],
        kernel_w=size["kernel"],
        stride=size["stride"],
        groups=size["in_c"] if kind == "depthwise" else 1,
        act_bits=int(row["a_bits"]),
        wgt_bits=int(row["w_bits"]),
    )


def test_every_entry_of_the_table_is_equal(rows: list[dict[str, str]]) -> None:
    assert len(rows) == 2304
    names = [f"{row['layer']}: {row['w_bits']} x {row['a_bits']}" for row in rows]
    table = LayerTable.of("haq", [layer(name, row) for name, row in zip(names, rows, strict=True)])
    config = PRESETS["paper"]
    report = estimate(config, best_plan(config, table))
    different = {
        name: (ours.cycles, int(row["latency"]))
        for name, ours, row in zip(names, report.layers, rows, strict=True)
        if ours.cycles != int(row["latency"])
    }
    assert different == {}
