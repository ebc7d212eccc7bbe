"""APQ's published table of BitFusion's latency and energy, row by row."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from accel.bitfusion_apq import PRESETS, estimate
from mappers.bitfusion_apq import best_plan
from workloads.layers import Layer, LayerTable

PAPER = PRESETS["paper"]
# The two entries that are not of a block: the first convolution and the last one, both at 8 bits.
HEAD = Layer(
    name="head", kind="conv", in_h=224, in_w=224, in_c=3, out_h=112, out_w=112, out_c=32, kernel_h=3, kernel_w=3,
    stride=2, reads_input=1,
)  # fmt: skip
TAIL = Layer(name="tail", kind="conv", in_h=7, in_w=7, in_c=320, out_h=7, out_w=7, out_c=1280)


def layer_of(row: dict[str, str]) -> Layer:
    if row["kind"] in ("head", "tail"):
        return {"head": HEAD, "tail": TAIL}[row["kind"]]
    number = {name: int(float(row[name])) for name in row if name not in ("kind", "latency_ms", "energy_mj")}
    side, kernel = number["hw_in"], number["kernel"]
    out = (side + 2 * number["pad"] - kernel) // number["stride"] + 1
    return Layer(
        name=row["kind"],
        kind="depthwise" if row["kind"] == "dw" else "conv",
        in_h=side,
        in_w=side,
        in_c=number["cin"],
        out_h=out,
        out_w=out,
        out_c=number["cout"],
        kernel_h=kernel,
        kernel_w=kernel,
        stride=number["stride"],
        groups=number["groups"],
        act_bits=number["a_bits"],
        wgt_bits=number["w_bits"],
    )


@pytest.fixture(scope="module")
def table(shared_data: Path) -> dict[str, np.ndarray]:
    with (shared_data / "cosearch" / "apq_bitfusion_lut.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    layers = LayerTable.of("APQ", [layer_of(row) for row in rows])
    reports = estimate(PAPER, best_plan(PAPER, layers)).layers
    return {
        "kind": np.array([row["kind"] for row in rows]),
        "ms": np.array([float(row["latency_ms"]) for row in rows]),
        "mj": np.array([float(row["energy_mj"]) for row in rows]),
        "our_ms": np.array([report.seconds * 1e3 for report in reports]),
        "our_mj": np.array([report.total_energy_pj * 1e-9 for report in reports]),
    }


def test_every_latency_is_equal_to_its_six_digits(table: dict[str, np.ndarray]) -> None:
    assert len(table["ms"]) >= 4553
    assert np.abs(table["our_ms"] / table["ms"] - 1).max() < 5e-6


def test_every_energy_is_within_half_a_percent(table: dict[str, np.ndarray]) -> None:
    error = np.abs(table["our_mj"] / table["mj"] - 1)
    assert error.max() < 0.0055
    for kind in ("pw", "dw"):
        assert np.median(error[table["kind"] == kind]) < 0.0005
