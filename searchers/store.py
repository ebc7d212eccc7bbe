"""Where a study's points are kept: SQLite, one writer, a whole generation per commit.

What a generation's commit has returned for survives the process and the machine. Floats are stored as they
are, so a study that is resumed continues bit for bit.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from searchers.problem import Outcome
from searchers.space import Genomes
from workloads.errors import StoreError

APPLICATION_ID = 0x5E87A17
SCHEMA_VERSION = 1
FILE = "study.sqlite"
DONE, FAILED = "done", "failed"
GENES = "<f8"

_SCHEMA = """
CREATE TABLE study (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE points (
    generation INTEGER NOT NULL,
    place INTEGER NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL,
    genome BLOB NOT NULL,  -- little-endian float64, a gene each
    quantities TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (generation, place)
);
"""


@dataclass(frozen=True, slots=True)
class Point:
    """One evaluated candidate."""

    generation: int
    place: int
    genome: tuple[float, ...]
    outcome: Outcome


class Store:
    """A study's database, locked against a second writer while it is open.

    Parameters
    ----------
    folder : Path
        The study's folder; it is made if need be.
    study_key : str
        What the points were computed for; a store of another study is refused.

    Raises
    ------
    StoreError
        If the folder cannot be written, another process holds it, or the file is not this study's.
    """

    def __init__(self, folder: Path, study_key: str) -> None:
        self._study_key = study_key
        path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise StoreError(f"{folder}: another process is working on this study, need it to end first") from None
        except OSError as error:
            raise StoreError(f"{folder}: {error.strerror}, need a folder that can be written") from error
        try:
            if not path.exists():
                self._create(path)
            self._connection = sqlite3.connect(path)
        except (sqlite3.Error, OSError) as error:
            self._lock.close()
            raise StoreError(f"{path}: {error}, need a file that can be written") from error
        try:
            self._check(path)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
        except BaseException as error:
            self._close()
            if isinstance(error, sqlite3.Error):
                raise StoreError(f"{path}: {error}, need a study's database or no file") from error
            raise

    def _create(self, path: Path) -> None:
        """Make an empty store beside its place and move it there: a process that dies leaves no half of one."""
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        connection = sqlite3.connect(fresh)
        connection.executescript(
            f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION}; {_SCHEMA}"
        )
        connection.execute("INSERT INTO study VALUES ('key', ?)", (self._study_key,))
        connection.commit()
        connection.close()
        fresh.replace(path)

    def _check(self, path: Path) -> None:
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID:
            raise StoreError(f"{path}: not a study's database, need another folder")
        if version != SCHEMA_VERSION:
            raise StoreError(f"{path}: schema version {version}, need {SCHEMA_VERSION} (another release wrote it)")
        row = self._connection.execute("SELECT value FROM study WHERE name = 'key'").fetchone()
        if row is None or row[0] != self._study_key:
            raise StoreError(f"{path}: holds the points of another study or seed, need another folder")

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        self._connection.close()
        self._lock.close()

    def generation(self, number: int) -> list[Point]:
        """Return the points of one generation in order; empty when it was never finished."""
        return list(self._points("WHERE generation = ? ORDER BY place", (number,)))

    def points(self) -> list[Point]:
        """Return all points in the order they were asked for."""
        return list(self._points("ORDER BY generation, place", ()))

    def add(self, points: Sequence[Point]) -> None:
        """Keep points; when this returns, they are kept.

        Raises
        ------
        StoreError
            If it cannot be written, e.g. because the disk is full; what was kept before is untouched.
        """
        rows = []
        for point in points:
            genome = np.array(point.genome, dtype=GENES).tobytes()
            key = hashlib.sha256(self._study_key.encode() + genome).hexdigest()
            state = DONE if point.outcome.quantities else FAILED
            quantities = json.dumps(point.outcome.quantities)
            rows.append((point.generation, point.place, key, state, genome, quantities, point.outcome.reason))
        try:
            with self._connection:
                self._connection.executemany("INSERT INTO points VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise StoreError(f"the study's database cannot be written: {error}") from error

    def _points(self, order: str, values: tuple[int, ...]) -> Iterator[Point]:
        query = f"SELECT generation, place, genome, quantities, reason FROM points {order}"
        try:
            for generation, place, genome, quantities, reason in self._connection.execute(query, values):
                outcome = Outcome(json.loads(quantities), reason)
                yield Point(generation, place, tuple(np.frombuffer(genome, dtype=GENES).tolist()), outcome)
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise StoreError(f"the study's database cannot be read: {error}") from error


def genomes_of(points: Sequence[Point]) -> Genomes:
    """Return the genomes of points, shape (n, genes)."""
    return np.array([point.genome for point in points])
