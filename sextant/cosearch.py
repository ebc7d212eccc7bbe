"""``sextant cosearch``, ``resume`` and ``export``: running studies."""

from __future__ import annotations

from pathlib import Path

import click

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
    from searchers.study import read_study
    from sextant.studies import keep_study, run_and_show

    study = read_study(study_file, budget=budget, seed=seed, algorithm=algorithm)
    keep_study(study_file, study, folder)
    run_and_show(study, folder, workers)


@click.command("resume")
@click.argument("folder", type=click.Path(path_type=Path))
@_budget
@_workers
def resume_command(folder: Path, budget: int | None, workers: int) -> None:
    """Continue the study in FOLDER; a larger --budget goes on where it ended."""
    from sextant.studies import raise_budget, run_and_show

    run_and_show(raise_budget(folder, budget), folder, workers)


@click.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--csv", "path", type=click.Path(path_type=Path), help="File to write  [default: FOLDER/results.csv]")
def export_command(folder: Path, path: Path | None) -> None:
    """Write all points of the study in FOLDER as CSV."""
    from searchers.results import RESULTS, write_points
    from sextant.studies import kept_points, kept_study

    study = kept_study(folder)
    target = path or folder / RESULTS
    write_points(study, kept_points(study, folder), target)
    click.echo(f"wrote {target}")
