"""A point that hangs, raises, eats memory or dies is failed and says why; all others are what they would have been."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from searchers.evaluation.cluster import ClusterWorkers
from searchers.evaluation.execution import DASK, PROCESSES, THREADS, Execution
from searchers.evaluation.shared import Shared
from searchers.evaluation.workers import Job, Queue, make_workers
from searchers.outcome import Outcome
from tests.fault.faulty import FAULTS, REASONS, Faulty
from workloads.errors import Interrupted, SextantError

Payload = tuple[int, str]


def evaluate(payloads: list[Payload], execution: Execution, *, batches: bool = False) -> dict[int, Outcome]:
    settled: dict[int, Outcome] = {}
    with make_workers(Faulty(), execution) as workers:
        if batches:
            workers._timed(1e-6, 1)  # points that take no time are handed out together
        for step in workers.evaluate(payloads):
            for place, outcome in step.settled:
                assert place not in settled
                settled[place] = outcome
    return settled


def check_faults(faults: int, points: int) -> None:
    draw = random.Random(3)
    bad = dict.fromkeys(draw.sample(range(points), faults), "")
    for index, place in enumerate(bad):
        bad[place] = FAULTS[index % len(FAULTS)]
    execution = Execution(executor=PROCESSES, count=2, time_limit_s=2.0, memory_limit_mb=300, retries=0)
    settled = evaluate([(place, bad.get(place, "")) for place in range(points)], execution)
    assert sorted(settled) == list(range(points))
    for place, outcome in settled.items():
        if place in bad:
            assert outcome.quantities == {}
            assert REASONS[bad[place]].format(place=place) in outcome.reason.replace("Memory", "memory")
            assert "\n" not in outcome.reason
        else:
            assert outcome == Outcome({"square": place * place})


def test_twelve_faults_cost_twelve_points() -> None:
    check_faults(12, 200)


@pytest.mark.drill
def test_fifty_faults_cost_fifty_points() -> None:
    check_faults(50, 1000)


def test_a_batch_with_a_fault_is_taken_apart() -> None:
    execution = Execution(executor=PROCESSES, count=1, retries=0)
    settled = evaluate([(place, "kill" if place == 5 else "") for place in range(8)], execution, batches=True)
    assert settled.pop(5) == Outcome({}, REASONS["kill"])
    assert settled == {place: Outcome({"square": place * place}) for place in (0, 1, 2, 3, 4, 6, 7)}


@pytest.mark.parametrize(("retries", "reason"), [(0, REASONS["kill"]), (1, "")])
def test_a_point_whose_worker_died_is_tried_again(tmp_path: Path, retries: int, reason: str) -> None:
    execution = Execution(executor=PROCESSES, count=1, retries=retries)
    settled = evaluate([(3, str(tmp_path / "once"))], execution)
    assert settled == {0: Outcome({}, reason) if reason else Outcome({"square": 9})}


def test_how_often_it_died_is_said() -> None:
    settled = evaluate([(3, "leave")], Execution(executor=PROCESSES, count=1, retries=2))
    assert settled == {0: Outcome({}, "its worker ended with exit code 7, 3 times")}


def test_a_point_that_raises_on_a_thread_is_failed() -> None:
    settled = evaluate([(place, "raise" if place == 2 else "") for place in range(5)], Execution(count=2), batches=True)
    assert settled.pop(2) == Outcome({}, "RuntimeError: point 2 is bad")
    assert settled == {place: Outcome({"square": place * place}) for place in (0, 1, 3, 4)}


@pytest.mark.parametrize("executor", [THREADS, PROCESSES])
def test_nothing_to_do_is_nothing_done(executor: str) -> None:
    assert evaluate([], Execution(executor=executor)) == {}


@pytest.mark.drill
def test_workers_of_a_cluster_that_always_die_fail_their_point() -> None:
    settled = evaluate([(place, "kill" if place == 1 else "") for place in range(6)], Execution(executor=DASK, count=2))
    assert settled.pop(1) == Outcome({}, "its workers died, 2 times")
    assert settled == {place: Outcome({"square": place * place}) for place in (0, 2, 3, 4, 5)}


class LostResult:
    """A future whose worker dies once with the result: it is ready, is not to be had, and is computed again."""

    def __init__(self) -> None:
        self.asked = 0

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        call(self)

    def cancelled(self) -> bool:
        return False

    def exception(self, timeout: float) -> None:
        pass

    def result(self, timeout: float) -> tuple[list[Outcome], float]:
        self.asked += 1
        if self.asked == 1:
            raise TimeoutError
        return [Outcome({"square": 4.0})], 0.1


def cluster_without(monkeypatch: pytest.MonkeyPatch, threads: dict[str, int]) -> ClusterWorkers:
    client = SimpleNamespace(status="running", nthreads=lambda: threads, close=lambda timeout: None)
    monkeypatch.setattr(ClusterWorkers, "_connect", lambda self, execution: client)
    return ClusterWorkers(Faulty(), Execution(executor=DASK))


def test_a_result_that_dies_with_its_worker_is_waited_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = cluster_without(monkeypatch, {"somewhere": 1})
    future, out = LostResult(), {0: Job([0], [(0, "")])}
    workers._watch(0, future)
    assert workers._wait(out) == []
    (event,) = workers._wait(out)
    assert (event.slot, event.outcomes, event.over) == (0, [Outcome({"square": 4.0})], True)
    workers.close()


def test_a_cluster_whose_workers_cannot_be_started_again_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("searchers.evaluation.cluster.LOOK_AGAIN_S", 0.01)
    monkeypatch.setattr("searchers.evaluation.cluster.LOST_S", 0.05)
    workers = cluster_without(monkeypatch, {})
    with pytest.raises(Interrupted, match="all workers of the cluster on this machine are lost"):
        workers._wait({})
    workers.close()


def test_a_worker_stays_with_its_group_and_then_takes_one_nobody_has() -> None:
    queue = Queue(list("aabbc"), ["a", "a", "b", "b", "c"])
    first, second = queue.take(None, 1), queue.take(None, 1)
    assert (first.group, second.group) == ("a", "b")
    assert [queue.take("a", 9).places, queue.take("a", 9).places, queue.take("a", 9).places] == [[1], [4], [3]]
    assert queue.left == 0


def test_what_is_shared_is_mapped_and_what_a_worker_writes_is_its_own() -> None:
    import pickle

    value = {"big": np.arange(1000.0), "other": np.arange(7, dtype=np.int32), "name": "x"}
    shared = Shared(value)
    sent = pickle.dumps(shared, protocol=5)
    assert len(sent) < 1000
    first, second = pickle.loads(sent).value, pickle.loads(sent).value
    first["big"][0] = -1.0  # writable, as kernels are compiled for
    assert second["big"][0] == value["big"][0] == 0.0
    assert (second["other"] == value["other"]).all()
    assert second["name"] == "x"
    shared.close()


def test_workers_that_cannot_start_are_told_once_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Faulty, "__module__", "nowhere")
    monkeypatch.setitem(sys.modules, "nowhere", sys.modules["tests.fault.faulty"])
    with pytest.raises(SextantError) as caught:
        evaluate([(1, "")], Execution(executor=PROCESSES))
    assert str(caught.value) == (
        "no worker process can be started (ModuleNotFoundError: No module named 'nowhere'), need --executor threads"
    )
