"""How points are evaluated: on threads, processes or a cluster, how many at once, and what one may take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from accel.config import Limit, Number, OneOf, Whole, read_toml
from workloads.errors import StudyError

THREADS, PROCESSES, DASK = EXECUTORS = ("threads", "processes", "dask")
LOCAL, SLURM = CLUSTERS = ("local", "slurm")
MOST_WORKERS = 4096
SECTION = "workers"
_ADDRESS = re.compile(r"[a-z]+://\S+")
_LIMITS: Mapping[str, Limit] = {
    "executor": OneOf(EXECUTORS),
    "count": Whole(1, MOST_WORKERS),
    "time_limit_s": Number(0.01, 1e7),
    "memory_limit_mb": Number(1, 1e8),
    "retries": Whole(0, 100),
    "cluster": OneOf(CLUSTERS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Who evaluates points. The results do not depend on it, except for which points exceed a limit.

    Attributes
    ----------
    executor : str
        ``threads`` share everything; ``processes`` are isolated, so that one that dies takes one point with it;
        ``dask`` is a cluster.
    count : int
        Workers.
    time_limit_s, memory_limit_mb : float or None
        What one point may take, and what the process that evaluates it may hold; of ``processes`` only.
    retries : int
        How often a point is evaluated again whose worker died.
    address : str
        Of a Dask scheduler; empty to start a cluster.
    cluster : str
        Which kind is started: ``local`` or ``slurm``.
    slurm : mapping
        What ``dask_jobqueue.SLURMCluster`` is given.
    """

    executor: str = THREADS
    count: int = 1
    time_limit_s: float | None = None
    memory_limit_mb: float | None = None
    retries: int = 1
    address: str = ""
    cluster: str = LOCAL
    slurm: Mapping[str, Any] = field(default_factory=dict)

    def with_options(self, *, workers: int | None, executor: str | None, dask: str | None) -> Execution:
        """Return what the command line's options make of it.

        Raises
        ------
        StudyError
            If they contradict each other or the file.
        """
        chosen = self
        if dask is not None:
            if executor not in (None, DASK):
                raise StudyError("command line", "--executor", executor, f"{DASK}, because of --dask")
            chosen = replace(chosen, executor=DASK, address=_checked_address("command line", "--dask", dask))
        elif executor is not None:
            chosen = replace(chosen, executor=executor)
        chosen = chosen if workers is None else replace(chosen, count=workers)
        return chosen.checked("command line" if executor or dask else "study")

    def checked(self, where: str) -> Execution:
        """Return it if its parts agree.

        Raises
        ------
        StudyError
            If limits are asked of workers that cannot be stopped.
        """
        for name in ("time_limit_s", "memory_limit_mb"):
            if getattr(self, name) is not None and self.executor != PROCESSES:
                need = f"{PROCESSES}, because of {SECTION}.{name}: only a process can be stopped"
                raise StudyError(where, f"{SECTION}.executor", self.executor, need)
        return self


def read_execution(path: str | Path) -> Execution:
    """Read the section ``[workers]`` of a study's or sweep's file; without one, a single thread.

    Raises
    ------
    ConfigError
        If the file cannot be read.
    StudyError
        Naming the field, its value and what is allowed.
    """
    where = str(path)
    section = read_toml(path).get(SECTION, {})
    if not isinstance(section, dict):
        raise StudyError(where, SECTION, section, f"a table [{SECTION}]")
    known = [part.name for part in fields(Execution)]
    for name, value in section.items():
        if name not in known:
            raise StudyError(where, f"{SECTION}.{name}", value, "one of " + ", ".join(known))
        _check(where, name, value)
    return Execution(**section).checked(where)


def _check(where: str, name: str, value: object) -> None:
    shown = f"{SECTION}.{name}"
    if name == "address":
        _checked_address(where, shown, value)
    elif name == "slurm":
        if not isinstance(value, dict):
            raise StudyError(where, shown, value, f"a table [{SECTION}.slurm] of dask_jobqueue.SLURMCluster's options")
    else:
        try:
            _LIMITS[name].accept(value)
        except ValueError:
            raise StudyError(where, shown, value, str(_LIMITS[name])) from None


def _checked_address(where: str, name: str, value: object) -> str:
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise StudyError(where, name, value, "a scheduler's address, e.g. tcp://10.0.0.1:8786")
    return value
