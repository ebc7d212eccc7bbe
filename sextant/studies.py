"""What the commands about studies share: the folder a study is kept in, and how a finished one is shown."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from searchers.corners import summary
from searchers.evaluation.execution import Execution
from searchers.pictures.figures import draw_report, draw_study
from searchers.quantities import QUANTITIES, SIGMA
from searchers.run import Progress, run_study
from searchers.storage.kept import OPTIONS, STUDY_COPY, SWEEP_COPY, kept_study
from searchers.storage.results import FRONT, RESULTS, fingerprint, reproduce, write_results
from searchers.storage.store import Point, Store
from searchers.study import Study
from workloads.errors import StoreError, StudyError

SHOWN_FRONT = 12
BORDER = 3  # of a column, with the spaces in it
COMPILING = "compiling kernels, which takes half a minute the first time"


def keep_study(study_file: str, study: Study, folder: Path) -> None:
    """Copy the study and the options it is run with, so that the folder alone can continue it."""
    text = fresh_folder(study_file, folder)
    keep_options(study, folder)
    write_whole(folder / STUDY_COPY, text)


def fresh_folder(file: str, folder: Path) -> str:
    """Make a folder for what a study's or sweep's file describes; return the file's text."""
    if (folder / STUDY_COPY).exists() or (folder / SWEEP_COPY).exists():
        raise StoreError(f"{folder}: holds a study already, need another folder, or: sextant resume {folder}")
    text = Path(file).read_text(encoding="utf-8")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}, need a folder that can be written") from error
    return text


def raise_budget(folder: Path, budget: int | None) -> Study:
    """Read the study a folder holds and keep a larger budget for it, unless another process works on it."""
    study = kept_study(folder, budget=budget)
    with Store(folder, study.key):
        before = kept_study(folder).budget
        if study.budget < before:
            raise StudyError("command line", "--budget", budget, f"at least {before}, the study's own")
        keep_options(study, folder)
    return study


def keep_options(study: Study, folder: Path) -> None:
    """Write the options a study is run with."""
    text = f'budget = {study.budget}\nseed = {study.seed}\nalgorithm = "{study.algorithm}"\n'
    if study.oracle_file:
        text += f"oracle_file = {json.dumps(study.oracle_file, ensure_ascii=False)}\n"
    write_whole(folder / OPTIONS, text)


@contextmanager
def stop_on_terminate() -> Iterator[None]:
    """Have the signal with which schedulers end a job stop work as control and C does."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    fresh = path.with_suffix(".new")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}, need a file that can be written") from error


def run_and_show(study: Study, folder: Path, workers: Execution) -> None:
    """Run a study to its budget; print its front, and write its tables and pictures."""
    space = study.problem.space
    click.echo(f"{study.name}: {len(space)} choices, 10^{space.size_log10:.0f} candidates", err=True)
    with _progress(study.budget) as shown:
        points = run_study(study, folder, workers=workers, progress=shown)
    front, chosen = write_results(study, points, folder)
    _show_front(study, front, chosen)
    again = reproduce(study, front[chosen], folder)
    run = study.problem.run(front[chosen].genome)
    pictures = [*draw_study(study, points, folder), *draw_report(run.roofline, run.report, folder)]
    click.echo(f"\n★ again: {again}")
    if study.problem.prunes:
        click.echo(f"corners:  {summary(study, points)}")
    click.echo(f"tables:   {folder / RESULTS}  {folder / FRONT}")
    for picture in pictures:
        click.echo(f"picture:  {picture}")
    click.echo(f"results:  sha256 {fingerprint(folder / RESULTS)}")


@contextmanager
def _progress(budget: int) -> Iterator[Callable[[Progress], None]]:
    """Show progress: a bar on a terminal, a line every tenth of the budget elsewhere."""
    rate = _Rate()
    if not sys.stderr.isatty():
        click.echo(COMPILING, err=True)
        shown = [0]

        def line(state: Progress) -> None:
            per_second = rate.after(state.evaluated)
            tenth = 10 * state.evaluated // budget
            if tenth > shown[0]:
                shown[0] = tenth
                click.echo(f"{state.evaluated:>7} of {budget} evaluated{per_second}, {_standing(state)}", err=True)

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[standing]}"), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=budget, standing=COMPILING)

        def advance(state: Progress) -> None:
            standing = f"{rate.after(state.evaluated)}, {_standing(state)}".removeprefix(", ")
            bar.update(task, completed=state.evaluated, standing=standing)

        yield advance


class _Rate:
    """Evaluations per second since the first generation, which may have waited for the compiler."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def after(self, evaluated: int) -> str:
        """Return the rate as text, empty for the first generation."""
        now = time.monotonic()
        if self._first is None:
            self._first = now, evaluated
            return ""
        started, before = self._first
        return f", {(evaluated - before) / max(now - started, 1e-9):.0f}/s"


def _standing(state: Progress) -> str:
    return f"{state.feasible} feasible, {state.failed} that cannot be built"


def _show_front(study: Study, front: list[Point], chosen: int) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    step = max(1, -(-len(front) // SHOWN_FRONT))
    places = sorted({*range(0, len(front), step), chosen})
    title = f"front of {study.name}: {len(front)} design{'s' if len(front) > 1 else ''}"
    if step > 1:
        title += f", one in {step} and the chosen one"
    names = [
        *study.objectives,
        *(limit.quantity for limit in study.constraints if limit.quantity not in study.objectives),
    ]
    if study.problem.provenance and SIGMA not in names:
        names.append(SIGMA)
    columns, knobs = _front_columns(study, [front[place] for place in places], names)
    columns = {"": ["★" if place == chosen else "" for place in places], **columns}
    left_out: list[str] = []
    narrow = _table_width(columns, narrow=False) >= console.width
    while knobs and _table_width(columns, narrow=narrow) >= console.width:
        left_out.insert(0, knobs.pop())
        del columns[left_out[0]]
    table = Table(title=escape(title), title_justify="left")
    for heading, cells in columns.items():
        table.add_column(escape(heading), justify="right", width=_width(heading, cells, narrow=narrow))
    for row in zip(*columns.values(), strict=True):
        table.add_row(*map(escape, row))
    console.print(table)
    if left_out:
        left = ", ".join(heading.replace("\n", " ") for heading in left_out)
        console.print(f"no room for: {left}; {FRONT} has them", markup=False, highlight=False)
    noted = [f"{QUANTITIES[name].label}: {QUANTITIES[name].note}" for name in names if QUANTITIES[name].note]
    console.print("; ".join(["★ nearest to the best of every objective", *noted]))
    if study.problem.provenance:
        click.echo(study.problem.provenance)


def _front_columns(
    study: Study, shown: Sequence[Point], names: Sequence[str]
) -> tuple[dict[str, list[str]], list[str]]:
    """Return the cells of every column by its heading, and the headings of the machine's fields among them."""
    described = [study.problem.describe(point.genome) for point in shown]
    columns = {
        QUANTITIES[name].heading: [f"{point.outcome.quantities[name] * QUANTITIES[name].scale:.4g}" for point in shown]
        for name in names
    }
    if any(knob.startswith("bits.") for knob in study.problem.space.knobs):
        columns["mean bits\nact / wgt"] = [
            " / ".join(_mean(design.get(f"bits.{operand}")) for operand in ("activations", "weights"))
            for design in described
        ]
    fields = [knob for knob in study.problem.space.knobs if knob.startswith("machine.")]
    of_machine = {
        knob.removeprefix("machine.").replace("_", "\n"): [_value(design[knob]) for design in described]
        for knob in fields
    }
    return columns | of_machine, list(of_machine)


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table_width(columns: Mapping[str, Sequence[str]], *, narrow: bool) -> int:
    return sum(_width(heading, cells, narrow=narrow) + BORDER for heading, cells in columns.items())


def _width(heading: str, cells: Sequence[str], *, narrow: bool) -> int:
    """Return how wide a column has to be; of a narrow one, the heading's words may take a line each."""
    return max(map(len, [*(heading.split() if narrow else heading.splitlines()), *cells]), default=1)


def _mean(widths: object) -> str:
    return f"{sum(widths) / len(widths):.1f}" if isinstance(widths, tuple) and widths else "-"
