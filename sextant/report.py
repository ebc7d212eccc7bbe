"""``sextant report``: a study as one page."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--validate/--no-validate", default=True, help="Compare the machine with published numbers for the page.")
def report_command(folder: Path, validate: bool) -> None:
    """Write the study in FOLDER as one HTML page that works from disk: FOLDER/report.html."""
    from searchers.pictures.page import check_installed, write_page
    from searchers.storage.kept import kept_points, kept_study
    from sextant.validate import rows_of
    from validation.numbers import names

    check_installed()  # before what takes long
    study = kept_study(folder)
    machine = study.problem.searched.machine.name
    rows = []
    if validate and machine in names():
        click.echo(f"comparing {machine} with published numbers (not with --no-validate)", err=True)
        rows = rows_of(machine)
    click.echo(f"wrote {write_page(study, kept_points(study, folder), folder, validation=rows)}")
