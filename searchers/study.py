"""A study: what is searched, for what, under which limits; read from a TOML file and checked whole."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from accel import bitfusion
from accel.config import Limit, Number, OneOf, Switch, Whole, configure, content_key, limits, read_toml
from searchers.algorithm import ALGORITHMS
from searchers.networks import read_network
from searchers.problem import Outcome, Problem
from searchers.quantities import QUANTITIES
from searchers.space import Choice, Element, Integer, Real
from workloads.errors import InputError, StudyError

LARGEST_POPULATION = 100_000
MODEL_VERSION = 1  # of what a candidate's quantities are computed from; raised when they change
UNBUILDABLE = 1e30  # violation of a candidate without a report: worse than any other
FAR = 1e30  # objective of such a candidate, for algorithms that need a number
_RANGE_KEYS = {Whole: {"low", "high", "step"}, Number: {"low", "high", "log"}, Switch: set[str](), OneOf: set[str]()}
SECTIONS = ("name", "seed", "budget", "algorithm", "network", "bits", "machine", "objectives", "constraints", "workers")


@dataclass(frozen=True, slots=True)
class Constraint:
    """A limit on a quantity; ``at_least`` and ``at_most`` in the stored unit."""

    quantity: str
    at_least: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        limits = ((">=", self.at_least), ("<=", self.at_most))
        return " and ".join(f"{self.quantity} {sign} {limit:g}" for sign, limit in limits if limit is not None)

    def violation(self, value: float) -> float:
        """Return 0 inside the limits, otherwise the distance relative to the limit."""
        lacking = 0.0
        if self.at_most is not None:
            lacking = max(lacking, (value - self.at_most) / (abs(self.at_most) or 1.0))
        if self.at_least is not None:
            lacking = max(lacking, (self.at_least - value) / (abs(self.at_least) or 1.0))
        return lacking


@dataclass(frozen=True, slots=True)
class Study:
    """A checked study.

    Attributes
    ----------
    name : str
    seed, budget, population : int
        Root of all randomness, evaluations in all, candidates of one generation.
    algorithm : str
    objectives : tuple of str
        Names in ``quantities.QUANTITIES``.
    constraints : tuple of Constraint
    problem : Problem
    key : str
        Hash of everything that decides the results; two studies with one key have the same points.
    """

    name: str
    seed: int
    budget: int
    population: int
    algorithm: str
    objectives: tuple[str, ...]
    constraints: tuple[Constraint, ...]
    problem: Problem
    key: str

    def scores(self, outcomes: Sequence[Outcome]) -> tuple[np.ndarray, np.ndarray]:
        """Return what an algorithm is told: objectives to minimise, shape (n, m), and violations, shape (n,)."""
        objectives = np.full((len(outcomes), len(self.objectives)), FAR)
        violations = np.full(len(outcomes), UNBUILDABLE)
        for index, outcome in enumerate(outcomes):
            if outcome.quantities:
                objectives[index] = self.costs(outcome)
                violations[index] = self.violation(outcome)
        return objectives, violations

    def costs(self, outcome: Outcome) -> list[float]:
        """Return the objectives of a candidate, signed so that less is better."""
        return [
            -outcome.quantities[name] if QUANTITIES[name].more_is_better else outcome.quantities[name]
            for name in self.objectives
        ]

    def feasible(self, outcome: Outcome) -> bool:
        """Return whether a candidate could be built and run, and meets every constraint."""
        return bool(outcome.quantities) and self.violation(outcome) == 0.0

    def violation(self, outcome: Outcome) -> float:
        """Return how much a candidate lacks of meeting every constraint; 0 when it meets them."""
        return sum(constraint.violation(outcome.quantities[constraint.quantity]) for constraint in self.constraints)


def read_study(
    path: str | Path, *, budget: int | None = None, seed: int | None = None, algorithm: str | None = None
) -> Study:
    """Read and check a study file.

    Parameters
    ----------
    path : str or Path
    budget, seed, algorithm : optional
        Take the place of the file's.

    Raises
    ------
    StudyError, ConfigError, WorkloadError
        Naming the file, the field, its value and what is allowed.
    """
    where = str(path)
    text = read_toml(path)
    _known(text, SECTIONS, where, "")
    settings = _table(text, "algorithm", where)
    _known(settings, ("name", "population"), where, "algorithm.")
    name = algorithm or settings.get("name", "nsga2")
    _one_of(where if algorithm is None else "command line", "algorithm.name", name, ALGORITHMS)
    chosen: dict[str, Any] = {
        "name": _text(where, "name", text.get("name", Path(path).stem)),
        "seed": _whole(where, "seed", text.get("seed", 1) if seed is None else seed, 0),
        "budget": _whole(where, "budget", text.get("budget") if budget is None else budget, 1),
        "population": _whole(where, "algorithm.population", settings.get("population", 100), 2, LARGEST_POPULATION),
        "algorithm": name,
    }
    objectives = _objectives(text.get("objectives"), where)
    constraints = _constraints(text.get("constraints", []), where)
    try:
        problem = _problem(text, where)
    except InputError as error:
        raise error if error.where.startswith(where) else error.at(f"{where}, {error.where}") from None
    settled = {section: text.get(section) for section in ("network", "bits", "machine")}
    settled |= {"objectives": objectives, "constraints": [repr(limit) for limit in constraints], **chosen}
    # A larger budget continues the same study, and a name changes nothing.
    settled |= {
        "content": problem.content,
        "presets": {name: content_key(config) for name, config in bitfusion.PRESETS.items()},
    }
    settled |= {"model": MODEL_VERSION, "budget": None, "name": None}
    key = hashlib.sha256(json.dumps(settled).encode()).hexdigest()
    return Study(objectives=objectives, constraints=constraints, problem=problem, key=key, **chosen)


def _problem(text: Mapping[str, Any], where: str) -> Problem:
    network = read_network(_table(text, "network", where), where)
    bits_section = _table(text, "bits", where, optional=True)
    _known(bits_section, ("activations", "weights"), where, "bits.")
    if len(bits_section) == 1:
        raise StudyError(where, "bits", ", ".join(bits_section), "both activations and weights, or neither")
    bits = {name: _bits(where, f"bits.{name}", value) for name, value in bits_section.items()}
    section = dict(_table(text, "machine", where))
    machine = section.pop("name", bitfusion.model.MACHINE)
    _one_of(where, "machine.name", machine, (bitfusion.model.MACHINE,))
    preset = section.pop("preset", "paper")
    _one_of(where, "machine.preset", preset, bitfusion.PRESETS)
    base = bitfusion.PRESETS[preset]
    allowed = limits(bitfusion.Config)
    knobs: dict[str, Element] = {}
    fixed: dict[str, object] = {}
    for field, value in section.items():
        if field not in allowed:
            raise StudyError(where, f"machine.{field}", value, "one of " + ", ".join(("name", "preset", *allowed)))
        if isinstance(value, list | dict):
            knobs[field] = _knob(where, f"machine.{field}", value, allowed[field])
        else:
            fixed[field] = value
    return Problem(network, bits, configure(base, fixed, where), knobs)


def _bits(where: str, field: str, value: object) -> Element:
    return _knob(where, field, value, Whole(1, bitfusion.kernels.WIDEST_BITS))


def _knob(where: str, field: str, value: object, limit: Limit) -> Element:
    """Make a knob from a list of values or a table of low, high and step or log; every value is checked."""
    need = f"a list of values, or a table of low, high and step or log, each {limit}"
    if value == []:
        raise StudyError(where, field, value, "at least one value")
    if isinstance(value, list):
        checked: list[object] = list(value)
    elif isinstance(value, dict) and {"low", "high"} <= set(value) <= _RANGE_KEYS[type(limit)]:
        checked = [value["low"], value["high"]]
        step = value.get("step", 1)
        if not isinstance(value.get("log", False), bool) or type(step) is not int or step < 1:
            raise StudyError(where, field, value, need)
    else:
        raise StudyError(where, field, value, need)
    for part in checked:
        try:
            limit.accept(part)
        except ValueError:
            raise StudyError(where, field, part, str(limit)) from None
    knob: Element
    if isinstance(value, list):
        knob = Choice(tuple(value))
    elif isinstance(limit, Whole):
        knob = Integer(value["low"], value["high"], value.get("step", 1))
    else:
        knob = Real(value["low"], value["high"], value.get("log", False))
    if knob.places < 0 or (not isinstance(knob, Real) and knob.places == 0):
        raise StudyError(where, field, value, "at least one value")
    return knob


def _objectives(given: object, where: str) -> tuple[str, ...]:
    need = "a list of different quantities out of " + ", ".join(QUANTITIES)
    if not isinstance(given, list) or not given:
        raise StudyError(where, "objectives", given, need)
    for name in given:
        _one_of(where, "objectives", name, QUANTITIES, need)
    if len(set(given)) != len(given):
        raise StudyError(where, "objectives", given, need)
    return tuple(given)


def _constraints(given: object, where: str) -> tuple[Constraint, ...]:
    if not isinstance(given, list) or not all(isinstance(part, dict) for part in given):
        raise StudyError(where, "constraints", given, "[[constraints]] tables of quantity, at_most, at_least")
    constraints = []
    for part in given:
        _known(part, ("quantity", "at_most", "at_least"), where, "constraints.")
        _one_of(where, "constraints.quantity", part.get("quantity"), QUANTITIES)
        bounds = {side: part[side] for side in ("at_least", "at_most") if side in part}
        for side, bound in bounds.items():
            if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
                raise StudyError(where, f"constraints.{side}", bound, "a number")
        if not bounds or bounds.get("at_least", -np.inf) > bounds.get("at_most", np.inf):
            raise StudyError(where, f"constraint on {part['quantity']}", bounds, "at_most, at_least, or both in order")
        constraints.append(Constraint(part["quantity"], **{side: float(bound) for side, bound in bounds.items()}))
    return tuple(constraints)


def _one_of(where: str, field: str, value: object, allowed: Iterable[str], need: str = "") -> None:
    """Check a name; what is no text cannot be one."""
    names = list(allowed)
    if not isinstance(value, str) or value not in names:
        raise StudyError(where, field, value, need or "one of " + ", ".join(names))


def _table(text: Mapping[str, Any], section: str, where: str, *, optional: bool = False) -> Mapping[str, Any]:
    table = text.get(section, {} if optional or section == "algorithm" else None)
    if not isinstance(table, dict):
        raise StudyError(where, section, table, f"a table [{section}]")
    return table


def _known(given: Mapping[str, Any], known: Sequence[str], where: str, prefix: str) -> None:
    for key, value in given.items():
        if key not in known:
            raise StudyError(where, prefix + key, value, "one of " + ", ".join(known))


def _text(where: str, field: str, value: object) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise StudyError(where, field, value, "text on one line")
    return value


def _whole(where: str, field: str, value: object, low: int, high: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
        allowed = f"a whole number from {low}" if high is None else f"a whole number, {low}..{high}"
        raise StudyError(where, field, value, allowed)
    return value
