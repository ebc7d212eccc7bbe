"""OuterSPACE in closed form: traffic and cycles by hand, bounds, costs, and what its configuration allows."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from accel.config import configure
from accel.outerspace import PRESETS, Plan, estimate, roofline, traffic_bytes
from accel.report import LawError, Report
from mappers.outerspace import best_plan
from sextant.__main__ import main
from workloads.errors import ConfigError
from workloads.sparse.catalog import open_sparse
from workloads.sparse.product import SparseProduct, sparse_product

PAPER = PRESETS["paper"]

# Pairs: a column of 2 times a row of 2, twice. Rows of C: 4, 2 and 2 products, on 3, 2 and 2 places.
TINY = sparse_product("tiny", np.array([[1, 2], [0, 3], [4, 0]]), np.array([[1, 0, 2], [0, 5, 6]]))


def run(product: SparseProduct = TINY, **changes: float) -> Report:
    config = replace(PAPER, **changes)
    return estimate(config, best_plan(config, product))


def test_a_plan_counts_the_tasks() -> None:
    plan = best_plan(PAPER, TINY)
    assert plan.column_elements.tolist() == plan.row_elements.tolist() == [2, 2]
    assert plan.pair_products.tolist() == [4, 4]
    assert plan.merge_elements.tolist() == [4, 2, 2]
    assert (plan.output_nnz, plan.partial_matrices) == (7, 2)
    assert plan.describe() == "2 column-row pairs, merged into 3 rows"


def test_traffic_and_cycles_by_hand() -> None:
    report = run()
    assert (report.machine, report.name, report.fidelity, report.result) == ("outerspace", "tiny", "estimate", None)
    assert report.operations == 16
    assert report.dram_bytes == {"a_read": 48, "b_read": 48, "partial_write": 96, "partial_read": 96, "c_write": 84}
    # 192 and 180 bytes at 85 1/3 a cycle; a row of B through one element of a tile; the longest row of C.
    assert report.counters == {
        "multiplies": 8,
        "output_nnz": 7,
        "partial_matrices": 2,
        "multiply_compute_cycles": 2,
        "merge_compute_cycles": 4,
        "multiply_dram_cycles": 3,
        "merge_dram_cycles": 3,
    }
    assert report.cycle_stack == {"multiply_compute": 0, "multiply_dram": 3, "merge_compute": 4, "merge_dram": 0}
    assert (report.cycles, report.compute_bound_cycles, report.bandwidth_bound_cycles) == (7, 6, 5)


def test_every_stream_has_elements_of_its_own_size() -> None:
    counts = {"nnz_a": 1, "nnz_b": 10, "multiplies": 100, "output_nnz": 1000}
    config = replace(PAPER, element_bytes=8, partial_element_bytes=16)
    sizes = {"a_read": 8, "b_read": 80, "partial_write": 1600, "partial_read": 1600, "c_write": 8000}
    assert traffic_bytes(config, **counts) == sizes


@pytest.mark.parametrize(
    ("changes", "cycles"),
    [
        ({}, 3),  # a column of 5 by a row of 3: five elements at once
        ({"tiles": 64}, 6),  # four elements of a tile: two turns of 3
        ({"tiles": 256}, 15),  # one element of a tile: the whole pair
        ({"tiles": 2, "processing_elements": 2}, 15),  # one tile does it all while the other waits
        ({"tiles": 1, "processing_elements": 3}, 6),  # two turns of 3, though 15 products take 3 elements but 5 cycles
        ({"tiles": 1, "processing_elements": 5}, 3),
    ],
)
def test_a_pair_stays_on_one_tile(changes: dict[str, int], cycles: int) -> None:
    product = sparse_product("pair", np.ones((5, 1)), np.ones((1, 3)))
    assert run(product, **{"merge_processing_elements": 1, **changes}).counters["multiply_compute_cycles"] == cycles


@pytest.mark.parametrize(("elements", "cycles"), [(128, 4), (3, 4), (2, 4), (1, 8)])
def test_a_row_of_c_stays_on_one_element(elements: int, cycles: int) -> None:
    assert run(merge_processing_elements=elements).counters["merge_compute_cycles"] == cycles


def test_each_phase_stands_under_what_bounds_it() -> None:
    starved = run(hbm_channel_bytes_per_second=1e6)
    assert starved.cycle_stack["multiply_dram"] == starved.counters["multiply_dram_cycles"] == 192 * 1500 // 16
    assert starved.cycle_stack["merge_dram"] == starved.counters["merge_dram_cycles"] == 180 * 1500 // 16
    fed = run(hbm_channel_bytes_per_second=1e13)
    assert fed.cycle_stack == {"multiply_compute": 2, "multiply_dram": 0, "merge_compute": 4, "merge_dram": 0}
    assert starved.bandwidth_utilisation == pytest.approx(1, abs=1e-4)
    assert fed.cycles == fed.compute_bound_cycles


@pytest.mark.parametrize("clock_hz", [1e9, 1.1e9, 1.5e9, 1e9 / 3, 9999999999.9])
@pytest.mark.parametrize("bandwidth", [1e6, 8e9, 1e10 / 7])
def test_two_phases_never_beat_their_bytes(clock_hz: float, bandwidth: float) -> None:
    report = run(open_sparse("rmat:scale=8"), clock_hz=clock_hz, hbm_channel_bytes_per_second=bandwidth)
    parts = report.counters["multiply_dram_cycles"] + report.counters["merge_dram_cycles"]
    assert report.bandwidth_bound_cycles <= parts <= report.bandwidth_bound_cycles + 1


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.zeros((0, 0)), np.zeros((0, 0))),
        (np.zeros((3, 0)), np.zeros((0, 4))),
        (np.zeros((3, 3)), np.zeros((3, 3))),
        (np.array([[1, 0], [0, 0]]), np.array([[0, 0], [0, 1]])),
    ],
    ids=["no places", "no inner dimension", "zeros", "elements that never meet"],
)
def test_nothing_to_multiply_costs_no_multiply(a: np.ndarray, b: np.ndarray) -> None:
    report = run(sparse_product("empty", a, b))
    assert report.operations == report.counters["multiplies"] == report.counters["output_nnz"] == 0
    assert report.counters["partial_matrices"] == 0
    assert report.dram_bytes["partial_write"] == report.dram_bytes["partial_read"] == report.dram_bytes["c_write"] == 0
    assert report.total_dram_bytes == 12 * (np.count_nonzero(a) + np.count_nonzero(b))
    assert report.cycles == 1
    assert report.gops == 0


def test_a_place_where_products_cancel_is_written() -> None:
    product = sparse_product("cancels", np.array([[1, 1]]), np.array([[1], [-1]]))
    assert run(product).counters["output_nnz"] == 1
    stored = sparse.csr_array(([0.0], [0], [0, 1]), shape=(1, 1))
    assert run(sparse_product("stored zero", stored)).counters["multiplies"] == 1


def test_energy_is_by_operation_and_by_byte() -> None:
    report = run()
    assert report.energy_pj == pytest.approx(
        {"computation": 16 * 3190, "sram": 16 * 350, "crossbar": 16 * 210, "dram": 372 / 42.6e9 * 1e12}
    )
    assert report.total_energy_pj == pytest.approx(16 * 3750 + 8732.4, abs=0.1)


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        ({}, True),
        ({"clock_hz": 1e9, "element_bytes": 16, "hbm_channel_bytes_per_second": 1e9}, True),
        ({"tiles": 8}, False),
        ({"processing_elements": 512}, False),
        ({"merge_processing_elements": 64}, False),
        ({"hbm_channels": 8}, False),
    ],
    ids=str,
)
def test_the_area_is_that_of_the_published_chip_only(changes: dict[str, float], known: bool) -> None:
    assert run(**changes).area_mm2 == ({"chip": 87.0} if known else {})


def test_the_preset_is_the_published_machine() -> None:
    assert list(PRESETS) == ["paper"]
    assert PAPER.tile_processing_elements == 16
    assert PAPER.hbm_bytes_per_second == 128e9
    assert PAPER.hbm_bytes_per_cycle * 3 == 256
    bounds = roofline(PAPER)
    assert bounds.bytes_per_second == 128e9
    assert bounds.peak_gops == pytest.approx({"multiply, then merge": 256.0})


def test_the_roof_is_reached_and_not_passed() -> None:
    product = sparse_product("dense", np.ones((256, 256)))
    report = run(product, hbm_channel_bytes_per_second=1e13)
    assert report.gops == pytest.approx(roofline(PAPER).peak_gops["multiply, then merge"])
    assert run(product).gops < report.gops


def test_one_plan_serves_every_configuration() -> None:
    plan = best_plan(PAPER, TINY)
    other = replace(PAPER, tiles=1, processing_elements=3, merge_processing_elements=1)
    assert estimate(other, plan) == estimate(other, best_plan(other, TINY))


def test_products_written_are_products_read_back() -> None:
    plan = best_plan(PAPER, TINY)
    lost = Plan(TINY, plan.column_elements, plan.row_elements, plan.merge_elements[:-1], plan.output_nnz)
    with pytest.raises(LawError, match=r"^outerspace, tiny: 8 products written, 6 read back$"):
        estimate(PAPER, lost)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tiles": 0}, "tiles = 0, need a whole number, 1..1024"),
        ({"tiles": 7}, "processing_elements = 256, need a multiple of tiles = 7"),
        ({"processing_elements": 0}, "processing_elements = 0, need a whole number, 1..65536"),
        ({"processing_elements": 100}, "processing_elements = 100, need a multiple of tiles = 16"),
        (
            {"merge_processing_elements": 257},
            "merge_processing_elements = 257, need at most processing_elements = 256",
        ),
        ({"merge_processing_elements": 1.5}, "merge_processing_elements = 1.5, need a whole number, 1..65536"),
        ({"hbm_channels": 257}, "hbm_channels = 257, need a whole number, 1..256"),
        (
            {"hbm_channel_bytes_per_second": 0},
            "hbm_channel_bytes_per_second = 0, need a number, 1e+06..1e+13",
        ),
        ({"element_bytes": 65}, "element_bytes = 65, need a whole number, 1..64"),
        ({"partial_element_bytes": None}, "partial_element_bytes is missing, need a whole number, 1..64"),
        ({"clock_hz": float("nan")}, "clock_hz = nan, need a number, 1e+06..1e+10"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value),
)
def test_a_bad_configuration_is_told_in_one_line(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configure(PAPER, changes, "--set")
    assert str(caught.value) == f"--set: {message}"
    with pytest.raises(ConfigError) as caught:
        replace(PAPER, **changes)
    assert str(caught.value) == f"outerspace: {message}"


def test_every_field_is_explained() -> None:
    text = type(PAPER).__doc__ or ""
    assert all(field.name in text for field in fields(PAPER))


def test_the_command_line_prints_the_names_other_scripts_rely_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sparse.save_npz(tmp_path / "m.npz", sparse.csr_array(np.triu(np.ones((5, 5)))))
    with suppress(SystemExit):
        main(["simulate", "outerspace", str(tmp_path / "m.npz"), "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert (shown["machine"], shown["preset"]) == ("outerspace", "paper")
    assert shown["counters"].items() >= {"multiplies": 35, "output_nnz": 15}.items()
    assert list(shown["dram_bytes"]) == ["a_read", "b_read", "partial_write", "partial_read", "c_write", "total"]
    assert list(shown["cycle_stack"]) == ["multiply_compute", "multiply_dram", "merge_compute", "merge_dram"]
    assert shown["area_mm2"] == {"chip": 87.0, "total": 87.0}
