"""The command line as a script sees it: names that stay, tables that reproduce, errors of one line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from searchers.oracles.registry import ORACLES, OWN
from sextant.__main__ import COMMANDS, main
from tests.command_line import sextant
from workloads.attention.catalog import ATTENTION_WORKLOADS
from workloads.catalog import NETWORKS, build_table
from workloads.layer_csv import REQUIRED, write_layers
from workloads.sparse.catalog import SPARSE_WORKLOADS

StudyFile = Callable[..., Path]
FIELDS = {
    "machine", "preset", "workload", "cycles", "clock_hz", "seconds", "operations", "gops", "dram_bytes",
    "cycle_stack", "energy_pj", "area_mm2", "counters", "layers",
}  # fmt: skip
COUNTERS = {
    "compute_cycles", "stall_cycles", "wbuf_read_bits", "wbuf_write_bits", "ibuf_read_bits", "ibuf_write_bits",
    "obuf_read_bits", "obuf_write_bits", "dram_read_bits", "dram_write_bits",
}  # fmt: skip
PICTURES = ("front.png", "roofline.png", "cycle_stack.png")
PNG = b"\x89PNG\r\n\x1a\n"
NETWORK = "lenet5-bitfusion"


def refused(*arguments: object, code: int = 2) -> str:
    """Run a command that must fail, and return its one line."""
    ran = sextant(*arguments)
    assert ran.code == code, ran
    assert ran.err.startswith("sextant: ")
    assert ran.err.count("\n") == 1
    assert "Traceback" not in ran.err
    return ran.err.removeprefix("sextant: ").rstrip("\n")


def simulated(*arguments: object) -> dict[str, Any]:
    ran = sextant("simulate", "bitfusion", *arguments, "--json")
    assert (ran.code, ran.err) == (0, "")
    report: dict[str, Any] = json.loads(ran.out)
    return report


def layer_table(path: Path, **changes: object) -> Path:
    """Write a table of two layers, some cells of the second changed; None leaves a column out."""
    write_layers(build_table(NETWORK), path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))[:2]
    rows[1] |= {column: str(value) for column, value in changes.items()}
    columns = [column for column in rows[0] if changes.get(column, "") is not None]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


# simulate


def test_json_has_the_names_other_scripts_rely_on() -> None:
    report = simulated(NETWORK)
    assert set(report) >= FIELDS
    assert (report["machine"], report["preset"], report["workload"]) == ("bitfusion", "paper", NETWORK)
    assert set(report["counters"]) == COUNTERS
    assert set(report["dram_bytes"]) == {"read", "write", "total"}
    for layer in report["layers"]:
        assert set(layer) >= FIELDS - {"preset", "workload"}
        assert set(layer["counters"]) == COUNTERS


def test_json_adds_up() -> None:
    report = simulated(NETWORK)
    for part in (report, *report["layers"]):
        for quantity in ("dram_bytes", "energy_pj", "area_mm2"):
            parts = dict(part[quantity])
            assert parts.pop("total") == pytest.approx(sum(parts.values()), rel=1e-12)
        assert sum(part["cycle_stack"].values()) == part["cycles"]
        assert part["counters"]["compute_cycles"] + part["counters"]["stall_cycles"] == part["cycles"]
        assert part["seconds"] == part["cycles"] / part["clock_hz"]
        assert part["gops"] == pytest.approx(part["operations"] / part["seconds"] / 1e9)
    for name in COUNTERS:
        assert report["counters"][name] == sum(layer["counters"][name] for layer in report["layers"])
    assert [layer["name"] for layer in report["layers"]] == list(build_table(NETWORK).layer_names)
    assert report["operations"] == 2 * int(build_table(NETWORK).macs.sum())


def test_a_layer_table_and_the_network_it_holds_give_the_same_report(tmp_path: Path) -> None:
    write_layers(build_table(NETWORK), tmp_path / f"{NETWORK}.csv")
    from_table, by_name = simulated(tmp_path / f"{NETWORK}.csv"), simulated(NETWORK)
    assert from_table.pop("workload") == str(tmp_path / f"{NETWORK}.csv")
    assert by_name.pop("workload") == NETWORK
    assert from_table.pop("name") == by_name.pop("name")
    assert from_table == by_name


def test_set_and_config_change_the_machine_and_set_has_the_last_word(tmp_path: Path) -> None:
    hardware = tmp_path / "hw.toml"
    hardware.write_text("rows = 8\nclock_hz = 1e9\nwide_outputs = false\n")
    by_file = simulated(NETWORK, "--preset", "paper", "--config", hardware)
    options = ("--set", "rows=8", "--set", "clock_hz=1e9", "--set", "wide_outputs=false")
    assert by_file == simulated(NETWORK, *options)
    assert by_file["clock_hz"] == 1e9
    assert by_file["cycles"] != simulated(NETWORK)["cycles"]
    assert simulated(NETWORK, "--config", hardware, "--set", "rows=16")["cycles"] != by_file["cycles"]
    assert simulated(NETWORK, "--set", "fidelity=estimate")["fidelity"] == "estimate"


def test_the_table_for_people_has_totals_and_every_layer() -> None:
    report, ran = simulated(NETWORK), sextant("simulate", "bitfusion", NETWORK)
    assert (ran.code, ran.err) == (0, "")
    assert f"{report['cycles']:,}" in ran.out
    for layer in report["layers"]:
        assert layer["name"] in ran.out
        assert f"{layer['cycles']:,}" in ran.out


def test_simulate_draws_without_spoiling_its_json(tmp_path: Path) -> None:
    ran = sextant("simulate", "bitfusion", NETWORK, "--json", "--plot", tmp_path / "new" / "folder")
    assert ran.code == 0
    assert json.loads(ran.out)["cycles"] > 0
    for picture in PICTURES[1:]:
        assert (tmp_path / "new" / "folder" / picture).read_bytes().startswith(PNG)


# Bad input

MACHINE_FIELDS = "rows, columns, wbuf_bytes, ibuf_bytes, obuf_bytes, dram_bits_per_cycle, clock_hz"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"out_c": None}, "{table}: column out_c is missing, need columns " + ", ".join(REQUIRED)),
        ({"in_h": -3}, "{table}, line 3: in_h = -3, need 1..1048576"),
        ({"kind": "pool"}, "{table}, line 3: kind = pool, need one of conv, depthwise, linear, matmul"),
        ({"wgt_bits": 0}, "{table}, line 3: wgt_bits = 0, need 1..32"),
        ({"wgt_bits": 33}, "{table}, line 3: wgt_bits = 33, need 1..32"),
        ({"act_bits": 33}, "{table}, line 3: act_bits = 33, need 1..32"),
        ({"in_c": "many"}, "{table}, line 3: in_c = 'many', need a whole number"),
    ],
)
def test_a_bad_layer_table_is_told_in_one_line(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = layer_table(tmp_path / "table.csv", **changes)
    assert refused("simulate", "bitfusion", path) == message.format(table=path)


def test_operands_wider_than_the_machine_multiplies_are_told_with_the_file(tmp_path: Path) -> None:
    path = layer_table(tmp_path / "table.csv", wgt_bits=17)
    message = refused("simulate", "bitfusion", path)
    assert message.endswith("layer conv1: wgt_bits = 17, need 1..16 on bitfusion")
    assert str(path) in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows = 0", "rows = 0, need a whole number, 1..1024"),
        ("rows = 4.5", "rows = 4.5, need a whole number, 1..1024"),
        ("wide_outputs = 1", "wide_outputs = 1, need true or false"),
        ("row = 4", f"row = 4, need one of {MACHINE_FIELDS}"),
    ],
)
def test_a_bad_config_is_told_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "hw.toml"
    path.write_text(text)
    assert refused("simulate", "bitfusion", NETWORK, "--config", path).startswith(f"{path}: {message}")
    option = text.replace(" ", "")
    if not text.startswith("wide"):  # 1 is how an option may say true
        assert refused("simulate", "bitfusion", NETWORK, "--set", option).startswith(f"--set: {message}")


def test_a_buffer_too_small_for_any_tile_is_told_with_what_it_needs() -> None:
    array = ("--set=rows=1", "--set=columns=8")
    message = refused("simulate", "bitfusion", f"{NETWORK}:wgt_bits=16", *array, "--set=wbuf_bytes=128")
    assert "wbuf_bytes = 128, need at least " in message
    needed = int(message.partition("need at least ")[2].split()[0])
    assert needed > 128
    # What it says is enough is enough, and a byte less is not.
    assert simulated(f"{NETWORK}:wgt_bits=16", *array, f"--set=wbuf_bytes={needed}")["cycles"] > 0
    less = refused("simulate", "bitfusion", f"{NETWORK}:wgt_bits=16", *array, f"--set=wbuf_bytes={needed - 1}")
    assert f"wbuf_bytes = {needed - 1}, need at least {needed} bytes" in less


def test_a_bank_too_small_to_be_built_is_told_with_the_value_given() -> None:
    assert "wbuf_bytes = 64, need" in refused("simulate", "bitfusion", NETWORK, "--set", "wbuf_bytes=64")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simulate", "tpu", NETWORK], "command line: machine = tpu, need one of bitfusion"),
        (
            ["simulate", "bitfusion", NETWORK, "--preset", "best"],
            "command line: --preset = best, need one of paper",
        ),
        (["simulate", "bitfusion", NETWORK, "--set", "rows"], "--set: rows, need KEY=VALUE"),
        (["simulate", "bitfusion", NETWORK, "--set", "rows="], "--set: rows = , need a whole number, 1..1024"),
        (
            ["simulate", "bitfusion", NETWORK, "--set", "fidelity=exact"],
            "--set: fidelity = exact, need one of estimate",
        ),
        (["simulate", "bitfusion", "lenet"], "network: name = lenet, need one of "),
        (["simulate", "bitfusion", "none.csv"], "none.csv: No such file or directory, need a layer table as CSV"),
        (["simulate", "bitfusion", NETWORK, "--config", "none.toml"], "none.toml: No such file or directory, need a "),
        (["simulate", "bitfusion"], "Missing argument 'WORKLOAD'."),
        (["simulate", "bitfusion", NETWORK, "--fast"], "No such option '--fast'."),
        (["fly"], "No such command 'fly'."),
        (["list", "planets"], "Invalid value for "),
        (["cosearch", "none.toml", "--out", "out"], "none.toml: No such file or directory, need a readable TOML file"),
        (["cosearch", "none.toml"], "Missing option '--out'."),
        (["cosearch", "none.toml", "--out", "out", "--budget", "0"], "Invalid value for '--budget': 0 is not in "),
        (["cosearch", "none.toml", "--out", "out", "--workers", "x"], "Invalid value for '--workers': 'x' is not "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_bad_command_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(*arguments).startswith(message)
    assert list(tmp_path.iterdir()) == []


def test_a_study_without_anything_to_choose_is_told_in_one_line(study_file: StudyFile, tmp_path: Path) -> None:
    path = study_file(bits="", machine="[machine]\nrows = [4]\n")  # one value is no choice, but it is a space
    assert sextant("cosearch", path, "--out", tmp_path / "one", "--algorithm", "random", "--budget", 2).code == 0
    message = refused("cosearch", study_file(bits="", machine="[machine]"), "--out", tmp_path / "none")
    assert "need at least one thing to choose" in message
    assert not (tmp_path / "none").exists()


def test_a_limit_nothing_meets_is_told_in_one_line(study_file: StudyFile, tmp_path: Path) -> None:
    path = study_file(constraints='[[constraints]]\nquantity = "area_mm2"\nat_most = 0.001')
    ran = sextant("cosearch", path, "--out", tmp_path / "out")
    assert ran.code == 2
    (line,) = (line for line in ran.err.splitlines() if line.startswith("sextant: "))
    assert ran.err.endswith(line + "\n")
    assert "none of 40 candidates is feasible (nearest: area_mm2 0.93" in line


def test_a_picture_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in refused("simulate", "bitfusion", NETWORK, "--plot", tmp_path / "file")


def test_debug_shows_where_an_error_came_from() -> None:
    with pytest.raises(Exception, match="rows = 0"):
        main(["--debug", "simulate", "bitfusion", NETWORK, "--set", "rows=0"])


def test_no_command_shows_the_help() -> None:
    ran = sextant()
    assert "Commands:\n" in ran.out + ran.err


# help and list


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    ran = sextant(command, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: sextant {command} ")
    assert sextant(command, "-h") == ran


def test_help_names_every_command() -> None:
    ran = sextant("--help")
    assert ran.code == 0
    for command, (_, text) in COMMANDS.items():
        assert f"  {command} " in ran.out
        assert " ".join(text.split()) in " ".join(ran.out.split())


PRESETS = [
    *(f"{name} paper" for name in ("bitfusion", "bitfusion_apq", "bitserial")),
    *("bitserial haq-edge", "systolic paper", "eyeriss paper", "eyeriss bitfusion-baseline"),
    *("spatial paper", "gemmini paper"),
    *("sparch paper", "spatten paper", "spatten paper-1/8", "spatten hbm2"),
    *(
        "dense_attention paper",
        "dense_attention paper-1/8",
        "a3 paper",
        "mnnfast paper",
        "outerspace paper",
        "eie paper",
    ),
]
HOUSE = Path(__file__).resolve().parents[2]
FILES = (
    "TABLE.csv", "TOPOLOGY.csv", "MODEL.onnx", "PROBLEM.yaml", "MATRIX.npz, .mtx, .mtx.gz", "ATTENTION.npz",
    "REQUESTS.csv, .csv.gz", "config.json",
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (
            "machines",
            [
                *("bitfusion", "bitfusion_apq", "bitserial", "systolic", "eyeriss", "spatial", "gemmini"),
                *("sparch", "spatten", "dense_attention", "a3", "mnnfast", "outerspace", "eie"),
            ],
        ),
        ("presets", PRESETS),
        ("networks", list(NETWORKS)),
        ("workloads", [*NETWORKS, *SPARSE_WORKLOADS, *ATTENTION_WORKLOADS, *FILES]),
        ("oracles", [*ORACLES, OWN]),
        ("recipes", [f"examples/{path.name}" for path in sorted((HOUSE / "examples").glob("*.toml"))]),
    ],
)
def test_list_names_everything(kind: str, names: list[str]) -> None:
    ran = sextant("list", kind)
    assert (ran.code, ran.err) == (0, "")
    assert [line[:32].rstrip() for line in ran.out.splitlines()] == names


# Works as a program


def test_the_module_is_the_program() -> None:
    command = [sys.executable, "-m", "sextant", "simulate", "bitfusion", NETWORK, "--set", "rows=0"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "sextant: --set: rows = 0, need a whole number, 1..1024\n"
