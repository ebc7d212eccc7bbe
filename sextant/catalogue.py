"""``sextant list``: what there is to choose from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

KINDS = ("machines", "presets", "workloads", "networks", "recipes")


@click.command("list")
@click.argument("kind", type=click.Choice(KINDS))
def list_command(kind: str) -> None:
    """List machines, presets, workloads, networks or recipes."""
    for name, text in _entries(kind):
        click.echo(f"{name:<24}{text}")


def _entries(kind: str) -> list[tuple[str, str]]:
    if kind == "machines":
        return [("bitfusion", "systolic array of bit-composable units (ISCA 2018), closed form with mapping search")]
    if kind == "presets":
        from accel.bitfusion import PRESETS

        return [
            (f"bitfusion {name}", ", ".join(f"{field}={value}" for field, value in asdict(config).items()))
            for name, config in PRESETS.items()
        ]
    if kind in ("workloads", "networks"):
        from workloads.catalog import NETWORKS

        entries = [(name, entry.description) for name, entry in NETWORKS.items()]
        files = [("TABLE.csv", "a layer table; columns as workloads/layer_csv.py says")]
        return entries + (files if kind == "workloads" else [])
    recipes = sorted((Path(__file__).parent.parent / "examples").glob("*.toml"))
    return [(recipe.name, _first_comment(recipe)) for recipe in recipes]


def _first_comment(recipe: Path) -> str:
    return recipe.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
