"""A study as one self-contained page: front, parallel coordinates, hypervolume, failures, and any point on a click.

The page works from disk and asks nothing of the network: the plotter, the data and the script are in the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from searchers.front import front_of, hypervolume_history, knee
from searchers.quantities import ACCURACY, LOSS, QUANTITIES, SIGMA
from searchers.storage.results import reproduce
from searchers.storage.store import Point
from searchers.study import Study
from workloads.errors import ConfigError, OutputError

PAGE, DESIGNS = "report.html", "designs"
DETAILED = 60  # points of the front whose cycle stacks are in the page; more would make it slow to open
FAILED_SHOWN = 200
UNCERTAIN = (ACCURACY, LOSS)
INSTALL = "pip install 'sextant[html]'"


def write_page(
    study: Study, points: Sequence[Point], folder: Path, *, validation: Sequence[Mapping[str, object]] = ()
) -> Path:
    """Write a study's page into its folder.

    Parameters
    ----------
    study : Study
    points : sequence of Point
        All of them, in order.
    folder : Path
    validation : sequence of mapping
        Published numbers of the machine beside ours: ``id``, ``published``, ``ours``, ``unit``, ``error``,
        ``verdict``, ``grade``.

    Returns
    -------
    Path

    Raises
    ------
    ConfigError
        If plotly is not installed.
    OutputError
        If the page cannot be written.
    """
    check_installed()
    from plotly.offline import get_plotlyjs

    path = folder / PAGE
    try:
        data = _page_data(study, points, folder, validation)
        path.write_text(_filled(study.name, data, get_plotlyjs()), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}, need a file that can be written") from error
    return path


def check_installed() -> None:
    """Raise a ``ConfigError`` if plotly, which pages need, is not installed."""
    if find_spec("plotly") is None:
        raise ConfigError("report", "", "plotly is not installed", INSTALL)


def _filled(name: str, data: dict[str, Any], plotter: str) -> str:
    parts = {
        "title": escape(name),
        "style": _part("page.css"),
        "plotter": plotter,
        # The only characters that could end a script element early.
        "data": json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        "script": _part("page.js"),
    }
    # Split, not replaced one after another: what is filled in may itself hold what looks like a place to fill.
    pieces = re.split(r"\{\{(\w+)\}\}", _part("page.html"))
    return "".join(parts[piece] if place % 2 else piece for place, piece in enumerate(pieces))


def _part(name: str) -> str:
    return resources.files("searchers.pictures.page").joinpath(name).read_text(encoding="utf-8")


def _page_data(
    study: Study, points: Sequence[Point], folder: Path, validation: Sequence[Mapping[str, object]]
) -> dict[str, Any]:
    done = [(design, point) for design, point in enumerate(points) if point.outcome.quantities]
    failed = [(design, point) for design, point in enumerate(points) if not point.outcome.quantities]
    front = front_of(study, points)
    place = {(point.generation, point.place): row for row, (_, point) in enumerate(done)}
    on_front = [place[point.generation, point.place] for point in front]
    chosen, machine = knee(study, front), study.problem.searched.machine.name
    about = f"{len(points)} evaluations with {study.algorithm}, seed {study.seed}, on {machine}"
    counts, volumes = hypervolume_history(study, points)
    return {
        "name": study.name,
        "about": "; ".join(part for part in (about, study.problem.provenance) if part),
        "limits": [str(limit) for limit in study.constraints],
        "quantities": [_axis(name, study) for name in study.problem.quantities],
        "objectives": list(study.objectives),
        "designs": [design for design, _ in done],
        "feasible": [study.feasible(point.outcome) for _, point in done],
        "values": {
            name: [_shown(point.outcome.quantities[name] * QUANTITIES[name].scale) for _, point in done]
            for name in study.problem.quantities
        },
        "knobs": _knobs(study, [point for _, point in done]),
        "front": on_front,
        "chosen": on_front[chosen],
        "details": _details(study, front, on_front, chosen, folder),
        "history": {"evaluations": list(map(int, counts)), "hypervolume": list(map(float, volumes))},
        "failed": [{"design": design, "reason": point.outcome.reason} for design, point in failed[:FAILED_SHOWN]],
        "failures": len(failed),
        "validation": [dict(row) for row in validation],
    }


def _axis(name: str, study: Study) -> dict[str, Any]:
    quantity = QUANTITIES[name]
    certain = name not in UNCERTAIN or SIGMA not in study.problem.quantities
    return {
        "name": name,
        "label": quantity.label,
        "axis": quantity.axis,
        "log": quantity.log,
        "more": quantity.more_is_better,
        "sigma": None if certain else SIGMA,
        "sigmaScale": quantity.scale / QUANTITIES[SIGMA].scale,
    }


def _knobs(study: Study, points: Sequence[Point]) -> dict[str, list[Any]]:
    """Return the values of every knob, a list for each; those of vectors as text."""
    knobs: dict[str, list[Any]] = {name: [] for name in study.problem.space.knobs}
    for point in points:
        for name, value in study.problem.describe(point.genome).items():
            knobs[name].append("-".join(map(str, value)) if isinstance(value, tuple) else value)
    return knobs


def _details(
    study: Study, front: Sequence[Point], rows: Sequence[int], chosen: int, folder: Path
) -> dict[int, dict[str, Any]]:
    """Return where the time goes and how to run it again, for points spread over the front and the chosen one."""
    spread = np.linspace(0, len(front) - 1, min(DETAILED, len(front))).round().astype(int).tolist()
    details = {}
    for place in sorted({*spread, chosen}):
        point = front[place]
        report = study.problem.report(point.genome)
        layers = report.layers or (report,)
        to_ms = 1e3 / report.clock_hz
        own = folder / DESIGNS / f"{point.generation}-{point.place}"  # where its workload is written, if it has no name
        own.mkdir(parents=True, exist_ok=True)
        details[rows[place]] = {
            "layers": [layer.name for layer in layers],
            "stack": {
                cause: [_shown(layer.cycle_stack.get(cause, 0) * to_ms) for layer in layers]
                for cause in report.cycle_stack
            },
            "command": reproduce(study, point, own),
        }
    return details


def _shown(value: float) -> float:
    """Return a number with the digits a page needs."""
    return float(f"{value:.6g}")
