"""``sextant plot``: pictures of a study."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("plot")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--design", type=int, help="Place in front.csv, from 0  [default: nearest to the best of all]")
def plot_command(folder: Path, design: int | None) -> None:
    """Draw the front of the study in FOLDER, and the roofline and cycle stack of one design of it."""
    from accel import bitfusion
    from searchers.figures import draw_report, draw_study
    from searchers.front import front_of, knee
    from sextant.studies import kept_points, kept_study
    from workloads.errors import StudyError

    study = kept_study(folder)
    points = kept_points(study, folder)
    front = front_of(study, points)
    if not front:
        raise StudyError(str(folder), "", f"{len(points)} points, none feasible", "at least one feasible point")
    place = knee(study, front) if design is None else design
    if not 0 <= place < len(front):
        raise StudyError(str(folder), "--design", design, f"0..{len(front) - 1}")
    config, _ = study.problem.build(front[place].genome)
    for picture in (
        *draw_study(study, points, folder),
        *draw_report(bitfusion.roofline(config), study.problem.report(front[place].genome), folder),
    ):
        click.echo(f"wrote {picture}")
