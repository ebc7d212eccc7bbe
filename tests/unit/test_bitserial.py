"""The bit-serial array at the front door: what it refuses, what it does not know, what scripts rely on."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from accel.bitserial import PRESETS, Config, Plan, estimate, kernels, roofline
from accel.config import configure, content_key, limits
from mappers.bitserial import best_plan
from sextant.__main__ import command, main
from workloads.errors import ConfigError
from workloads.layer_csv import write_layers
from workloads.layers import Layer, LayerTable

PAPER = PRESETS["paper"]
FIELDS = ("tile_rows", "tile_columns", "depth_bits", "stream_bits_per_cycle", "buffer_words", "clock_hz", "mapping")
LARGEST = {
    "tile_rows": 256,
    "tile_columns": 256,
    "depth_bits": 65536,
    "stream_bits_per_cycle": 65536,
    "buffer_words": 16777216,
}
PNG = b"\x89PNG\r\n\x1a\n"


def linear(**changes: object) -> Layer:
    fields: dict[str, object] = {
        "name": "fc", "kind": "linear", "batch": 16, "in_h": 1, "in_w": 1, "in_c": 512, "out_h": 1, "out_w": 1,
        "out_c": 32, "act_bits": 4, "wgt_bits": 3,
    }  # fmt: skip
    return Layer(**(fields | changes))  # type: ignore[arg-type]


DEPTHWISE = Layer(
    name="dw", kind="depthwise", in_h=6, in_w=6, in_c=24, out_h=6, out_w=6, out_c=24, kernel_h=3, kernel_w=3,
    groups=24, act_bits=5, wgt_bits=2,
)  # fmt: skip
TABLE = LayerTable.of("two", [DEPTHWISE, linear()])


# The configuration


def test_paper_is_the_machine_of_the_table() -> None:
    assert list(PRESETS) == ["paper", "haq-edge"]
    published = Config(
        tile_rows=16, tile_columns=16, depth_bits=256, stream_bits_per_cycle=256, buffer_words=16384, clock_hz=200e6
    )
    assert published == PAPER


def test_fields_scripts_rely_on_are_there() -> None:
    assert tuple(limits(Config)) == FIELDS


@pytest.mark.parametrize("field", LARGEST)
def test_sizes_have_limits(field: str) -> None:
    for allowed in (1, LARGEST[field]):
        assert getattr(replace(PAPER, **{field: allowed}), field) == allowed
    for refused in (0, -1, LARGEST[field] + 1, 1.5, True, "16", None):
        with pytest.raises(ConfigError) as caught:
            replace(PAPER, **{field: refused})
        missing = f"bitserial: {field} is missing, need a whole number, 1..{LARGEST[field]}"
        value = f"bitserial: {field} = {refused}, need a whole number, 1..{LARGEST[field]}"
        assert str(caught.value) == (missing if refused is None else value)


@pytest.mark.parametrize("value", [0, 1e5, 1e11, math.nan, math.inf])
def test_impossible_clocks_are_refused(value: float) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(PAPER, clock_hz=value)
    assert str(caught.value) == f"bitserial: clock_hz = {value}, need a number, 1e+06..1e+10"


def test_text_from_a_command_line_is_read_and_refused_by_its_place() -> None:
    changed = configure(PAPER, {"tile_rows": "8", "clock_hz": "1e8"}, "--set", as_text=True)
    assert changed == replace(PAPER, tile_rows=8, clock_hz=1e8)
    with pytest.raises(ConfigError) as caught:
        configure(PAPER, {"tile_rows": "257"}, "--set", as_text=True)
    assert str(caught.value) == "--set: tile_rows = 257, need a whole number, 1..256"


def test_the_kernels_row_has_the_kernels_order() -> None:
    config = Config(tile_rows=2, tile_columns=3, depth_bits=5, stream_bits_per_cycle=7, buffer_words=11, clock_hz=1e8)
    row = config.machine_row()
    assert row.dtype == np.int64
    columns = (
        kernels.TILE_ROWS, kernels.TILE_COLUMNS, kernels.DEPTH_BITS, kernels.STREAM_BITS, kernels.BUFFER_WORDS,
    )  # fmt: skip
    assert row[list(columns)].tolist() == row.tolist() == [2, 3, 5, 7, 11]


def test_content_key_tells_every_field_apart() -> None:
    values = {"clock_hz": PAPER.clock_hz / 2, "mapping": "all"}
    changed = [replace(PAPER, **{field: values.get(field, 3)}) for field in FIELDS]
    assert len({content_key(config) for config in (PAPER, *changed)}) == len(FIELDS) + 1


# Lowering


@pytest.mark.parametrize(
    ("layer", "rows", "columns", "depth", "repeats"),
    [
        (linear(), 16, 32, 512, 1),
        (DEPTHWISE, 36, 16, 9, 2),  # 24 channels are two tiles of 16
        (replace(DEPTHWISE, batch=3), 36, 16, 9, 6),
        (
            Layer(
                name="conv", kind="conv", batch=2, in_h=8, in_w=6, in_c=6, out_h=4, out_w=3, out_c=9, kernel_h=3,
                kernel_w=2, stride=2, groups=3,
            ),
            12, 3, 12, 6,
        ),
        (
            Layer(
                name="qk", kind="matmul", batch=2, in_h=10, in_w=1, in_c=64, out_h=10, out_w=1, out_c=40, groups=4
            ),
            10, 10, 16, 8,
        ),
    ],
    ids=["linear", "depthwise", "depthwise batch", "conv groups", "matmul groups"],
)  # fmt: skip
def test_layers_lower_to_the_documented_products(
    layer: Layer, rows: int, columns: int, depth: int, repeats: int
) -> None:
    plan = best_plan(PAPER, LayerTable.of("one", [layer]))
    assert plan.products.tolist() == [[rows, columns, depth, repeats]]
    assert plan.describe(0) == f"{rows} x {depth} x {columns}, {repeats} times"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, 16 * 2 * 4),  # rows: 16 of a tile, 512 bits deep, 4 bits wide
        ({"wgt_bits": 9}, 16 * 2 * 9),
        ({"in_c": 513}, 16 * 3 * 4),
        ({"batch": 1, "out_c": 1}, 16 * 2 * 4),  # counted as full tiles
    ],
)
def test_a_buffer_too_small_for_one_tile_is_refused_and_the_named_size_works(
    changes: dict[str, object], words: int
) -> None:
    table = LayerTable.of("net", [linear(**{"name": "first", "in_c": 1}), linear(**changes)])
    with pytest.raises(ConfigError) as caught:
        best_plan(replace(PAPER, buffer_words=words - 1), table)
    assert str(caught.value) == (
        f"bitserial, layer fc of net: buffer_words = {words - 1}, need at least {words} words for one tile"
    )
    config = replace(PAPER, buffer_words=words)
    assert estimate(config, best_plan(config, table)).cycles > 0


# The report


def test_a_small_product_by_hand() -> None:
    # Two column tiles of 16 x 2 words and 3 bits each arrive in 192 cycles. Rows outside: of the last plane's last
    # word, three of four pairs remain. Columns outside end later: of the last tile's last word, 9 of 12 remain.
    report = estimate(PAPER, best_plan(PAPER, LayerTable.of("one", [linear()])))
    assert report.counters["compute_cycles"] == 2 * 2 * 4 * 3
    assert report.counters["row_words"] == 16 * 2 * 4
    assert report.counters["column_words"] == 32 * 2 * 3
    assert report.counters["output_words"] == 16 * 32
    assert report.bandwidth_bound_cycles == 192
    assert report.cycles == 192 + 3


def test_energy_and_area_are_not_known() -> None:
    report = estimate(PAPER, best_plan(PAPER, TABLE))
    for part in (report, *report.layers):
        assert (dict(part.energy_pj), dict(part.area_mm2)) == ({}, {})
        assert math.isnan(part.total_energy_pj)
        assert math.isnan(part.total_area_mm2)
        assert math.isnan(part.edp)
        shown = part.as_dict()
        assert shown["energy_pj"] == {"total": None}
        assert shown["area_mm2"] == {"total": None}
        json.dumps(shown, allow_nan=False)


def test_a_report_names_its_machine_and_its_parts() -> None:
    report = estimate(PAPER, best_plan(PAPER, TABLE))
    assert (report.machine, report.name, report.fidelity, report.clock_hz) == ("bitserial", "two", "estimate", 200e6)
    assert [layer.name for layer in report.layers] == ["dw", "fc"]
    assert report.operations == 2 * int(TABLE.macs.sum())
    for part in (report, *report.layers):
        assert part.cycle_stack["compute"] == part.counters["compute_cycles"]
        assert part.cycle_stack["dram_stall"] == part.counters["stall_cycles"]
    plan = best_plan(PAPER, TABLE)
    assert estimate(replace(PAPER, clock_hz=100e6), plan).seconds == 2 * report.seconds
    assert estimate(replace(PAPER, clock_hz=100e6), plan).cycles == report.cycles
    assert isinstance(plan, Plan)


def test_the_roofline_is_a_binary_array_over_the_pairs_of_bits() -> None:
    bounds = roofline(PAPER)
    binary = 2 * 16 * 16 * 256 * 200e6 / 1e9
    assert bounds.bytes_per_second == 2 * 32 * 200e6
    assert list(bounds.peak_gops.values()) == pytest.approx([binary / 4, binary / 16, binary / 64])


# The command line


def sextant(*arguments: object) -> Result:
    """Run the command as a script does."""
    return CliRunner().invoke(_Main(), [str(argument) for argument in arguments])


class _Main:
    """Let click's runner call the program, whose errors are lines and not tracebacks."""

    name = "sextant"

    def main(self, args: list[str], **_: Any) -> None:
        main(args)


@pytest.fixture
def table_file(tmp_path: Path) -> Path:
    path = tmp_path / "two.csv"
    write_layers(TABLE, path)
    return path


def test_json_has_the_names_other_scripts_rely_on(table_file: Path) -> None:
    ran = sextant("simulate", "bitserial", table_file, "--json")
    assert (ran.exit_code, ran.stderr) == (0, "")
    report = json.loads(ran.stdout)
    assert (report["machine"], report["preset"], report["workload"]) == ("bitserial", "paper", str(table_file))
    for part in (report, *report["layers"]):
        assert set(part["counters"]) >= {"compute_cycles", "stall_cycles"}
        assert part["counters"]["compute_cycles"] + part["counters"]["stall_cycles"] == part["cycles"]
        assert sum(part["cycle_stack"].values()) == part["cycles"]
        assert set(part["dram_bytes"]) == {"read", "write", "total"}
        assert part["dram_bytes"]["total"] == part["dram_bytes"]["read"] + part["dram_bytes"]["write"]
        assert part["energy_pj"] == part["area_mm2"] == {"total": None}
        assert part["seconds"] == part["cycles"] / part["clock_hz"]
    assert [layer["name"] for layer in report["layers"]] == ["dw", "fc"]
    assert report["cycles"] == estimate(PAPER, best_plan(PAPER, TABLE)).cycles


@pytest.mark.parametrize("change", ["tile_rows=8", "tile_columns=8", "depth_bits=64", "stream_bits_per_cycle=100"])
def test_every_field_that_counts_can_be_set(table_file: Path, change: str) -> None:
    before, after = (
        json.loads(sextant("simulate", "bitserial", table_file, "--json", *options).stdout)
        for options in ((), ("--set", change))
    )
    assert before["cycles"] != after["cycles"]


def test_people_are_told_what_is_not_known(table_file: Path) -> None:
    ran = sextant("simulate", "bitserial", table_file)
    assert (ran.exit_code, ran.stderr) == (0, "")
    lines = {line.split("│")[1].strip(): line for line in ran.stdout.splitlines() if line.count("│") > 2}
    assert "not known" in lines["energy [mJ]"]
    assert "not known" in lines["area [mm²]"]
    assert "not known" in lines["dw"]
    assert "36 x 9 x 16, 2 times" in lines["dw"]
    assert "nan" not in ran.stdout


def test_pictures_are_drawn_without_energy(table_file: Path, tmp_path: Path) -> None:
    ran = sextant("simulate", "bitserial", table_file, "--json", "--plot", tmp_path / "pictures")
    assert ran.exit_code == 0
    assert json.loads(ran.stdout)["cycles"] > 0
    for picture in ("roofline.png", "cycle_stack.png"):
        assert (tmp_path / "pictures" / picture).read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "rows=8"], f"--set: rows = 8, need one of {', '.join(FIELDS)}"),
        (["--set", "depth_bits=0"], "--set: depth_bits = 0, need a whole number, 1..65536"),
        (["--set", "clock_hz=fast"], "--set: clock_hz = fast, need a number, 1e+06..1e+10"),
        (["--set", "fidelity=simulate"], "--set: fidelity = simulate, need one of estimate"),
        (["--preset", "edge"], "command line: --preset = edge, need one of paper, haq-edge"),
        (
            ["--set", "buffer_words=127"],
            "bitserial, layer fc of two: buffer_words = 127, need at least 128 words for one tile",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_bad_machine_is_told_in_one_line(table_file: Path, options: list[str], message: str) -> None:
    ran = sextant("simulate", "bitserial", table_file, *options)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr == f"sextant: {message}\n"


@pytest.mark.parametrize(("kind", "names"), [("machines", "bitfusion bitserial"), ("presets", "bitserial")])
def test_listings_name_the_machine(kind: str, names: str) -> None:
    ran = sextant("list", kind)
    assert ran.exit_code == 0
    assert set(names.split()) <= {line.split()[0] for line in ran.stdout.splitlines()}


def test_everything_published_is_met() -> None:
    ran = CliRunner().invoke(command, ["validate", "bitserial", "--json"])
    assert ran.exit_code == 0
    rows = json.loads(ran.stdout)["numbers"]
    assert rows
    assert {row["verdict"] for row in rows if row["grade"] != "recalled"} == {"pass"}
