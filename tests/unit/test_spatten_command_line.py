"""SpAtten on the command line: traces, request tables and models by name; names that stay; bad input in a line."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from accel import spatten
from mappers.spatten import best_plan
from tests.command_line import sextant
from workloads.attention.catalog import ATTENTION_WORKLOADS, open_attention
from workloads.attention.requests import COLUMNS

FIELDS = {
    "machine", "preset", "workload", "cycles", "clock_hz", "seconds", "operations", "gops", "dram_bytes",
    "cycle_stack", "energy_pj", "area_mm2", "counters", "quality", "layers",
}  # fmt: skip
COUNTERS = {"qk_cycles", "softmax_cycles", "topk_cycles", "pv_cycles", "rows", "refetched_rows"}
STREAMS = {"q_read", "k_msb_read", "k_lsb_read", "v_read", "output_write", "total"}
CONFIG_FIELDS = {
    "token_keep", "head_keep", "value_keep", "msb_bits", "lsb_bits", "requant_threshold", "topk_lanes", "sram_bytes",
    "multipliers", "hbm_channels", "overlap", "seed",
}  # fmt: skip
QUALITY = {"output_error", "kept_importance"}
MODEL = "bert-base:length=32"
LAYERS, HEADS, TOKENS, HEAD_DIM = 3, 4, 20, 64
REQUEST = dict(
    zip(COLUMNS, ("0", "0", "0", "64", "32", "32", "8", "False", "-1", "8", "8"), strict=True)
)  # a query of the first head: 8 of 32 values, nothing computed again
PNG = b"\x89PNG\r\n\x1a\n"


def simulated(*arguments: object) -> dict[str, Any]:
    ran = sextant("simulate", "spatten", *arguments, "--json")
    assert (ran.code, ran.err) == (0, "")
    report: dict[str, Any] = json.loads(ran.out)
    return report


def refused(*arguments: object) -> str:
    """Run a command that must fail before it prints anything, and return its one line."""
    ran = sextant("simulate", "spatten", *arguments)
    assert (ran.code, ran.out) == (2, ""), ran
    assert ran.err.startswith("sextant: ")
    assert ran.err.endswith("\n")
    assert ran.err.count("\n") == 1
    return ran.err.removeprefix("sextant: ").rstrip("\n")


def arrays(tokens: int = TOKENS) -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(7)
    return {name: random.standard_normal((LAYERS, HEADS, tokens, HEAD_DIM), dtype=np.float32) for name in "qkv"}


def trace(folder: Path, **changes: NDArray[Any] | None) -> Path:
    """Write a trace with some arrays in place of the usual ones, or without them."""
    path = folder / "trace.npz"
    held = {name: array for name, array in {**arrays(), **changes}.items() if array is not None}
    np.savez(path, **held)  # type: ignore[arg-type]
    return path


def table(folder: Path, *changes: dict[str, object]) -> Path:
    """Write requests, one for each given set of changed cells."""
    path = folder / "requests.csv"
    rows = [[str({**REQUEST, "head": head, **row}[name]) for name in COLUMNS] for head, row in enumerate(changes)]
    lines = [[column.published for column in COLUMNS.values()], *rows]
    path.write_text("".join(",".join(line) + "\n" for line in lines), encoding="utf-8")
    return path


# What is printed


@pytest.mark.parametrize("kind", ["trace", "requests", "model"])
def test_json_has_the_names_other_scripts_rely_on(kind: str, tmp_path: Path) -> None:
    workload = {"trace": trace(tmp_path), "requests": table(tmp_path, {}, {}), "model": MODEL}[kind]
    report = simulated(workload)
    assert set(report) >= FIELDS
    assert (report["machine"], report["preset"], report["workload"]) == ("spatten", "paper", str(workload))
    layers = {"trace": LAYERS, "requests": 1, "model": 12}[kind]
    assert len(report["layers"]) == layers
    for part in (report, *report["layers"]):
        assert set(part["counters"]) >= COUNTERS
        assert set(part["dram_bytes"]) == STREAMS
        assert set(part["quality"]) == (set() if kind == "requests" else QUALITY)
        for quantity in ("dram_bytes", "energy_pj", "area_mm2"):
            parts = dict(part[quantity])
            assert parts.pop("total") == pytest.approx(sum(parts.values()), rel=1e-12)
        assert sum(part["cycle_stack"].values()) == part["cycles"]
    for name in COUNTERS:
        assert sum(layer["counters"][name] for layer in report["layers"]) == report["counters"][name]
    assert report["seconds"] == report["cycles"] / report["clock_hz"]
    assert report["gops"] == pytest.approx(report["operations"] / report["seconds"] / 1e9)


def test_json_counts_what_a_trace_asks_for(tmp_path: Path) -> None:
    report = simulated(trace(tmp_path), "--set=lsb_bits=0")
    rows = LAYERS * HEADS * TOKENS
    assert report["counters"]["rows"] == rows
    assert report["operations"] == 2 * 2 * rows * TOKENS * HEAD_DIM
    assert report["counters"]["qk_cycles"] == report["counters"]["pv_cycles"] == rows * 3  # 8 keys a cycle
    assert report["dram_bytes"]["k_msb_read"] == LAYERS * HEADS * 24 * HEAD_DIM  # tokens in eights
    assert report["dram_bytes"]["q_read"] == rows * HEAD_DIM * 12 // 8
    assert report["dram_bytes"]["k_lsb_read"] == report["counters"]["refetched_rows"] == 0
    assert report["name"] == "trace"


def test_json_counts_what_requests_ask_for(tmp_path: Path) -> None:
    report = simulated(table(tmp_path, {}, {"requantised": True, "requant_bits": 4}))
    assert {name: report["counters"][name] for name in COUNTERS - {"topk_cycles"}} == {
        "qk_cycles": 3 * 4, "softmax_cycles": 3 * 4, "pv_cycles": 2, "rows": 2, "refetched_rows": 1,
    }  # fmt: skip
    assert report["dram_bytes"] == {
        "q_read": 0, "k_msb_read": 2 * 32 * 64, "k_lsb_read": 32 * 32, "v_read": 2 * 8 * 64, "output_write": 0,
        "total": 6144,
    }  # fmt: skip
    assert report["name"] == "requests"


def test_tokens_heads_and_error_of_layers(tmp_path: Path) -> None:
    dense, pruned = (simulated(trace(tmp_path), f"--set=token_keep={keep}") for keep in ("1", "0.5"))
    assert [layer["counters"]["tokens"] for layer in dense["layers"]] == 3 * [TOKENS]
    assert [layer["counters"]["heads"] for layer in dense["layers"]] == 3 * [HEADS]
    tokens = [layer["counters"]["tokens"] for layer in pruned["layers"]]
    assert tokens == [TOKENS, 15, 5]
    assert pruned["cycles"] < dense["cycles"]
    assert pruned["quality"]["output_error"] > 10 * dense["quality"]["output_error"] > 0
    assert dense["quality"]["kept_importance"] == pytest.approx(1)
    assert 0.25 < pruned["quality"]["kept_importance"] < 1


def test_the_table_for_people(tmp_path: Path) -> None:
    path = trace(tmp_path)
    report, ran = simulated(path, "--set=token_keep=0.5"), sextant("simulate", "spatten", path, "--set=token_keep=0.5")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("trace on spatten (simulate)")
    for name in (*STREAMS - {"total"}, *report["energy_pj"], *report["area_mm2"], "output error", "kept importance"):
        assert name in ran.out or name == "total"
    for count in (report["cycles"], report["operations"]):
        assert f"{count:,}" in ran.out
    for layer in report["layers"]:
        assert layer["name"] in ran.out
        assert f"{layer['cycles']:,}" in ran.out
    assert "nan" not in ran.out


def test_a_table_of_requests_for_people(tmp_path: Path) -> None:
    ran = sextant("simulate", "spatten", table(tmp_path, {}, {}))
    assert (ran.code, ran.err) == (0, "")
    assert "step 0, layer 0" in ran.out
    assert "output error" not in ran.out, "requests have no values"


def test_the_lists_and_the_help_name_it() -> None:
    assert "\nspatten " in sextant("list", "machines").out
    presets = sextant("list", "presets").out
    for preset in spatten.PRESETS:
        assert f"\nspatten {preset} " in presets
    workloads = sextant("list", "workloads").out
    for name in ATTENTION_WORKLOADS:
        assert f"\n{name} " in workloads
    text = sextant("simulate", "--help").out
    for part in ("attention", "q, k, v", ".csv.gz", "bert-base:length=384"):
        assert part in " ".join(text.split())


def test_simulate_draws_without_spoiling_its_json(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    ran = sextant("simulate", "spatten", trace(tmp_path), "--json", "--plot", folder)
    assert ran.code == 0
    assert json.loads(ran.out)["cycles"] > 0
    written = sorted(folder.iterdir())
    assert written
    assert sorted(ran.err.splitlines()) == [f"wrote {path}" for path in written]
    for path in written:
        assert path.read_bytes().startswith(PNG)


# Configurations


def test_every_promised_field_can_be_set() -> None:
    assert {field.name for field in fields(spatten.Config)} >= CONFIG_FIELDS
    paper = spatten.PRESETS["paper"]
    given = [f"--set={field}={getattr(paper, field)}" for field in sorted(CONFIG_FIELDS)]
    assert simulated("bert-base:length=8", *given) == simulated("bert-base:length=8")


@pytest.mark.parametrize(
    ("changes", "falls"),
    [
        (["token_keep=0.5"], "operations"),
        (["head_keep=0.5"], "operations"),
        (["value_keep=0.25"], "operations"),
        (["requant_threshold=0"], "refetched_rows"),
        (["lsb_bits=0"], "refetched_rows"),
        (["msb_bits=6", "lsb_bits=4"], "k_msb_read"),
        (["multipliers=1024"], "qk_cycles"),
        (["value_keep=0.25", "topk_lanes=32"], "operations"),
    ],
    ids=str,
)
def test_what_is_set_is_what_is_run(changes: list[str], falls: str) -> None:
    before, after = simulated(MODEL), simulated(MODEL, *(f"--set={change}" for change in changes))
    for report in (before, after):
        report |= report["counters"] | report["dram_bytes"]
    assert after[falls] < before[falls]


def test_presets_and_overlap() -> None:
    paper, small = (simulated("bert-base:length=8", f"--preset={name}") for name in ("paper", "paper-1/8"))
    assert small["preset"] == "paper-1/8"
    assert small["counters"]["qk_cycles"] == 8 * paper["counters"]["qk_cycles"]
    plain = simulated(MODEL, "--set=overlap=false", "--set=lsb_bits=0")
    beats = 12 * 32 * 4  # heads, queries and, of keys, eights
    assert {layer["cycles"] for layer in plain["layers"]} == {beats + 2 * 12 * 4 + 103 + 4}
    assert plain["cycles"] > simulated(MODEL, "--set=lsb_bits=0")["cycles"]


def test_a_seed_is_the_engines_or_the_models() -> None:
    pruned = "--set=value_keep=0.25"
    one, same, other = (simulated(MODEL, pruned, f"--set=seed={seed}") for seed in (1, 1, 2))
    assert one == same
    assert one["quality"] == other["quality"]
    assert one["counters"]["topk_cycles"] != other["counters"]["topk_cycles"]
    assert simulated(f"{MODEL},seed=2", pruned)["quality"] != one["quality"]


def test_generation_by_name() -> None:
    report = simulated("gpt2-small:prompt=30,generate=2")
    assert [layer["name"] for layer in report["layers"][:1]] == ["token 30, layer 0"]
    assert len(report["layers"]) == 2 * 12
    assert report["counters"]["rows"] == 2 * 12 * 12
    whole = simulated("gpt2-small:prompt=30,generate=2,summarise=1")
    assert len(whole["layers"]) == 3 * 12
    assert whole["counters"]["rows"] == 32 * 12 * 12


def test_a_script_and_the_command_say_the_same(tmp_path: Path) -> None:
    path = trace(tmp_path)
    paper = spatten.PRESETS["paper"]
    report = spatten.simulate(paper, best_plan(paper, open_attention(str(path))))
    by_command = simulated(path)
    assert json.loads(json.dumps(report.as_dict())).items() <= by_command.items()


# Bad input


def test_arrays_of_the_wrong_rank_or_of_unequal_lengths(tmp_path: Path) -> None:
    path = trace(tmp_path, q=arrays()["q"][0])
    need = "need layers x heads x tokens x head_dim"
    assert refused(path) == f"{path}: q = an array of shape ({HEADS}, {TOKENS}, {HEAD_DIM}), {need}"
    trace(tmp_path, k=arrays(TOKENS + 1)["k"])
    need = f"need that of q, {(LAYERS, HEADS, TOKENS, HEAD_DIM)}"
    assert refused(path) == f"{path}: shape of k = {(LAYERS, HEADS, TOKENS + 1, HEAD_DIM)}, {need}"
    trace(tmp_path, v=None)
    assert refused(path).startswith(f"{path}: v is missing, need an .npz with q, k and v of shape")


@pytest.mark.parametrize("name", ["q", "k", "v"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(name: str, value: float, tmp_path: Path) -> None:
    array = arrays()[name]
    array[1, 2, 3, 4] = value
    path = trace(tmp_path, **{name: array})
    assert refused(path) == f"{path}: layer 1, {name} = {value}, need finite numbers that float32 holds"


@pytest.mark.parametrize("field", ["token_keep", "head_keep", "value_keep"])
@pytest.mark.parametrize("keep", ["0", "1.5", "-1", "nan", "all"])
def test_keep_ratios_outside(field: str, keep: str) -> None:
    shown = keep if keep == "all" else float(keep)
    assert refused(MODEL, f"--set={field}={keep}") == f"--set: {field} = {shown}, need a number above 0, at most 1"


@pytest.mark.parametrize("overlap", ["true", "false"])
def test_a_context_beyond_the_srams(overlap: str, tmp_path: Path) -> None:
    ends = "fetches at once: a longer context does not fit"
    message = f"spatten: sram_bytes = 3072, need at least 3840 to hold what layer 0 {ends}"
    assert refused("bert-base:length=40", f"--set=overlap={overlap}", "--set=sram_bytes=3072") == message
    requests = table(tmp_path, {"length": 4096, "keys": 2049})
    message = f"spatten: sram_bytes = 196608, need at least 197376 to hold what step 0, layer 0 {ends}"
    assert refused(requests, f"--set=overlap={overlap}") == message


def test_requests_that_keep_more_than_there_is(tmp_path: Path) -> None:
    path = table(tmp_path, {}, {"keys": 33})
    assert refused(path) == f"{path}, line 3: key_fetch_num = 33, need at most the 32 tokens there are"
    table(tmp_path, {"values": 33})
    assert refused(path) == f"{path}, line 2: value_fetch_num = 33, need at most the 32 keys that are fetched"
    table(tmp_path, {"keys": "many"})
    assert refused(path).startswith(f"{path}, line 2: key_fetch_num = many, need a whole number, 1..")
    path.write_text("iteration_id,layer_id\n0,0\n", encoding="utf-8")
    assert refused(path).startswith(f"{path}, line 1: column head_id is missing, need the published columns, ")


ANY_FIELD = f"need one of {', '.join(field.name for field in fields(spatten.Config))}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([MODEL, MODEL], f"command line: WORKLOAD_B = {MODEL}, need nothing: spatten runs one model"),
        ([MODEL, "--set=token_keeps=1"], f"--set: token_keeps = 1, {ANY_FIELD}"),
        ([MODEL, "--set=fidelity=estimate"], "--set: fidelity = estimate, need one of simulate"),
        ([MODEL, "--set=msb_bits=10"], "--set: lsb_bits = 4, need at most 2 at msb_bits = 10: operands have 12 bits"),
        ([MODEL, "--set=msb_bits=13"], "--set: msb_bits = 13, need a whole number, 2..12"),
        ([MODEL, "--set=topk_lanes=0"], "--set: topk_lanes = 0, need a whole number, 1..1024"),
        ([MODEL, "--set=schedule=linear"], "--set: schedule = linear, need one of cascade, importance"),
        ([MODEL, "--set=overlap=maybe"], "--set: overlap = maybe, need true or false"),
        ([MODEL, "--set=seed=-1"], "--set: seed = -1, need a whole number, 0..281474976710655"),
        ([MODEL, "--preset=paper/8"], "command line: --preset = paper/8, need one of paper, paper-1/8, hbm2"),
        (["bert-base:length=0"], "attention workload bert-base: length = 0, need a whole number, 1..65536"),
        (["bert-base:tokens=8"], "attention workload bert-base: key = tokens, need one of length, seed"),
        (["bert-tiny"], "attention workload: name = bert-tiny, need attention: .npz, .csv, .csv.gz or a config.json, "),
        (["none.npz"], "none.npz: No such file or directory, need an .npz with q, k and v of shape"),
        (["none.csv"], "none.csv: No such file or directory, need a table of requests"),
    ],
    ids=str,
)
def test_what_cannot_be_run_is_told_in_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(*arguments).startswith(message)


def test_a_head_wider_than_the_multipliers(tmp_path: Path) -> None:
    wide = {name: np.ones((1, 1, 4, 80), np.float32) for name in "qkv"}
    message = "spatten: multipliers = 64, need at least the head dimension, 80"
    assert refused(trace(tmp_path, **wide), "--preset=paper-1/8") == message
    assert refused(table(tmp_path, {"head_dim": 80}), "--preset=paper-1/8") == message


def test_a_bad_field_in_a_file_is_told_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "hw.toml"
    path.write_text("token_keep = 0\n", encoding="utf-8")
    assert refused(MODEL, "--config", path) == f"{path}: token_keep = 0, need a number above 0, at most 1"
    path.write_text("token_keep = 0.5\nvalue_keep = 0.25\n", encoding="utf-8")
    changed = simulated(MODEL, "--set=token_keep=0.5", "--set=value_keep=0.25")
    assert simulated(MODEL, "--config", path) == changed


def test_other_machines_do_not_take_attention(tmp_path: Path) -> None:
    ran = sextant("simulate", "sparch", trace(tmp_path))
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    ran = sextant("simulate", "bitfusion", MODEL + ",seed=2")  # a model's blocks are layers, but of no values
    assert ran.code == 2
    assert ran.err.count("\n") == 1
