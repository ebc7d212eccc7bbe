"""Workers and store: what two workers gain over one, and what keeping a point and handing it out cost.

Gains are wall times and mean something on an otherwise idle machine only; overheads are CPU times of this process.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.timing import keep, show
from searchers import open_study
from searchers.evaluation.execution import DASK, PROCESSES, THREADS, Execution
from searchers.evaluation.workers import make_workers
from searchers.outcome import Outcome
from searchers.run import run_study
from searchers.storage.store import Point, Reader, Store
from searchers.study import read_study
from searchers.sweeps.sweep import run_sweep
from searchers.sweeps.sweep_file import read_sweep

STUDY = Path(__file__).parent.parent / "examples" / "edge_vision.toml"
SWEEP = """
workloads = ["rmat:scale=11,edges=8,seed=1", "uniform:rows=8000,per_row=6"]
[machine]
name = "sparch"
look_ahead = { low = 512, high = 5120, step = 512 }
prefetch_lines = { low = 256, high = 1024, step = 85 }
"""
CHEAP, KEPT, ROUNDS = 20_000, 100_000, 3


class Nothing:
    """Points that cost nothing, so that what is measured is everything else."""

    def evaluate(self, payloads: Sequence[object]) -> Iterator[Outcome]:
        """Yield the same for every payload."""
        for _ in payloads:
            yield Outcome({"cycles": 1.0, "seconds": 1e-9})


def main() -> None:
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        gains(folder, figures)
        overheads(folder, figures)
        opening(folder, figures)
    keep("workers_speed", figures)


def gains(folder: Path, figures: dict[str, float]) -> None:
    """Measure points a second on one and on two workers, in turns."""
    (folder / "sweep.toml").write_text(SWEEP, encoding="utf-8")
    sweep = read_sweep(folder / "sweep.toml")
    ways = {
        f"{count} {kind}": Execution(executor=kind, count=count) for kind in (THREADS, PROCESSES) for count in (1, 2)
    }
    run_sweep(sweep, folder / "warm")
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, execution in ways.items():
            began = time.perf_counter()
            run_sweep(sweep, folder / "out", workers=execution)
            best[name] = min(best[name], time.perf_counter() - began)
            shutil.rmtree(folder / "out")
    for kind in (THREADS, PROCESSES):
        figures[f"gain of 2 {kind}"] = best[f"1 {kind}"] / best[f"2 {kind}"]
        points = len(sweep.tasks)
        show(
            f"{points} SpArch points, 1 and 2 {kind} [1/s]",
            f"{points / best[f'1 {kind}']:.1f}, {points / best[f'2 {kind}']:.1f}",
        )
        show(
            "  gain",
            f"{figures[f'gain of 2 {kind}']:.2f}",
            f"bar 1.8 on an idle machine; load is {os.getloadavg()[0]:.1f}",
        )


def overheads(folder: Path, figures: dict[str, float]) -> None:
    """Measure what a point costs beside its own time."""
    from benchmarks.workers_speed import Nothing as Importable  # workers find it by this name, whoever started us

    for kind in (THREADS, PROCESSES, DASK):
        with (
            make_workers(Importable(), Execution(executor=kind, count=2)) as workers,
            Store(folder / kind, "key") as store,
        ):
            for _ in workers.evaluate(range(100)):
                pass  # the processes are started
            began, wall = time.process_time(), time.perf_counter()
            for step in workers.evaluate(range(CHEAP)):
                store.add(
                    [Point(0, place, (), outcome) for place, outcome in step.settled],
                    [Point(0, place, (), Outcome({})) for place in step.started],
                )
            spent, wall = time.process_time() - began, time.perf_counter() - wall
        figures[f"overhead on {kind} [ms]"] = 1e3 * spent / CHEAP
        show(
            f"store and {kind}, a point [ms CPU (ms wall)]",
            f"{1e3 * spent / CHEAP:.3f} ({1e3 * wall / CHEAP:.3f})",
            "bar 1",
        )
    study = read_study(STUDY, budget=1000, algorithm="random")
    run_study(study, folder / "warm_study")
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        run_study(study, folder / "study")
        best = min(best, time.process_time() - began)
        shutil.rmtree(folder / "study")
    figures["candidates/s with the store"] = 1000 / best
    show("BitFusion candidates with the store on [1/s CPU]", f"{1000 / best:.0f}", "bar 2000")


def opening(folder: Path, figures: dict[str, float]) -> None:
    """Measure how long a large store takes to open and to be read."""
    outcome = Outcome({f"counters.{name}": 1.5 * name for name in range(40)})
    design = '{"machine": "sparch", "workload": "rmat:scale=14", "look_ahead": 8192}'
    (folder / "large").mkdir()
    (folder / "large" / "sweep.toml").write_text(SWEEP, encoding="utf-8")
    with Store(folder / "large", "key") as store:
        store.add([Point(0, place, (), outcome, design) for place in range(KEPT)])
    began = time.perf_counter()
    with Reader(folder / "large"):
        figures["open [s]"] = time.perf_counter() - began
    show(f"opening {KEPT} points [s]", f"{figures['open [s]']:.2f}", "bar 1")
    began = time.perf_counter()
    kept = open_study(folder / "large")
    kept.frame()
    figures["frame [s]"] = time.perf_counter() - began
    kept.close()
    show("  and reading them all as a table [s]", f"{figures['frame [s]']:.2f}")


if __name__ == "__main__":
    main()
