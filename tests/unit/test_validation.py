"""Published numbers: complete, sourced, and compared so that only what is well known gates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sextant.__main__ import command
from validation import numbers
from validation.compare import compare, details
from validation.numbers import Comparison, Number, read_numbers
from workloads.errors import ConfigError


def number(**changes: object) -> Number:
    fields = {"id": "a", "value": 2.0, "unit": "x", "tolerance": 0.1, "source": "paper, table 1", "grade": "printed"}
    return Number(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ours", "grade", "verdict"),
    [
        (2.19, "printed", "pass"),
        (1.81, "printed", "pass"),
        (2.21, "printed", "miss"),
        (1.79, "recalled", "shown only"),
        (2.0, "recalled", "pass"),
    ],
)
def test_verdicts(ours: float, grade: str, verdict: str) -> None:
    assert Comparison(number(grade=grade), ours).verdict == verdict


@pytest.mark.parametrize(
    ("bound", "ours", "verdict"),
    [("at_least", 5.0, "pass"), ("at_least", 1.7, "miss"), ("at_most", 0.1, "pass"), ("at_most", 2.3, "miss")],
)
def test_only_one_side_of_a_bound_is_wrong(bound: str, ours: float, verdict: str) -> None:
    assert Comparison(number(bound=bound), ours).verdict == verdict


def test_oracles_hold_their_bars_and_say_how_well_they_are_known() -> None:
    verdicts = {entry.number.id: entry.verdict for entry in compare("oracles")}
    assert verdicts.pop("language_spearman") == "explained"  # its networks agree no better among themselves
    assert set(verdicts.values()) == {"pass"}
    rows = details("oracles")
    assert {"tier", "n", "Spearman", "RMSE", "inside 2 sigma"} == {heading for row in rows for heading in row}
    assert details("bitfusion") == []


def test_zero_tolerance_is_equality() -> None:
    exact = number(value=37666491, tolerance=0)
    assert Comparison(exact, 37666491.0).verdict == "pass"
    assert Comparison(exact, 37666492.0).verdict == "miss"


def test_every_published_number_is_complete() -> None:
    for name in numbers.names():
        found = read_numbers(name)
        assert len({entry.id for entry in found}) == len(found)


def test_bitfusion_equals_everything_published() -> None:
    compared = compare("bitfusion")
    assert len(compared) >= 45
    assert [entry.number.id for entry in compared if entry.verdict != "pass"] == []


def test_networks_that_amc_and_proxylessnas_found_are_as_large_as_published() -> None:
    rounded = {f"mobilenet_v1-amc-0.5-{what}.macs" for what in ("flops", "latency")}
    for name, explained in (("amc", rounded), ("proxylessnas", set())):
        verdicts = {entry.number.id: entry.verdict for entry in compare(name)}
        assert {number for number, verdict in verdicts.items() if verdict != "pass"} == explained
        assert set(verdicts.values()) <= {"pass", "explained"}


def test_an_unknown_name_is_named() -> None:
    with pytest.raises(ConfigError, match=r"NAME = spar, need one of \w+, "):
        read_numbers("spar")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('grade = "guessed"\nsource = "x"\nvalue = 1.0\ntolerance = 0', "grade = guessed, need one of printed"),
        (
            'grade = "printed"\nsource = ""\nvalue = 1.0\ntolerance = 0',
            "need a source, a number and a tolerance from 0",
        ),
        ('grade = "printed"\nsource = "x"\nvalue = nan\ntolerance = 0', "need a source, a number"),
        ('grade = "printed"\nsource = "x"\nvalue = 1.0\ntolerance = -1', "need a source, a number"),
    ],
)
def test_a_bad_entry_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, message: str) -> None:
    (tmp_path / "toy.toml").write_text(f'[[number]]\nid = "a"\nunit = "x"\n{entry}\n', encoding="utf-8")
    monkeypatch.setattr(numbers, "PUBLISHED", tmp_path)
    with pytest.raises(ConfigError) as caught:
        read_numbers("toy")
    assert "published/toy.toml, a: " in str(caught.value)
    assert message in str(caught.value)


def test_a_miss_is_an_exit_code_of_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("validation.compare.compare", lambda name: [Comparison(number(), 3.0)])
    shown = CliRunner().invoke(command, ["validate", "bitfusion", "--out", str(tmp_path)])
    assert shown.exit_code == 1
    assert "1 numbers: 0 pass, 1 miss, 0 explained, 0 shown only" in shown.output
    assert (tmp_path / "validation.csv").read_text(encoding="utf-8").count("\n") == 2
    page = (tmp_path / "validation.html").read_text(encoding="utf-8")
    assert "1 numbers: 0 pass, 1 miss" in page
    assert page.count("<tr>") == 2


def test_an_explained_difference_does_not_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("validation.compare.compare", lambda name: [Comparison(number(cause="because"), 3.0)])
    shown = CliRunner().invoke(command, ["validate", "bitfusion"])
    assert shown.exit_code == 0
    assert "1 numbers: 0 pass, 0 miss, 1 explained, 0 shown only" in shown.output
    assert "bitfusion a: because" in shown.output


def test_json_holds_source_and_verdict() -> None:
    shown = CliRunner().invoke(command, ["validate", "bitfusion", "bitserial", "outerspace", "systolic", "--json"])
    assert shown.exit_code == 0
    rows = json.loads(shown.stdout)["numbers"]
    assert all(row["source"] for row in rows)
    assert {row["verdict"] for row in rows if row["grade"] != "recalled"} == {"pass"}
