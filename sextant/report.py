"""``sextant report``: a study as one page."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--validate/--no-validate", default=True, help="Compare the machine with published numbers for the page.")
def report_command(folder: Path, validate: bool) -> None:
    """Write the study in FOLDER as one HTML page that works from disk: FOLDER/report.html."""
    from searchers.pictures.page import write_page
    from searchers.storage.kept import kept_points, kept_study
    from sextant.validate import rows_of
    from validation.numbers import names

    study = kept_study(folder)
    machine = study.problem.searched.machine.name
    rows = rows_of(machine) if validate and machine in names() else []
    click.echo(f"wrote {write_page(study, kept_points(study, folder), folder, validation=rows)}")
