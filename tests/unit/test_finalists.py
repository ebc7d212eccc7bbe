"""Finalists really trained: which are chosen, what is kept, and what is regretted. Training itself stands in."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from searchers import finalists
from searchers.finalists import FINALISTS, TRAINED, Finalist, choose, results, train
from searchers.oracles.accuracy import Bits
from searchers.oracles.digits import COLUMNS, Digits, measured, seed_sigma, words_of
from searchers.storage.kept import kept_points, kept_study
from searchers.study import read_study
from tests.command_line import sextant
from workloads.errors import Interrupted, StudyError
from workloads.networks.tiny_residual import Architecture

STUDY = """
seed = 1
budget = 60
objectives = ["seconds", "accuracy_bound"]
[algorithm]
population = 20
[network]
family = "tiny-residual"
[bits]
per = "block"
ends = 8
activations = [2, 3, 4, 6, 8]
weights = [2, 3, 4, 6, 8]
[accuracy]
oracle = "digits"
[machine]
rows = [4, 8]
columns = [4, 8]
"""
TESTED = 1000
Measure = Callable[[Architecture, Bits, int], tuple[int, int]]


def predicted(architecture: Architecture, bits: Bits, seed: int) -> tuple[int, int]:
    """Stand for a training: what the oracle says, and a point more or less by seed."""
    (percent,) = Digits().predict([architecture], [bits]).tolist()
    return round(10 * percent) + (10 if seed else -10), TESTED


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finalists")
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    assert sextant("cosearch", folder / "study.toml", "--out", folder / "out").code == 0
    return folder / "out"


@pytest.fixture
def searched(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "out"))


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[str, ...], int]]:
    """Return what has been trained."""
    done: list[tuple[tuple[str, ...], int]] = []

    def measure(architecture: Architecture, bits: Bits, seed: int) -> tuple[int, int]:
        done.append((words_of(architecture, bits), seed))
        return predicted(architecture, bits, seed)

    monkeypatch.setattr(finalists, "_measure", lambda: measure)
    return done


def chosen(folder: Path, count: int = 4) -> list[Finalist]:
    study = kept_study(folder)
    return choose(study, kept_points(study, folder), count)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_finalists_are_different_networks_from_the_best_predicted_to_the_last_of_the_front(finished: Path) -> None:
    found = chosen(finished)
    bounds = [one.point.outcome.quantities["accuracy_bound"] for one in found]
    assert bounds == sorted(bounds, reverse=True)
    assert len({one.words for one in found}) == len(found) == 4
    study = kept_study(finished)
    points = kept_points(study, finished)
    assert all(points[one.design] == one.point for one in found)
    assert bounds[0] == max(p.outcome.quantities["accuracy_bound"] for p in points if study.feasible(p.outcome))


def test_every_training_is_a_row_and_is_not_done_again(
    searched: Path, trainings: list[tuple[tuple[str, ...], int]]
) -> None:
    found = chosen(searched)
    reached = train(found, 2, searched)
    assert trainings == [(one.words, seed) for one in found for seed in (0, 1)]
    assert [len(reached[one.words]) for one in found] == [2] * 4
    assert len(rows(searched / TRAINED)) == 8
    before = (searched / "results.csv").read_bytes()
    assert train(found, 2, searched) == reached
    assert len(trainings) == 8
    assert (searched / "results.csv").read_bytes() == before
    train(found, 3, searched)  # a third seed of each
    assert len(trainings) == 12


def test_a_row_that_was_cut_off_is_trained_again(searched: Path, trainings: list[tuple[tuple[str, ...], int]]) -> None:
    found = chosen(searched, 2)
    whole = train(found, 2, searched)
    text = (searched / TRAINED).read_text(encoding="utf-8")
    (searched / TRAINED).write_text(text[:-3], encoding="utf-8")
    assert train(found, 2, searched) == whole
    assert len(trainings) == 5
    assert (searched / TRAINED).read_text(encoding="utf-8") == text


def test_what_is_trained_when_it_is_stopped_is_kept(
    searched: Path, trainings: list[tuple[tuple[str, ...], int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = chosen(searched, 2)

    def stop(done: int, of: int) -> None:
        assert of == 4
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        train(found, 2, searched, progress=stop)
    assert str(caught.value) == (
        f"stopped; 1 of 2 networks are trained; continue with: sextant retrain {searched} --finalists 2 --seeds 2"
    )
    assert len(train(found, 2, searched)) == 2
    assert len(trainings) == 4


def test_regret_is_what_the_best_affordable_network_of_the_table_reaches_more(
    searched: Path, trainings: list[tuple[tuple[str, ...], int]]
) -> None:
    study, found = kept_study(searched), chosen(searched)
    for one in results(study, found, train(found, 2, searched)):
        assert one.reached == pytest.approx(one.predicted, abs=0.06)  # as rounded to tenths above
        assert one.reached_sigma == pytest.approx(seed_sigma(measured()) / 2**0.5)
        if one.rival is not None:
            assert one.regret == one.rival.mean - one.reached
    cheapest = min(found, key=lambda one: one.point.outcome.quantities["seconds"])
    dearest = max(found, key=lambda one: one.point.outcome.quantities["seconds"])
    rivals = {
        one.finalist.design: (one.rival.mean if one.rival else 0.0)
        for one in results(study, found, train(found, 2, searched))
    }
    assert rivals[cheapest.design] <= rivals[dearest.design]
    assert rivals[dearest.design] > 60.0


def test_the_command_prints_regrets_and_writes_a_table(
    searched: Path, trainings: list[tuple[tuple[str, ...], int]]
) -> None:
    ran = sextant("retrain", searched, "--finalists", 3)
    assert ran.code == 0, ran
    assert ran.err.splitlines()[-1].split() == ["6", "of", "6", "trainings"]
    assert "regret of picking the best predicted: 0.0 points" in ran.out
    assert "no dearer on the same machine: median" in ran.out
    table = rows(searched / FINALISTS)
    assert len(table) == 3
    assert {"design", "predicted", "reached", "rival_reached", "regret", *COLUMNS[2:]} <= table[0].keys()
    assert sextant("retrain", searched, "--finalists", 3)[1:] == (ran.out, "")  # nothing is trained again


def test_without_pytorch_one_line_says_what_to_install(searched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finalists, "find_spec", lambda name: None)
    ran = sextant("retrain", searched)
    assert ran.code == 2
    assert ran.err == "sextant: retrain: torch = not installed, need pip install 'sextant[train]'\n"


def test_a_study_whose_networks_cannot_be_trained_is_refused(study_file: Callable[..., Path]) -> None:
    with pytest.raises(StudyError) as caught:
        choose(read_study(study_file()), [], 3)
    assert str(caught.value) == "study: accuracy.oracle is missing, need digits: only its networks can be trained here"


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    ran = sextant("retrain", tmp_path)
    assert ran.code == 4
    assert "holds no study" in ran.err
