"""One table, whoever computes it: any number of workers of any kind, one that is killed, one that is resumed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from searchers.evaluation.cluster import ClusterWorkers
from searchers.evaluation.execution import DASK, PROCESSES, THREADS, Execution
from searchers.run import run_study
from searchers.storage.kept import Kept, write_sweep
from searchers.storage.results import write_points
from searchers.storage.store import Reader
from searchers.study import read_study
from searchers.sweeps.sweep import SweepProgress, run_sweep
from searchers.sweeps.sweep_file import read_sweep
from workloads.errors import Interrupted

SWEEP = """
workloads = ["rmat:scale=7,edges=4", "uniform:rows=150,per_row=3"]
[[machine]]
name = "sparch"
look_ahead = [64, 256, 1024]
prefetch_lines = [16, 64]
merge_layers = [4, 6]
[[machine]]
name = "outerspace"
"""
STUDY = """
seed = 5
budget = 60
objectives = ["seconds", "energy_pj"]
[algorithm]
population = 20
[network]
name = "lenet5-bitfusion"
[bits]
activations = [2, 4, 8]
weights = [2, 4, 8]
[machine]
rows = [4, 8, 1024]
columns = [4, 8, 16]
"""
LOCAL = [Execution(count=2), Execution(count=4), Execution(executor=PROCESSES, count=2)]
MANY = [Execution(executor=kind, count=count) for kind in (THREADS, PROCESSES, DASK) for count in (1, 2, 4)]


def name(execution: Execution) -> str:
    return f"{execution.count} {execution.executor}"


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.toml"
    path.write_text(SWEEP, encoding="utf-8")
    return path


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def sweep_digest(
    file: Path, folder: Path, execution: Execution, progress: Callable[[SweepProgress], None] | None = None
) -> str:
    run_sweep(read_sweep(file), folder, workers=execution, progress=progress)
    with Reader(folder) as store:
        write_sweep(store.states(), folder / "results.csv")
    return sha256((folder / "results.csv").read_bytes()).hexdigest()


def study_digest(file: Path, folder: Path, execution: Execution) -> str:
    study = read_study(file)
    write_points(study, run_study(study, folder, workers=execution), folder / "results.csv")
    return sha256((folder / "results.csv").read_bytes()).hexdigest()


@pytest.mark.parametrize("executions", [LOCAL, pytest.param(MANY, marks=pytest.mark.drill)], ids=["some", "all"])
def test_who_computes_a_sweep_changes_no_byte(sweep_file: Path, tmp_path: Path, executions: list[Execution]) -> None:
    alone = sweep_digest(sweep_file, tmp_path / "alone", Execution())
    for execution in executions:
        assert sweep_digest(sweep_file, tmp_path / name(execution), execution) == alone, name(execution)


@pytest.mark.parametrize("executions", [LOCAL, pytest.param(MANY, marks=pytest.mark.drill)], ids=["some", "all"])
def test_who_computes_a_study_changes_no_byte(study_file: Path, tmp_path: Path, executions: list[Execution]) -> None:
    alone = study_digest(study_file, tmp_path / "alone", Execution())
    for execution in executions:
        assert study_digest(study_file, tmp_path / name(execution), execution) == alone, name(execution)


def test_a_cluster_whose_workers_are_killed_changes_no_byte(
    sweep_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = sweep_digest(sweep_file, tmp_path / "alone", Execution())
    clusters: list[ClusterWorkers] = []
    connect = ClusterWorkers._connect
    monkeypatch.setattr(ClusterWorkers, "_connect", lambda self, how: clusters.append(self) or connect(self, how))
    killed: list[int] = []

    def kill_one(state: SweepProgress) -> None:
        """Kill the first worker when a third is done, the other when two thirds are."""
        if len(killed) < 2 and state.evaluated > (len(killed) + 1) * state.total // 3:
            workers = clusters[0]._cluster.workers
            killed.append(workers[len(killed)].pid)
            os.kill(killed[-1], signal.SIGKILL)

    execution = Execution(executor=DASK, count=2)
    assert sweep_digest(sweep_file, tmp_path / "killed", execution, kill_one) == alone
    assert len(killed) == 2


@pytest.mark.parametrize("first", [Execution(count=2), Execution(executor=PROCESSES, count=2)], ids=name)
def test_a_sweep_that_is_stopped_and_resumed_changes_no_byte(
    sweep_file: Path, tmp_path: Path, first: Execution
) -> None:
    alone = sweep_digest(sweep_file, tmp_path / "alone", Execution())

    def stop(state: SweepProgress) -> None:
        if state.evaluated >= 5:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"stopped; \d+ of 26 points are kept; continue with: sextant resume "):
        sweep_digest(sweep_file, tmp_path / "stopped", first, stop)
    with Reader(tmp_path / "stopped") as store:
        assert 5 <= len(store.points()) < 26
    assert sweep_digest(sweep_file, tmp_path / "stopped", Execution()) == alone


def test_a_swept_point_is_what_simulate_says(sweep_file: Path, tmp_path: Path) -> None:
    from searchers.machines import find_machine
    from searchers.sweeps.sweep import quantities_of

    sweep = read_sweep(sweep_file)
    points = run_sweep(sweep, tmp_path / "out", workers=2)
    for task, point in list(zip(sweep.tasks, points, strict=True))[::5]:
        machine, source = find_machine(task.machine), sweep.sources[task.source]
        report = machine.run(task.config, machine.open(source.workload, source.workload_b), task.fidelity).report
        assert point.outcome.quantities == quantities_of(report)


def test_a_sweep_is_read_as_a_table(sweep_file: Path, tmp_path: Path) -> None:
    run_sweep(read_sweep(sweep_file), tmp_path / "out")
    (tmp_path / "out" / "sweep.toml").write_text(SWEEP, encoding="utf-8")
    kept = Kept(tmp_path / "out")
    frame = kept.frame()
    assert len(frame) == 26
    assert frame.groupby("machine").size().to_dict() == {"sparch": 24, "outerspace": 2}
    assert (frame["counters.multiplies"] > 0).all()
    assert kept.states() == {"pending": 0, "running": 0, "done": 26, "failed": 0}
    assert set(kept.origins()[0]) >= {"models", "python", "numpy", "numba"}
    kept.close()
