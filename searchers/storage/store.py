"""Where a study's points are kept: SQLite, one writer, as many points per commit as are ready.

What a commit has returned for survives the process and the machine. Floats are stored as they are, so a study that
is resumed continues bit for bit. A point is ``pending``, then ``running``, then ``done`` or ``failed`` with a reason;
what was running when its process ended is pending again. Every row carries a checksum and names what computed it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from searchers.outcome import Outcome
from searchers.space import Genomes
from searchers.storage.lock import FolderLock
from workloads.errors import StoreError

APPLICATION_ID = 0x5E87A17
SCHEMA_VERSION = 2
OLDEST_VERSION = 1  # without states before ``done``, designs, origins and checksums
FILE = "study.sqlite"
PENDING, RUNNING, DONE, FAILED = "pending", "running", "done", "failed"
NO_QUANTITIES = json.dumps({})
GENES = "<f8"
SQLITE_SAID = (sqlite3.Error, ValueError, TypeError)  # ... of a damaged file: text that is none, too
# Where locks and shared memory between machines cannot be relied on, SQLite's write-ahead log must not be used.
NETWORK_FILE_SYSTEMS = {
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "9p", "fuse.sshfs",
}  # fmt: skip

_POINTS = """
CREATE TABLE points (
    number INTEGER PRIMARY KEY,  -- generation * 2**32 + place: the table is its own index
    key TEXT NOT NULL,
    state TEXT NOT NULL,
    genome BLOB NOT NULL,  -- little-endian float64, a gene each
    design TEXT NOT NULL,
    quantities TEXT NOT NULL,
    reason TEXT NOT NULL,
    origin INTEGER NOT NULL,
    checksum INTEGER NOT NULL  -- CRC-32 of all columns but the state
);
"""
_SCHEMA = f"""
CREATE TABLE study (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE origins (number INTEGER PRIMARY KEY, origin TEXT NOT NULL UNIQUE);
{_POINTS}
"""
_PLACES = 2**32  # of a generation
_SELECT = {
    1: f"SELECT generation * {_PLACES} + place AS number, key, state, genome, '', quantities, reason, 0, NULL "
    "FROM points ",
    2: "SELECT number, key, state, genome, design, quantities, reason, origin, checksum FROM points ",
}
_INSERT = "INSERT INTO points VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_IN_ORDER = "ORDER BY number"
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One point: where it stands in its study, what it is, and what came out.

    Attributes
    ----------
    generation, place : int
    genome : tuple of float
        A candidate's; a point of a sweep has none.
    outcome : Outcome
        Empty until the point is done or failed.
    design : str
        What a sweep varies, as JSON; empty for a candidate, whose genome says it.
    key : str
        Hash of everything that decides the outcome; by default of the study's key and the genome.
    """

    generation: int
    place: int
    genome: tuple[float, ...]
    outcome: Outcome
    design: str = ""
    key: str = field(default="", compare=False)


class Reader:
    """A study's points, to be read; another process may be writing.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    StoreError
        If the file is missing, damaged, not a study's, or of another release.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        if not self.path.is_file():
            raise StoreError(f"{self.path}: No such file, need a folder that holds a study")
        self._connection = _connect(f"{self.path.absolute().as_uri()}?mode=ro", self.path)
        try:
            try:
                self._version = _checked_version(self._connection, self.path)
            except sqlite3.OperationalError:  # a folder that cannot be written has no place for SQLite's shared memory
                if self._log_size():
                    raise  # what it holds would be missed without it
                self._connection.close()
                self._connection = _connect(f"{self.path.absolute().as_uri()}?mode=ro&immutable=1", self.path)
                self._version = _checked_version(self._connection, self.path)
            self.facts = dict(self._connection.execute("SELECT name, value FROM study"))
        except SQLITE_SAID as error:
            self.close()
            raise StoreError(f"{self.path}: {error}, need a study's database") from error
        except BaseException:
            self.close()
            raise

    def _log_size(self) -> int:
        log = Path(f"{self.path}-wal")
        return log.stat().st_size if log.exists() else 0

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def points(self) -> list[Point]:
        """Return all points that are done or failed, in the order they were asked for."""
        return [point for point, state in self.states() if state in (DONE, FAILED)]

    def generation(self, number: int) -> list[Point]:
        """Return the points of one generation that are done or failed, in order."""
        rows = self._rows("WHERE number BETWEEN ? AND ? " + _IN_ORDER, (number * _PLACES, (number + 1) * _PLACES - 1))
        return [point for point, state in rows if state in (DONE, FAILED)]

    def states(self) -> list[tuple[Point, str]]:
        """Return every point with its state, in the order they were asked for.

        Raises
        ------
        StoreError
            If a point is damaged, or one that must be there is missing.
        """
        rows = list(self._rows(_IN_ORDER, ()))
        for expected, (number, members) in enumerate(groupby(rows, key=lambda row: row[0].generation)):
            places = [point.place for point, _ in members]
            if number != expected or places != list(range(len(places))):
                raise StoreError(f"{self.path}: points of generation {expected} are missing, need an undamaged file")
        return rows

    def counts(self) -> dict[str, int]:
        """Return how many points are in each state."""
        query = "SELECT state, count(*) FROM points GROUP BY state"
        try:
            return dict.fromkeys((PENDING, RUNNING, DONE, FAILED), 0) | dict(self._connection.execute(query))
        except SQLITE_SAID as error:
            raise StoreError(f"{self.path}: cannot be read: {error}, need an undamaged file") from error

    def origins(self) -> list[dict[str, Any]]:
        """Return, for every point in order, what computed it: versions, seed; empty for what is not known."""
        if self._version == 1:
            return [{} for _ in self._rows(_IN_ORDER, ())]
        query = "SELECT coalesce(origins.origin, '{}') FROM points LEFT JOIN origins ON origins.number = points.origin "
        try:
            return [json.loads(text) for (text,) in self._connection.execute(query + "ORDER BY points.number")]
        except SQLITE_SAID as error:
            raise StoreError(f"{self.path}: cannot be read: {error}, need an undamaged file") from error

    def _rows(self, order: str, values: tuple[int, ...]) -> Iterator[tuple[Point, str]]:
        try:
            for row in self._connection.execute(_SELECT[self._version] + order, values):
                yield self._point(row), row[2]
        except SQLITE_SAID as error:
            raise StoreError(f"{self.path}: cannot be read: {error}, need an undamaged file") from error

    def _point(self, row: Row) -> Point:
        number, key, state, genome, design, quantities, reason, _, checksum = row
        generation, place = divmod(number, _PLACES)
        if state not in (PENDING, RUNNING, DONE, FAILED) or (checksum is not None and checksum != _checksum(row)):
            raise StoreError(f"{self.path}: point {generation}/{place} is damaged, need an undamaged file")
        genes = tuple(np.frombuffer(genome, dtype=GENES).tolist()) if genome else ()
        return Point(generation, place, genes, Outcome(json.loads(quantities), reason), design, key)


class Store(Reader):
    """A study's database, locked against a second writer while it is open.

    Parameters
    ----------
    folder : Path
        The study's folder; it is made if need be.
    study_key : str
        What the points were computed for; a store of another study is refused.
    origin : mapping, optional
        What computes the points that are added: versions, seed.
    facts : mapping of str to str, optional
        What else a new store is to say of the study.

    Raises
    ------
    StoreError
        If the folder cannot be written, another process holds it, or the file is not this study's.
    """

    def __init__(
        self,
        folder: Path,
        study_key: str,
        *,
        origin: Mapping[str, object] | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        self._study_key, self._origin, self.path = study_key, 0, folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{folder}: {error.strerror}, need a folder that can be written") from error
        self._lock = FolderLock(folder)
        try:
            if not self.path.exists():
                self._create({**(facts or {}), "key": study_key})
            self._connection = _connect(f"{self.path.absolute().as_uri()}?mode=rw", self.path)
        except (sqlite3.Error, OSError) as error:
            self._lock.close()
            raise StoreError(f"{self.path}: {error}, need a file that can be written") from error
        except BaseException:
            self._lock.close()
            raise
        try:
            self._open(origin)
        except BaseException as error:
            self.close()
            if isinstance(error, SQLITE_SAID):
                raise StoreError(f"{self.path}: {error}, need a study's database or no file") from error
            raise

    def _create(self, facts: Mapping[str, str]) -> None:
        """Make an empty store beside its place and move it there: a process that dies leaves no half of one."""
        fresh = self.path.with_suffix(".new")
        for left_behind in (fresh, Path(f"{fresh}-journal")):
            left_behind.unlink(missing_ok=True)
        connection = sqlite3.connect(fresh)
        try:
            connection.executescript(
                f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION}; {_SCHEMA}"
            )
            connection.executemany("INSERT INTO study VALUES (?, ?)", facts.items())
            connection.commit()
        finally:
            connection.close()
        fresh.replace(self.path)

    def _open(self, origin: Mapping[str, object] | None) -> None:
        self._version = _checked_version(self._connection, self.path)
        self.facts = dict(self._connection.execute("SELECT name, value FROM study"))
        if self.facts.get("key") != self._study_key:
            raise StoreError(
                f"{self.path}: holds the points of another study, seed or oracle file, need another folder"
            )
        mode = "DELETE" if file_system(self.path.parent) in NETWORK_FILE_SYSTEMS else "WAL"
        self._connection.execute(f"PRAGMA journal_mode={mode}")
        self._connection.execute("PRAGMA synchronous=FULL")
        if self._version == 1:
            self._upgrade()
        with self._connection:
            self._connection.execute(f"UPDATE points SET state = '{PENDING}' WHERE state = '{RUNNING}'")
            if origin is not None:
                text = json.dumps(origin, sort_keys=True)
                self._connection.execute("INSERT OR IGNORE INTO origins (origin) VALUES (?)", (text,))
                query = "SELECT number FROM origins WHERE origin = ?"
                (self._origin,) = self._connection.execute(query, (text,)).fetchone()

    def _upgrade(self) -> None:
        """Give a store of schema 1 the present one, all at once or not at all."""
        rows = list(self._connection.execute(_SELECT[1] + _IN_ORDER))
        with self._connection:
            self._connection.execute("BEGIN")
            self._connection.execute("DROP TABLE points")
            for statement in _SCHEMA.split(";\n")[1:]:  # the table ``study`` stays
                self._connection.execute(statement)
            self._connection.executemany(_INSERT, ((*row[:-1], _checksum(row)) for row in rows))
            self._connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        self._version = SCHEMA_VERSION

    def close(self) -> None:
        """Let go of the database, as one file that can be read anywhere, and of the folder."""
        with suppress(sqlite3.Error):  # somebody reads it, or it is damaged
            self._connection.execute("PRAGMA journal_mode=DELETE")
        self._connection.close()
        self._lock.close()

    def __enter__(self) -> Store:
        return self

    def plan(self, points: Iterable[Point]) -> None:
        """Keep that points are to be computed; those that are kept already stay as they are."""
        self._write(points, PENDING, "INSERT OR IGNORE" + _INSERT.removeprefix("INSERT"))

    def start(self, points: Iterable[Point]) -> None:
        """Keep that points are being computed now."""
        self._write(points, RUNNING, "INSERT OR REPLACE" + _INSERT.removeprefix("INSERT"))

    def add(self, points: Sequence[Point], started: Sequence[Point] = ()) -> None:
        """Keep points that are done or failed, and that others are being computed; when this returns, they are kept.

        Raises
        ------
        StoreError
            If it cannot be written, e.g. because the disk is full; what was kept before is untouched.
        """
        unfinished = f"DELETE FROM points WHERE number = ? AND state IN ('{PENDING}', '{RUNNING}')"
        replace = "INSERT OR REPLACE" + _INSERT.removeprefix("INSERT")
        try:
            with self._connection:
                self._connection.executemany(replace, [self._row(point, RUNNING) for point in started])
                self._connection.executemany(unfinished, [(_number(point),) for point in points])
                rows = (self._row(point, DONE if point.outcome.quantities else FAILED) for point in points)
                self._connection.executemany(_INSERT, rows)
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: cannot be written: {error}, need room and a folder to write to") from error

    def _write(self, points: Iterable[Point], state: str, statement: str) -> None:
        try:
            with self._connection:
                self._connection.executemany(statement, (self._row(point, state) for point in points))
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: cannot be written: {error}, need room and a folder to write to") from error

    def _row(self, point: Point, state: str) -> Row:
        genome = struct.pack(f"<{len(point.genome)}d", *point.genome)
        key = point.key or hashlib.sha256(self._study_key.encode() + genome).hexdigest()
        quantities = json.dumps(point.outcome.quantities) if point.outcome.quantities else NO_QUANTITIES
        reason = point.outcome.reason
        row = (_number(point), key, state, genome, point.design, quantities, reason, self._origin, None)
        return (*row[:-1], _checksum(row))


def _number(point: Point) -> int:
    return point.generation * _PLACES + point.place


def _connect(uri: str, path: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(uri, uri=True)
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}, need a file that can be opened") from error


def _checked_version(connection: sqlite3.Connection, path: Path) -> int:
    """Check that a database is a whole one of a study's and return its schema version."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    version: int
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise StoreError(f"{path}: not a study's database, need another folder")
    if not OLDEST_VERSION <= version <= SCHEMA_VERSION:
        who = "a newer release wrote it" if version > SCHEMA_VERSION else "no release wrote it"
        raise StoreError(f"{path}: schema version {version} ({who}), need {OLDEST_VERSION}..{SCHEMA_VERSION}")
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise StoreError(f"{path}: damaged ({found}), need an undamaged file")
    return version


def _checksum(row: Row) -> int:
    """Return the CRC-32 of a row's columns but the state, which changes, and the checksum itself."""
    number, key, _, genome, design, quantities, reason, origin, _ = row
    text = "\0".join((str(number), key, design, quantities, reason, str(origin)))
    return zlib.crc32(genome, zlib.crc32(text.encode("utf-8", "surrogatepass")))


def file_system(folder: Path) -> str:
    """Return the kind of file system a folder is on, e.g. ``ext4`` or ``nfs4``; empty where that cannot be told."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    real, best, kind = str(folder.resolve()), "", ""
    for line in mounts:
        place, this = line.split()[1:3]
        inside = real == place or real.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best):
            best, kind = place, this
    return kind


def genomes_of(points: Sequence[Point]) -> Genomes:
    """Return the genomes of points, shape (n, genes)."""
    return np.array([point.genome for point in points])
