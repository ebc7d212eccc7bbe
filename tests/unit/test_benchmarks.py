"""Figures of benchmarks are kept by commit, and what moved between two is said."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from benchmarks import compare, timing


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(timing, "RESULTS", tmp_path)
    monkeypatch.setattr(compare, "RESULTS", tmp_path)
    for age, (commit, figures) in enumerate(
        {"aaa": {"x": 1.0, "y": 2.0, "gone": 1.0}, "bbb": {"x": 1.1, "y": 3.0}}.items()
    ):
        (tmp_path / commit).mkdir()
        path = tmp_path / commit / "speed.json"
        path.write_text(json.dumps(figures), encoding="utf-8")
        os.utime(path, (age, age))
    return tmp_path


def test_only_what_moved_is_shown(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["compare"])
    compare.main()
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == "aaa -> bbb: 2 figures of both"
    assert [line.split() for line in rest] == [["speed:", "y", "2", "->", "3", "+50%"]]


def test_figures_of_one_commit_are_not_compared(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["compare", "aaa", "ccc"])
    with pytest.raises(SystemExit, match="need figures of two commits"):
        compare.main()


def test_figures_are_kept_under_their_commit(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "commit", lambda: "ccc")
    timing.keep("speed", {"x": 1.5})
    assert json.loads((results / "ccc" / "speed.json").read_text(encoding="utf-8")) == {"x": 1.5}


def test_the_least_of_several_rounds_counts() -> None:
    seconds = timing.cpu_seconds({"one": lambda: sum(range(1000)), "other": lambda: sum(range(100_000))}, rounds=3)
    assert 0 <= seconds["one"] < seconds["other"]
