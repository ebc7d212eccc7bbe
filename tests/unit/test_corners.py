"""Corners that are pruned: the front is what it would be if everything had been evaluated, and says what was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import moocore
import numpy as np
import pytest

from searchers.corners import PrunedCorners, Situations, summary
from searchers.evaluation.workers import Step
from searchers.front import front_of
from searchers.outcome import Outcome
from searchers.run import Progress, run_study
from searchers.storage.results import RESULTS, write_points
from searchers.study import Constraint, Study, read_study
from workloads.errors import Interrupted, StudyError

StudyFile = Callable[..., Path]
NETWORKS = '[network]\nnames = ["lenet5-bitfusion", "lstm-bitfusion"]'
MACHINE = "[machine]\nrows = [4, 8, 16]\ncolumns = [4, 8, 16]\nwbuf_bytes = { low = 4096, high = 65536, step = 4096 }"
CORNERS = "[corners]\nmachine = [{ dram_bits_per_cycle = 32 }, { dram_bits_per_cycle = 512 }]\n"
LIMIT = '[[constraints]]\nquantity = "energy_pj"\nat_most = 2e9'
OBJECTIVES = 'objectives = ["seconds", "area_mm2"]'


def study_of(study_file: StudyFile, *, prune: bool, algorithm: str = "nsga2") -> Study:
    corners = CORNERS + ("prune = true\n" if prune else "")
    sections = {"network": NETWORKS, "bits": "", "machine": MACHINE, "objectives": OBJECTIVES}
    return read_study(study_file(**sections, constraints=f"{corners}{LIMIT}"), budget=72, algorithm=algorithm)


def table(study: Study, folder: Path, **options: object) -> bytes:
    write_points(study, run_study(study, folder, **options), folder / RESULTS)  # type: ignore[arg-type]
    return (folder / RESULTS).read_bytes()


class Tried:
    """Candidates of which everything is known: places of a table of what each is in every situation."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.situations, self.limited = int(random.integers(2, 6)), bool(random.integers(2))
        shape = 120, self.situations, 2
        # Some situations are nearly always the worst, so that there is something to prune; ties are frequent.
        harder = random.integers(0, 12, self.situations)[None, :, None]
        self.values = (random.integers(0, 8, shape) + harder).astype(float)
        self.values[random.random(shape[:2]) < 0.02] = np.nan  # cannot be run there
        self.evaluated = 0

    def study(self) -> SimpleNamespace:
        limit = Constraint("seconds", at_most=12.0)
        constraints = (limit,) if self.limited else ()
        names = tuple(f"situation {place}" for place in range(self.situations))

        def violation(outcome: Outcome) -> float:
            return sum(part.violation(outcome.quantities[part.quantity]) for part in constraints)

        return SimpleNamespace(
            objectives=("seconds", "energy_pj"),
            constraints=constraints,
            costs=lambda outcome: list(outcome.quantities.values()),
            violation=violation,
            feasible=lambda outcome: bool(outcome.quantities) and not outcome.is_bound and violation(outcome) == 0.0,
            problem=SimpleNamespace(situation_names=names, combined=self.worst),
        )

    @staticmethod
    def worst(situations: Sequence[dict[str, float]]) -> dict[str, float]:
        return {name: max(situation[name] for situation in situations) for name in ("seconds", "energy_pj")}

    def evaluate(self, payloads: Sequence[tuple[tuple[float, ...], int]], **_: object) -> Iterator[Step]:
        """Stand for workers: settle everything, last first."""
        self.evaluated += len(payloads)
        settled = []
        for place, ((candidate,), situation) in enumerate(payloads):
            seconds, energy = self.values[int(candidate), situation].tolist()
            known = not np.isnan(seconds)
            settled.append(
                (place, Outcome({"seconds": seconds, "energy_pj": energy}) if known else Outcome({}, "too small"))
            )
        yield Step(settled[::-1], [])


@pytest.mark.parametrize("seed", range(60))
def test_the_front_is_that_of_evaluating_everything(seed: int) -> None:
    tried = Tried(seed)
    study = tried.study()
    pruned = PrunedCorners(study, tried)  # type: ignore[arg-type]
    outcomes: list[Outcome] = []
    for first in range(0, 120, 20):
        steps = list(pruned.evaluate([(float(place),) for place in range(first, first + 20)]))
        assert sorted(place for step in steps for place in step.started) == list(range(20))
        settled = dict(pair for step in steps for pair in step.settled)
        outcomes += [settled[place] for place in range(20)]
        pruned.learn(outcomes[first:])
    worst = tried.values.max(axis=1)  # not a number where a candidate cannot be run somewhere
    allowed = ~np.isnan(worst[:, 0]) & ((worst[:, 0] <= 12.0) | (not tried.limited))
    front = {tuple(costs) for costs in worst[allowed][moocore.is_nondominated(worst[allowed])]}
    ours = np.array([list(outcome.quantities.values()) for outcome in outcomes if study.feasible(outcome)])
    assert {tuple(costs) for costs in ours[moocore.is_nondominated(ours)]} == front
    for outcome, true in zip(outcomes, worst, strict=True):
        if outcome.is_bound:
            assert not (np.array(list(outcome.quantities.values())) > true).any()
        elif outcome.quantities:
            assert list(outcome.quantities.values()) == true.tolist()
    assert tried.evaluated <= 120 * tried.situations


def test_corners_are_saved() -> None:
    saved = [Tried(seed) for seed in range(60)]
    for tried in saved:
        pruned = PrunedCorners(tried.study(), tried)  # type: ignore[arg-type]
        for first in range(0, 120, 20):
            genomes = [(float(place),) for place in range(first, first + 20)]
            pruned.learn(outcome for step in pruned.evaluate(genomes) for _, outcome in step.settled)
    assert sum(tried.evaluated for tried in saved) < 0.85 * sum(120 * tried.situations for tried in saved)


def test_the_same_candidates_have_the_same_front_pruned_or_not(study_file: StudyFile, tmp_path: Path) -> None:
    fronts = []
    for prune in (False, True):
        study = study_of(study_file, prune=prune, algorithm="random")
        points = run_study(study, tmp_path / str(prune))
        fronts.append([(point.genome, point.outcome.quantities) for point in front_of(study, points)])
    assert fronts[0] == fronts[1]
    bounds = [point for point in points if point.outcome.is_bound]
    assert len(points) > len(bounds) > 10


def test_the_front_holds_only_what_was_evaluated_everywhere(study_file: StudyFile, tmp_path: Path) -> None:
    study = study_of(study_file, prune=True)
    points = run_study(study, tmp_path)
    for point in front_of(study, points):
        assert point.outcome.reason.startswith(
            "in 4 of 4 situations, decided by lstm-bitfusion at dram_bits_per_cycle="
        )
        (whole,) = study.problem.evaluate(np.array([point.genome]))
        assert point.outcome.quantities == whole.quantities
    assert "all 4 for " in summary(study, points)
    for point in points:
        if point.outcome.is_bound:
            assert point.outcome.reason.startswith("a bound: in ")
            assert not study.feasible(point.outcome)


def test_workers_and_stops_change_no_byte(study_file: StudyFile, tmp_path: Path) -> None:
    study = study_of(study_file, prune=True)
    alone = table(study, tmp_path / "one")
    assert table(study, tmp_path / "two", workers=2) == alone

    def stop(state: Progress) -> None:
        if state.evaluated >= 32:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        run_study(study, tmp_path / "stopped", progress=stop)
    assert table(study, tmp_path / "stopped") == alone


def test_situations_are_evaluated_as_the_problem_does(study_file: StudyFile) -> None:
    problem = study_of(study_file, prune=True).problem
    genomes = [tuple(genome) for genome in problem.space.random(np.random.default_rng(1).random((3, 3))).tolist()]
    pairs = [(genome, situation) for genome in genomes for situation in range(4)]
    found = Situations(problem).evaluate(pairs)
    for place, whole in enumerate(problem.evaluate(np.array(genomes))):
        parts = [outcome.quantities for outcome in found[4 * place : 4 * place + 4]]
        assert problem.combined(parts) == whole.quantities


@pytest.mark.parametrize(
    ("given", "need"),
    [
        ("prune = 1", "corners.prune = 1, need true or false"),
        (
            'over = "mean"\nprune = true',
            'corners.prune = True, need false, or over = "worst": a mean needs all corners',
        ),
    ],
)
def test_bad_pruning_is_refused(study_file: StudyFile, given: str, need: str) -> None:
    path = study_file(constraints=f"[corners]\n{given}")
    with pytest.raises(StudyError) as caught:
        read_study(path)
    assert str(caught.value) == f"{path}: {need}"
