"""A study or sweep that a folder holds: opened in one call, read as tables, whoever may be writing it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accel.config import read_toml
from searchers.storage.store import DONE, FAILED, Point, Reader
from searchers.study import Study, read_study
from workloads.errors import OutputError, StoreError

if TYPE_CHECKING:
    import pandas as pd

STUDY_COPY, SWEEP_COPY, OPTIONS = "study.toml", "sweep.toml", "options.toml"
OPTION_KEYS = {"budget", "seed", "algorithm", "oracle_file"}
TEXTS = ("state", "reason")
SWEEP_COLUMNS = ("design", "state", "reason")
Cells = list[object]


def kept_study(folder: Path, *, budget: int | None = None) -> Study:
    """Read the study a folder holds, with the options it was started with."""
    if not (folder / STUDY_COPY).exists() or not (folder / OPTIONS).exists():
        raise StoreError(f"{folder}: holds no study, need a folder made by: sextant cosearch STUDY.toml --out DIR")
    options = read_toml(folder / OPTIONS)
    if options.keys() - OPTION_KEYS:
        raise StoreError(
            f"{folder / OPTIONS}: {min(options.keys() - OPTION_KEYS)}, need only {', '.join(sorted(OPTION_KEYS))}"
        )
    return read_study(folder / STUDY_COPY, **(options | ({} if budget is None else {"budget": budget})))


def kept_points(study: Study, folder: Path) -> list[Point]:
    """Return the points a folder holds; another process may be adding to them."""
    from searchers.run import checked

    with Reader(folder) as store:
        if store.facts.get("key") != study.key:
            raise StoreError(
                f"{store.path}: holds the points of another study, seed or oracle file, need another folder"
            )
        return checked(study, store.points())


class Kept:
    """What a folder holds of a study or sweep.

    Parameters
    ----------
    folder : str or Path

    Raises
    ------
    StoreError
        If it holds neither, or its database is damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.is_sweep = (self.folder / SWEEP_COPY).exists()
        if not self.is_sweep and not (self.folder / STUDY_COPY).exists():
            need = "a folder made by: sextant cosearch STUDY.toml --out DIR, or sextant sweep SWEEP.toml --out DIR"
            raise StoreError(f"{self.folder}: holds no study, need {need}")
        self._store = Reader(self.folder)

    def close(self) -> None:
        """Let go of the database."""
        self._store.close()

    def states(self) -> dict[str, int]:
        """Return how many points are pending, running, done and failed."""
        return self._store.counts()

    def points(self) -> list[Point]:
        """Return the points that are done or failed, in order."""
        if self.is_sweep:
            return self._store.points()
        return kept_points(kept_study(self.folder), self.folder)

    def origins(self) -> list[dict[str, Any]]:
        """Return what computed each point that has been started or planned, in order: versions, seed."""
        return self._store.origins()

    def frame(self) -> pd.DataFrame:
        """Return the points that are done or failed, a row each, with the columns of ``results.csv``.

        Columns of a sweep have pandas' types for values of which some may be missing.
        """
        import pandas as pd  # slow to import

        if self.is_sweep:
            columns, rows = sweep_table(self._store.states())
            cells = zip(columns, zip(*rows, strict=True), strict=True) if rows else ((name, ()) for name in columns)
            return pd.DataFrame({name: pd.array(list(values)) for name, values in cells})
        from searchers.storage.results import table

        study = kept_study(self.folder)
        header, *rows = table(study, kept_points(study, self.folder))
        frame = pd.DataFrame.from_records(rows, columns=[str(name) for name in header])
        for name in frame.columns:  # a point without a quantity has an empty cell
            if name not in TEXTS:
                frame[name] = frame[name].replace("", None).infer_objects()
        return frame

    def write_csv(self, path: Path) -> None:
        """Write the points as CSV.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        if self.is_sweep:
            write_sweep(self._store.states(), path)
        else:
            from searchers.storage.results import write_points

            study = kept_study(self.folder)
            write_points(study, kept_points(study, self.folder), path)

    def write_parquet(self, path: Path) -> None:
        """Write the points as Parquet.

        Raises
        ------
        OutputError
            If the file cannot be written, or pyarrow is not there.
        """
        frame = self.frame()
        for name in frame.columns:
            if frame[name].dtype == object:  # a column of a file has one type
                frame[name] = frame[name].map(str, na_action="ignore")
        try:
            frame.to_parquet(path, engine="pyarrow", index=False)
        except ImportError:
            raise OutputError("Parquet: pyarrow is not installed, need: pip install 'sextant[export]'") from None
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror or error}, need a file that can be written") from error


def sweep_table(states: Sequence[tuple[Point, str]]) -> tuple[list[str], list[Cells]]:
    """Return a sweep's points that are over as columns and rows; None where a point has no such field or quantity."""
    designs = [json.loads(point.design) for point, _ in states]
    over = [index for index, (_, state) in enumerate(states) if state in (DONE, FAILED)]
    fields = list(dict.fromkeys(name for design in designs for name in design))
    quantities = list(dict.fromkeys(name for index in over for name in states[index][0].outcome.quantities))
    rows: list[Cells] = []
    for index in over:
        point, state = states[index]
        design, outcome = designs[index], point.outcome
        given: Iterator[object] = (design.get(name) for name in fields)
        rows.append([index, state, outcome.reason, *given, *(outcome.quantities.get(name) for name in quantities)])
    return [*SWEEP_COLUMNS, *fields, *quantities], rows


def write_sweep(states: Sequence[tuple[Point, str]], path: Path) -> None:
    """Write a sweep's points that are over as CSV."""
    columns, rows = sweep_table(states)
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}, need a file that can be written") from error
