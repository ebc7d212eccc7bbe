"""``sextant plot``: pictures of a study."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("plot")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--design", type=int, help="Its number in results.csv or front.csv  [default: nearest to the best of all]"
)
def plot_command(folder: Path, design: int | None) -> None:
    """Draw the study in FOLDER and one of its designs.

    The front, its designs across all choices, which choices mattered; and of the design roofline, cycle stack, and
    the bits of its layers with the roofline before and after choosing them.
    """
    from searchers.front import front_of, knee
    from searchers.pictures.figures import draw_report, draw_study
    from searchers.pictures.insight import draw_insight
    from searchers.storage.kept import kept_points, kept_study
    from workloads.errors import StudyError

    study = kept_study(folder)
    points = kept_points(study, folder)
    front = front_of(study, points)
    if not front:
        raise StudyError(str(folder), "", f"{len(points)} points, none feasible", "at least one feasible point")
    chosen = front[knee(study, front)]
    if design is not None:
        if not 0 <= design < len(points) or not points[design].outcome.quantities:
            raise StudyError(str(folder), "--design", design, f"0..{len(points) - 1}, a design that was built")
        chosen = points[design]
    run = study.problem.run(chosen.genome)
    for picture in (
        *draw_study(study, points, folder),
        *draw_report(run.roofline, run.report, folder),
        *draw_insight(study, points, chosen, folder),
    ):
        click.echo(f"wrote {picture}")
