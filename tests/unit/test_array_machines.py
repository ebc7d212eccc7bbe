"""The row-stationary array, Gemmini and APQ's BitFusion at the front door: what they refuse, what scripts rely on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from accel import bitfusion, bitfusion_apq, eyeriss, gemmini, spatial, systolic
from accel.bitfusion.config import costs
from accel.config import limits
from mappers.bitfusion_apq import best_plan as apq_plan
from mappers.gemmini import best_plan as gemmini_plan
from mappers.gemmini import plan_of_mapping
from mappers.spatial import best_plan as spatial_plan
from tests.command_line import sextant
from workloads.errors import ConfigError, WorkloadError
from workloads.layer_csv import write_layers
from workloads.layers import Layer, LayerTable

CONV = Layer(
    name="conv", kind="conv", in_h=8, in_w=8, in_c=16, out_h=6, out_w=6, out_c=32, kernel_h=3, kernel_w=3,
)  # fmt: skip
TABLE = LayerTable.of("net", [CONV])
MACHINES = ("eyeriss", "gemmini", "bitfusion_apq", "spatial")


@pytest.fixture
def table_file(tmp_path: Path) -> str:
    path = tmp_path / "net.csv"
    write_layers(TABLE, path)
    return str(path)


@pytest.mark.parametrize("machine", MACHINES)
def test_a_table_runs_from_the_command_line(machine: str, table_file: str) -> None:
    ran = sextant("simulate", machine, table_file, "--json")
    assert (ran.code, ran.err) == (0, "")
    shown = json.loads(ran.out)
    assert shown["machine"] == machine
    assert shown["cycles"] == sum(shown["cycle_stack"].values()) == sum(layer["cycles"] for layer in shown["layers"])
    assert shown["operations"] == 2 * CONV.macs


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("preset", ["chip", ""])
def test_an_unknown_preset_is_told_in_one_line(machine: str, preset: str, table_file: str) -> None:
    ran = sextant("simulate", machine, table_file, "--preset", preset)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "need one of paper" in ran.err


@pytest.mark.parametrize(
    ("machine", "setting", "message"),
    [
        ("eyeriss", "rows=0", "--set: rows = 0, need a whole number, 1..1024"),
        ("eyeriss", "operand_bits=4", "--set: operand_bits = 4, need a whole number, 8..32"),
        ("gemmini", "array_side=129", "--set: array_side = 129, need a whole number, 1..128"),
        ("gemmini", "step_cycles=0.5", "--set: step_cycles = 0.5, need a number, 1..100"),
        ("bitfusion_apq", "wbuf_bytes=many", "--set: wbuf_bytes = many, need a whole number, 1..268435456"),
        ("spatial", "size_1=0", "--set: size_1 = 0, need a whole number, 1..1024"),
        ("spatial", "unroll=KK", "--set: unroll = KK, need 3 different letters of KCYXRS"),
        ("spatial", "unroll=KCZ", "--set: unroll = KCZ, need 3 different letters of KCYXRS"),
        ("spatial", "element_bytes=8", "--set: element_bytes = 8, need a whole number, 16..262144"),
        ("systolic", "dataflow=rs", "--set: dataflow = rs, need one of os, ws, is, best"),
    ],
)
def test_a_bad_setting_is_told_in_one_line(machine: str, setting: str, message: str, table_file: str) -> None:
    ran = sextant("simulate", machine, table_file, "--set", setting)
    assert ran == (2, "", f"sextant: {message}\n")


def test_an_unknown_dataflow_is_refused_in_scripts_too() -> None:
    with pytest.raises(ConfigError, match="systolic: dataflow = rs, need one of os, ws, is"):
        replace(systolic.PRESETS["paper"], dataflow="rs")


@pytest.mark.parametrize(
    ("plan", "config"),
    [(apq_plan, bitfusion_apq.PRESETS["paper"]), (gemmini_plan, gemmini.PRESETS["paper"])],
)
def test_operands_of_more_than_eight_bits_are_refused(plan: object, config: object) -> None:
    with pytest.raises(WorkloadError, match=r"act_bits = 9, need 1\.\.8"):
        plan(config, TABLE.with_bits(9, 8))  # type: ignore[operator]


def test_a_tile_that_fits_no_buffer_is_told() -> None:
    wide = LayerTable.of("net", [replace(CONV, kernel_h=8, kernel_w=8, in_h=13, in_w=13)])
    small = replace(gemmini.PRESETS["paper"], scratchpad_bytes=256)
    told = r"gemmini, layer conv of net: .*scratchpad_bytes.* = 256, 65536, need half of each"
    assert gemmini_plan(small, TABLE)  # 9 weights of one channel and their pixels fit 128 bytes
    with pytest.raises(ConfigError, match=told):
        gemmini_plan(small, LayerTable.of("net", [replace(wide.layer(0), kernel_h=12, in_h=17)]))
    apq = replace(bitfusion_apq.PRESETS["paper"], wbuf_bytes=8192)
    with pytest.raises(ConfigError, match=r"bitfusion_apq, layer conv of net: .*wbuf_bytes.* need half of each"):
        apq_plan(apq, LayerTable.of("net", [replace(wide.layer(0), kernel_h=12, in_h=17)]))


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ("K4X", "net, mapping: level = K4X, need levels"),
        ("L4[W] K4", r"net, mapping: level = L4\[W\], need levels"),
        ("L3[WIO] K4 - L0[W] K0", "net, mapping: loop = K0, need levels"),
        ("L3[WIO] K4 - L0[W] Z2", "net, mapping: loop = Z2, need levels"),
        ("L3[WIO] K4 - L1[O] C256X", "net, mapping: loop in space = 256, need at most 128"),
        ("", "net, mapping: level is missing, need levels|net, mapping: level = , need levels"),
    ],
)
def test_what_is_no_mapping_is_told(mapping: str, message: str) -> None:
    with pytest.raises(WorkloadError, match=message):
        plan_of_mapping(TABLE, mapping)


def test_a_mapping_is_read_as_written() -> None:
    side, plan = plan_of_mapping(TABLE, "L3[WIO] K8 Q3 - L2[WI] N1 K4X - L1[O] S3 Q2 C12X - L0[W] P6")
    assert side == 16
    assert plan.tiles.tolist() == [[6, 2, 12, 4, 1, 3]]
    assert plan.describe(0) == "w/6 h/2 ic/12 oc/4 kw/1 kh/3"


def test_plans_have_a_row_for_every_layer() -> None:
    for plan in (gemmini.Plan, eyeriss.Plan, bitfusion_apq.Plan):
        with pytest.raises(ValueError, match=r"of shape \(2, 6\) for 1 layers"):
            plan(TABLE, np.ones((2, 6), np.int64))
    with pytest.raises(ValueError, match=r"of shape \(2, 6\) for 1 layers"):
        spatial.Plan(TABLE, np.ones((2, 6), np.int64), np.ones(6, np.int64))


def test_a_word_of_each_operand_that_fits_no_element_is_told() -> None:
    narrow = replace(spatial.PRESETS["paper"], element_bytes=16, operand_bits=32)
    told = "spatial, layer conv of net: element_bytes, buffer_bytes = 16, 110592, need half of each to hold"
    with pytest.raises(ConfigError, match=told):
        spatial_plan(narrow, TABLE)
    with pytest.raises(ConfigError, match="spatial, layer conv of net: element_bytes, buffer_bytes = 512, 256"):
        spatial_plan(replace(spatial.PRESETS["paper"], buffer_bytes=256), TABLE)


def test_the_spatial_arrays_nest_is_shown_as_it_runs() -> None:
    plan = spatial_plan(spatial.PRESETS["paper"], TABLE)
    assert plan.describe(0) == "buffer K8 | array C4 Y6 R3 | element K4 C4 X6 S3"


def test_wider_words_cost_more_and_memory_beyond_a_bank_is_more_banks() -> None:
    paper = spatial.PRESETS["paper"]
    plan = spatial_plan(paper, TABLE)
    narrow, wide = (spatial.estimate(replace(paper, operand_bits=bits), plan) for bits in (8, 32))
    assert all(narrow.energy_pj[part] < wide.energy_pj[part] for part in narrow.energy_pj)
    one, two = (spatial.estimate(replace(paper, buffer_bytes=banks * 262144), plan) for banks in (1, 2))
    assert two.area_mm2["global_buffer"] == pytest.approx(2 * one.area_mm2["global_buffer"])
    assert two.energy_pj == one.energy_pj


def test_fields_scripts_rely_on_are_there() -> None:
    assert {"rows", "columns", "buffer_bytes", "dram_bits_per_cycle", "clock_hz"} <= limits(eyeriss.Config).keys()
    assert {"array_side", "scratchpad_bytes", "accumulator_bytes", "clock_hz"} <= limits(gemmini.Config).keys()
    assert {"size_1", "size_2", "size_3", "unroll", "element_bytes", "buffer_bytes"} <= limits(spatial.Config).keys()
    shared = {"rows", "columns", "wbuf_bytes", "ibuf_bytes", "obuf_bytes", "dram_bits_per_cycle", "clock_hz"}
    assert shared <= limits(bitfusion_apq.Config).keys()


def test_rooflines_are_peaks_of_the_array() -> None:
    assert eyeriss.roofline(eyeriss.PRESETS["paper"]).peak_gops["any width"] == pytest.approx(67.2)
    assert gemmini.roofline(gemmini.PRESETS["paper"]).peak_gops["8 bits"] == pytest.approx(512)
    assert spatial.roofline(spatial.PRESETS["paper"]).peak_gops["any width"] == pytest.approx(67.2)
    apq = bitfusion_apq.roofline(bitfusion_apq.PRESETS["paper"])
    assert [round(peak) for peak in apq.peak_gops.values()] == [8192, 2048, 512]


def test_apqs_machine_has_the_area_of_the_chip_it_is() -> None:
    apq = bitfusion_apq.PRESETS["paper"]
    assert bitfusion_apq.estimate(apq, apq_plan(apq, TABLE)).area_mm2 == costs(bitfusion.PRESETS["paper"]).area_mm2
