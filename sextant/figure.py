"""``sextant figure``: the figures of the papers, from our models."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("figure")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--out", "folder", type=click.Path(path_type=Path), default=Path("figures"), show_default=True)
def figure_command(names: tuple[str, ...], folder: Path) -> None:
    """Measure and draw figures NAME... as tables (.csv) and pictures (.png); see: sextant list figures."""
    from validation.figures import make_figure

    for name in names:
        for path in make_figure(name, folder):
            click.echo(f"wrote {path}")
