"""Gemmini against the layers DOSA's authors measured in RTL simulation (FireSim)."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from accel.gemmini import PRESETS, estimate
from mappers.gemmini import plan_of_mapping
from workloads.layers import Layer, LayerTable

PAPER = PRESETS["paper"]


def layer_of(row: dict[str, str]) -> Layer:
    """A map one wide without a window is a matrix product; other maps are square, whatever the file says of Q."""
    p, q, c, k, r, s, stride = (int(row[f"prob.{name}"]) for name in ("P", "Q", "C", "K", "R", "S", "Hstride"))
    if q == r == s == 1:
        return Layer(name="product", kind="matmul", in_h=p, in_w=1, in_c=c, out_h=p, out_w=1, out_c=k)
    height, width = (p - 1) * stride + s, (p - 1) * stride + r
    return Layer(
        name="conv", kind="conv", in_h=height, in_w=width, in_c=c, out_h=p, out_w=p, out_c=k, kernel_h=s, kernel_w=r,
        stride=stride,
    )  # fmt: skip


def roofline_cycles(row: dict[str, str], side: int) -> float:
    """What an analytical model without the machine's overheads says: products at full rate, or traffic, of a tile."""
    macs = np.prod([int(row[f"prob.{name}"]) for name in "CKPQRS"])
    return float(macs) / side**2


@pytest.fixture(scope="module")
def measured(shared_data: Path) -> dict[str, np.ndarray]:
    with (shared_data / "cosearch" / "gemmini_firesim_layers.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ours, bound = [], []
    for row in rows:
        side, plan = plan_of_mapping(LayerTable.of("layer", [layer_of(row)]), row["mapping.mapping"])
        ours.append(estimate(replace(PAPER, array_side=side), plan).cycles)
        bound.append(roofline_cycles(row, side))
    shapes = [tuple(row[f"prob.{name}"] for name in ("R", "S", "P", "Q", "C", "K", "Hstride")) for row in rows]
    number = {shape: index for index, shape in enumerate(dict.fromkeys(shapes))}
    return {
        "rtl": np.array([float(row["target.gemmini_cycle"]) for row in rows]),
        "analytical": np.array([float(row["target.cycle"]) for row in rows]),
        "ours": np.array(ours, dtype=float),
        "bound": np.array(bound),
        "fitted_on": np.array([number[shape] % 2 == 0 for shape in shapes]),
    }


def test_the_files_analytical_column_is_the_measured_one(measured: dict[str, np.ndarray]) -> None:
    """So there is nothing in the file to beat; a bound without overheads stands in for it."""
    assert np.array_equal(measured["rtl"], measured["analytical"])


def test_order_and_size_on_the_half_that_nothing_was_fitted_on(measured: dict[str, np.ndarray]) -> None:
    held = ~measured["fitted_on"]
    rtl = measured["rtl"][held]
    error = np.abs(measured["ours"][held] / rtl - 1)
    assert spearmanr(measured["ours"][held], rtl)[0] > 0.98
    assert np.median(error) < 0.10
    assert spearmanr(measured["bound"][held], rtl)[0] < 0.9
