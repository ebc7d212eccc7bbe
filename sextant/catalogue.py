"""``sextant list``: what there is to choose from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from searchers.machines import MACHINES

KINDS = ("machines", "presets", "workloads", "networks", "oracles", "figures", "recipes")


@click.command("list")
@click.argument("kind", type=click.Choice(KINDS))
def list_command(kind: str) -> None:
    """List machines, presets, workloads, networks, accuracy oracles, figures or recipes."""
    for name, text in _entries(kind):
        click.echo(f"{name:<31} {text}")


def _entries(kind: str) -> list[tuple[str, str]]:
    if kind == "machines":
        return [(machine.name, machine.description) for machine in MACHINES.values()]
    if kind == "presets":
        return [
            (f"{machine.name} {name}", ", ".join(f"{field}={value}" for field, value in asdict(config).items()))
            for machine in MACHINES.values()
            for name, config in machine.presets.items()
        ]
    if kind in ("workloads", "networks"):
        from workloads.catalog import NETWORKS

        entries = [(name, entry.description) for name, entry in NETWORKS.items()]
        if kind == "networks":
            return entries
        from workloads.attention.catalog import ATTENTION_WORKLOADS
        from workloads.sparse.catalog import SPARSE_WORKLOADS

        files = [
            ("TABLE.csv", "a layer table: name, kind, batch, in_h, ... as in examples/lenet5.csv"),
            ("TOPOLOGY.csv", "a SCALE-Sim topology of convolutions or matrix products"),
            ("MODEL.onnx", "an ONNX model, with the extra onnx: model.onnx:batch=16,act_bits=4,wgt_bits=4"),
            ("PROBLEM.yaml", "a Timeloop problem, with the extra timeloop"),
            ("MATRIX.npz, .mtx, .mtx.gz", "a sparse matrix, as scipy saves it or in the Matrix Market format"),
        ]
        files += [
            ("ATTENTION.npz", "queries, keys and values: arrays q, k, v of shape (layers, heads, tokens, head_dim)"),
            (
                "REQUESTS.csv, .csv.gz",
                "a query of a head each, in the columns SpAtten's authors publish",
            ),
            ("config.json", "a Hugging Face model's shape, its blocks or generated attention: config.json:length=384"),
        ]
        return [*entries, *SPARSE_WORKLOADS.items(), *ATTENTION_WORKLOADS.items(), *files]
    if kind == "figures":
        from validation.figures import FIGURES

        return [(name, entry.description) for name, entry in FIGURES.items()]
    if kind == "oracles":
        from searchers.oracles.registry import ORACLES, OWN

        own = (OWN, "a Python function of your own, imported; docs/oracles.md")
        return [*((name, entry.description) for name, entry in ORACLES.items()), own]
    recipes = sorted((Path(__file__).parent.parent / "examples").glob("*.toml"))
    return [(f"examples/{recipe.name}", _first_comment(recipe)) for recipe in recipes]


def _first_comment(recipe: Path) -> str:
    return recipe.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
