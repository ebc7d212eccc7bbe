"""What is checked before memory is spent: whole numbers, numbers, and whether a matrix fits."""

from __future__ import annotations

import os
from numbers import Integral, Real
from pathlib import Path

from workloads.errors import WorkloadError

LARGEST_DIMENSION = 2**31 - 1
BYTES_PER_ELEMENT = 64
BYTES_PER_ROW = 32
MEMORY_REPORT = Path("/proc/meminfo")
CONTROL_GROUP = Path("/sys/fs/cgroup")


def whole(where: str, field: str, value: object, low: int, high: int) -> int:
    """Return a whole number ``low..high``.

    Raises
    ------
    WorkloadError
        If it is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or not low <= int(value) <= high:
        raise WorkloadError(where, field, value, f"a whole number, {low}..{high}")
    return int(value)


def number(where: str, field: str, value: object, low: float, high: float) -> float:
    """Return a number ``low <= x <= high``.

    Raises
    ------
    WorkloadError
        If it is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not low <= float(value) <= high:
        raise WorkloadError(where, field, value, f"a number, {low:g}..{high:g}")
    return float(value)


def available_bytes() -> int | None:
    """Return the memory that can still be used [bytes], or None where the system does not say.

    The smaller of what the machine has left and what the process's control group has left.
    """
    known = [_machine_bytes(), _control_group_bytes()]
    return min((size for size in known if size is not None), default=None)


def check_fits(where: str, rows: int, columns: int, elements: int) -> None:
    """Refuse a sparse matrix that memory cannot hold, before anything is read or drawn.

    Counted are 64 bytes for an element, which is what it takes while it is read, sorted and copied, and 32 bytes for
    a row or column.

    Raises
    ------
    WorkloadError
        If it takes more than the memory that is left.
    """
    check_bytes(where, BYTES_PER_ELEMENT * elements + BYTES_PER_ROW * (rows + columns))


def check_bytes(where: str, needed: int) -> None:
    """Refuse work that takes more memory than is left [bytes].

    Raises
    ------
    WorkloadError
        Naming both sizes.
    """
    available = available_bytes()
    if available is not None and needed > available:
        raise WorkloadError(where, "memory", _gib(needed), f"at most the {_gib(available)} that are free")


def _gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"


def _machine_bytes() -> int | None:
    """Return what the machine has left: without disk caches where it says so, else all it has."""
    try:
        for line in MEMORY_REPORT.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _control_group_bytes() -> int | None:
    """Return what a container or batch job has left; None where it has no limit ("max") or no control group."""
    try:
        limit = int((CONTROL_GROUP / "memory.max").read_text(encoding="ascii"))
        used = int((CONTROL_GROUP / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return max(limit - used, 0)
