"""The file an oracle reads, named on the command line: it takes the place of the study's, and is part of the study."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from searchers.storage.kept import kept_study
from searchers.study import read_study
from tests.command_line import sextant

HEADER = "network,regime,weights,activations,value,sigma\n"
ROW = "lenet5-bitfusion,fp32,,,99.1,0.2\n"
OWN = '[accuracy]\noracle = "own-table"\nregime = "fp32"'
IMAGENET = '[network]\nfamily = "once-for-all"\nimage_size = [192]\n[accuracy]\noracle = "imagenet"\nregime = "fp32"'
OBJECTIVES = 'objectives = ["seconds", "accuracy_bound"]'
StudyFile = Callable[..., Path]


@pytest.fixture
def study(study_file: StudyFile) -> Path:
    return study_file(budget="budget = 4", objectives=OBJECTIVES, bits="", constraints=OWN)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text(HEADER + ROW, encoding="utf-8")
    return path


def refused(*arguments: object, code: int = 2) -> str:
    ran = sextant(*arguments)
    assert ran.code == code, ran
    assert ran.err.count("\n") == 1
    return ran.err


def test_it_is_kept_with_the_study_and_a_changed_file_is_another_study(
    study: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    monkeypatch.chdir(tmp_path)
    ran = sextant("cosearch", study, "--out", folder, "--oracle-file", table.name)
    assert ran.code == 0, ran
    assert "99.1" in (folder / "results.csv").read_text(encoding="utf-8")
    assert f"accuracy: accuracy of one's own [as its maker says], fp32, {table.resolve()}" in ran.out
    assert "standard deviation of the oracle" in ran.out
    monkeypatch.chdir("/")  # found again from anywhere
    assert kept_study(folder).oracle_file == str(table.resolve())
    assert sextant("resume", folder).code == 0
    table.write_text(HEADER + ROW.replace("99.1", "98.2"), encoding="utf-8")
    for command in ("resume", "export"):
        assert "another study, seed or oracle file" in refused(command, folder, code=4)
    table.unlink()
    assert "mine.csv" in refused("resume", folder)


def test_the_studys_own_lies_beside_the_study(
    study_file: StudyFile, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = f'{OWN}\nfile = "{table.name}"'
    path = study_file(budget="budget = 4", objectives=OBJECTIVES, bits="", constraints=own)
    monkeypatch.chdir("/")
    assert sextant("cosearch", path, "--out", tmp_path / "out").code == 0
    path.unlink()  # the folder alone goes on
    assert sextant("resume", tmp_path / "out", "--budget", 6).code == 0
    missing = study_file(objectives=OBJECTIVES, bits="", constraints=f'{OWN}\nfile = "none.csv"')
    assert f"{tmp_path / 'none.csv'}" in refused("cosearch", missing, "--out", tmp_path / "no")


def test_it_takes_the_place_of_the_studys_own(study_file: StudyFile, table: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text(HEADER + ROW.replace("99.1", "50"), encoding="utf-8")
    path = study_file(objectives=OBJECTIVES, bits="", constraints=f'{OWN}\nfile = "{other}"')
    before, given = read_study(path), read_study(path, oracle_file=str(table))
    values = [
        study.problem.evaluate(np.zeros((1, len(study.problem.space))))[0].quantities["accuracy"]
        for study in (before, given)
    ]
    assert values == [50, 99.1]
    assert before.key != given.key
    key = before.key
    other.write_text(HEADER + ROW.replace("99.1", "51"), encoding="utf-8")
    assert read_study(path).key != key  # by what the file holds, not by its name


def test_the_published_predictors_weights(study_file: StudyFile, tmp_path: Path) -> None:
    path = study_file(objectives=OBJECTIVES, bits="", network="", constraints=IMAGENET)
    weights = tmp_path / "weights.npz"
    widths = (128, 2, 2, 2, 1)
    layers = {f"w{i}": np.zeros((after, before), np.float32) for i, (before, after) in enumerate(pairwise(widths))}
    np.savez(weights, **layers, **{f"b{i}": np.full(after, 0.8, np.float32) for i, after in enumerate(widths[1:])})
    study = read_study(path, oracle_file=str(weights))
    (outcome,) = study.problem.evaluate(np.zeros((1, len(study.problem.space))))
    assert outcome.quantities["accuracy"] == pytest.approx(0.74894 * 80 + 14.8448)
    (tmp_path / "no.npz").write_bytes(b"nothing")
    for name, said in (("no.npz", "need a numpy archive"), ("none.npz", "need a numpy archive")):
        error = refused("cosearch", path, "--out", tmp_path / "out", "--oracle-file", tmp_path / name)
        assert name in error
        assert said in error


def test_a_study_or_an_oracle_that_takes_none(study_file: StudyFile, table: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out", "--oracle-file", table)
    assert f"command line: --oracle-file = {table}, need [accuracy] in " in refused("cosearch", study_file(), *out)
    takes_none = study_file(constraints='[accuracy]\noracle = "digits"')
    error = refused("cosearch", takes_none, *out)
    assert "oracle digits: file = " in error
    assert error.endswith("need no file\n")
    assert not (tmp_path / "out").exists()
