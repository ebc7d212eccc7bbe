"""BitFusion simulated: what its reports hold, at which widths outputs leave, and what it refuses in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from accel.bitfusion import PRESETS, Plan, estimate, estimate_batch, multiply, simulate
from accel.bitfusion.cycle_model import output_bits
from mappers.bitfusion import best_cycle_plan, best_plan
from tests.command_line import sextant
from workloads.catalog import build_table
from workloads.errors import ConfigError, WorkloadError
from workloads.layers import Layer, LayerTable

PAPER = PRESETS["paper"]
CYCLE = replace(PAPER, model="cycle")
NETWORK = "lenet5-bitfusion"
STACK = ["compute", "fill_drain", "weight_load", "dram_read", "dram_write"]
INSTRUCTIONS = ("setup", "loop", "gen_addr", "ld_mem", "st_mem", "rd_buf", "wr_buf", "compute", "block_end")


def linear(**changes: object) -> Layer:
    fields: dict[str, object] = {
        "name": "fc", "kind": "linear", "batch": 2,
        "in_h": 1, "in_w": 1, "in_c": 64, "out_h": 1, "out_w": 1, "out_c": 32,
    }  # fmt: skip
    return Layer(**(fields | changes))  # type: ignore[arg-type]


def plan_of(*tiles_and_order: int, layer: Layer | None = None) -> Plan:
    return Plan(LayerTable.of("net", [layer or linear()]), np.array([tiles_and_order]))


def shown(*settings: str) -> dict[str, object]:
    ran = sextant("simulate", "bitfusion", NETWORK, "--json", *(word for one in settings for word in ("--set", one)))
    assert (ran.code, ran.err) == (0, "")
    report: dict[str, object] = json.loads(ran.out)
    return report


def test_the_command_line_simulates_and_counts_the_same_in_closed_form() -> None:
    simulated, counted = shown("fidelity=simulate"), shown("model=cycle")
    assert (simulated.pop("fidelity"), counted.pop("fidelity")) == ("simulate", "estimate")
    for report in (simulated, counted):
        for layer in report["layers"]:  # type: ignore[attr-defined]
            del layer["fidelity"]
    assert simulated == counted
    assert list(simulated["cycle_stack"]) == STACK  # type: ignore[call-overload]


def test_the_published_model_is_what_estimate_is_without_a_word() -> None:
    assert shown()["cycles"] == shown("model=published", "fidelity=estimate")["cycles"] == 410352


def test_a_report_counts_cycles_traffic_instructions_and_holds_the_sums() -> None:
    table = build_table(NETWORK)
    report = simulate(PAPER, best_cycle_plan(PAPER, table))
    counters = report.counters
    assert counters["compute_cycles"] + counters["stall_cycles"] == report.cycles
    taken_in = counters["wbuf_write_bits"] + counters["ibuf_write_bits"] + counters["spilled_bits"]
    assert counters["dram_read_bits"] - counters["read_padding_bits"] == taken_in
    assert counters["dram_read_bits"] % (8 * PAPER.dram_burst_bytes) == 0
    assert 2 * counters["macs"] == report.operations
    for instruction in INSTRUCTIONS:
        assert counters[f"{instruction}_instructions"] >= len(table)
    for layer, row in zip(report.layers, table.layers(), strict=True):
        assert layer.result.shape == (row.batch, row.out_h, row.out_w, row.out_c)
        assert layer.result.dtype == np.int64
        assert layer.counters["dram_write_bits"] >= layer.result.size * row.act_bits


def test_energy_is_paid_for_cycles_in_which_the_array_moves_and_for_bits() -> None:
    report = simulate(PAPER, best_plan(PAPER, build_table(NETWORK)))
    moving = sum(report.cycle_stack[cause] for cause in ("compute", "fill_drain", "weight_load"))
    assert report.energy_pj["core"] == pytest.approx(moving * 235.104, rel=1e-5)
    bits = report.counters["dram_read_bits"] + report.counters["dram_write_bits"]
    assert report.energy_pj["dram"] == pytest.approx(15.0 * bits, rel=1e-9)
    assert report.area_mm2 == estimate(PAPER, best_plan(PAPER, build_table(NETWORK))).area_mm2


def test_outputs_leave_at_the_width_of_the_layer_that_reads_them() -> None:
    def table(*widths_and_inputs: tuple[int, int]) -> LayerTable:
        layers = [
            linear(name=f"fc{index}", act_bits=bits, reads_input=first)
            for index, (bits, first) in enumerate(widths_and_inputs)
        ]
        return LayerTable.of("net", layers)

    assert output_bits(table((8, 1), (4, 0), (2, 0))).tolist() == [4, 2, 2]
    # Two branches read the network's input: what they leave is read by the first layer that does not.
    assert output_bits(table((8, 1), (8, 1), (4, 0), (3, 0))).tolist() == [4, 4, 3, 3]
    assert output_bits(table((8, 1))).tolist() == [8]


Run = Callable[[Plan], object]
RUNS: list[Run] = [
    lambda plan: simulate(PAPER, plan),
    lambda plan: estimate(PAPER, plan),
    lambda plan: estimate(CYCLE, plan),
    lambda plan: estimate_batch((PAPER, CYCLE), (plan, plan)),
]


@pytest.mark.parametrize("run", RUNS)
def test_a_tile_that_does_not_fit_is_named_and_the_named_size_is_enough(run: Run) -> None:
    layer = linear(in_c=4096, out_c=512)
    with pytest.raises(ConfigError) as caught:
        run(plan_of(1, 1, 1, 4096, 512, 0, layer=layer))
    need = 2 * 4096 * 512
    assert str(caught.value) == (
        f"bitfusion, layer fc of net: wbuf_bytes = 65536, need at least {need} bytes for the tile "
        "b/1 > w/1 > h/1 > ic/4096 > oc/512"
    )
    enough = replace(PAPER, wbuf_bytes=need)
    assert simulate(enough, plan_of(1, 1, 1, 4096, 512, 0, layer=layer)).cycles > 0


def test_the_layer_of_a_later_plan_is_named() -> None:
    good, bad = (
        plan_of(1, 1, 1, 64, 32, 0),
        plan_of(1, 1, 1, 4096, 512, 0, layer=linear(name="big", in_c=4096, out_c=512)),
    )
    with pytest.raises(ConfigError, match="bitfusion, layer big of net: wbuf_bytes"):
        estimate_batch((CYCLE, CYCLE), (good, bad))


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ((1, 1, 1, 0, 32, 0), r"layer fc of net: tiles = \[1, 1, 1, 0, 32\], need whole numbers from 1"),
        ((1, 1, 1, 64, 32, 120), "layer fc of net: loop order = 120, need 0..119"),
        ((1, 1, 1, 64, 32, -1), "layer fc of net: loop order = -1, need 0..119"),
    ],
)
def test_a_plan_that_is_none_is_refused(mapping: tuple[int, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_of(*mapping)


def test_operands_of_seventeen_bits_are_refused() -> None:
    with pytest.raises(WorkloadError, match=r"net, layer fc: wgt_bits = 17, need 1\.\.16 on bitfusion"):
        simulate(PAPER, plan_of(1, 1, 1, 64, 32, 0, layer=linear(wgt_bits=17)))


def test_more_values_than_can_be_held_are_refused() -> None:
    layer = linear(batch=1, in_c=2**15, out_c=2**14)
    table = LayerTable.of("net", [layer])
    with pytest.raises(WorkloadError, match=r"layer fc: operands and outputs = 536920064, need at most .* or fidelity"):
        simulate(PAPER, best_plan(PAPER, table))


@pytest.mark.parametrize(
    ("operands", "message"),
    [
        (([[1]], [[1]], 0, 4), "multiply: act_bits = 0, need 1..16"),
        (([[1]], [[1]], 4, 17), "multiply: wgt_bits = 17, need 1..16"),
        (([[8]], [[1]], 4, 4), r"multiply: operand of 4 bits = 8, need -8..7"),
        (([[1]], [[-9]], 4, 4), r"multiply: operand of 4 bits = -9, need -8..7"),
        (([[1, 2]], [[1, 2]], 4, 4), r"multiply: shapes = \(1, 2\) and \(1, 2\), need two matrices"),
        (([1, 2], [[1], [2]], 4, 4), r"multiply: shapes = \(2,\) and \(2, 1\), need two matrices"),
    ],
)
def test_what_cannot_be_multiplied_is_said(operands: tuple[object, object, int, int], message: str) -> None:
    with pytest.raises(WorkloadError, match=message):
        multiply(*operands)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("fidelity=exact", "--set: fidelity = exact, need one of estimate, simulate"),
        ("model=exact", "--set: model = exact, need one of published, cycle"),
        ("dram_channels=0", "--set: dram_channels = 0, need a whole number, 1..64"),
        ("dram_burst_bytes=1.5", "--set: dram_burst_bytes = 1.5, need a whole number, 1..4096"),
    ],
)
def test_settings_that_are_none_are_refused_in_one_line(setting: str, message: str) -> None:
    ran = sextant("simulate", "bitfusion", NETWORK, "--set", setting)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"sextant: {message}\n"
