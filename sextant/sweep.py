"""``sextant sweep``: grids of machine parameters over lists of workloads."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sextant.cosearch import execution_options

if TYPE_CHECKING:
    from searchers.evaluation.execution import Execution
    from searchers.storage.store import Point
    from searchers.sweeps.sweep import SweepProgress
    from searchers.sweeps.sweep_file import Sweep

LINE_EVERY_S = 10.0
SHOWN_ROWS = 40


@click.command("sweep")
@click.argument("sweep_file", type=click.Path())
@click.option("--out", "folder", type=click.Path(path_type=Path), required=True, help="Folder for the results.")
@execution_options
def sweep_command(sweep_file: str, folder: Path, **workers: Any) -> None:
    """Run every point of SWEEP_FILE (TOML): machines, what varies of each, and the workloads they run.

    Writes results.csv to the folder and prints each workload's best point. A sweep that was stopped goes on with
    sextant resume. See: docs/studies.md and examples/sweeps/sparch_look_ahead.toml.
    """
    from searchers.evaluation.execution import read_execution
    from searchers.storage.kept import SWEEP_COPY
    from searchers.sweeps.sweep_file import read_sweep
    from sextant.studies import fresh_folder, stop_on_terminate, write_whole

    sweep = read_sweep(sweep_file)
    execution = read_execution(sweep_file).with_options(**workers)
    open_workloads(sweep, execution)
    write_whole(folder / SWEEP_COPY, fresh_folder(sweep_file, folder))
    with stop_on_terminate():
        run_and_show_sweep(sweep, folder, execution)


def open_workloads(sweep: Sweep, execution: Execution) -> None:
    """Open what will be run, so that a file that is not there is named before anything is written or looked up."""
    from searchers.evaluation.execution import DASK
    from searchers.sweeps.sweep import open_workload

    if execution.executor != DASK:  # workers of a cluster open workloads themselves
        for number in range(len(sweep.sources)):
            open_workload(sweep.sources, number, sweep.opened)


def run_and_show_sweep(sweep: Sweep, folder: Path, execution: Execution) -> None:
    """Run a sweep; write its table, and print each workload's best point."""
    from searchers.storage.kept import Kept
    from searchers.storage.results import RESULTS, fingerprint
    from searchers.sweeps.sweep import run_sweep
    from workloads.errors import StudyError

    click.echo(f"{sweep.name}: {len(sweep.tasks)} points, {len(sweep.sources)} workloads", err=True)
    with _progress(sweep) as shown:
        points = run_sweep(sweep, folder, workers=execution, progress=shown)
    kept = Kept(folder)
    kept.write_csv(folder / RESULTS)
    kept.close()
    known = sorted({name for point in points for name in point.outcome.quantities})
    if known and sweep.best not in known:
        raise StudyError(sweep.name, "best", sweep.best, "a number of some report: " + ", ".join(known))
    _show_best(sweep, points)
    failed = [point for point in points if not point.outcome.quantities]
    if failed:
        click.echo(f"failed:   {len(failed)} of {len(points)} points (first: {failed[0].outcome.reason})")
    click.echo(f"table:    {folder / RESULTS}")
    click.echo(f"results:  sha256 {fingerprint(folder / RESULTS)}")


@contextmanager
def _progress(sweep: Sweep) -> Iterator[Callable[[SweepProgress], None]]:
    """Show progress: a bar on a terminal, a line now and then elsewhere."""
    pace = _Pace()
    if not sys.stderr.isatty():
        told = [time.monotonic()]

        def line(state: SweepProgress) -> None:
            if state.evaluated == state.total or time.monotonic() - told[0] >= LINE_EVERY_S:
                told[0] = time.monotonic()
                click.echo(f"{state.evaluated:>7} of {state.total} points{pace.said(state)}", err=True)

        yield line
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.fields[standing]}"))
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=len(sweep.tasks), standing="opening workloads")

        def advance(state: SweepProgress) -> None:
            bar.update(task, completed=state.evaluated, standing=escape(pace.said(state).removeprefix(", ")))

        yield advance


class _Pace:
    """Points per second, and when the last will be done, as far as the first ones tell."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def said(self, state: SweepProgress) -> str:
        """Return rate, time left, failed points and the best so far as text."""
        parts = []
        now = time.monotonic()
        if self._first is None:
            self._first = now, state.evaluated
        elif now > self._first[0]:
            rate = (state.evaluated - self._first[1]) / (now - self._first[0])
            if rate > 0:
                left = (state.total - state.evaluated) / rate
                parts.append(f"{rate:.3g}/s, {_duration(left)} left" if left else f"{rate:.3g}/s")
        parts.append(f"{state.failed} failed")
        if state.best is not None:
            parts.append(f"best so far: {_described(json.loads(state.best.design))}")
        return "".join(f", {part}" for part in parts)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _described(design: dict[str, object]) -> str:
    names = {"machine", "preset", "fidelity", "workload", "workload_b"}
    fields = ", ".join(f"{name}={value}" for name, value in design.items() if name not in names)
    return f"{design['machine']} on {design['workload']}" + (f" ({fields})" if fields else "")


def _show_best(sweep: Sweep, points: Sequence[Point]) -> None:
    """Print the best point of every machine and workload."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    best: dict[tuple[str, ...], Point] = {}
    for point in points:
        design = json.loads(point.design)
        group = tuple(str(design.get(name, "")) for name in ("machine", "preset", "workload", "workload_b"))
        value = point.outcome.quantities.get(sweep.best)
        if value is not None and (group not in best or value < best[group].outcome.quantities[sweep.best]):
            best[group] = point
    table = Table(title=escape(f"{sweep.name}: least {sweep.best} of each workload"), title_justify="left")
    for heading in ("machine", "workload", "design"):
        table.add_column(heading)
    table.add_column(sweep.best, justify="right")
    for (machine, preset, workload, workload_b), point in list(best.items())[:SHOWN_ROWS]:
        described = _described(json.loads(point.design)).partition(" (")[2].removesuffix(")")
        names = (f"{machine} {preset}", " × ".join(filter(None, (workload, workload_b))), described)
        table.add_row(*map(escape, names), f"{point.outcome.quantities[sweep.best]:.6g}")
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    if len(best) > SHOWN_ROWS:
        click.echo(f"and {len(best) - SHOWN_ROWS} more in the table below")
