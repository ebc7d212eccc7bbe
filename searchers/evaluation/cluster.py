"""Workers that are a Dask cluster's: points are computed there, and only this process writes.

The cluster is one that runs already, one started on this machine, or one that SLURM starts. A worker that dies loses
nothing but time: the scheduler has its jobs run again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from searchers.evaluation.execution import SECTION, SLURM, Execution
from searchers.evaluation.workers import Evaluator, Event, Job, Payload, Workers, outcomes_of
from searchers.outcome import Outcome
from workloads.errors import Interrupted, StudyError

CONNECT_S = 15
JOBS_A_THREAD = 2  # one that runs and one that waits beside it
LOOK_AGAIN_S = 1.0
CLOSING_S = 0.5  # a stop must not take long
FETCH_S = 30.0  # for a result that is ready to come here
LOST_S = 120.0  # without any worker, after which those of a cluster that was started here are not waited for
_evaluators: dict[str, Evaluator] = {}  # of a worker: what it was sent before


def evaluate_there(key: str, evaluator: bytes, payloads: Sequence[Payload]) -> tuple[list[Outcome], float]:
    """Evaluate a job on a cluster's worker; return its outcomes and how long it took [s]."""
    if key not in _evaluators:
        _evaluators.clear()
        _evaluators[key] = pickle.loads(evaluator)
    began = time.monotonic()
    return list(outcomes_of(_evaluators[key], payloads)), time.monotonic() - began


class ClusterWorkers(Workers):
    """Workers of a Dask cluster.

    Parameters
    ----------
    evaluator : Evaluator
    execution : Execution

    Raises
    ------
    StudyError
        If the libraries are missing, or the scheduler does not answer.
    """

    def __init__(self, evaluator: Evaluator, execution: Execution) -> None:
        super().__init__(execution.count, execution.retries)
        self._evaluator = pickle.dumps(evaluator, protocol=5)
        self._key = hashlib.sha256(self._evaluator).hexdigest()
        self._over: SimpleQueue[int] = SimpleQueue()
        self._futures: dict[int, Any] = {}
        self._scratch = tempfile.TemporaryDirectory(prefix="sextant-dask-")
        self._cluster: Any = None
        try:
            self._client = self._connect(execution)
        except BaseException:
            self._scratch.cleanup()
            raise
        self._looked = -LOOK_AGAIN_S
        self._local = not execution.address and execution.cluster != SLURM

    def _connect(self, execution: Execution) -> Any:
        distributed = _library("distributed", "pip install 'sextant[cluster]'")
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # workers that die are told as points
        target: Any = execution.address
        if not target:
            self._cluster = target = self._start_cluster(distributed, execution)
        try:
            return distributed.Client(target, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise StudyError("dask", f"{SECTION}.address", execution.address, "a scheduler that answers") from error

    def _start_cluster(self, distributed: Any, execution: Execution) -> Any:
        if execution.cluster == SLURM:
            jobqueue = _library("dask_jobqueue", "pip install dask-jobqueue")
            try:
                cluster = jobqueue.SLURMCluster(**execution.slurm)
            except (TypeError, ValueError, OSError) as error:
                said = " ".join(str(error).split())
                raise StudyError("study", f"{SECTION}.slurm", dict(execution.slurm), f"its options ({said})") from error
            cluster.scale(execution.count)
            return cluster
        return distributed.LocalCluster(
            n_workers=execution.count,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            host="127.0.0.1",
            local_directory=self._scratch.name,
            silence_logs=logging.CRITICAL,
        )

    def _free(self, out: dict[int, Job]) -> int | None:
        now = time.monotonic()
        if now - self._looked >= LOOK_AGAIN_S:  # workers come and go
            self._looked = now
            self._count = JOBS_A_THREAD * max(1, sum(self._client.nthreads().values()))
        return super()._free(out)

    def _may_start(self, suspect: bool, out: dict[int, Job]) -> bool:
        """Run a job that a worker died with alone: Dask blames all jobs of a worker that dies, running or waiting."""
        return not out if suspect else not any(job.lost for job in out.values())

    def _start(self, slot: int, job: Job) -> None:
        future = self._client.submit(evaluate_there, self._key, self._evaluator, job.payloads, pure=False)
        self._watch(slot, future)

    def _watch(self, slot: int, future: Any) -> None:
        self._futures[slot] = future
        future.add_done_callback(lambda _: self._over.put(slot))

    def _wait(self, out: dict[int, Job]) -> list[Event]:
        self._alive = time.monotonic()
        while True:
            try:
                slots = [self._over.get(timeout=LOOK_AGAIN_S)]
                break
            except Empty:
                self._check_alive()
        try:
            while True:
                slots.append(self._over.get_nowait())
        except Empty:
            events = [self._event(slot, len(out[slot].payloads)) for slot in slots]
            return [event for event in events if event is not None]

    def _check_alive(self) -> None:
        """Raise ``Interrupted`` if nothing more can come: nothing starts workers anew that could not be started."""
        if self._client.status != "running":
            raise Interrupted("the connection to the Dask scheduler is lost")
        now = time.monotonic()
        if not self._local or self._client.nthreads():
            self._alive = now
        elif now - self._alive > LOST_S:
            raise Interrupted("all workers of the cluster on this machine are lost")

    def _event(self, slot: int, points: int) -> Event | None:
        """Return what a job that is over comes to; None if its worker died with the result, which is computed again."""
        future = self._futures.pop(slot)
        if future.cancelled() or self._client.status != "running":
            raise Interrupted("the connection to the Dask scheduler is lost")
        try:
            error = future.exception(timeout=FETCH_S)
            outcomes, seconds = future.result(timeout=FETCH_S) if error is None else ([], 0.0)
        except TimeoutError:
            self._watch(slot, future)
            return None
        if error is not None:  # the points' own errors are outcomes: this is a worker that died, again and again
            why = "its workers died" if type(error).__name__ == "KilledWorker" else f"its worker failed: {error}"
            return Event(slot, [], over=True, lost=why, again=True)
        self._timed(seconds, points)
        return Event(slot, outcomes, over=True)

    def close(self) -> None:
        """Leave the cluster; end it if it was started here. All results that are wanted are here by now."""
        for future in self._futures.values():
            future.release()
        self._kill_workers()
        for part in (self._client, self._cluster):
            if part is not None:
                closing = Thread(target=_close_quietly, args=(part,), daemon=True)
                closing.start()
                closing.join(CLOSING_S)
        if self._cluster is not None:
            self._cluster.shutdown_on_close = False  # or distributed tries again for ten seconds when Python ends
        self._scratch.cleanup()

    def _kill_workers(self) -> None:
        """Kill the processes of a cluster on this machine: to end them gently takes seconds."""
        for worker in self._cluster.workers.values() if self._cluster is not None else ():
            worker.auto_restart = False  # a nanny's
            if getattr(worker, "pid", None):
                with suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGKILL)


def _close_quietly(part: Any) -> None:
    with suppress(TimeoutError, OSError, RuntimeError):
        part.close(timeout=CLOSING_S)


def _library(name: str, how: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise StudyError(SECTION, "executor", "dask", f"the library {name}: {how}") from None
