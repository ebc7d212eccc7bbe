"""A sweep: machines, what varies of each, and the workloads they run; read from a TOML file and checked whole."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from accel.config import Limit, Number, Share, Whole, configure, content_key, limits, read_toml
from accel.jit import versions
from searchers.evaluation.execution import SECTION
from searchers.machines import MACHINES, Machine
from searchers.sweeps.arithmetic import Formula
from workloads.errors import ConfigError, StudyError

KEYS = ("name", "best", "workloads", "machine", SECTION)
OWN_KEYS = ("name", "preset", "fidelity", "sample", "workloads", "zipped", "derived")
MOST_POINTS = 1_000_000
BEST = "seconds"
Fields = dict[str, object]


@dataclass(frozen=True, slots=True)
class Source:
    """A workload as the file names it, and what the file behind it held.

    Attributes
    ----------
    machine : str
        One that runs it, which knows how it is opened.
    workload : str
    workload_b : str or None
    content : str
        Hash of the files' bytes; empty for what is made by name.
    """

    machine: str
    workload: str
    workload_b: str | None
    content: str


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker needs to know of a point.

    Attributes
    ----------
    machine : str
    config : Config or str
        Or why there is none.
    fidelity : str
    share : float or None
        Of a sample.
    source : int
        Number of the workload.
    """

    machine: str
    config: Any
    fidelity: str
    share: float | None
    source: int

    @property
    def group(self) -> Hashable:
        """What points share that is expensive: the workload, and the plan where it can be shared."""
        fields = MACHINES[self.machine].plan_fields
        if fields is None or isinstance(self.config, str) or self.share is not None or self.fidelity == "sample":
            return (self.machine, self.source)
        return (self.machine, self.source, *(getattr(self.config, name) for name in fields))


@dataclass(frozen=True, slots=True)
class Sweep:
    """A checked sweep.

    Attributes
    ----------
    name : str
    best : str
        The quantity of which least is best.
    sources : tuple of Source
    tasks : tuple of Task
    designs : tuple of str
        What each point is, as JSON: machine, preset, fidelity, workload, and the fields that vary.
    keys : tuple of str
        Hash of everything that decides each point's outcome.
    configurations : dict
        The fields of each machine's preset, by machine and preset.
    opened : dict
        Workloads that have been opened, by number.
    """

    name: str
    best: str
    sources: tuple[Source, ...]
    tasks: tuple[Task, ...]
    designs: tuple[str, ...]
    keys: tuple[str, ...]
    configurations: dict[str, Fields]
    opened: dict[int, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def key(self) -> str:
        """Hash of all points, in order: two sweeps with one key have the same results."""
        return hashlib.sha256("\n".join(self.keys).encode()).hexdigest()


def read_sweep(path: str | Path) -> Sweep:
    """Read and check a sweep's file.

    Raises
    ------
    StudyError, ConfigError
        Naming the file, the field, its value and what is allowed.
    """
    where = str(path)
    text = read_toml(path)
    _known(text, KEYS, where, "")
    name, best = text.get("name", Path(path).stem), text.get("best", BEST)
    for key, value in (("name", name), ("best", best)):
        if not isinstance(value, str) or not value.isprintable() or not value:
            raise StudyError(where, key, value, "text on one line")
    machines = text.get("machine")
    if isinstance(machines, dict):
        machines = [machines]
    if not isinstance(machines, list) or not machines or not all(isinstance(part, dict) for part in machines):
        raise StudyError(where, "machine", machines, "a table [machine], or several [[machine]]")
    builder = _Builder(where)
    for number, section in enumerate(machines):
        builder.add(section, f"machine[{number}]." if len(machines) > 1 else "machine.", text.get("workloads"))
    return Sweep(
        name, best, tuple(builder.sources), tuple(builder.tasks), tuple(builder.designs), tuple(builder.keys),
        builder.configurations,
    )  # fmt: skip


class _Builder:
    """Collects points machine by machine."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._models = versions()["models"]
        self.sources: list[Source] = []
        self.tasks: list[Task] = []
        self.designs: list[str] = []
        self.keys: list[str] = []
        self.configurations: dict[str, Fields] = {}

    def add(self, section: Mapping[str, Any], prefix: str, workloads: object) -> None:
        """Add the points of one machine."""
        where = self._where
        name = section.get("name")
        if not isinstance(name, str) or name not in MACHINES:
            raise StudyError(where, f"{prefix}name", name, "one of " + ", ".join(MACHINES))
        machine = MACHINES[name]
        preset = section.get("preset", next(iter(machine.presets)))
        if not isinstance(preset, str) or preset not in machine.presets:
            raise StudyError(where, f"{prefix}preset", preset, "one of " + ", ".join(machine.presets))
        base = machine.presets[preset]
        self.configurations[f"{name} {preset}"] = dataclasses.asdict(base)
        fidelity, share = _fidelity(machine, section, where, prefix)
        pairs = _workloads(section.get("workloads", workloads), where, prefix)
        known = limits(type(base))
        axes, fixed = _fields(section, known, where, prefix)
        derived = _derived(section, known, {*axes, *fixed}, where, prefix)
        base = configure(base, fixed, where)
        grid = _zipped(axes, section.get("zipped", []), where, prefix)
        size = len(pairs)
        for values in grid:
            size *= len(values)
        if len(self.tasks) + size > MOST_POINTS:
            raise StudyError(where, "machine", f"{len(self.tasks) + size} points", f"at most {MOST_POINTS}")
        for pair in pairs:
            source = self._source(name, *pair)
            for varied in _crossed(axes, grid):
                self._point(name, preset, base, varied, derived, known, fidelity, share, source)

    def _point(
        self, machine: str, preset: str, base: Any, varied: Fields, derived: Mapping[str, Formula],
        known: Mapping[str, Limit], fidelity: str, share: float | None, source: int,
    ) -> None:  # fmt: skip
        config: Any
        try:
            varied = _with_derived(base, varied, derived, known)
            config = configure(base, varied, "point")
            content = content_key(config)
        except ConfigError as error:
            config = content = str(error)
        given = self.sources[source]
        design = {"machine": machine, "preset": preset, "fidelity": fidelity, "workload": given.workload}
        if given.workload_b is not None:
            design["workload_b"] = given.workload_b
        decides = [machine, fidelity, share, given.workload, given.workload_b, given.content, content, varied]
        self.tasks.append(Task(machine, config, fidelity, share, source))
        self.designs.append(json.dumps({**design, **varied}))
        self.keys.append(hashlib.sha256(json.dumps([self._models, *decides]).encode()).hexdigest())

    def _source(self, machine: str, workload: str, workload_b: str | None) -> int:
        for number, source in enumerate(self.sources):
            same_kind = type(MACHINES[source.machine]) is type(MACHINES[machine])
            if same_kind and (source.workload, source.workload_b) == (workload, workload_b):
                return number
        content = "".join(content_of(part) for part in (workload, workload_b) if part is not None)
        self.sources.append(Source(machine, workload, workload_b, content))
        return len(self.sources) - 1


def content_of(workload: str) -> str:
    """Return a hash of the bytes of the file a workload names; empty if it names none."""
    try:
        with Path(workload).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


def _fidelity(machine: Machine, section: Mapping[str, Any], where: str, prefix: str) -> tuple[str, float | None]:
    share = section.get("sample")
    default = machine.fidelities[0]
    if share is not None:
        default = "sample"
        try:
            share = float(share)
            Share().accept(share)
        except (ValueError, TypeError):
            raise StudyError(where, f"{prefix}sample", section["sample"], str(Share())) from None
    fidelity = section.get("fidelity", default)
    if fidelity not in machine.fidelities or (share is not None and fidelity != "sample"):
        raise StudyError(where, f"{prefix}fidelity", fidelity, "one of " + ", ".join(machine.fidelities))
    return fidelity, share


def _workloads(given: object, where: str, prefix: str) -> list[tuple[str, str | None]]:
    need = "a list of workloads, each a name, a path, or a pair of them for a product of two matrices"
    if not isinstance(given, list) or not given:
        raise StudyError(where, f"{prefix}workloads", given, need)
    pairs: list[tuple[str, str | None]] = []
    for part in given:
        names = part if isinstance(part, list) else [part]
        if len(names) not in (1, 2) or not all(isinstance(name, str) and name and "\0" not in name for name in names):
            raise StudyError(where, f"{prefix}workloads", part, need)
        pairs.append((names[0], names[1] if len(names) == 2 else None))
    if len(set(pairs)) < len(pairs):
        raise StudyError(where, f"{prefix}workloads", given, "different workloads")
    return pairs


def _fields(
    section: Mapping[str, Any], known: Mapping[str, Limit], where: str, prefix: str
) -> tuple[dict[str, list[object]], Fields]:
    """Return the fields that vary with their values, and those that are fixed."""
    axes: dict[str, list[object]] = {}
    fixed: Fields = {}
    for name, value in section.items():
        if name in OWN_KEYS:
            continue
        if name not in known:
            raise StudyError(where, prefix + name, value, "one of " + ", ".join((*OWN_KEYS, *known)))
        if isinstance(value, list | dict):
            axes[name] = _values(value, known[name], where, prefix + name)
        else:
            fixed[name] = value
    return axes, fixed


def _values(given: list[object] | dict[str, Any], limit: Limit, where: str, field: str) -> list[object]:
    """Return the values of an axis, each checked."""
    need = f"a list of different values, or a table of low, high and step or factor, each {limit}"
    values = given if isinstance(given, list) else list(_range(given, limit, where, field, need))
    if not values:
        raise StudyError(where, field, given, need)
    checked = []
    for value in values:
        try:
            checked.append(limit.accept(value))
        except (ValueError, TypeError):
            raise StudyError(where, field, value, str(limit)) from None
    if len(set(checked)) < len(checked):
        raise StudyError(where, field, given, need)
    return checked


def _range(given: dict[str, Any], limit: Limit, where: str, field: str, need: str) -> Iterator[object]:
    """Return ``low``, and what follows by steps or factors, up to ``high``."""
    steps = "step" in given
    if set(given) != {"low", "high", "step" if steps else "factor"} or not isinstance(limit, Whole | Number):
        raise StudyError(where, field, given, need)
    low, high, by = given["low"], given["high"], given["step" if steps else "factor"]
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in (low, high, by)):
        raise StudyError(where, field, given, need)
    grows = by > 0 if steps else by > 1 and low > 0
    if not grows or not low <= high < float("inf"):
        raise StudyError(where, field, given, need)
    for count in range(MOST_POINTS + 1):
        value = low + count * by if steps else low * by**count
        if value > high:
            return
        yield value
    raise StudyError(where, field, given, f"at most {MOST_POINTS} values")


def _derived(
    section: Mapping[str, Any], known: Mapping[str, Limit], given: set[str], where: str, prefix: str
) -> dict[str, Formula]:
    table = section.get("derived", {})
    if not isinstance(table, dict):
        raise StudyError(where, f"{prefix}derived", table, "a table of formulas by field")
    formulas = {}
    for name, text in table.items():
        if name not in known or name in given:
            raise StudyError(where, f"{prefix}derived.{name}", text, "a field that is given nowhere else")
        try:
            formulas[name] = Formula(text)
        except ValueError as error:
            raise StudyError(where, f"{prefix}derived.{name}", text, str(error)) from None
        unknown = formulas[name].names - set(known)
        if unknown:
            raise StudyError(where, f"{prefix}derived.{name}", text, f"names of fields, not {min(unknown)}")
    return formulas


def _with_derived(base: Any, varied: Fields, derived: Mapping[str, Formula], known: Mapping[str, Limit]) -> Fields:
    """Return the varied fields and those derived from them, in the order they are given."""
    names: Fields = {name: getattr(base, name) for name in known} | varied
    varied = dict(varied)
    for name, formula in derived.items():
        try:
            names[name] = varied[name] = formula.value(names)
        except ValueError as error:
            raise ConfigError("point", name, str(error), str(known[name])) from None
    return varied


def _zipped(axes: Mapping[str, list[object]], given: object, where: str, prefix: str) -> list[list[Fields]]:
    """Return the steps of the grid's dimensions: an axis by itself, or several that go together."""
    need = "lists of fields that vary, each field once, all of a list with equally many values"
    if not isinstance(given, list) or not all(isinstance(names, list) and names for names in given):
        raise StudyError(where, f"{prefix}zipped", given, need)
    together = [name for names in given for name in names]
    if any(not isinstance(name, str) or name not in axes for name in together) or len(set(together)) < len(together):
        raise StudyError(where, f"{prefix}zipped", given, need)
    dimensions: list[list[Fields]] = []
    placed: set[str] = set()
    for name in axes:
        if name in placed:
            continue
        names: Sequence[str] = next((names for names in given if name in names), [name])
        if len({len(axes[part]) for part in names}) > 1:
            raise StudyError(where, f"{prefix}zipped", names, need)
        placed |= set(names)
        dimensions.append([dict(zip(names, step, strict=True)) for step in zip(*(axes[n] for n in names), strict=True)])
    return dimensions


def _crossed(axes: Mapping[str, list[object]], grid: Sequence[Sequence[Fields]]) -> Iterator[Fields]:
    """Return every combination, the last dimension fastest, with the fields in the file's order."""
    for steps in product(*grid):
        merged: Fields = {}
        for step in steps:
            merged |= step
        yield {name: merged[name] for name in axes}


def _known(given: Mapping[str, Any], known: Sequence[str], where: str, prefix: str) -> None:
    for key, value in given.items():
        if key not in known:
            raise StudyError(where, prefix + key, value, "one of " + ", ".join(known))
