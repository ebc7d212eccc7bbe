"""Running a study: the same points on any number of workers, in one go or in pieces, stopped or not."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from searchers.problems.layer_problem import LayerProblem as Problem
from searchers.run import Progress, run_study
from searchers.space import Genomes
from searchers.storage.results import RESULTS, write_points
from searchers.storage.store import Store
from searchers.study import Study, read_study
from workloads.errors import Interrupted, StoreError, StudyError

StudyFile = Callable[..., Path]
# Some candidates cannot be built, some break the limit: both must come back as they were.
MACHINE = "[machine]\nrows = [4, 8, 16]\ncolumns = [4, 8, 64]\nwbuf_bytes = { low = 4096, high = 65536, step = 4096 }"
LIMIT = '[[constraints]]\nquantity = "area_mm2"\nat_most = 1.5'


def study_of(study_file: StudyFile, budget: int = 40, algorithm: str = "nsga2") -> Study:
    return read_study(study_file(machine=MACHINE, constraints=LIMIT), budget=budget, algorithm=algorithm)


def table(study: Study, folder: Path, **options: object) -> bytes:
    """Run a study and return its results.csv."""
    points = run_study(study, folder, **options)  # type: ignore[arg-type]
    write_points(study, points, folder / RESULTS)
    return (folder / RESULTS).read_bytes()


def stop_after(calls: int) -> Callable[[Progress], None]:
    """Return a progress callback during whose n-th call the user presses control and C."""
    seen = []

    def progress(state: Progress) -> None:
        seen.append(state)
        if len(seen) == calls:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("algorithm", ["random", "nsga2", "evolution"])
def test_the_number_of_workers_changes_no_byte(study_file: StudyFile, tmp_path: Path, algorithm: str) -> None:
    study = study_of(study_file, algorithm=algorithm)
    alone, two, four = (table(study, tmp_path / f"with{count}", workers=count) for count in (1, 2, 4))
    assert two == alone
    assert four == alone
    assert alone.count(b"\n") == 41


def test_a_study_leaves_the_garbage_collector_as_it_was(study_file: StudyFile, tmp_path: Path) -> None:
    frozen: list[int] = []
    run_study(study_of(study_file), tmp_path / "one", progress=lambda _: frozen.append(gc.get_freeze_count()))
    assert min(frozen) > 0
    assert gc.get_freeze_count() == 0
    gc.freeze()
    try:
        run_study(study_of(study_file), tmp_path / "two")
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("algorithm", ["random", "nsga2", "evolution"])
@pytest.mark.parametrize("first", [1, 16, 40])
def test_a_study_in_two_pieces_is_the_study_in_one(
    study_file: StudyFile, tmp_path: Path, algorithm: str, first: int
) -> None:
    run_study(study_of(study_file, first, algorithm), tmp_path / "pieces")
    longer = study_of(study_file, 90, algorithm)
    assert table(longer, tmp_path / "pieces") == table(longer, tmp_path / "whole")


def test_the_shorter_study_is_the_start_of_the_longer(study_file: StudyFile, tmp_path: Path) -> None:
    short, long = (table(study_of(study_file, budget), tmp_path / str(budget)) for budget in (40, 90))
    assert long.startswith(short)


@pytest.mark.parametrize("algorithm", ["random", "nsga2", "evolution"])
def test_a_stopped_study_keeps_its_generations_and_goes_on(
    study_file: StudyFile, tmp_path: Path, algorithm: str
) -> None:
    study = study_of(study_file, 60, algorithm)
    folder = tmp_path / "stopped"
    with pytest.raises(Interrupted) as caught:
        run_study(study, folder, progress=stop_after(2))
    assert caught.value.exit_code == 3
    assert str(caught.value) == f"stopped; 32 of 60 evaluations are kept; continue with: sextant resume {folder}"
    with Store(folder, study.key) as store:
        assert len(store.points()) == 32
    assert table(study, folder) == table(study, tmp_path / "whole")


def test_a_generation_stopped_in_its_middle_is_evaluated_again(
    study_file: StudyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(study_file, 60)
    whole = table(study, tmp_path / "whole")
    evaluate, seen = Problem.evaluate, []

    def stopping(problem: Problem, genomes: Genomes) -> object:
        seen.extend(genomes)
        if len(seen) > 40:
            raise KeyboardInterrupt
        return evaluate(problem, genomes)

    with monkeypatch.context() as patch:
        patch.setattr(Problem, "evaluate", stopping)
        with pytest.raises(Interrupted, match="evaluations are kept") as caught:
            run_study(study, tmp_path / "stopped")
    with Store(tmp_path / "stopped", study.key) as store:
        assert 32 <= len(store.points()) <= 40
        assert str(caught.value).startswith(f"stopped; {len(store.points())} of 60 ")
    assert table(study, tmp_path / "stopped") == whole


def test_what_is_kept_is_not_evaluated_again(
    study_file: StudyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(study_file)
    first = table(study, tmp_path)
    monkeypatch.setattr(Problem, "evaluate", lambda *_: pytest.fail("evaluated again"))
    assert table(study, tmp_path) == first


def test_progress_is_told_after_every_generation(study_file: StudyFile, tmp_path: Path) -> None:
    study = study_of(study_file)
    told: list[Progress] = []
    points = run_study(study, tmp_path, progress=told.append)
    assert [(state.evaluated, state.budget) for state in told] == [(16, 40), (32, 40), (40, 40)]
    built = [point.outcome for point in points if point.outcome.quantities]
    assert told[-1].failed == 40 - len(built) > 0
    assert told[-1].feasible == sum(study.violation(outcome) == 0 for outcome in built) > 0


def test_generations_and_places_are_numbered(study_file: StudyFile, tmp_path: Path) -> None:
    points = run_study(study_of(study_file), tmp_path)
    assert [(point.generation, point.place) for point in points] == [divmod(index, 16) for index in range(40)]


def test_a_candidate_depends_on_nothing_but_itself(study_file: StudyFile, tmp_path: Path) -> None:
    study = study_of(study_file)
    points = run_study(study, tmp_path)
    for point in (points[0], points[17], points[39]):
        (alone,) = study.problem.evaluate(study.problem.space.canonical([point.genome]))  # type: ignore[arg-type]
        assert alone == point.outcome


def test_a_report_has_the_quantities_of_its_point(study_file: StudyFile, tmp_path: Path) -> None:
    study = study_of(study_file)
    point = next(point for point in run_study(study, tmp_path) if point.outcome.quantities)
    report = study.problem.report(point.genome)
    quantities = point.outcome.quantities
    assert (report.seconds, report.cycles) == (quantities["seconds"], quantities["cycles"])
    assert report.total_energy_pj == pytest.approx(quantities["energy_pj"], rel=1e-12)
    assert report.total_area_mm2 == quantities["area_mm2"]


def test_another_seed_in_the_same_folder_is_refused(study_file: StudyFile, tmp_path: Path) -> None:
    run_study(study_of(study_file), tmp_path)
    with pytest.raises(StoreError, match="another study, seed or oracle file"):
        run_study(read_study(study_file(machine=MACHINE, constraints=LIMIT), seed=4), tmp_path)


def test_a_limit_nothing_meets_is_told_with_the_nearest_value(study_file: StudyFile, tmp_path: Path) -> None:
    limits = '[[constraints]]\nquantity = "area_mm2"\nat_most = 0.001'
    study = read_study(study_file(constraints=limits))
    with pytest.raises(StudyError) as caught:
        run_study(study, tmp_path)
    with Store(tmp_path, study.key) as store:
        nearest = min(point.outcome.quantities["area_mm2"] for point in store.points())
    assert caught.value.exit_code == 2
    assert f"none of 40 candidates is feasible (nearest: area_mm2 {nearest:.6g})" in str(caught.value)
    assert "0.001" in str(caught.value)  # what is allowed


def test_a_machine_that_cannot_be_built_is_told_with_a_reason(study_file: StudyFile, tmp_path: Path) -> None:
    study = read_study(study_file(machine="[machine]\nrows = [1024]\ncolumns = [512, 1024]"))
    with pytest.raises(StudyError, match=r"none of 40 candidates could be built \(first: .*wbuf_bytes"):
        run_study(study, tmp_path)
