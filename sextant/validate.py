"""``sextant validate``: published numbers against ours."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workloads.errors import OutputError

if TYPE_CHECKING:
    from validation.numbers import Comparison


@click.command("validate")
@click.argument("chosen", metavar="[NAME]...", nargs=-1)
@click.option("--out", "folder", type=click.Path(path_type=Path), help="Folder for the table as CSV and as a page.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def validate_command(chosen: tuple[str, ...], folder: Path | None, as_json: bool) -> None:
    """Compare published numbers with ours; all of them, or those of each NAME.

    Exit code 0 if every gating number is inside its tolerance or its difference explained, otherwise 1. Recalled
    numbers are shown, they do not gate. SpArch's take some minutes.
    """
    from validation.compare import details
    from validation.numbers import names

    compared = chosen or names()
    rows = [row for name in compared for row in rows_of(name)]
    if folder is not None:
        _write(rows, folder)
    if as_json:
        click.echo(json.dumps({"numbers": rows}))
    else:
        _show(rows)
        for name in compared:
            _show_details(name, details(name))
    if any(row["verdict"] == "miss" for row in rows):
        sys.exit(1)


def rows_of(name: str) -> list[dict[str, object]]:
    """Compare the published numbers of a machine or method with ours; a row each."""
    from validation.compare import compare

    return [_row(name, comparison) for comparison in compare(name)]


def _show_details(name: str, rows: list[dict[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        return
    table = Table(title=f"{name} in detail", title_justify="left")
    headings = tuple(dict.fromkeys(heading for row in rows for heading in row))
    for heading in headings:
        table.add_column(heading, justify="left" if heading == headings[0] else "right")
    for row in rows:
        table.add_row(*(row.get(heading, "") for heading in headings))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def _row(name: str, comparison: Comparison) -> dict[str, object]:
    number = comparison.number
    return {
        "name": name,
        "id": number.id,
        "published": number.value,
        "ours": comparison.ours,
        "unit": number.unit,
        "error": comparison.error,
        "tolerance": number.tolerance,
        "verdict": comparison.verdict,
        "grade": number.grade,
        "source": number.source,
        "cause": number.cause,
    }


def _write(rows: list[dict[str, object]], folder: Path) -> None:
    from validation.page import PAGE, write_page

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "validation.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        write_page(rows, folder / PAGE)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}, need a folder that can be written") from error
    click.echo(f"wrote {folder}/validation.csv and {folder}/{PAGE}", err=True)


def _show(rows: list[dict[str, object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    for name in dict.fromkeys(row["name"] for row in rows):
        table = Table(title=str(name), title_justify="left")
        for heading in ("number", "published", "ours", "unit", "error", "tolerance", "verdict", "grade"):
            right = heading in ("published", "ours", "error", "tolerance")
            table.add_column(heading, justify="right" if right else "left")
        for row in rows:
            if row["name"] == name:
                table.add_row(
                    str(row["id"]),
                    f"{row['published']:.10g}",
                    f"{row['ours']:.10g}",
                    str(row["unit"]),
                    f"{row['error']:+.2%}",
                    f"{row['tolerance']:.2%}",
                    str(row["verdict"]),
                    str(row["grade"]),
                )
        console.print(table)
    verdicts = [row["verdict"] for row in rows]
    counts = ", ".join(
        f"{verdicts.count(verdict)} {verdict}" for verdict in ("pass", "miss", "explained", "shown only")
    )
    console.print(f"{len(rows)} numbers: {counts}")
    for row in rows:
        if row["verdict"] != "pass" and row["cause"]:
            console.print(f"{row['name']} {row['id']}: {row['cause']}")
