"""``sextant cosearch``, ``resume`` and ``export``: running studies, and going on with what a folder holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

_budget = click.option("--budget", type=click.IntRange(1), help="Evaluations in all, instead of the study's.")
_EXECUTION = (
    click.option("--workers", type=click.IntRange(1, 4096), help="How many points at once, instead of the file's."),
    click.option(
        "--executor",
        type=click.Choice(["threads", "processes", "dask"]),
        help="threads share all, processes are isolated, dask is a cluster  [default: the file's, or threads]",
    ),
    click.option("--dask", metavar="ADDRESS", help="Dask scheduler whose workers are used, e.g. tcp://host:8786."),
)


def execution_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say who evaluates."""
    for option in reversed(_EXECUTION):
        command = option(command)
    return command


@click.command("cosearch")
@click.argument("study_file", type=click.Path())
@click.option("--out", "folder", type=click.Path(path_type=Path), required=True, help="Folder for the results.")
@_budget
@click.option("--seed", type=click.IntRange(0), help="Root of all randomness, instead of the study's.")
@click.option("--algorithm", help="Search algorithm, instead of the study's.")
@click.option(
    "--oracle-file",
    type=click.Path(),
    help="What the study's accuracy oracle reads, instead of the study's file: the published ImageNet predictor's"
    " weights (.npz), your own table (.csv) or predictor (.onnx).",
)
@execution_options
def cosearch_command(
    study_file: str,
    folder: Path,
    budget: int | None,
    seed: int | None,
    algorithm: str | None,
    oracle_file: str | None,
    **workers: Any,
) -> None:
    """Search network, operand widths and machine together, as STUDY_FILE (TOML) says.

    Prints the front and writes tables and pictures to the folder. A study that was stopped goes on with
    sextant resume.
    """
    from searchers.evaluation.execution import read_execution
    from searchers.study import read_study
    from sextant.studies import keep_study, run_and_show, stop_on_terminate

    study = read_study(study_file, budget=budget, seed=seed, algorithm=algorithm, oracle_file=oracle_file)
    execution = read_execution(study_file).with_options(**workers)
    keep_study(study_file, study, folder)
    with stop_on_terminate():
        run_and_show(study, folder, execution)


@click.command("resume")
@click.argument("folder", type=click.Path(path_type=Path))
@_budget
@execution_options
def resume_command(folder: Path, budget: int | None, **workers: Any) -> None:
    """Continue the study or sweep in FOLDER; a larger --budget goes on where a study ended.

    Points that failed stay failed: a new folder tries them again.
    """
    from searchers.evaluation.execution import read_execution
    from searchers.storage.kept import STUDY_COPY, SWEEP_COPY
    from sextant.studies import raise_budget, run_and_show, stop_on_terminate

    if (folder / SWEEP_COPY).exists():
        from searchers.sweeps.sweep_file import read_sweep
        from sextant.sweep import open_workloads, run_and_show_sweep
        from workloads.errors import StudyError

        if budget is not None:
            raise StudyError("command line", "--budget", budget, "nothing: a sweep has as many points as its file says")
        sweep = read_sweep(folder / SWEEP_COPY)
        execution = read_execution(folder / SWEEP_COPY).with_options(**workers)
        open_workloads(sweep, execution)
        with stop_on_terminate():
            run_and_show_sweep(sweep, folder, execution)
        return
    study = raise_budget(folder, budget)
    execution = read_execution(folder / STUDY_COPY).with_options(**workers)
    with stop_on_terminate():
        run_and_show(study, folder, execution)


@click.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--csv", "path", type=click.Path(path_type=Path), help="File to write  [default: FOLDER/results.csv]")
@click.option("--parquet", type=click.Path(path_type=Path), help="Parquet file to write instead (needs pyarrow).")
def export_command(folder: Path, path: Path | None, parquet: Path | None) -> None:
    """Write all points of the study or sweep in FOLDER that are done or failed."""
    from searchers.storage.kept import Kept
    from searchers.storage.results import RESULTS

    kept = Kept(folder)
    if parquet is not None:
        kept.write_parquet(parquet)
        click.echo(f"wrote {parquet}")
    if path is not None or parquet is None:
        target = path or folder / RESULTS
        kept.write_csv(target)
        click.echo(f"wrote {target}")
    kept.close()
