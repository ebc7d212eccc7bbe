"""A finished study as tables: every point, the front, and the chosen design."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from searchers.front import front_of, knee
from searchers.storage.store import DONE, FAILED, Point
from searchers.study import Study
from workloads.errors import OutputError

RESULTS, FRONT = "results.csv", "front.csv"


def write_points(study: Study, points: Sequence[Point], path: Path, *, only: Sequence[Point] | None = None) -> None:
    """Write points as CSV: number and origin of each, its quantities, and its values by knob.

    ``design`` is a point's number among all points of the study, in every file.
    """
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(table(study, points, only=only))
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}, need a file that can be written") from error


def table(study: Study, points: Sequence[Point], *, only: Sequence[Point] | None = None) -> Iterator[list[object]]:
    """Yield the columns' names, then a row for every point."""
    names = list(study.problem.quantities)
    knobs = list(study.problem.space.knobs)
    yield ["design", "generation", "place", "state", "reason", "violation", *names, *knobs]
    chosen = None if only is None else {(point.generation, point.place) for point in only}
    for design, point in enumerate(points):
        if chosen is None or (point.generation, point.place) in chosen:
            yield _row(study, design, point, names, knobs)


def _row(study: Study, design: int, point: Point, names: Sequence[str], knobs: Sequence[str]) -> list[object]:
    done = bool(point.outcome.quantities)
    violation = study.violation(point.outcome) if done else ""
    values = [point.outcome.quantities[name] if done else "" for name in names]
    chosen = study.problem.describe(point.genome)
    where = [design, point.generation, point.place, DONE if done else FAILED, point.outcome.reason, violation]
    return [*where, *values, *(_text(chosen[knob]) for knob in knobs)]


def _text(value: object) -> str:
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)


def write_results(study: Study, points: Sequence[Point], folder: Path) -> tuple[list[Point], int]:
    """Write all tables of a study; return its front and the place of the chosen design in it."""
    front = front_of(study, points)
    chosen = knee(study, front)
    write_points(study, points, folder / RESULTS)
    write_points(study, points, folder / FRONT, only=front)
    return front, chosen


def reproduce(study: Study, point: Point, folder: Path) -> str:
    """Return the command that computes one design again; write the workload it names if it has no name."""
    return f"sextant simulate {study.problem.command(point.genome, folder)}"


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file: equal for equal results."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
