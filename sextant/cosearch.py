"""``sextant cosearch``, ``resume`` and ``export``: running studies."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from accel.config import read_toml
from searchers.figures import draw_report, draw_study
from searchers.quantities import QUANTITIES
from searchers.results import CHOSEN_LAYERS, RESULTS, fingerprint, reproduce, write_points, write_results
from searchers.run import Progress, run_study
from searchers.store import Point, Store
from searchers.study import Study, read_study
from workloads.errors import StoreError, StudyError

STUDY_COPY = "study.toml"
OPTIONS = "options.toml"
SHOWN_FRONT = 12

_workers = click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Threads.")
_budget = click.option("--budget", type=click.IntRange(1), help="Evaluations in all, instead of the study's.")


@click.command("cosearch")
@click.argument("study_file", type=click.Path())
@click.option("--out", "folder", type=click.Path(path_type=Path), required=True, help="Folder for the results.")
@_budget
@click.option("--seed", type=click.IntRange(0), help="Root of all randomness, instead of the study's.")
@click.option("--algorithm", help="Search algorithm, instead of the study's.")
@_workers
def cosearch_command(
    study_file: str, folder: Path, budget: int | None, seed: int | None, algorithm: str | None, workers: int
) -> None:
    """Search network, operand widths and machine together, as STUDY_FILE (TOML) says.

    Prints the front and writes tables and pictures to the folder. A study that was stopped goes on with
    sextant resume.
    """
    study = read_study(study_file, budget=budget, seed=seed, algorithm=algorithm)
    if (folder / STUDY_COPY).exists():
        raise StoreError(f"{folder}: holds a study already, need another folder, or: sextant resume {folder}")
    _keep_study(study_file, study, folder)
    _run(study, folder, workers)


@click.command("resume")
@click.argument("folder", type=click.Path(path_type=Path))
@_budget
@_workers
def resume_command(folder: Path, budget: int | None, workers: int) -> None:
    """Continue the study in FOLDER; a larger --budget goes on where it ended."""
    _run(kept_study(folder, budget=budget), folder, workers)


@click.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--csv", "path", type=click.Path(path_type=Path), help="File to write  [default: FOLDER/results.csv]")
def export_command(folder: Path, path: Path | None) -> None:
    """Write all points of the study in FOLDER as CSV."""
    study = kept_study(folder)
    target = path or folder / RESULTS
    try:
        write_points(study, kept_points(study, folder), target)
    except OSError as error:
        raise StudyError(str(target), "", error.strerror, "a file that can be written") from error
    click.echo(f"wrote {target}")


def kept_study(folder: Path, *, budget: int | None = None) -> Study:
    """Read the study a folder holds, with the options it was started with."""
    if not (folder / STUDY_COPY).exists() or not (folder / OPTIONS).exists():
        raise StoreError(f"{folder}: holds no study, need a folder made by: sextant cosearch STUDY.toml --out DIR")
    options = read_toml(folder / OPTIONS)
    return read_study(folder / STUDY_COPY, **(options | ({} if budget is None else {"budget": budget})))


def kept_points(study: Study, folder: Path) -> list[Point]:
    """Return the points a folder holds."""
    with Store(folder, study.key) as store:
        return store.points()


def _keep_study(study_file: str, study: Study, folder: Path) -> None:
    """Copy the study and the options it is run with, so that the folder alone can continue it."""
    text = Path(study_file).read_text(encoding="utf-8")
    options = f'budget = {study.budget}\nseed = {study.seed}\nalgorithm = "{study.algorithm}"\n'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / OPTIONS).write_text(options, encoding="utf-8")
        (folder / STUDY_COPY).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}, need a folder that can be written") from error


def _run(study: Study, folder: Path, workers: int) -> None:
    with _progress(study.budget) as shown:
        points = run_study(study, folder, workers=workers, progress=shown)
    front, chosen = write_results(study, points, folder)
    _show_front(study, front, chosen)
    config, _ = study.problem.build(front[chosen].genome)
    report = study.problem.report(front[chosen].genome)
    pictures = [*draw_study(study, points, folder), *draw_report(config, report, folder)]
    click.echo(f"\n★ again: {reproduce(study, front[chosen], folder / CHOSEN_LAYERS)}")
    click.echo(f"tables:   {folder}/results.csv  {folder}/front.csv")
    for picture in pictures:
        click.echo(f"picture:  {picture}")
    click.echo(f"results:  sha256 {fingerprint(folder / RESULTS)}")


@contextmanager
def _progress(budget: int) -> Iterator[Callable[[Progress], None]]:
    """Show progress: a bar on a terminal, a line every tenth of the budget elsewhere."""
    started = time.monotonic()
    if not sys.stderr.isatty():
        shown = [0]

        def line(state: Progress) -> None:
            tenth = 10 * state.evaluated // budget
            if tenth > shown[0]:
                shown[0] = tenth
                rate = state.evaluated / (time.monotonic() - started)
                click.echo(f"{state.evaluated:>7} of {budget} evaluated, {rate:.0f}/s, {_standing(state)}", err=True)

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[standing]}"), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=budget, standing="compiling kernels on the first run ...")

        def advance(state: Progress) -> None:
            rate = state.evaluated / (time.monotonic() - started)
            bar.update(task, completed=state.evaluated, standing=f"{rate:.0f}/s, {_standing(state)}")

        yield advance


def _standing(state: Progress) -> str:
    return f"{state.feasible} feasible, {state.failed} that cannot be built"


def _show_front(study: Study, front: list[Point], chosen: int) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    step = max(1, -(-len(front) // SHOWN_FRONT))
    places = sorted({*range(0, len(front), step), chosen})
    title = f"front of {study.name}: {len(front)} designs" + (
        f", every {step}th and the chosen one" if step > 1 else ""
    )
    table = Table(title=title, title_justify="left")
    names = [
        *study.objectives,
        *(limit.quantity for limit in study.constraints if limit.quantity not in study.objectives),
    ]
    for heading in ("", *(f"{QUANTITIES[name].label}\n\\[{QUANTITIES[name].unit}]" for name in names)):
        table.add_column(heading, justify="right")
    machine = [knob for knob in study.problem.space.knobs if knob.startswith("machine.")]
    for heading in ("mean bits\nact / wgt", *(knob.removeprefix("machine.").replace("_", "\n") for knob in machine)):
        table.add_column(heading, justify="right")
    for place in places:
        point = front[place]
        described = study.problem.describe(point.genome)
        shown = [f"{point.outcome.quantities[name] * QUANTITIES[name].scale:.4g}" for name in names]
        bits = " / ".join(_mean(described.get(f"bits.{operand}")) for operand in ("activations", "weights"))
        table.add_row("★" if place == chosen else "", *shown, bits, *(str(described[knob]) for knob in machine))
    console.print(table)
    noted = [f"{QUANTITIES[name].label}: {QUANTITIES[name].note}" for name in names if QUANTITIES[name].note]
    console.print("; ".join(["★ nearest to the best of every objective", *noted]))


def _mean(widths: object) -> str:
    return f"{sum(widths) / len(widths):.1f}" if isinstance(widths, tuple) and widths else "-"
