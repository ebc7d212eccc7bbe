"""Running a sweep: every point once, points that share something expensive one after another on one worker."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from accel.report import Report
from searchers.evaluation.execution import DASK, PROCESSES, Execution
from searchers.evaluation.shared import Shared
from searchers.evaluation.workers import make_workers
from searchers.machines import MACHINES
from searchers.outcome import Outcome
from searchers.run import origin
from searchers.storage.store import DONE, FAILED, Point, Store
from searchers.sweeps.sweep_file import Source, Sweep, Task, content_of
from workloads.errors import Interrupted, StudyError, WorkloadError

SWEEP, KIND = "sweep", "kind"
TABLES = ("dram_bytes", "cycle_stack", "energy_pj", "area_mm2", "counters", "quality")


@dataclass(frozen=True, slots=True)
class SweepProgress:
    """How far a sweep is.

    Attributes
    ----------
    evaluated, total, failed : int
    best : Point or None
        The one with least of the sweep's quantity so far.
    """

    evaluated: int
    total: int
    failed: int
    best: Point | None


def open_workload(sources: Sequence[Source], number: int, opened: dict[int, Any]) -> Any:
    """Return a workload by number, opened if it has not been.

    Raises
    ------
    WorkloadError
        If it cannot be, or holds other bytes than when the sweep was read.
    """
    if number not in opened:
        source = sources[number]
        content = "".join(content_of(part) for part in (source.workload, source.workload_b) if part is not None)
        if content != source.content:
            raise WorkloadError(source.workload, "", "other content", "the file the sweep was started with")
        opened[number] = MACHINES[source.machine].open(source.workload, source.workload_b)
    return opened[number]


class _Kept:
    """A plan, and what a machine keeps with it, once the first point that needs it has run."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.plan: Any = None
        self.ready = False


class Evaluator:
    """Computes points of a sweep. Workloads are opened once, plans are kept for the points that share them.

    Parameters
    ----------
    sources : sequence of Source
    opened : dict
        Workloads that have been opened, by number.
    plans : int
        How many are kept at a time.
    shared : bool
        Whether workers are processes of this machine, which map what was opened here; others open workloads themselves.
    """

    def __init__(self, sources: Sequence[Source], opened: dict[int, Any], plans: int, shared: bool) -> None:
        self._sources, self._opened, self._most, self._shared = tuple(sources), opened, plans, shared
        self._mapped: dict[int, Shared] = {}
        self._lock = Lock()
        self._plans: OrderedDict[Hashable, _Kept] = OrderedDict()

    def __getstate__(self) -> tuple[tuple[Source, ...], int, dict[int, Shared]]:
        if self._shared:
            for number, opened in self._opened.items():
                self._mapped.setdefault(number, Shared(opened))
        return self._sources, self._most, self._mapped

    def __setstate__(self, state: tuple[tuple[Source, ...], int, dict[int, Shared]]) -> None:
        sources, plans, mapped = state
        opened = {number: shared.value for number, shared in mapped.items()}
        self.__init__(sources, opened, plans, False)  # type: ignore[misc]

    def open(self, number: int) -> Any:
        """Return a workload; it is opened if it has not been."""
        with self._lock:
            return open_workload(self._sources, number, self._opened)

    def evaluate(self, payloads: Sequence[Task]) -> Iterator[Outcome]:
        """Yield the outcomes of points, in order."""
        for task in payloads:
            yield (
                Outcome(quantities_of(self._run(task)))
                if not isinstance(task.config, str)
                else Outcome({}, task.config)
            )

    def _run(self, task: Task) -> Report:
        machine, opened = MACHINES[task.machine], self.open(task.source)
        if machine.plan_fields is None or task.fidelity == "sample":
            return machine.run(task.config, opened, task.fidelity, task.share).report
        kept = self._kept(task.group)
        if not kept.ready:
            with kept.lock:  # others that need this plan wait for it instead of making it, too
                if not kept.ready:
                    kept.plan = machine.lay(task.config, opened, task.fidelity)
                    report = machine.run_plan(task.config, kept.plan, task.fidelity).report
                    kept.ready = True
                    return report
        return machine.run_plan(task.config, kept.plan, task.fidelity).report

    def _kept(self, group: Hashable) -> _Kept:
        with self._lock:
            kept = self._plans.pop(group, None) or _Kept()
            self._plans[group] = kept
            while len(self._plans) > self._most:
                self._plans.popitem(last=False)
            return kept

    def close(self) -> None:
        """Let go of shared memory."""
        for shared in self._mapped.values():
            shared.close()


def quantities_of(report: Report) -> dict[str, float]:
    """Return every number of a report by name; parts as ``dram_bytes.read``, what is not known left out."""
    quantities: dict[str, float] = {"cycles": report.cycles, "seconds": report.seconds}
    quantities |= {"operations": report.operations, "gops": report.gops, "dram_bytes": report.total_dram_bytes}
    for name in ("total_energy_pj", "total_area_mm2", "edp", "bandwidth_utilisation", "intensity"):
        value = getattr(report, name)
        if math.isfinite(value):
            quantities[name.removeprefix("total_")] = value
    for table in TABLES:
        quantities |= {f"{table}.{name}": value for name, value in getattr(report, table).items()}
    return {name: value.item() if hasattr(value, "item") else value for name, value in quantities.items()}


def run_sweep(
    sweep: Sweep,
    folder: Path,
    *,
    workers: int | Execution = 1,
    progress: Callable[[SweepProgress], None] | None = None,
) -> list[Point]:
    """Run a sweep's points that a folder does not hold yet, and return all of them.

    Parameters
    ----------
    sweep : Sweep
    folder : Path
    workers : int or Execution
        Threads that evaluate, or who else does. The results do not depend on it.
    progress : callable, optional
        Called whenever points have been kept.

    Raises
    ------
    StoreError
        If the folder cannot be used.
    WorkloadError
        If a workload cannot be opened.
    StudyError
        If no point could be computed.
    Interrupted
        If the user stops it; what is finished is kept.
    """
    execution = Execution(count=workers) if isinstance(workers, int) else workers
    facts = {KIND: SWEEP, "name": sweep.name, "best": sweep.best, "presets": json.dumps(sweep.configurations)}
    with Store(folder, sweep.key, origin=origin(), facts=facts) as store:
        if not store.states():
            store.plan(_points(sweep))
        kept = {point.place: point for point, state in store.states() if state in (DONE, FAILED)}
        tally = Tally(sweep, list(kept.values()))
        try:
            for fresh in _missing(sweep, store, kept, execution):
                kept |= {point.place: point for point in fresh}
                tally.add(fresh)
                if progress is not None:
                    progress(tally.progress)
        except (KeyboardInterrupt, Interrupted) as stop:
            counts = store.counts()
            said = f"{counts[DONE] + counts[FAILED]} of {len(sweep.tasks)} points are kept"
            raise Interrupted(f"{str(stop) or 'stopped'}; {said}; continue with: sextant resume {folder}") from None
    points = [kept[place] for place in range(len(sweep.tasks))]
    if not any(point.outcome.quantities for point in points):
        got = f"none of {len(points)} points could be computed (first: {points[0].outcome.reason})"
        raise StudyError(sweep.name, "", got, "a machine that runs the workload")
    return points


class Tally:
    """Counts points as they come.

    Parameters
    ----------
    sweep : Sweep
    points : sequence of Point
        Those that were there before.
    """

    def __init__(self, sweep: Sweep, points: Sequence[Point]) -> None:
        self._quantity = sweep.best
        self.progress = SweepProgress(0, len(sweep.tasks), 0, None)
        self.add(points)

    def add(self, points: Sequence[Point]) -> None:
        """Count points; of equal ones the first in the sweep's order is best."""
        done = [point for point in points if self._quantity in point.outcome.quantities]
        before = [] if self.progress.best is None else [self.progress.best]
        self.progress = SweepProgress(
            self.progress.evaluated + len(points),
            self.progress.total,
            self.progress.failed + sum(not point.outcome.quantities for point in points),
            min([*before, *done], key=self._rank, default=None),
        )

    def _rank(self, point: Point) -> tuple[float, int]:
        return point.outcome.quantities[self._quantity], point.place


def _points(sweep: Sweep) -> Iterator[Point]:
    for place, (design, key) in enumerate(zip(sweep.designs, sweep.keys, strict=True)):
        yield Point(0, place, (), Outcome({}), design, key)


def _missing(sweep: Sweep, store: Store, kept: Mapping[int, Point], execution: Execution) -> Iterator[list[Point]]:
    """Compute the points that are missing; yield them as they have been kept."""
    missing = [place for place in range(len(sweep.tasks)) if place not in kept]
    if not missing:
        return
    tasks = [sweep.tasks[place] for place in missing]
    evaluator = Evaluator(sweep.sources, sweep.opened, execution.count + 1, execution.executor == PROCESSES)
    try:
        if execution.executor != DASK:
            for number in dict.fromkeys(task.source for task in tasks):
                evaluator.open(number)
        with make_workers(evaluator, execution) as pool:
            for step in pool.evaluate(tasks, groups=[task.group for task in tasks]):
                fresh, started = (
                    [
                        Point(0, missing[index], (), outcome, sweep.designs[missing[index]], sweep.keys[missing[index]])
                        for index, outcome in places
                    ]
                    for places in (step.settled, [(index, Outcome({})) for index in step.started])
                )
                store.add(fresh, started)
                yield fresh
    finally:
        evaluator.close()
