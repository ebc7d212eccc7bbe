"""``sextant retrain``: finalists of a study really trained, and the regret."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from searchers.finalists import Result
    from searchers.study import Study


@click.command("retrain")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--finalists", type=click.IntRange(1, 1000), default=6, show_default=True, help="How many networks of the front."
)
@click.option(
    "--seeds", type=click.IntRange(1, 100), default=2, show_default=True, help="How often each network is trained."
)
def retrain_command(folder: Path, finalists: int, seeds: int) -> None:
    """Train networks of the front of the study in FOLDER, and say what the search has missed.

    For studies whose accuracy is the oracle digits'. Each training takes some seconds and is kept in
    FOLDER/retrained.csv as soon as it is done; run the same command again to go on. Needs the extra train.
    """
    from searchers.finalists import FINALISTS, choose, results, train, write
    from searchers.storage.kept import kept_points, kept_study
    from sextant.studies import stop_on_terminate

    study = kept_study(folder)
    chosen = choose(study, kept_points(study, folder), finalists)

    def tell(done: int, of: int) -> None:
        click.echo(f"{done:>4} of {of} trainings", err=True)

    with stop_on_terminate():
        reached = train(chosen, seeds, folder, progress=tell)
    found = results(study, chosen, reached)
    write(found, folder / FINALISTS)
    _show(study, found, seeds)
    click.echo(f"table:    {folder / FINALISTS}")


def _show(study: Study, found: Sequence[Result], seeds: int) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from searchers.finalists import OF_THE_ORACLE
    from searchers.quantities import QUANTITIES

    title = f"finalists of {study.name}, each trained from {seeds} seed{'s' if seeds > 1 else ''}; top-1 in %"
    table = Table(title=escape(title), title_justify="left")
    others = [name for name in study.objectives if name not in OF_THE_ORACLE]
    costs = [escape(QUANTITIES[name].heading) for name in others]
    told = ["predicted", "trained", "off by", "best of table,\nno dearer", "regret\n\\[points]"]
    for heading in ("design", *costs, *told):
        table.add_column(heading, justify="right")
    for one in found:
        known = one.finalist.point.outcome.quantities
        shown = (f"{known[name] * QUANTITIES[name].scale:.4g}" for name in others)
        rival = ("none", "-") if one.rival is None else (f"{one.rival.mean:.1f}", f"{one.regret:+.1f}")
        table.add_row(
            str(one.finalist.design), *shown, f"{one.predicted:.1f} ± {one.predicted_sigma:.1f}",
            f"{one.reached:.1f} ± {one.reached_sigma:.1f}", f"{one.reached - one.predicted:+.1f}", *rival,
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    picked, best = found[0], max(found, key=lambda one: one.reached)
    click.echo(
        f"regret of picking the best predicted: {best.reached - picked.reached:.1f} points "
        f"(design {picked.finalist.design}, {picked.reached:.1f} %; the best is {best.finalist.design}, "
        f"{best.reached:.1f} %)"
    )
    regrets = [one.regret for one in found if one.regret is not None]
    if regrets:
        click.echo(
            f"regret beside networks trained before, no dearer on the same machine: median {median(regrets):+.1f}, "
            f"largest {max(regrets):+.1f} points, of {len(regrets)} designs"
        )
    click.echo(f"differences below {2 * 2**0.5 * picked.reached_sigma:.1f} points may be chance")
