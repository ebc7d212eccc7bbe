"""``sextant data``: published matrices that cannot be shipped."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click


@click.group("data")
def data_command() -> None:
    """Fetch published matrices, and list those that are there."""


@data_command.command("get")
@click.argument("names", nargs=-1, required=True)
@click.option("--to", "folder", type=click.Path(path_type=Path), help="Data folder  [default: $SEXTANT_DATA]")
@click.option("--from", "collection", help="Address of the collection, or of a mirror.")
def get_command(names: tuple[str, ...], folder: Path | None, collection: str | None) -> None:
    """Fetch matrices NAME... of the SuiteSparse collection: GROUP/NAME, or a name that sextant data list shows.

    What broke off is continued. Rows and elements are compared with the published ones, and a checksum is kept.
    """
    from workloads.sparse.collection import COLLECTION, fetch_matrix

    for name in names:
        kept = fetch_matrix(name, folder=folder, collection=collection or COLLECTION, progress=_shown(name))
        click.echo(f"{kept}")


@data_command.command("list")
def list_command() -> None:
    """List the matrices that have a name of their own, and which of them are there."""
    from workloads.sparse.collection import GROUPS, kept_matrix

    for name, group in GROUPS.items():
        click.echo(f"{group + '/' + name:<28}{kept_matrix(name) or 'not fetched'}")


def _shown(name: str) -> Callable[[int, int], None] | None:
    """Return what shows progress on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        return None

    def show(have: int, total: int) -> None:
        share = f" of {total / 1e6:.1f}" if total else ""
        click.echo(f"\r{name}: {have / 1e6:.1f}{share} MB", nl=have == total, err=True)

    return show
