"""Studies from the command line: what a folder holds, how it goes on, and that its results can be had again."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from searchers.problems.layer_problem import LayerProblem as Problem
from searchers.storage.kept import Kept, kept_points, kept_study
from tests.command_line import Ran, sextant

StudyFile = Callable[..., Path]
PICTURES = ("front.png", "roofline.png", "cycle_stack.png")
INSIGHT = ("parallel.png", "influence.png", "bits.png", "before_after.png")
TABLES = ("results.csv", "front.csv", "chosen_layers.csv")
PNG = b"\x89PNG\r\n\x1a\n"


def refused(*arguments: object, code: int) -> str:
    """Run a command that must fail at once, and return its one line."""
    ran = sextant(*arguments)
    assert ran.code == code, ran
    assert ran.err.startswith("sextant: ")
    assert ran.err.count("\n") == 1
    return ran.err.removeprefix("sextant: ").rstrip("\n")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(write_study: StudyFile, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """A finished study in a folder, and what it printed; to be read only."""
    home = tmp_path_factory.mktemp("finished")
    ran = sextant("cosearch", write_study(home), "--out", home / "out")
    assert ran.code == 0, ran
    return home / "out", ran


@pytest.fixture
def searched(finished: tuple[Path, Ran], tmp_path: Path) -> Path:
    """A copy of the finished study, to be changed."""
    return Path(shutil.copytree(finished[0], tmp_path / "out"))


def assert_chosen_is_had_again(folder: Path, ran: Ran) -> None:
    (line,) = (line for line in ran.out.splitlines() if "again: " in line)
    program, *arguments = shlex.split(line.partition("again: ")[2])
    assert program == "sextant"
    report = sextant(*arguments, "--json")
    assert report.code == 0, report
    found = json.loads(report.out)
    designs = {int(float(row["cycles"])): row for row in rows(folder / "front.csv")}
    assert found["cycles"] in designs
    row = designs[found["cycles"]]
    assert found["seconds"] == float(row["seconds"])
    assert found["energy_pj"]["total"] == pytest.approx(float(row["energy_pj"]), rel=1e-12)
    assert found["area_mm2"]["total"] == float(row["area_mm2"])


def test_a_study_leaves_its_store_tables_and_pictures(finished: tuple[Path, Ran]) -> None:
    folder, ran = finished
    for name in ("study.sqlite", "study.toml", *TABLES, *PICTURES):
        assert (folder / name).stat().st_size > 0
    for picture in PICTURES:
        assert (folder / picture).read_bytes().startswith(PNG)
        assert f"picture:  {folder / picture}\n" in ran.out
    assert ran.err.splitlines()[0] == "study: 10 choices, 10^5 candidates"
    assert ran.err.splitlines()[1].startswith("compiling kernels")
    assert [line.split()[:3] for line in ran.err.splitlines()[2:]] == [
        ["16", "of", "40"],
        ["32", "of", "40"],
        ["40", "of", "40"],
    ]


def test_the_tables_hold_every_point_and_the_front(finished: tuple[Path, Ran]) -> None:
    folder, _ = finished
    points, front = rows(folder / "results.csv"), rows(folder / "front.csv")
    assert len(points) == 40
    assert 1 <= len(front) < 40
    assert all(row in points for row in front)
    assert {"generation", "place", "state", "reason", "violation", *kept_study(folder).problem.quantities} <= set(
        points[0]
    )
    assert {"bits.activations", "bits.weights", "machine.rows", "machine.columns"} <= set(points[0])
    study = kept_study(folder)
    kept = kept_points(study, folder)
    for row, point in zip(points, kept, strict=True):
        assert {name: float(row[name]) for name in study.problem.quantities} == point.outcome.quantities
        assert row["machine.rows"] in ("4", "8")
        assert len(row["bits.weights"].split("-")) == len(rows(folder / "chosen_layers.csv"))


def test_the_chosen_design_can_be_had_again(finished: tuple[Path, Ran]) -> None:
    assert_chosen_is_had_again(*finished)


@pytest.mark.parametrize(
    "machine",
    [
        "rows = [4, 8]\nclock_hz = { low = 1e8, high = 1e9, log = true }\nwide_outputs = [true, false]",
        "rows = [4, 8]\ncolumns = 8\nclock_hz = 1e8\ndram_bits_per_cycle = 64",
    ],
    ids=["every kind of knob", "fields that are not searched"],
)
def test_the_chosen_design_can_be_had_again_on(study_file: StudyFile, tmp_path: Path, machine: str) -> None:
    ran = sextant("cosearch", study_file(machine=f"[machine]\n{machine}"), "--out", tmp_path / "out", "--budget", 20)
    assert ran.code == 0
    assert_chosen_is_had_again(tmp_path / "out", ran)


def test_the_chosen_design_can_be_had_again_from_a_folder_with_a_space(study_file: StudyFile, tmp_path: Path) -> None:
    ran = sextant("cosearch", study_file(), "--out", tmp_path / "my study", "--budget", 20)
    assert ran.code == 0
    assert_chosen_is_had_again(tmp_path / "my study", ran)


def test_the_same_study_gives_the_same_bytes(finished: tuple[Path, Ran], study_file: StudyFile, tmp_path: Path) -> None:
    folder, ran = finished
    other = sextant("cosearch", study_file(), "--out", tmp_path / "other", "--workers", 2)
    assert other.code == 0
    for name in TABLES:
        assert (tmp_path / "other" / name).read_bytes() == (folder / name).read_bytes()
    assert ran.out.splitlines()[-1] == other.out.splitlines()[-1]
    assert "sha256" in ran.out.splitlines()[-1]


@pytest.mark.parametrize("objectives", [["seconds"], ["seconds", "gops"], ["edp", "area_mm2", "dram_bytes", "gops"]])
def test_any_number_of_objectives_can_be_searched_and_drawn(
    study_file: StudyFile, tmp_path: Path, objectives: list[str]
) -> None:
    ran = sextant(
        "cosearch", study_file(objectives=f"objectives = {json.dumps(objectives)}"), "--out", tmp_path / "out"
    )
    assert ran.code == 0
    assert "Warning" not in ran.err


def test_options_take_the_place_of_the_study(study_file: StudyFile, tmp_path: Path) -> None:
    options = ("--budget", 18, "--seed", 9, "--algorithm", "random")
    assert sextant("cosearch", study_file(), "--out", tmp_path / "out", *options).code == 0
    study = kept_study(tmp_path / "out")
    assert (study.budget, study.seed, study.algorithm) == (18, 9, "random")
    assert len(rows(tmp_path / "out" / "results.csv")) == 18


def test_resume_with_a_larger_budget_is_the_larger_study(searched: Path, study_file: StudyFile, tmp_path: Path) -> None:
    folder = searched
    assert sextant("resume", folder, "--budget", 70).code == 0
    assert sextant("cosearch", study_file(), "--out", tmp_path / "whole", "--budget", 70).code == 0
    for name in TABLES:
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_resume_of_a_finished_study_changes_nothing(finished: tuple[Path, Ran], searched: Path) -> None:
    folder = searched
    before = {name: (folder / name).read_bytes() for name in TABLES}
    assert sextant("resume", folder).out == finished[1].out.replace(str(finished[0]), str(folder))
    assert {name: (folder / name).read_bytes() for name in TABLES} == before


def test_a_raised_budget_is_remembered(searched: Path) -> None:
    # An interrupted `resume --budget 70` says: continue with sextant resume DIR.
    folder = searched
    assert sextant("resume", folder, "--budget", 70).code == 0
    assert sextant("resume", folder).code == 0
    assert len(rows(folder / "results.csv")) == 70


def test_plot_draws_again_and_any_design_of_the_front(searched: Path) -> None:
    folder = searched
    for picture in PICTURES:
        (folder / picture).unlink()
    ran = sextant("plot", folder)
    assert (ran.code, ran.out) == (0, "".join(f"wrote {folder / picture}\n" for picture in (*PICTURES, *INSIGHT)))
    designs = [int(row["design"]) for row in rows(folder / "front.csv")]
    drawn = []
    for design in (designs[0], designs[-1]):
        assert sextant("plot", folder, "--design", design).code == 0
        drawn.append((folder / "roofline.png").read_bytes())
    assert drawn[0] != drawn[1]
    last = len(rows(folder / "results.csv")) - 1
    need = f"need 0..{last}, a design that was built"
    assert refused("plot", folder, "--design", last + 1, code=2) == f"{folder}: --design = {last + 1}, {need}"


def test_export_writes_the_table_of_results(searched: Path, tmp_path: Path) -> None:
    folder = searched
    assert sextant("export", folder, "--csv", tmp_path / "points.csv").out == f"wrote {tmp_path / 'points.csv'}\n"
    assert (tmp_path / "points.csv").read_bytes() == (folder / "results.csv").read_bytes()
    before = (folder / "results.csv").read_bytes()
    (folder / "results.csv").unlink()
    assert sextant("export", folder).code == 0
    assert (folder / "results.csv").read_bytes() == before


def test_an_export_that_cannot_be_written_is_told_in_one_line(searched: Path, tmp_path: Path) -> None:
    folder = searched
    message = refused("export", folder, "--csv", tmp_path / "none" / "points.csv", code=2)
    assert message == f"{tmp_path / 'none' / 'points.csv'}: No such file or directory, need a file that can be written"


# Folders that cannot be used: exit code 4


def test_a_folder_with_a_study_is_not_searched_again(searched: Path, study_file: StudyFile) -> None:
    folder = searched
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    message = refused("cosearch", study_file(seed="seed = 8"), "--out", folder, code=4)
    assert message == f"{folder}: holds a study already, need another folder, or: sextant resume {folder}"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("command", ["resume", "plot", "export"])
def test_a_folder_without_a_study_is_told_in_one_line(tmp_path: Path, command: str) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        assert refused(command, folder, code=4).startswith(f"{folder}: holds no study, need a folder made by: sextant ")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told_in_one_line(study_file: StudyFile, tmp_path: Path) -> None:
    path = study_file()
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        assert refused("cosearch", path, "--out", folder, code=4).endswith("need a folder that can be written")


@pytest.mark.parametrize("command", ["resume", "plot", "export"])
def test_a_store_that_is_none_is_told_in_one_line(searched: Path, command: str) -> None:
    folder = searched
    (folder / "study.sqlite").write_bytes(b"not a database at all\n" * 40)
    message = refused(command, folder, code=4)
    assert message.startswith(f"{folder / 'study.sqlite'}: ")


@pytest.mark.parametrize("name", ["results.csv", "front.png"])
def test_a_result_that_cannot_be_written_is_told_in_one_line(study_file: StudyFile, tmp_path: Path, name: str) -> None:
    (tmp_path / "out" / name).mkdir(parents=True)
    ran = sextant("cosearch", study_file(), "--out", tmp_path / "out", "--budget", 16)
    assert ran.code in (2, 4)
    assert str(tmp_path / "out") in ran.err.splitlines()[-1]


def test_a_study_edited_after_it_was_run_is_told_in_one_line(searched: Path) -> None:
    folder = searched
    text = (folder / "study.toml").read_text()
    (folder / "study.toml").write_text(text.replace("rows = [4, 8]", "rows = [8, 4]"))
    assert "holds the points of another study" in refused("plot", folder, code=4)


def test_a_stopped_study_exits_with_3_and_goes_on(
    study_file: StudyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, seen = tmp_path / "out", []
    evaluate = Problem.evaluate

    def stopping(problem: Problem, genomes: Any) -> Any:
        seen.extend(genomes)
        if len(seen) > 20:
            raise KeyboardInterrupt
        return evaluate(problem, genomes)

    with monkeypatch.context() as patch:
        patch.setattr(Problem, "evaluate", stopping)
        ran = sextant("cosearch", study_file(), "--out", folder)
    assert ran.code == 3
    kept = sum(Kept(folder).states()[state] for state in ("done", "failed"))
    assert 16 <= kept <= 20
    assert ran.err.splitlines()[-1] == (
        f"sextant: stopped; {kept} of 40 evaluations are kept; continue with: sextant resume {folder}"
    )
    assert sextant("resume", folder).code == 0
    assert sextant("cosearch", study_file(), "--out", tmp_path / "whole").code == 0
    assert (folder / "results.csv").read_bytes() == (tmp_path / "whole" / "results.csv").read_bytes()


def test_numbers_of_the_front_are_shown_whole_and_fields_without_room_are_named(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    kept = "\n".join(f"{name} = {{ low = 0.3, high = 1.0 }}" for name in ("token_keep", "head_keep", "value_keep"))
    more = "\n".join(
        f"{name} = {values}"
        for name, values in {
            "msb_bits": [4, 8], "lsb_bits": [0, 4], "multipliers": [64, 128], "topk_lanes": [4, 16],
            "sram_bytes": [98304, 196608], "hbm_channels": [4, 8], "requant_threshold": [0.05, 0.1],
        }.items()
    )  # fmt: skip
    path = study_file(
        budget="budget = 8",
        objectives='objectives = ["seconds", "energy_pj", "output_error"]',
        network='[workload]\nname = "bert-base:length=16"',
        bits="",
        machine=f'[machine]\nname = "spatten"\n{kept}\n{more}',
    )
    ran = sextant("cosearch", path, "--out", tmp_path / "out")
    assert ran.code == 0, ran
    table = ran.out[: ran.out.index("★ nearest")]
    assert "…" not in table
    assert "mean bits" not in table
    assert "no room for: requant threshold; front.csv has them" in table
    assert max(map(len, table.splitlines())) <= 120
