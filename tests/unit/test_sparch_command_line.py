"""Sparse products on the command line: names that stay, every bad input told in one line, switches and sweeps."""

from __future__ import annotations

import gzip
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from accel import sparch
from mappers.sparch import best_plan
from searchers.machines import find_machine
from tests.command_line import sextant
from workloads.errors import ConfigError
from workloads.sparse import limits
from workloads.sparse.catalog import ENTRIES, open_sparse
from workloads.sparse.files import read_matrix

FIELDS = {
    "machine", "preset", "workload", "cycles", "clock_hz", "seconds", "operations", "gops", "dram_bytes",
    "cycle_stack", "energy_pj", "area_mm2", "counters", "layers",
}  # fmt: skip
STREAMS = {"a_read", "b_read", "partial_write", "partial_read", "c_write", "total"}
COUNTERS = {
    "sparch": {
        "multiplies", "output_nnz", "prefetch_hits", "prefetch_misses", "merge_rounds", "partial_matrices",
    },
    "outerspace": {"multiplies", "output_nnz"},
}  # fmt: skip
CONFIG_FIELDS = {
    "merge_layers", "merge_width", "fifo_depth", "prefetch_lines", "prefetch_line_elements", "look_ahead",
    "multipliers", "hbm_channels", "hbm_bytes_per_cycle", "clock_hz", "pipelined_merge", "condensing", "huffman",
    "prefetcher",
}  # fmt: skip
MACHINES = tuple(COUNTERS)
GRAPH = "rmat:scale=7,edges=6,seed=3"
REAL = "%%MatrixMarket matrix coordinate real general\n"
PNG = b"\x89PNG\r\n\x1a\n"
PICTURES = {
    "sparch": ("matrix.png", "merge_tree.png", "roofline.png", "cycle_stack.png"),
    "outerspace": ("matrix.png", "roofline.png", "cycle_stack.png"),
}


def simulated(machine: str, *arguments: object) -> dict[str, Any]:
    ran = sextant("simulate", machine, *arguments, "--json")
    assert (ran.code, ran.err) == (0, "")
    report: dict[str, Any] = json.loads(ran.out)
    return report


def refused(machine: str, *arguments: object) -> str:
    """Run a command that must fail before it prints anything, and return its one line."""
    ran = sextant("simulate", machine, *arguments)
    assert (ran.code, ran.out) == (2, ""), ran
    assert ran.err.startswith("sextant: ")
    assert ran.err.endswith("\n")
    assert ran.err.count("\n") == 1
    return ran.err.removeprefix("sextant: ").rstrip("\n")


def market(path: Path, text: str) -> Path:
    path.write_text(REAL + text, encoding="utf-8")
    return path


def changed(**changes: object) -> list[str]:
    return [f"--set={field}={value}" for field, value in changes.items()]


# What is printed


@pytest.mark.parametrize("machine", MACHINES)
def test_json_has_the_names_other_scripts_rely_on(machine: str) -> None:
    report = simulated(machine, GRAPH)
    assert set(report) >= FIELDS
    assert (report["machine"], report["preset"], report["workload"]) == (machine, "paper", GRAPH)
    assert set(report["counters"]) >= COUNTERS[machine]
    assert set(report["dram_bytes"]) == STREAMS
    assert report["layers"] == []


@pytest.mark.parametrize("machine", MACHINES)
def test_json_adds_up_and_counts_what_scipy_counts(machine: str) -> None:
    report, product = simulated(machine, GRAPH), open_sparse(GRAPH)
    for quantity in ("dram_bytes", "energy_pj", "area_mm2"):
        parts = dict(report[quantity])
        assert parts.pop("total") == pytest.approx(sum(parts.values()), rel=1e-12)
        assert parts
    assert sum(report["cycle_stack"].values()) == report["cycles"]
    assert report["seconds"] == report["cycles"] / report["clock_hz"]
    assert report["gops"] == pytest.approx(report["operations"] / report["seconds"] / 1e9)
    output_nnz = (product.a @ product.b).nnz
    assert report["counters"]["multiplies"] == product.multiplies == report["operations"] // 2
    assert report["counters"]["output_nnz"] == output_nnz
    assert report["dram_bytes"]["c_write"] == 12 * output_nnz


def test_hits_and_misses_are_the_elements_of_b() -> None:
    counters = simulated("sparch", GRAPH)["counters"]
    assert counters["prefetch_hits"] + counters["prefetch_misses"] == counters["multiplies"]


def test_every_promised_field_can_be_set() -> None:
    assert {field.name for field in fields(sparch.Config)} >= CONFIG_FIELDS
    paper = sparch.PRESETS["paper"]
    given = changed(**{field: getattr(paper, field) for field in sorted(CONFIG_FIELDS)})
    assert simulated("sparch", GRAPH, *given) == simulated("sparch", GRAPH)


@pytest.mark.parametrize("machine", MACHINES)
def test_the_table_for_people_has_the_totals_and_all_counters(machine: str) -> None:
    report, ran = simulated(machine, GRAPH), sextant("simulate", machine, GRAPH)
    assert (ran.code, ran.err) == (0, "")
    for name in (*report["counters"], *report["cycle_stack"], *report["energy_pj"], *report["area_mm2"]):
        assert name in ran.out or name == "total"
    for count in (report["cycles"], report["operations"], *report["counters"].values()):
        assert f"{count:,}" in ran.out


def test_the_lists_name_the_machines_and_every_generator() -> None:
    machines, presets, workloads = (sextant("list", kind).out for kind in ("machines", "presets", "workloads"))
    for machine in MACHINES:
        assert f"\n{machine} " in machines
        assert f"\n{machine} paper " in presets
    for name in ENTRIES:
        assert f"\n{name} " in workloads
    assert ".mtx.gz" in workloads


# Files, names, two matrices


@pytest.mark.parametrize("machine", MACHINES)
def test_every_kind_of_file_and_the_name_give_the_same_report(machine: str, tmp_path: Path) -> None:
    matrix = sparse.coo_array(open_sparse(GRAPH).a)
    entries = zip(matrix.row, matrix.col, matrix.data, strict=True)
    text = REAL + f"{matrix.shape[0]} {matrix.shape[1]} {matrix.nnz}\n"
    text += "".join(f"{row + 1} {column + 1} {value}\n" for row, column, value in entries)
    (tmp_path / "m.mtx").write_text(text, encoding="utf-8")
    (tmp_path / "m.mtx.gz").write_bytes(gzip.compress(text.encode()))
    sparse.save_npz(tmp_path / "m.npz", matrix)
    reports = [
        simulated(machine, what) for what in (GRAPH, *(tmp_path / f"m.{end}" for end in ("mtx", "mtx.gz", "npz")))
    ]
    assert [(report.pop("name"), report.pop("workload")) for report in reports] == [
        (GRAPH, GRAPH),
        *(("m", str(tmp_path / f"m.{end}")) for end in ("mtx", "mtx.gz", "npz")),
    ]
    assert reports[1:] == 3 * reports[:1]


@pytest.mark.parametrize("machine", MACHINES)
def test_two_matrices_are_multiplied_in_their_order(machine: str, tmp_path: Path) -> None:
    row, column = tmp_path / "row.mtx", tmp_path / "column.mtx"
    market(row, "1 3 2\n1 1 2\n1 3 5\n")
    market(column, "3 1 3\n1 1 1\n2 1 1\n3 1 1\n")
    inner, outer = simulated(machine, row, column), simulated(machine, column, row)
    assert (inner["name"], outer["name"]) == ("row x column", "column x row")
    assert (inner["counters"]["multiplies"], inner["counters"]["output_nnz"]) == (2, 1)
    assert (outer["counters"]["multiplies"], outer["counters"]["output_nnz"]) == (6, 6)
    assert simulated(machine, GRAPH, GRAPH)["cycles"] == simulated(machine, GRAPH)["cycles"]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("sizes", ["0 0 0", "7 7 0", "1 1 0", "3 3 1\n1 2 4"])
def test_nothing_to_multiply_is_valid_and_costs_no_multiplies(machine: str, sizes: str, tmp_path: Path) -> None:
    path = market(tmp_path / "nothing.mtx", f"{sizes}\n")
    report = simulated(machine, path)
    assert (report["counters"]["multiplies"], report["counters"]["output_nnz"], report["operations"]) == (0, 0, 0)
    assert report["gops"] == 0
    assert report["energy_pj"]["total"] == pytest.approx(report["energy_pj"]["dram"])
    ran = sextant("simulate", machine, path)
    assert (ran.code, ran.err) == (0, "")
    assert "nan" not in ran.out


@pytest.mark.parametrize("machine", MACHINES)
def test_simulate_draws_without_spoiling_its_json(machine: str, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    ran = sextant("simulate", machine, GRAPH, "--json", "--plot", folder)
    assert ran.code == 0
    assert json.loads(ran.out)["cycles"] > 0
    assert ran.err == "".join(f"wrote {folder / picture}\n" for picture in PICTURES[machine])
    for picture in PICTURES[machine]:
        assert (folder / picture).read_bytes().startswith(PNG)


@pytest.mark.parametrize("change", ["sample=0.5", "merge_layers=1"])
def test_a_merge_tree_is_not_drawn_in_part_or_too_small_to_read(change: str, tmp_path: Path) -> None:
    ran = sextant("simulate", "sparch", GRAPH, f"--set={change}", "--plot", tmp_path)
    assert ran.code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(PICTURES["outerspace"])


# Bad matrices


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("3 3 2\n1 1 2\n2 3", "{path}, line 4: '2 3', need row, column and a", id="cut in a line"),
        pytest.param("3 3", "{path}, line 2: sizes = 3 3, need whole numbers: rows, columns, entries", id="cut header"),
        pytest.param("3 3 9\n1 1 2\n", "{path}: entries = 1, need 9, as the header promises", id="promises more"),
        pytest.param("3 3 1\n1 1 two\n", "{path}, line 3: '1 1 two', need row, column and a", id="no number"),
        pytest.param("3 3 1\n1 1 nan\n", "{path}, line 3: '1 1 nan', need row, column and a finite", id="nan"),
        pytest.param("3 3 1\n1 1 1e999\n", "{path}: value = inf, need finite values", id="infinite"),
        pytest.param("3 3 1\n4 1 2\n", "{path}: Line 3: Row index out of bounds, need indices 1..3", id="beyond"),
        pytest.param("2 3 1\n1 1 2\n", "m: shape of A = 2 x 3, need a square matrix for A @ A", id="not square"),
    ],
)
def test_a_bad_matrix_is_told_in_one_line(machine: str, text: str, message: str, tmp_path: Path) -> None:
    path = market(tmp_path / "m.mtx", text)
    assert refused(machine, path).startswith(message.format(path=path))


@pytest.mark.parametrize("machine", MACHINES)
def test_shapes_that_do_not_fit_are_told_with_both(machine: str, tmp_path: Path) -> None:
    square, wide = market(tmp_path / "square.mtx", "3 3 1\n1 1 1\n"), market(tmp_path / "wide.mtx", "2 3 1\n1 1 1\n")
    message = "square x wide: shapes = 3 x 3 times 2 x 3, need as many columns of A as rows of B"
    assert refused(machine, square, wide) == message
    assert simulated(machine, wide, square)["counters"]["multiplies"] == 1


def test_a_bad_right_hand_matrix_is_told_as_well(tmp_path: Path) -> None:
    good, bad = market(tmp_path / "good.mtx", "1 1 1\n1 1 1\n"), market(tmp_path / "bad.mtx", "1 1 1\n1 1 x\n")
    assert refused("sparch", good, bad).startswith(f"{bad}, line 3: ")
    assert refused("sparch", good, tmp_path / "none.npz").startswith(f"{tmp_path / 'none.npz'}: No such file")


def test_bad_values_and_indices_in_npz_are_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    parts = {"format": np.array(b"csr"), "shape": np.array([2, 2]), "indptr": np.array([0, 1, 2])}
    np.savez(path, data=np.array([1.0, np.nan]), indices=np.array([0, 1]), **parts)  # type: ignore[arg-type]
    assert refused("sparch", path) == f"{path}: value = nan, need finite values"
    np.savez(path, data=np.array([1.0, 2.0]), indices=np.array([0, 2]), **parts)  # type: ignore[arg-type]
    assert refused("sparch", path) == f"{path}: index = 2, need 0..1"
    path.write_bytes(path.read_bytes()[:-40])
    assert refused("sparch", path).startswith(f"{path}: a damaged file (")


@pytest.mark.parametrize("machine", MACHINES)
def test_a_matrix_too_large_for_memory_is_refused_from_its_header(
    machine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "available_bytes", lambda: 2**30)
    path = market(tmp_path / "m.mtx", "1000 1000 1073741824\nnever read\n")
    assert refused(machine, path) == f"{path}: memory = 64 GiB, need at most the 1 GiB that are free"
    assert refused(machine, "rmat:scale=24").startswith("rmat: memory = ")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wiki", "sparse workload: name = wiki, need a sparse matrix: .mtx, .mtx.gz or .npz, or one of rmat, "),
        ("lenet5-bitfusion", "sparse workload: name = lenet5-bitfusion, need a sparse matrix: "),
        ("rmat:sacle=4", "sparse workload rmat: key = sacle, need one of scale, "),
        ("rmat:scale=x", "sparse workload rmat: scale = x, need a whole number"),
        ("poisson2d:0", "poisson2d: n = 0, need a whole number, 1..46340"),
    ],
)
def test_a_bad_name_is_told_in_one_line(name: str, message: str) -> None:
    assert refused("sparch", name).startswith(message)


# Bad configurations

ANY_FIELD = f"need one of {', '.join(field.name for field in fields(sparch.Config))}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fifo_depth": 0}, "fifo_depth = 0, need a whole number, 1..32767"),
        (
            {"fifo_depth": 15},
            "fifo_depth = 15, need at least 16 at merge_width = 16 and multipliers = 16, or the merge tree could stop",
        ),
        ({"multipliers": 64, "fifo_depth": 31}, "fifo_depth = 31, need at least 32 at merge_width = 16 and mul"),
        ({"multipliers": 1024}, "fifo_depth = 128, need at least 512 at merge_width = 16 and multipliers = 1024"),
        ({"spill_fifo_elements": 35}, "spill_fifo_elements = 35, need at least 36 at merge_width = 16 and blocks of"),
        ({"multipliers": 3}, "multipliers = 3, need a multiple of 2, one group each"),
        ({"multipliers": 0}, "multipliers = 0, need a whole number, 2..1024"),
        ({"merge_layers": 11}, "merge_layers = 11, need a whole number, 1..10"),
        ({"merge_width": 65}, "merge_width = 65, need a whole number, 1..64"),
        ({"prefetch_lines": "many"}, "prefetch_lines = many, need a whole number, 1..65536"),
        ({"hbm_channels": 0}, "hbm_channels = 0, need a whole number, 1..256"),
        ({"hbm_burst_bytes": 48}, "hbm_interleave_bytes = 256, need a multiple of hbm_burst_bytes = 48"),
        ({"clock_hz": "nan"}, "clock_hz = nan, need a number, 1e+06..1e+10"),
        ({"huffman": "maybe"}, "huffman = maybe, need true or false"),
        ({"node_choice": "first"}, "node_choice = first, need one of round_robin, lowest, emptiest"),
        ({"prefetch_line": 3}, f"prefetch_line = 3, {ANY_FIELD}"),
    ],
    ids=str,
)
def test_a_bad_field_of_sparch_is_told_in_one_line(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    path = market(tmp_path / "m.mtx", "1 1 1\n1 1 3\n")
    assert refused("sparch", path, *changed(**changes)).startswith(f"--set: {message}")


def test_what_is_said_to_be_enough_is_enough() -> None:
    for changes in ({"fifo_depth": 16}, {"multipliers": 64, "fifo_depth": 32}, {"spill_fifo_elements": 36}):
        assert simulated("sparch", GRAPH, *changed(**changes))["cycles"] > 0


def test_a_bad_field_in_a_file_is_told_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "hw.toml"
    path.write_text("prefetch_lines = 0\n", encoding="utf-8")
    assert refused("sparch", GRAPH, "--config", path) == f"{path}: prefetch_lines = 0, need a whole number, 1..65536"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tiles": 0}, "tiles = 0, need a whole number, 1..1024"),
        ({"tiles": 3}, "processing_elements = 256, need a multiple of tiles = 3"),
        ({"merge_processing_elements": 257}, "merge_processing_elements = 257, need at most processing_elements = 256"),
        ({"prefetch_lines": 9}, "prefetch_lines = 9, need one of tiles, processing_elements, "),
        ({"fidelity": "simulate"}, "fidelity = simulate, need one of estimate"),
    ],
    ids=str,
)
def test_a_bad_field_of_outerspace_is_told_in_one_line(changes: dict[str, object], message: str) -> None:
    assert refused("outerspace", GRAPH, *changed(**changes)).startswith(f"--set: {message}")


@pytest.mark.parametrize(
    ("field", "value", "need"),
    [
        ("merge_layers", 3, "a plan made for it, not for 64 leaves"),
        ("pipelined_merge", False, "a plan made for it"),
        ("condensing", False, "a plan made for it"),
        ("huffman", False, "a plan made for it"),
    ],
)
def test_a_plan_made_for_another_configuration_is_refused(field: str, value: object, need: str) -> None:
    paper = sparch.PRESETS["paper"]
    changes: dict[str, Any] = {field: value}
    with pytest.raises(ConfigError) as caught:
        sparch.simulate(replace(paper, **changes), best_plan(paper, open_sparse(GRAPH)))
    assert str(caught.value) == f"sparch: {field} = {value}, need {need}"


# Switches, odd machines, sweeps


def test_the_ablation_is_four_commands() -> None:
    small = {"merge_layers": 2, "prefetch_lines": 16}
    whole = simulated("sparch", GRAPH, *changed(**small))
    without = {
        switch: simulated("sparch", GRAPH, *changed(**small, **{switch: "false"}))
        for switch in ("pipelined_merge", "condensing", "huffman", "prefetcher")
    }
    multiplies = whole["counters"]["multiplies"]
    for report in without.values():
        for counter in ("multiplies", "output_nnz"):
            assert report["counters"][counter] == whole["counters"][counter]
        assert report["cycles"] != whole["cycles"]
    unmerged, wide = without["pipelined_merge"]["dram_bytes"], without["condensing"]["counters"]
    assert unmerged["partial_write"] >= 16 * multiplies  # every product, and what is merged but not last
    assert unmerged["partial_read"] == unmerged["partial_write"]
    assert wide["partial_matrices"] > whole["counters"]["partial_matrices"]
    assert without["huffman"]["dram_bytes"]["partial_write"] >= whole["dram_bytes"]["partial_write"]
    missed = without["prefetcher"]
    assert missed["counters"]["prefetch_hits"] == 0
    assert missed["dram_bytes"]["b_read"] == 12 * multiplies


@pytest.mark.parametrize(
    "changes",
    [
        {"merge_layers": 1},
        {"merge_layers": 10},
        {"merge_width": 64},
        {"merge_width": 1},
        {"multipliers": 2},
        {"multipliers": 1024, "fifo_depth": 512},
        {"prefetch_lines": 1},
        {"look_ahead": 1},
        {"hbm_channels": 3},
        {"merge_layers": 1, "merge_width": 1, "multipliers": 2, "fifo_depth": 1, "look_ahead": 1, "prefetch_lines": 1},
    ],
    ids=str,
)
def test_odd_machines_multiply_all_the_same(changes: dict[str, object]) -> None:
    right, report = simulated("outerspace", GRAPH), simulated("sparch", GRAPH, *changed(**changes))
    for counter in ("multiplies", "output_nnz"):
        assert report["counters"][counter] == right["counters"][counter]


@pytest.mark.parametrize("shape", ["one", "dot", "outer", "long row", "long column"])
def test_odd_matrices_equal_scipy(shape: str, tmp_path: Path) -> None:
    long = np.zeros((300, 300))
    long[0] = np.arange(1, 301)
    long[5, 7] = 2
    row = np.arange(1.0, 301)[None]
    dense = {
        "one": (np.array([[3.0]]), np.array([[-2.0]])),
        "dot": (row, row.T),
        "outer": (row.T, row),
        "long row": (long, long),
        "long column": (long.T, long.T),
    }[shape]
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for path, matrix in zip(paths, dense, strict=True):
        sparse.save_npz(path, sparse.csr_array(matrix))
    machine = find_machine("sparch")
    run = machine.run(sparch.PRESETS["paper"], machine.open(str(paths[0]), str(paths[1])), "simulate")
    right = sparse.csr_array(read_matrix(paths[0]) @ read_matrix(paths[1]))
    assert run.report.result is not None
    assert run.report.result.shape == right.shape
    assert run.report.result.toarray().tolist() == right.toarray().tolist()
    assert run.report.cycles == simulated("sparch", *paths)["cycles"]


def test_a_script_sweeps_prefetch_lines_and_keeps_the_plan() -> None:
    paper = sparch.PRESETS["paper"]
    plan = best_plan(paper, open_sparse(GRAPH))
    sizes = (1, 8, 64, 1024)
    swept = [sparch.simulate(replace(paper, prefetch_lines=lines), plan) for lines in sizes]
    assert all(report.result is swept[0].result for report in swept)  # merged once
    assert swept[0].counters["prefetch_misses"] > swept[-1].counters["prefetch_misses"]
    assert swept[0].dram_bytes["b_read"] > swept[-1].dram_bytes["b_read"]
    for lines, report in zip(sizes, swept, strict=True):
        by_command = simulated("sparch", GRAPH, f"--set=prefetch_lines={lines}")
        assert (by_command["cycles"], by_command["counters"]) == (report.cycles, dict(report.counters))


# Fast modes


def test_a_sample_is_asked_for_by_its_share_or_by_its_name() -> None:
    by_share = simulated("sparch", GRAPH, "--set=sample=0.1")
    assert by_share["fidelity"] == "sample"
    assert by_share == simulated("sparch", GRAPH, "--set=fidelity=sample")
    assert by_share == simulated("sparch", GRAPH, "--set=fidelity=sample", "--set=sample=0.1")
    assert by_share["counters"]["multiplies"] == simulated("sparch", GRAPH)["counters"]["multiplies"]
    assert by_share["counters"]["sampled_multiplies"] < by_share["counters"]["multiplies"]
    assert simulated("sparch", GRAPH, "--set=sample=1")["cycles"] == simulated("sparch", GRAPH)["cycles"]


@pytest.mark.parametrize("fidelity", ["sample", "estimate", "simulate"])
def test_a_fast_mode_prints_how_far_its_cycles_are_off(fidelity: str) -> None:
    band = simulated("sparch", GRAPH, f"--set=fidelity={fidelity}")["cycles_error_band"]
    printed = sextant("simulate", "sparch", GRAPH, f"--set=fidelity={fidelity}").out
    if fidelity == "simulate":
        assert band is None
        assert "cycles' error" not in printed
    else:
        low, high = band
        assert low < 0 < high
        assert f"cycles' error │ {low:+.0%} to {high:+.0%}, as measured against simulate" in printed


def test_a_sample_too_small_to_have_been_measured_says_that_its_error_is_not_known() -> None:
    assert simulated("sparch", GRAPH, "--set=sample=0.02")["cycles_error_band"] is None
    printed = sextant("simulate", "sparch", GRAPH, "--set=sample=0.02").out
    assert "cycles' error │ not known: none was measured for so small a share" in printed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample": 0}, "sample = 0, need a number above 0, at most 1"),
        ({"sample": 1.5}, "sample = 1.5, need a number above 0, at most 1"),
        ({"sample": "nan"}, "sample = nan, need a number above 0, at most 1"),
        ({"sample": "a tenth"}, "sample = a tenth, need a number above 0, at most 1"),
        ({"sample": 0.1, "fidelity": "simulate"}, "fidelity = simulate, need sample, because of sample = 0.1"),
        ({"fidelity": "exact"}, "fidelity = exact, need one of simulate, estimate, sample"),
    ],
    ids=str,
)
def test_a_bad_sample_is_told_in_one_line(changes: dict[str, object], message: str) -> None:
    assert refused("sparch", GRAPH, *changed(**changes)) == f"--set: {message}"


def test_a_machine_without_samples_has_no_share() -> None:
    assert refused("outerspace", GRAPH, "--set=sample=0.1").startswith("--set: sample = 0.1, need one of tiles, ")
