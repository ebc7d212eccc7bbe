"""Defects that were once found by hand, each kept out."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from searchers.outcome import Outcome
from searchers.storage.kept import kept_study
from searchers.storage.store import Point, Store
from sextant.__main__ import command
from workloads.catalog import build_table
from workloads.errors import OutputError, SextantError, StoreError, WorkloadError
from workloads.layer_csv import read_layers, write_layers

LENET = build_table("lenet5-bitfusion")


def heading_and_rows(tmp_path: Path) -> list[str]:
    write_layers(LENET, tmp_path / "table.csv")
    return (tmp_path / "table.csv").read_text(encoding="utf-8").splitlines()


def refusal(tmp_path: Path, lines: list[str]) -> str:
    (tmp_path / "table.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(WorkloadError) as caught:
        read_layers(tmp_path / "table.csv")
    return str(caught.value)


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    lines = heading_and_rows(tmp_path)
    path = tmp_path / "[bold]$_$.csv"
    path.write_text("\n".join([lines[0], lines[1].replace("conv0", "a$_$[/red]b")]), encoding="utf-8")
    ran = CliRunner().invoke(command, ["simulate", "bitfusion", str(path), "--plot", str(tmp_path / "pictures")])
    assert ran.exit_code == 0, ran.exception
    assert "[bold]$_$ on bitfusion" in ran.output
    assert "a$_$[/red]b" in ran.output


def test_cells_beyond_the_headings_are_refused(tmp_path: Path) -> None:
    lines = heading_and_rows(tmp_path)
    assert "line 3: cells = 1 too many, need as many as headings" in refusal(tmp_path, [*lines[:2], lines[2] + ",7"])


def test_a_heading_that_stands_twice_is_refused(tmp_path: Path) -> None:
    lines = heading_and_rows(tmp_path)
    doubled = [line + "," + cell for line, cell in zip(lines, ("in_c", *"1111"), strict=True)]
    assert "column = in_c, need every column once" in refusal(tmp_path, doubled)


def test_a_layer_without_a_name_is_refused(tmp_path: Path) -> None:
    lines = heading_and_rows(tmp_path)
    assert "line 2: name is missing" in refusal(tmp_path, [lines[0], lines[1].removeprefix("conv0")])
    moved = [",".join([*line.split(",")[1:], line.split(",")[0]]) for line in lines]
    assert "name is missing" in refusal(tmp_path, [moved[0], moved[1].rsplit(",", 1)[0]])


def test_a_batch_beyond_exact_counting_is_refused() -> None:
    with pytest.raises(WorkloadError, match="batch = 1048576, need at most"):
        build_table("resnet50:batch=1048576")


def finished(tmp_path: Path) -> Path:
    study = tmp_path / "study.toml"
    study.write_text(
        """
        name = "small"
        budget = 40
        objectives = ["seconds", "energy_pj"]
        [algorithm]
        population = 20
        [network]
        name = "lenet5-bitfusion"
        [bits]
        activations = [2, 4]
        weights = [2, 4]
        [machine]
        rows = [8, 16]
        """,
        encoding="utf-8",
    )
    ran = CliRunner().invoke(command, ["cosearch", str(study), "--out", str(tmp_path / "out")])
    assert ran.exit_code == 0, ran.exception
    return tmp_path / "out"


def failure(*arguments: str) -> SextantError:
    error = CliRunner().invoke(command, list(arguments)).exception
    assert isinstance(error, SextantError)
    return error


def test_a_study_that_goes_wrong_later(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    options = (folder / "options.toml").read_text(encoding="utf-8")
    assert "--budget = 10, need at least 40" in str(failure("resume", str(folder), "--budget", "10"))
    assert (folder / "options.toml").read_text(encoding="utf-8") == options
    assert isinstance(failure("export", str(folder), "--csv", "/dev/full"), OutputError)
    with Store(folder, kept_study(folder).key) as store:
        point = store.points()[3]
    with sqlite3.connect(folder / "study.sqlite") as database:
        database.execute("DELETE FROM points WHERE number = 3")
    database.close()
    with Store(folder, kept_study(folder).key) as store:
        store.add([Point(0, 3, point.genome, Outcome({"a": 1.0}))])
    for name in ("resume", "export", "plot"):
        error = failure(name, str(folder))
        assert isinstance(error, StoreError)
        assert "point 0/3 of the store holds other quantities" in str(error)


def test_a_refused_resume_leaves_the_options_alone(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    options = (folder / "options.toml").read_text(encoding="utf-8")
    with Store(folder, kept_study(folder).key):
        assert "another process" in str(failure("resume", str(folder), "--budget", "60"))
    assert (folder / "options.toml").read_text(encoding="utf-8") == options


def test_a_layer_table_can_be_searched(tmp_path: Path) -> None:
    from searchers.study import read_study

    write_layers(LENET, tmp_path / "mine.csv")
    study = tmp_path / "study.toml"
    study.write_text(
        f'budget = 8\nobjectives = ["edp"]\n[network]\nname = "{tmp_path / "mine.csv"}"\n[machine]\nrows = [8, 16]\n',
        encoding="utf-8",
    )
    assert read_study(study).problem.space.places.tolist() == [2]
