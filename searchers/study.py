"""A study: what is searched, for what, under which limits; read from a TOML file and checked whole."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from accel.config import read_toml
from searchers.algorithms.algorithm import check_algorithm
from searchers.checks import check_keys, check_name, check_text, check_whole, no_number, section_of
from searchers.problems.problem import Outcome, Problem
from searchers.quantities import QUANTITIES
from searchers.sections import read_problem
from workloads.errors import InputError, StudyError

LARGEST_POPULATION = 100_000
# Of what a candidate's quantities are computed from, and of what oracles say of it; raised when they change.
MODEL_VERSION, ORACLE_VERSION = 1, 2
UNBUILDABLE = 1e30  # violation of a candidate without a report: worse than any other
FAR = 1e30  # objective of such a candidate, for algorithms that need a number
SECTIONS = (
    "name", "seed", "budget", "algorithm", "network", "bits", "workload", "machine", "corners", "accuracy",
    "objectives", "constraints", "workers",
)  # fmt: skip


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
    oracle_file : str
        What the oracle reads, wherever the study is read from; empty where it reads nothing of the user's.
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
    oracle_file: str = ""

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
        """Return whether a candidate could be built and run, and meets every constraint wherever it has to."""
        return bool(outcome.quantities) and not outcome.is_bound and self.violation(outcome) == 0.0

    def violation(self, outcome: Outcome) -> float:
        """Return how much a candidate lacks of meeting every constraint; 0 when it meets them."""
        return sum(constraint.violation(outcome.quantities[constraint.quantity]) for constraint in self.constraints)


def read_study(
    path: str | Path,
    *,
    budget: int | None = None,
    seed: int | None = None,
    algorithm: str | None = None,
    oracle_file: str | None = None,
) -> Study:
    """Read and check a study file.

    Parameters
    ----------
    path : str or Path
    budget, seed, algorithm, oracle_file : optional
        Take the place of the file's; the last is that of ``[accuracy]``.

    Raises
    ------
    StudyError, ConfigError, WorkloadError, OracleError
        Naming the file, the field, its value and what is allowed.
    """
    where = str(path)
    text = read_toml(path)
    if oracle_file is not None:
        if not isinstance(text.get("accuracy"), dict):
            raise StudyError("command line", "--oracle-file", oracle_file, f"[accuracy] in {where}, to read it")
        oracle_file = str(Path(check_text(where, "oracle_file", oracle_file)).resolve())
    elif isinstance(text.get("accuracy"), dict) and isinstance(text["accuracy"].get("file"), str):
        oracle_file = str((Path(path).resolve().parent / text["accuracy"]["file"]).resolve())
    if oracle_file is not None:
        text["accuracy"]["file"] = oracle_file
    check_keys(text, SECTIONS, where, "")
    settings = section_of(text, "algorithm", where, optional=True)
    check_keys(settings, ("name", "population"), where, "algorithm.")
    name = algorithm or settings.get("name", "nsga2")
    check_algorithm(name, where if algorithm is None else "command line")
    chosen: dict[str, Any] = {
        "name": check_text(where, "name", text.get("name", Path(path).stem)),
        "seed": check_whole(where, "seed", text.get("seed", 1) if seed is None else seed, 0),
        "budget": check_whole(where, "budget", text.get("budget") if budget is None else budget, 1),
        "population": check_whole(
            where, "algorithm.population", settings.get("population", 100), 2, LARGEST_POPULATION
        ),
        "algorithm": name,
    }
    objectives = _objectives(text.get("objectives"), where)
    constraints = _constraints(text.get("constraints", []), where)
    try:
        problem = read_problem(text, where)
    except InputError as error:
        raise error if error.where.startswith(where) else error.at(f"{where}, {error.where}") from None
    _check_quantities(problem, objectives, constraints, where)
    settled = {section: text.get(section) for section in ("network", "bits", "machine")}
    settled |= {"objectives": objectives, "constraints": [repr(limit) for limit in constraints], **chosen}
    # A larger budget continues the same study, and a name changes nothing.
    settled |= {"content": problem.content, "presets": problem.searched.content}
    settled |= {"model": MODEL_VERSION, "budget": None, "name": None}
    settled |= {section: text[section] for section in ("workload", "corners", "accuracy") if section in text}
    if "accuracy" in text:
        settled["oracles"] = ORACLE_VERSION
    if "file" in text.get("accuracy", {}):  # what it holds decides, wherever it lies
        settled["accuracy"] = text["accuracy"] | {"file": _hash_of_file(text["accuracy"]["file"], where)}
    key = hashlib.sha256(json.dumps(settled).encode()).hexdigest()
    chosen["oracle_file"] = oracle_file or ""
    return Study(objectives=objectives, constraints=constraints, problem=problem, key=key, **chosen)


def _hash_of_file(file: str, where: str) -> str:
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError as error:
        raise StudyError(where, "accuracy.file", file, f"a file that can be read ({error.strerror})") from None


def _check_quantities(
    problem: Problem, objectives: Sequence[str], constraints: Sequence[Constraint], where: str
) -> None:
    """Refuse quantities that no candidate would have."""
    for field, names in (("objectives", objectives), ("constraints.quantity", [part.quantity for part in constraints])):
        for name in names:
            if name not in problem.quantities:
                machine = problem.searched.machine.name
                need = f"what a study on {machine} knows: {', '.join(problem.quantities)}"
                raise StudyError(where, field, name, need)


def _objectives(given: object, where: str) -> tuple[str, ...]:
    need = "a list of different quantities out of " + ", ".join(QUANTITIES)
    if not isinstance(given, list) or not given:
        raise StudyError(where, "objectives", given, need)
    for name in given:
        check_name(where, "objectives", name, QUANTITIES, need)
    if len(set(given)) != len(given):
        raise StudyError(where, "objectives", given, need)
    return tuple(given)


def _constraints(given: object, where: str) -> tuple[Constraint, ...]:
    if not isinstance(given, list) or not all(isinstance(part, dict) for part in given):
        raise StudyError(where, "constraints", given, "[[constraints]] tables of quantity, at_most, at_least")
    constraints = []
    for part in given:
        check_keys(part, ("quantity", "at_most", "at_least"), where, "constraints.")
        check_name(where, "constraints.quantity", part.get("quantity"), QUANTITIES)
        bounds = {side: part[side] for side in ("at_least", "at_most") if side in part}
        for side, bound in bounds.items():
            if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
                raise StudyError(where, f"constraints.{side}", no_number(bound), "a number")
        if not bounds or bounds.get("at_least", -np.inf) > bounds.get("at_most", np.inf):
            raise StudyError(where, f"constraint on {part['quantity']}", bounds, "at_most, at_least, or both in order")
        constraints.append(Constraint(part["quantity"], **{side: float(bound) for side, bound in bounds.items()}))
    return tuple(constraints)
