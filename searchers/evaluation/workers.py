"""Evaluating points on many workers: jobs of a few points, handed out and collected the same way wherever they run.

What comes back does not depend on who evaluated it, nor on when: a point's outcome is its own. Points that share
something expensive belong to one group, and a worker stays with a group while it has points.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Protocol

from searchers.evaluation.execution import DASK, PROCESSES, Execution
from searchers.outcome import Outcome

REPORT_AFTER_S = 0.02  # outcomes wait for each other this long before they are told
JOB_S = 0.1  # a job is sized to take about this long
LARGEST_JOB = 256
Payload = Any


@dataclass(frozen=True, slots=True)
class Step:
    """What has happened since the last one.

    Attributes
    ----------
    settled : list of (int, Outcome)
        Places of points that are done or failed, and what came out.
    started : list of int
        Places of points that have been handed to a worker.
    """

    settled: list[tuple[int, Outcome]]
    started: list[int]


class Evaluator(Protocol):
    """What computes points. It is sent to workers once, so it must be picklable; payloads are sent with every job."""

    def evaluate(self, payloads: Sequence[Payload], /) -> Iterable[Outcome]:
        """Return one outcome per payload, in order; each must not depend on the others."""


@dataclass(slots=True)
class Job:
    """Points for one worker, in order.

    Attributes
    ----------
    places : list of int
        Where in the batch each stands.
    payloads : list
    group : hashable
    lost : int
        How many workers died with it.
    """

    places: list[int]
    payloads: list[Payload]
    group: Hashable = None
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """What a worker has to tell.

    Attributes
    ----------
    slot : int
        Which worker.
    outcomes : list of Outcome
        Of the job's next points.
    over : bool
        Whether the worker is free again.
    lost : str
        Why the rest of the job has no outcome, if it has none.
    again : bool
        Whether it may fare better another time.
    """

    slot: int
    outcomes: list[Outcome]
    over: bool = False
    lost: str = ""
    again: bool = False


class Queue:
    """Jobs that wait, by group; a worker is given its own group's first.

    Parameters
    ----------
    payloads : sequence
    groups : sequence of hashable
        One per payload.
    """

    def __init__(self, payloads: Sequence[Payload], groups: Sequence[Hashable]) -> None:
        self._payloads = payloads
        self._waiting: dict[Hashable, deque[int]] = {}
        for place, group in enumerate(groups):
            self._waiting.setdefault(group, deque()).append(place)
        self._untouched = deque(self._waiting)
        self._again: deque[Job] = deque()
        self.left = len(payloads)

    def take(self, group: Hashable, most: int) -> Job:
        """Return the next job: what is to be tried again, the worker's own group, a group of its own, the largest."""
        if self._again:
            job = self._again.popleft()
            self.left -= len(job.places)
            return job
        if not self._waiting.get(group):
            while self._untouched and not self._waiting[self._untouched[0]]:
                self._untouched.popleft()
            group = self._untouched.popleft() if self._untouched else max(self._waiting, key=self._length)
        waiting = self._waiting[group]
        places = [waiting.popleft() for _ in range(min(most, len(waiting)))]
        self.left -= len(places)
        return Job(places, [self._payloads[place] for place in places], group)

    @property
    def suspect(self) -> bool:
        """Whether a worker died with the next job."""
        return bool(self._again) and self._again[0].lost > 0

    def put_back(self, job: Job) -> None:
        """Have a job's points tried again, each by itself: only one of them can be to blame."""
        for place, payload in zip(job.places, job.payloads, strict=True):
            self._again.append(Job([place], [payload], job.group, job.lost))
        self.left += len(job.places)

    def _length(self, group: Hashable) -> int:
        return len(self._waiting[group])


class Workers(ABC):
    """Workers that are kept alive from batch to batch.

    Parameters
    ----------
    count : int
        How many jobs are out at a time.
    retries : int
        How often a point is tried again whose worker died.
    """

    def __init__(self, count: int, retries: int = 0) -> None:
        self._count, self._retries = count, retries
        self._seconds_a_point: float | None = None

    def evaluate(self, payloads: Sequence[Payload], *, groups: Sequence[Hashable] | None = None) -> Iterator[Step]:
        """Evaluate payloads; yield what has happened, after workers that became free have been given new jobs.

        Parameters
        ----------
        payloads : sequence
        groups : sequence of hashable, optional
            Which share something expensive.
        """
        queue = Queue(payloads, [None] * len(payloads) if groups is None else groups)
        out: dict[int, Job] = {}
        last_group: dict[int, Hashable] = {}
        step = Step([], [])
        while queue.left or out:
            while queue.left and (slot := self._free(out)) is not None and self._may_start(queue.suspect, out):
                job = queue.take(last_group.get(slot), self._job_size(queue.left))
                last_group[slot], out[slot] = job.group, job
                step.started.extend(job.places)
                self._start(slot, job)
            if step.settled or step.started:
                yield step
            step = Step([], [])
            for event in self._wait(out):
                step.settled.extend(self._take_in(event, out, queue))
        if step.settled:
            yield step

    def _free(self, out: dict[int, Job]) -> int | None:
        """Return a slot that has no job, if there is one."""
        return next((slot for slot in range(self._count) if slot not in out), None)

    def _may_start(self, suspect: bool, out: dict[int, Job]) -> bool:
        """Return whether the next job may run beside those that are out; ``suspect`` if a worker died with it."""
        return True

    def _take_in(self, event: Event, out: dict[int, Job], queue: Queue) -> list[tuple[int, Outcome]]:
        """Return the outcomes of an event, and see to what was lost."""
        job = out[event.slot]
        settled = list(zip(job.places, event.outcomes, strict=False))
        job.places, job.payloads = job.places[len(settled) :], job.payloads[len(settled) :]
        if event.over:
            del out[event.slot]
            job.lost += event.again
            if job.places and (len(job.places) > 1 or (event.again and job.lost <= self._retries)):
                if len(job.places) > 1:
                    job.lost = 0
                queue.put_back(job)
            elif job.places:
                times = f", {job.lost} times" if job.lost > 1 else ""
                settled.append((job.places[0], Outcome({}, event.lost + times)))
        return settled

    def _job_size(self, left: int) -> int:
        """Return how many points make a job of the intended time, at most a worker's part of those that are left."""
        if self._seconds_a_point is None:
            return 1
        wanted = int(JOB_S / max(self._seconds_a_point, 1e-9))
        return max(1, min(wanted, LARGEST_JOB, -(-left // self._count)))

    def _timed(self, seconds: float, points: int) -> None:
        """Take note of how long a job took."""
        if points:
            self._seconds_a_point = seconds / points

    @abstractmethod
    def _start(self, slot: int, job: Job) -> None:
        """Give a job to a worker that has none."""

    @abstractmethod
    def _wait(self, out: dict[int, Job]) -> list[Event]:
        """Return what workers have to tell; wait until one has."""

    @abstractmethod
    def close(self) -> None:
        """Stop all workers, whatever they are doing."""

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def outcomes_of(evaluator: Evaluator, payloads: Sequence[Payload]) -> Iterator[Outcome]:
    """Return the outcomes of payloads; one that raises is failed, with what it said as the reason."""
    told = 0
    try:
        for outcome in evaluator.evaluate(payloads):
            yield outcome
            told += 1
    except Exception as error:  # a point that cannot be computed must not take the others with it
        if len(payloads) == 1:
            yield Outcome({}, reason_of(error))
            return
        for payload in payloads[told:]:
            yield from outcomes_of(evaluator, [payload])


def reason_of(error: Exception) -> str:
    """Return what an error says, on one line; with its kind if it is none of ours."""
    from workloads.errors import SextantError

    said = " ".join(str(error).split())
    if isinstance(error, SextantError):
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def report_in_parts(evaluator: Evaluator, payloads: Sequence[Payload], report: Callable[[list[Outcome]], None]) -> None:
    """Evaluate a job and report its outcomes, those of a moment together."""
    ready: list[Outcome] = []
    last = time.monotonic()
    for outcome in outcomes_of(evaluator, payloads):
        ready.append(outcome)
        if time.monotonic() - last > REPORT_AFTER_S:
            report(ready)
            ready, last = [], time.monotonic()
    report(ready)


class ThreadWorkers(Workers):
    """Threads of this process: kernels release the interpreter while they run, and everything is shared.

    They are abandoned when they are closed: what runs ends with the process, so that a stop takes no time.
    """

    def __init__(self, evaluator: Evaluator, count: int) -> None:
        super().__init__(count)
        self._evaluator = evaluator
        self._told: SimpleQueue[tuple[Event | BaseException, float, int]] = SimpleQueue()
        self._jobs: list[SimpleQueue[list[Payload] | None]] = [SimpleQueue() for _ in range(count)]
        for slot in range(count):
            Thread(target=self._work, args=(slot,), daemon=True, name=f"sextant worker {slot}").start()

    def _work(self, slot: int) -> None:
        def report(outcomes: list[Outcome]) -> None:
            self._told.put((Event(slot, outcomes), 0.0, 0))

        while (payloads := self._jobs[slot].get()) is not None:
            began = time.monotonic()
            try:
                report_in_parts(self._evaluator, payloads, report)
                self._told.put((Event(slot, [], over=True), time.monotonic() - began, len(payloads)))
            except BaseException as error:  # to be raised where it is waited for
                self._told.put((error, 0.0, 0))

    def _start(self, slot: int, job: Job) -> None:
        self._jobs[slot].put(job.payloads)

    def _wait(self, out: dict[int, Job]) -> list[Event]:
        events = []
        told = self._told.get()
        try:
            while True:
                event, seconds, points = told
                if isinstance(event, BaseException):
                    raise event
                events.append(event)
                self._timed(seconds, points)
                told = self._told.get_nowait()
        except Empty:
            return events

    def close(self) -> None:
        """Let the threads end when they are done."""
        for jobs in self._jobs:
            jobs.put(None)


def make_workers(evaluator: Evaluator, execution: Execution) -> Workers:
    """Return workers of the kind that is asked for."""
    if execution.executor == PROCESSES:
        from searchers.evaluation.processes import ProcessWorkers

        return ProcessWorkers(evaluator, execution)
    if execution.executor == DASK:
        from searchers.evaluation.cluster import ClusterWorkers

        return ClusterWorkers(evaluator, execution)
    return ThreadWorkers(evaluator, execution.count)
