"""Running a study: ask, evaluate, keep, tell; the same from the start and from what is already kept."""

from __future__ import annotations

import gc
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from accel.jit import versions
from searchers.algorithms.algorithm import make_algorithm
from searchers.corners import PrunedCorners, Situations
from searchers.evaluation.execution import Execution
from searchers.evaluation.workers import Workers, make_workers
from searchers.outcome import Outcome
from searchers.problems.problem import Problem
from searchers.space import Genomes
from searchers.storage.store import DONE, FAILED, Point, Store
from searchers.study import Study
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


def origin(**more: object) -> dict[str, object]:
    """Return what computes points in this process, to be kept with them: versions, and what else decides them."""
    return {**versions(), "processor": platform.machine(), **more}


@dataclass(frozen=True, slots=True)
class Candidates:
    """A problem's candidates as workers evaluate them: payloads are genomes, and a job is one batch."""

    problem: Problem

    def evaluate(self, payloads: Sequence[tuple[float, ...]]) -> list[Outcome]:
        """Return the outcomes of genomes, in order."""
        return self.problem.evaluate(np.array(payloads, dtype=float))


def run_study(
    study: Study,
    folder: Path,
    *,
    workers: int | Execution = 1,
    progress: Callable[[Progress], None] | None = None,
) -> list[Point]:
    """Run a study to its budget and return all its points.

    Generations already kept in ``folder`` are told to the algorithm instead of evaluated, so a study that was
    stopped continues as if it had not been, and one that is finished returns at once.

    Parameters
    ----------
    study : Study
    folder : Path
    workers : int or Execution
        Threads that evaluate, or who else does. The results do not depend on it.
    progress : callable, optional
        Called after every generation.

    Raises
    ------
    StoreError
        If the folder cannot be used.
    StudyError
        If no candidate meets the constraints.
    Interrupted
        If the user stops it; what is finished is kept.
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
    execution = Execution(count=workers) if isinstance(workers, int) else workers
    evaluator = Situations(study.problem) if study.problem.prunes else Candidates(study.problem)
    with (
        _loaded_left_alone(),
        Store(folder, study.key, origin=origin(seed=study.seed)) as store,
        make_workers(evaluator, execution) as pool,
    ):
        pruned = PrunedCorners(study, pool) if study.problem.prunes else None
        try:
            while len(points) < study.budget:
                asked = algorithm.ask()
                told = _generation(study, store, pruned or pool, generation, asked[: study.budget - len(points)])
                points += told
                if pruned is not None:
                    pruned.learn(point.outcome for point in told)
                objectives, violations = study.scores([point.outcome for point in told])
                feasible += sum(study.feasible(point.outcome) for point in told)
                failed += sum(not point.outcome.quantities for point in told)
                if progress is not None:
                    progress(Progress(len(points), study.budget, feasible, failed))
                if len(points) < study.budget:
                    algorithm.tell(asked, objectives, violations)
                generation += 1
        except (KeyboardInterrupt, Interrupted) as stop:
            counts = store.counts()
            kept = f"{counts[DONE] + counts[FAILED]} of {study.budget} evaluations are kept"
            raise Interrupted(f"{str(stop) or 'stopped'}; {kept}; continue with: sextant resume {folder}") from None
    if not feasible:
        raise _infeasible(study, points)
    return points


@contextmanager
def _loaded_left_alone() -> Iterator[None]:
    """Keep the garbage collector from what is there already: all the modules, again and again, for nothing."""
    if gc.get_freeze_count():  # somebody does so already
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _generation(
    study: Study, store: Store, pool: Workers | PrunedCorners, generation: int, asked: Genomes
) -> list[Point]:
    """Return the points of a generation: those kept before, and the others evaluated and kept as they are ready."""
    genomes = [tuple(genome) for genome in asked.tolist()]
    kept = {point.place: point for point in checked(study, store.generation(generation)) if point.place < len(asked)}
    if any(point.genome != genomes[place] for place, point in kept.items()):
        raise StoreError(f"generation {generation} of the store is not what the study asks, need another folder")
    missing = [place for place in range(len(asked)) if place not in kept]
    for step in pool.evaluate([genomes[place] for place in missing]):
        running = [(missing[index], Outcome({})) for index in step.started]
        over = [(missing[index], outcome) for index, outcome in step.settled]
        started, fresh = (
            [Point(generation, place, genomes[place], outcome) for place, outcome in places]
            for places in (running, over)
        )
        store.add(fresh, started)
        kept |= {point.place: point for point in fresh}
    return [kept[place] for place in range(len(asked))]


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
        return StudyError(study.name, "", got, "networks and machines of which some fit together")
    best = min(reports, key=study.violation)
    lacking = [limit for limit in study.constraints if limit.violation(best.quantities[limit.quantity]) > 0.0]
    said = ", ".join(f"{limit.quantity} {best.quantities[limit.quantity]:.6g}" for limit in lacking)
    got = f"none of {len(points)} candidates is feasible (nearest: {said})"
    return StudyError(study.name, "", got, "limits that some candidate meets, not " + ", ".join(map(str, lacking)))
