"""Published numbers as data: each with its unit, tolerance, source and how well it is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from accel.config import read_toml
from workloads.errors import ConfigError

PUBLISHED = Path(__file__).parent / "published"
GRADES = ("printed", "abstract", "authors_code", "third_party", "recalled", "own")
BOUNDS = ("", "at_least", "at_most")


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One published number.

    Attributes
    ----------
    id : str
        What it is of, as the measuring module names it.
    value : float
    unit : str
    tolerance : float
        Largest relative error allowed; 0 for equality.
    source : str
        Paper with table or figure, or the authors' code.
    grade : str
        How well it is known; ``recalled`` is shown and never gates. ``own`` is a bar that Sextant sets itself, or
        another of its own fidelities.
    cause : str
        Why ours differs, where it does.
    bound : str
        ``at_least`` or ``at_most`` where only one side is wrong.
    """

    id: str
    value: float
    unit: str
    tolerance: float
    source: str
    grade: str
    cause: str = ""
    bound: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A published number beside ours."""

    number: Number
    ours: float

    @property
    def error(self) -> float:
        """Relative error of ours."""
        return self.ours / self.number.value - 1.0

    @property
    def verdict(self) -> str:
        """What the comparison says.

        ``pass``; outside its tolerance: ``shown only`` for a recalled number, ``explained`` for one whose cause is
        known and stated, ``miss`` for any other. Only a miss gates.
        """
        wrong = {"": abs(self.error), "at_least": -self.error, "at_most": self.error}[self.number.bound]
        if wrong <= self.number.tolerance:
            return "pass"
        if self.number.grade == "recalled":
            return "shown only"
        return "explained" if self.number.cause else "miss"


def names() -> list[str]:
    """Return what has published numbers."""
    return sorted(path.stem for path in PUBLISHED.glob("*.toml"))


def read_numbers(name: str) -> list[Number]:
    """Read the published numbers of one machine or method.

    Raises
    ------
    ConfigError
        If there are none of that name, or an entry is incomplete.
    """
    if name not in names():
        raise ConfigError("command line", "NAME", name, "one of " + ", ".join(names()))
    numbers = []
    for entry in read_toml(PUBLISHED / f"{name}.toml")["number"]:
        number = Number(**entry)
        where = f"published/{name}.toml, {number.id}"
        if number.grade not in GRADES:
            raise ConfigError(where, "grade", number.grade, "one of " + ", ".join(GRADES))
        if number.bound not in BOUNDS:
            raise ConfigError(where, "bound", number.bound, "one of " + ", ".join(BOUNDS[1:]))
        if not number.source or not math.isfinite(number.value) or number.tolerance < 0:
            raise ConfigError(where, "source, value and tolerance", number, "a source, a number and a tolerance from 0")
        numbers.append(number)
    return numbers
