"""What every problem promises a study: a space of candidates, and what each of them costs."""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from accel.config import changed_fields, configure, content_key
from accel.report import Report
from searchers.machines import Machine, Run
from searchers.outcome import Outcome as Outcome
from searchers.quantities import QUANTITIES
from searchers.space import Candidate, Element, Genomes, Order, Space
from workloads.errors import InputError

MACHINE = "machine."
MEAN, WORST = "mean", "worst"


@dataclass(frozen=True, slots=True)
class SearchedMachine:
    """A machine as a study sees it.

    Attributes
    ----------
    machine : Machine
    base : Config
        Every candidate's, but for the knobs.
    knobs : mapping of str to Element or Order
        Fields of the configuration to choose.
    fidelity : str
        One of the machine's.
    corners : tuple of mapping
        Fields that are changed after the candidate's have been set, once per corner: what is not chosen and may vary.
    """

    machine: Machine
    base: Any
    knobs: Mapping[str, Element | Order]
    fidelity: str
    corners: tuple[Mapping[str, object], ...] = ({},)

    def configs(self, candidate: Mapping[str, object]) -> tuple[Any, ...]:
        """Return a candidate's machine at every corner.

        Raises
        ------
        ConfigError
            If it cannot be built.
        """
        chosen = {name.removeprefix(MACHINE): value for name, value in candidate.items() if name.startswith(MACHINE)}
        return tuple(configure(self.base, chosen | dict(corner), "candidate") for corner in self.corners)

    @property
    def corner_names(self) -> tuple[str, ...]:
        """What is changed at every corner, as text; empty where nothing is."""
        return tuple(", ".join(f"{field}={value}" for field, value in corner.items()) for corner in self.corners)

    def situation_names(self, workloads: Sequence[str]) -> tuple[str, ...]:
        """Return the names of every workload at every corner."""
        return tuple(f"{name} at {corner}" if corner else name for name in workloads for corner in self.corner_names)

    @property
    def content(self) -> dict[str, object]:
        """What decides the results beside the study's text: the presets' numbers, by name."""
        return {name: content_key(config) for name, config in self.machine.presets.items()}


class Problem(ABC):
    """What candidates are, and what they cost.

    A candidate is evaluated in every situation: on every workload, at every corner of the machine. Its quantities are
    the worst or the mean over them: the geometric mean where a quantity spans orders of magnitude.

    Attributes
    ----------
    space : Space
    searched : SearchedMachine
    quantities : tuple of str
        Names of what every outcome that can be had has.
    content : str
        Hash of what files held that the study names, empty where there are none.
    over : str
        ``worst`` or ``mean``.
    situation_names : tuple of str
        In the order of ``situations``.
    prunes : bool
        Whether a study evaluates candidates only in the situations that still distinguish, see ``searchers.corners``.
    provenance : str
        What stands beside accuracy wherever it is shown; empty where nobody is asked for it.
    """

    space: Space
    searched: SearchedMachine
    quantities: tuple[str, ...]
    content: str
    over: str
    situation_names: tuple[str, ...]
    provenance: str
    prunes: bool = False

    @abstractmethod
    def evaluate(self, genomes: Genomes) -> list[Outcome]:
        """Evaluate candidates; the outcome of one does not depend on the others.

        Parameters
        ----------
        genomes : ndarray, shape (n, genes)
        """

    @abstractmethod
    def evaluate_in(self, genomes: Genomes, situation: int) -> list[Outcome]:
        """Evaluate candidates, shape (n, genes), in one situation, by its place in ``situation_names``."""

    @abstractmethod
    def situations(self, genome: Sequence[float] | Genomes) -> list[tuple[Any, Any]]:
        """Return the machine and the workload of every situation of a candidate, as the machine runs them.

        Raises
        ------
        ConfigError
            If the machine cannot be built.
        """

    @abstractmethod
    def workload(self, genome: Sequence[float] | Genomes, folder: Path) -> str:
        """Return what the command line calls a candidate's first workload; write it to a folder if it has no name."""

    def run(self, genome: Sequence[float] | Genomes) -> Run:
        """Run a candidate in its first situation, layer by layer."""
        config, workload = self.situations(genome)[0]
        return self.searched.machine.run(config, workload, self.searched.fidelity)

    def report(self, genome: Sequence[float] | Genomes) -> Report:
        """Return the full report of a candidate in its first situation."""
        return self.run(genome).report

    def command(self, genome: Sequence[float] | Genomes, folder: Path) -> str:
        """Return the arguments of ``sextant simulate`` that run a candidate in its first situation again."""
        searched = self.searched
        preset, base = next(iter(searched.machine.presets.items()))
        config, _ = self.situations(genome)[0]
        changed = changed_fields(config, base)
        if searched.fidelity != searched.machine.fidelities[0]:
            changed["fidelity"] = searched.fidelity
        fields = [f"--set {name}={value}" for name, value in changed.items()]
        return " ".join([searched.machine.name, quote(self.workload(genome, folder)), f"--preset {preset}", *fields])

    def describe(self, genome: Sequence[float] | Genomes) -> Candidate:
        """Return a candidate's values by knob; those of unused blocks and layers are left out."""
        active = self.space.active(np.asarray(genome, dtype=float)[None])[0]
        described: Candidate = {}
        for name, value in self.space.candidate(genome).items():
            if isinstance(value, tuple):
                used = active[self.space.genes(name)]
                value = tuple(part for part, matters in zip(value, used, strict=True) if matters)
            described[name] = value
        return described

    def combined(self, situations: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Return the quantities of a candidate from those of its situations."""
        if len(situations) == 1:
            return dict(situations[0])
        combined = {}
        for name in self.quantities:
            values = [situation[name] for situation in situations]
            quantity = QUANTITIES[name]
            if self.over == WORST:
                combined[name] = min(values) if quantity.more_is_better else max(values)
            elif quantity.log and min(values) > 0.0:
                combined[name] = math.exp(math.fsum(map(math.log, values)) / len(values))
            else:
                combined[name] = math.fsum(values) / len(values)
        return combined


def known_quantities(report: Report) -> tuple[str, ...]:
    """Return the quantities a report has, in the order of ``QUANTITIES``."""
    return tuple(name for name, quantity in QUANTITIES.items() if quantity.read and _has(quantity.read(report)))


def _has(value: float) -> bool:
    return not math.isnan(value)


def read_quantities(report: Report, names: Sequence[str]) -> dict[str, float]:
    """Return quantities of a report by name."""
    return {name: quantity.read(report) for name in names if (quantity := QUANTITIES[name]).read is not None}


def hash_of(*parts: object) -> str:
    """Return a hash of what is written as JSON: equal for equal parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def unbuildable(error: InputError) -> Outcome:
    """Return the outcome of a candidate that a machine refuses."""
    return Outcome({}, str(error))
