"""``sextant simulate``: one workload on one machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchers.machines import Machine, Run, find_machine
from workloads.errors import ConfigError, WorkloadError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from accel.report import Report

SHOWN_LAYERS = 120
WRAPPED, LEAST_WIDTH = "laid as", 8  # a column of text, and how narrow it may be
BORDER = 3  # of a column, with the spaces in it
DISPENSABLE = ("GOPS", "energy [mJ]", "mostly", "DRAM [MB]")  # columns of layers, as they go where there is no room


@click.command("simulate")
@click.argument("machine")
@click.argument("workload")
@click.argument("workload_b", required=False)
@click.option("--preset", default="paper", show_default=True, help="Configuration to start from.")
@click.option("--config", "config_file", type=click.Path(), help="TOML file of fields to change.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Field to change; may be repeated.")
@click.option("--skip-unsupported", is_flag=True, help="Leave out what no layer stands for in an ONNX model.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", "folder", type=click.Path(), help="Folder for pictures: roofline, cycle stack, workload.")
def simulate_command(
    machine: str,
    workload: str,
    workload_b: str | None,
    preset: str,
    config_file: str | None,
    changes: tuple[str, ...],
    skip_unsupported: bool,
    as_json: bool,
    folder: str | None,
) -> None:
    """Run WORKLOAD on MACHINE and report cycles, traffic, energy and area.

    MACHINE is one of: sextant list machines. For machines that run networks, WORKLOAD is a layer table or SCALE-Sim
    topology (.csv), an ONNX model (.onnx), a Timeloop problem (.yaml), a Hugging Face config.json, or a network by
    name, each with options: resnet18, mobilenet_v2:batch=4,act_bits=4, model.onnx:batch=16. For machines that multiply
    sparse matrices it is a matrix (.mtx, .mtx.gz, scipy's .npz) or a name, e.g. rmat:scale=14,edges=8, and WORKLOAD_B
    the right-hand matrix; without it the matrix is multiplied by itself. For machines that run attention it is a trace
    (.npz with q, k, v), a table of requests (.csv, .csv.gz), or a model by name or config.json, e.g.
    bert-base:length=384. See: sextant list workloads.
    """
    chosen = find_machine(machine)
    config, fidelity, share = _configuration(chosen, preset, config_file, changes)
    opened = chosen.open(workload, workload_b, skip_unsupported=skip_unsupported)
    try:
        run = chosen.run(config, opened, fidelity, share)
    except WorkloadError as error:
        raise error.at(f"{workload}, {error.where}") from None
    if as_json:
        click.echo(json.dumps({"preset": preset, "workload": workload, **run.report.as_dict(), **_mapping(run)}))
    else:
        _show(run)
    if folder is not None:
        from searchers.pictures.figures import draw_report  # matplotlib is slow to import

        pictures = [*chosen.draw(opened, run, Path(folder)), *draw_report(run.roofline, run.report, Path(folder))]
        for path in pictures:
            click.echo(f"wrote {path}", err=as_json)


def _mapping(run: Run) -> dict[str, Any]:
    """Return how the layers were laid, and how many mappings were decided and computed, where they were searched."""
    if run.effort is None:
        return {}
    layers = [run.describe(index) for index in range(len(run.report.layers))]
    return {"mapping": {**asdict(run.effort), "proven_best": True, "layers": layers}}


def _configuration(
    machine: Machine, preset: str, config_file: str | None, changes: tuple[str, ...]
) -> tuple[Any, str, float | None]:
    """Return the preset with the file's fields, then the options', changed; the fidelity; and a sample's share."""
    from accel.config import configure, read_toml

    if preset not in machine.presets:
        raise ConfigError("command line", "--preset", preset, "one of " + ", ".join(machine.presets))
    config = machine.presets[preset]
    if config_file is not None:
        config = configure(config, read_toml(config_file), config_file)
    fields: dict[str, object] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or not key.strip():
            raise ConfigError("--set", "", change, "KEY=VALUE")
        fields[key.strip()] = value.strip()
    fidelity, share = _fidelity(machine, fields)
    return configure(config, fields, "--set", as_text=True), fidelity, share


def _fidelity(machine: Machine, fields: dict[str, object]) -> tuple[str, float | None]:
    """Take the fidelity, and the share of a sample, out of the fields that were given."""
    from accel.config import Share

    share = None
    default = machine.fidelities[0]
    if "sample" in fields and "sample" in machine.fidelities:
        text, default = str(fields.pop("sample")), "sample"
        try:
            share = float(text)
            Share().accept(share)
        except ValueError:
            raise ConfigError("--set", "sample", text, str(Share())) from None
    fidelity = str(fields.pop("fidelity", default))
    if fidelity not in machine.fidelities:
        raise ConfigError("--set", "fidelity", fidelity, "one of " + ", ".join(machine.fidelities))
    if share is not None and fidelity != "sample":
        raise ConfigError("--set", "fidelity", fidelity, f"sample, because of sample = {share:g}")
    return fidelity, share


def _show(run: Run) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    report = run.report
    console = Console(width=None if sys.stdout.isatty() else 120)
    total = Table(
        title=escape(f"{report.name} on {report.machine} ({report.fidelity})"), title_justify="left", show_header=False
    )
    stack = ", ".join(f"{cause} {count / report.cycles:.0%}" for cause, count in report.cycle_stack.items() if count)
    traffic = ", ".join(f"{stream} {count / 1e6:.2f}" for stream, count in report.dram_bytes.items())
    energy = _total(report.total_energy_pj * 1e-9, {part: pj * 1e-9 for part, pj in report.energy_pj.items()})
    area = _total(report.total_area_mm2, report.area_mm2)
    band = report.cycles_error_band
    errors = [] if band is None else [f"{band[0]:+.0%} to {band[1]:+.0%}, as measured against simulate"]
    if band is None and report.fidelity == "sample":
        errors = ["not known: none was measured for so small a share"]
    for name, value in (
        ("cycles", f"{report.cycles:,} = {report.seconds * 1e3:.4g} ms at {report.clock_hz / 1e6:g} MHz"),
        *(("cycles' error", error) for error in errors),
        ("cycle stack", stack),
        ("operations", f"{report.operations:,} = {report.gops:.4g} GOPS"),
        (
            "DRAM [MB]",
            f"{report.total_dram_bytes / 1e6:.2f} ({traffic}), interface busy {report.bandwidth_utilisation:.0%}"
            if report.dram_bytes
            else "none",
        ),
        ("energy [mJ]", energy),
        ("area [mm²]", area),
        *((name.replace("_", " "), f"{value:.2%}") for name, value in report.quality.items()),
        *([("mappings", run.effort.describe())] if run.effort else []),
    ):
        total.add_row(escape(name), escape(value))
    if report.layers and "rows" in report.counters:
        total.add_row("counters", ", ".join(f"{name} {count:,}" for name, count in report.counters.items()))
    console.print(total)
    if report.layers:
        _show_layers(console, run)
    else:
        counters = Table(title="counters", title_justify="left", show_header=False)
        counters.add_column(justify="left")
        counters.add_column(justify="right")
        for name, count in report.counters.items():
            counters.add_row(escape(name), f"{count:,}")
        console.print(counters)
        console.print(escape(f"laid as {run.describe(0)}"))


def _show_layers(console: Console, run: Run) -> None:
    """Show a row for every layer, with as many columns as there is room for."""
    columns, left_out = _layer_columns(run), []
    for heading in DISPENSABLE:
        if sum(_width(name, cells) + BORDER for name, cells in columns.items()) >= console.width:
            del columns[heading]
            left_out.append(heading)
    console.print(_table(columns))
    if left_out:
        console.print(f"no room for: {', '.join(left_out)}", markup=False, highlight=False)
    if len(run.report.layers) > SHOWN_LAYERS:
        console.print(f"{len(run.report.layers) - SHOWN_LAYERS} more layers: --json has them all")


def _layer_columns(run: Run) -> dict[str, list[str]]:
    """Return the cells of every column by its heading."""
    layers = run.report.layers[:SHOWN_LAYERS]
    columns: dict[str, list[str]] = {
        "layer": [layer.name for layer in layers],
        "cycles": [f"{layer.cycles:,}" for layer in layers],
        "mostly": [_longest(layer) for layer in layers],
        "GOPS": [f"{layer.gops:.1f}" for layer in layers],
        "DRAM [MB]": [f"{layer.total_dram_bytes / 1e6:.2f}" for layer in layers],
        "energy [mJ]": [f"{layer.total_energy_pj * 1e-9:.4f}" if layer.energy_pj else "not known" for layer in layers],
    }
    counted = [name for name in ("tokens", "heads", "refetched_rows") if name in layers[0].counters]
    for name in counted:
        columns[name.replace("_", " ")] = [
            f"{layer.counters[name]:,}" if name in layer.counters else "" for layer in layers
        ]
    for name in layers[0].quality:
        columns[name.replace("_", " ")] = [
            f"{layer.quality[name]:.1%}" if name in layer.quality else "" for layer in layers
        ]
    if not counted:  # what is counted says it
        columns[WRAPPED] = [run.describe(index) for index in range(len(layers))]
    return columns


def _longest(layer: Report) -> str:
    cause = max(layer.cycle_stack, key=lambda cause: layer.cycle_stack[cause])
    return f"{cause} {layer.cycle_stack[cause] / layer.cycles:.0%}"


def _width(heading: str, cells: list[str]) -> int:
    """Return how wide a column has to be for its cells to stay in one piece; a heading's words may take a line each."""
    return LEAST_WIDTH if heading == WRAPPED else max(map(len, [*heading.split(), *cells]))


def _table(columns: Mapping[str, list[str]]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="layers", title_justify="left")
    for heading, cells in columns.items():
        table.add_column(
            escape(heading),
            justify="left" if heading in ("layer", "mostly", WRAPPED) else "right",
            no_wrap=heading in ("layer", "cycles", "mostly"),
            width=None if heading == WRAPPED else _width(heading, cells),
        )
    for row in zip(*columns.values(), strict=True):
        table.add_row(*map(escape, row))
    return table


def _total(total: float, parts: Mapping[str, float]) -> str:
    """Write a sum with its parts, or that nothing is known of it."""
    return (
        f"{total:.4g} ({', '.join(f'{part} {value:.3f}' for part, value in parts.items())})" if parts else "not known"
    )
