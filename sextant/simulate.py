"""``sextant simulate``: one workload on one machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchers.machines import Machine, Run, find_machine
from workloads.errors import ConfigError, WorkloadError

if TYPE_CHECKING:
    from rich.console import Console

SHOWN_LAYERS = 120


@click.command("simulate")
@click.argument("machine")
@click.argument("workload")
@click.argument("workload_b", required=False)
@click.option("--preset", default="paper", show_default=True, help="Configuration to start from.")
@click.option("--config", "config_file", type=click.Path(), help="TOML file of fields to change.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Field to change; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", "folder", type=click.Path(), help="Folder for pictures: roofline, cycle stack, matrix.")
def simulate_command(
    machine: str,
    workload: str,
    workload_b: str | None,
    preset: str,
    config_file: str | None,
    changes: tuple[str, ...],
    as_json: bool,
    folder: str | None,
) -> None:
    """Run WORKLOAD on MACHINE and report cycles, traffic, energy and area.

    MACHINE is one of: sextant list machines. For machines that run networks, WORKLOAD is a layer table (.csv) or a
    network by name, e.g. resnet18 or mobilenet_v2:batch=4,act_bits=4. For machines that multiply sparse matrices it is
    a matrix (.mtx, .mtx.gz, scipy's .npz) or a name, e.g. rmat:scale=14,edges=8, and WORKLOAD_B the right-hand matrix;
    without it the matrix is multiplied by itself. For machines that run attention it is a trace (.npz with q, k, v), a
    table of requests (.csv, .csv.gz), or a model by name or config.json, e.g. bert-base:length=384. See: sextant list
    workloads.
    """
    chosen = find_machine(machine)
    config, fidelity, share = _configuration(chosen, preset, config_file, changes)
    opened = chosen.open(workload, workload_b)
    try:
        run = chosen.run(config, opened, fidelity, share)
    except WorkloadError as error:
        raise error.at(f"{workload}, {error.where}") from None
    if as_json:
        click.echo(json.dumps({"preset": preset, "workload": workload, **run.report.as_dict()}))
    else:
        _show(run)
    if folder is not None:
        from searchers.figures import draw_report  # matplotlib is slow to import

        pictures = [*chosen.draw(opened, Path(folder)), *chosen.draw_plan(run.plan, Path(folder))]
        for path in [*pictures, *draw_report(run.roofline, run.report, Path(folder))]:
            click.echo(f"wrote {path}", err=as_json)


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
    bands = [] if report.cycles_error_band is None else [report.cycles_error_band]
    for name, value in (
        ("cycles", f"{report.cycles:,} = {report.seconds * 1e3:.4g} ms at {report.clock_hz / 1e6:g} MHz"),
        *(("cycles' error", f"{band[0]:+.0%} to {band[1]:+.0%}, as measured against simulate") for band in bands),
        ("cycle stack", stack),
        ("operations", f"{report.operations:,} = {report.gops:.4g} GOPS"),
        (
            "DRAM [MB]",
            f"{report.total_dram_bytes / 1e6:.2f} ({traffic}), interface busy {report.bandwidth_utilisation:.0%}",
        ),
        ("energy [mJ]", energy),
        ("area [mm²]", area),
        *((name.replace("_", " "), f"{value:.2%}") for name, value in report.quality.items()),
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
    from rich.markup import escape
    from rich.table import Table

    report = run.report
    layers = Table(title="layers", title_justify="left")
    counted = [name for name in ("tokens", "heads", "refetched_rows") if name in report.layers[0].counters]
    judged = list(report.layers[0].quality)
    laid = [] if counted else ["laid as"]  # what is counted says it
    for heading in ("layer", "cycles", "mostly", "GOPS", "DRAM [MB]", "energy [mJ]", *counted, *judged, *laid):
        layers.add_column(
            escape(heading.replace("_", " ")),
            justify="left" if heading in ("layer", "mostly", "laid as") else "right",
            no_wrap=heading in ("layer", "cycles", "mostly"),
        )
    for index, layer in enumerate(report.layers[:SHOWN_LAYERS]):
        longest = max(layer.cycle_stack, key=lambda cause: layer.cycle_stack[cause])
        layers.add_row(
            escape(layer.name),
            f"{layer.cycles:,}",
            f"{longest} {layer.cycle_stack[longest] / layer.cycles:.0%}",
            f"{layer.gops:.1f}",
            f"{layer.total_dram_bytes / 1e6:.2f}",
            f"{layer.total_energy_pj * 1e-9:.4f}" if layer.energy_pj else "not known",
            *(f"{layer.counters[name]:,}" if name in layer.counters else "" for name in counted),
            *(f"{layer.quality[name]:.1%}" if name in layer.quality else "" for name in judged),
            *(run.describe(index) for _ in laid),
        )
    console.print(layers)
    if len(report.layers) > SHOWN_LAYERS:
        console.print(f"{len(report.layers) - SHOWN_LAYERS} more layers: --json has them all")


def _total(total: float, parts: Mapping[str, float]) -> str:
    """Write a sum with its parts, or that nothing is known of it."""
    return (
        f"{total:.4g} ({', '.join(f'{part} {value:.3f}' for part, value in parts.items())})" if parts else "not known"
    )
