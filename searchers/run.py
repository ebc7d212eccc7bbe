"""Running a study: ask, evaluate, keep, tell; the same from the start and from what is already kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from searchers.algorithm import make_algorithm
from searchers.space import Genomes
from searchers.store import Point, Store, genomes_of
from searchers.study import Study
from searchers.workers import Workers
from workloads.errors import Interrupted, StoreError, StudyError


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study is.

    Attributes
    ----------
    evaluated, budget : int
    feasible, failed : int
        Candidates that meet every constraint, and candidates that could not be built or run.
    """

    evaluated: int
    budget: int
    feasible: int
    failed: int


def run_study(
    study: Study, folder: Path, *, workers: int = 1, progress: Callable[[Progress], None] | None = None
) -> list[Point]:
    """Run a study to its budget and return all its points.

    Generations already kept in ``folder`` are told to the algorithm instead of evaluated, so a study that was
    stopped continues as if it had not been, and one that is finished returns at once.

    Parameters
    ----------
    study : Study
    folder : Path
    workers : int
        Threads that evaluate. The results do not depend on it.
    progress : callable, optional
        Called after every generation.

    Raises
    ------
    StoreError
        If the folder cannot be used.
    StudyError
        If no candidate meets the constraints.
    Interrupted
        If the user stops it; finished generations are kept.
    """
    algorithm = make_algorithm(
        study.algorithm,
        study.problem.space,
        objectives=len(study.objectives),
        seed=study.seed,
        population=study.population,
    )
    points: list[Point] = []
    feasible = failed = generation = 0
    with Store(folder, study.key) as store, Workers(study.problem, workers) as pool:
        try:
            while len(points) < study.budget:
                asked = algorithm.ask()
                told = _generation(study, store, pool, generation, asked[: study.budget - len(points)])
                points += told
                objectives, violations = study.scores([point.outcome for point in told])
                feasible += int((violations == 0.0).sum())
                failed += sum(not point.outcome.quantities for point in told)
                if progress is not None:
                    progress(Progress(len(points), study.budget, feasible, failed))
                if len(points) < study.budget:
                    algorithm.tell(asked, objectives, violations)
                generation += 1
        except KeyboardInterrupt:
            kept = f"{len(points)} of {study.budget} evaluations are kept"
            raise Interrupted(f"stopped; {kept}; continue with: sextant resume {folder}") from None
    if not feasible:
        raise _infeasible(study, points)
    return points


def _generation(study: Study, store: Store, pool: Workers, generation: int, asked: Genomes) -> list[Point]:
    """Return the points of a generation: those kept before, and the others evaluated and kept now."""
    points = checked(study, store.generation(generation)[: len(asked)])
    if points and not np.array_equal(genomes_of(points), asked[: len(points)]):
        raise StoreError(f"generation {generation} of the store is not what the study asks, need another folder")
    missing = asked[len(points) :]
    if len(missing):
        outcomes = pool.evaluate(missing)
        fresh = [
            Point(generation, place, tuple(genome), outcome)
            for place, (genome, outcome) in enumerate(zip(missing.tolist(), outcomes, strict=True), len(points))
        ]
        store.add(fresh)
        points += fresh
    return points


def checked(study: Study, points: list[Point]) -> list[Point]:
    """Return points of a study's store if each has the quantities this release computes.

    Raises
    ------
    StoreError
        Naming the first that has not.
    """
    for point in points:
        if point.outcome.quantities and point.outcome.quantities.keys() != set(study.problem.quantities):
            place = f"point {point.generation}/{point.place}"
            raise StoreError(f"{place} of the store holds other quantities, need those of this release")
    return points


def _infeasible(study: Study, points: list[Point]) -> StudyError:
    """Say what the best candidates still lacked."""
    reports = [point.outcome for point in points if point.outcome.quantities]
    if not reports:
        got = f"none of {len(points)} candidates could be built (first: {points[0].outcome.reason})"
        return StudyError(study.name, "", got, "a machine whose parts can be built and hold a tile")
    best = min(reports, key=study.violation)
    lacking = [limit for limit in study.constraints if limit.violation(best.quantities[limit.quantity]) > 0.0]
    said = ", ".join(f"{limit.quantity} {best.quantities[limit.quantity]:.6g}" for limit in lacking)
    got = f"none of {len(points)} candidates is feasible (nearest: {said})"
    return StudyError(study.name, "", got, "limits that some candidate meets, not " + ", ".join(map(str, lacking)))
