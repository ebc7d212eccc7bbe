"""Sparse products or attention on the machine for them: the machine, and what the workload is generated from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from searchers.machines import AttentionMachine, Machine
from searchers.problems.accuracy import AttentionOracle
from searchers.problems.problem import (
    MACHINE,
    WORST,
    Outcome,
    Problem,
    SearchedMachine,
    hash_of,
    read_quantities,
    unbuildable,
)
from searchers.quantities import QUANTITIES
from searchers.space import Candidate, Condition, Element, Genomes, Knob, Space
from workloads.errors import ConfigError, OutputError, WorkloadError

WORKLOAD = "workload."
CHOSEN_MODEL = "chosen_model.json"
MOST_OPENED = 64  # workloads kept open; each may be large


class SearchedWorkload(Protocol):
    """Workloads as a study sees them.

    Attributes
    ----------
    knobs : mapping of str to Knob
        What they are generated from, without prefix.
    conditions : dict of str to Condition
        Which of them do not always matter; they refer to knobs by the same names.
    content : str
        Hash of the files that are named, empty where there are none.
    titles : tuple of str
        What to call the workloads, whatever is chosen of them.
    has_values : bool
        Of attention: whether what is computed is compared with what is exact.
    """

    conditions: dict[str, Condition]
    content: str
    titles: tuple[str, ...]
    has_values: bool

    @property
    def knobs(self) -> Mapping[str, Knob]:
        """What they are generated from."""
        ...

    def names(self, choice: Mapping[str, Any]) -> tuple[str, ...]:
        """Return what the workloads of a choice are called; equal names are equal workloads."""
        ...

    def open(self, name: str, choice: Mapping[str, Any]) -> Any:
        """Return one workload of a choice as the machine takes it."""
        ...

    def export(self, choice: Mapping[str, Any], folder: Path) -> str:
        """Return what the command line calls the first workload of a choice; write it to a folder if need be."""
        ...


class NamedWorkloads:
    """Workloads by name or file; those with a name may have options, and values of options may be searched.

    Parameters
    ----------
    machine : Machine
        That they are for.
    names : sequence of str
        Each as the command line takes it; options that are searched are left out.
    options : mapping of str to Element
        Options that are the same for all of them.
    """

    has_values = True

    def __init__(self, machine: Machine, names: Sequence[str], options: Mapping[str, Element]) -> None:
        self._machine, self._names, self.knobs = machine, tuple(names), dict(options)
        self.titles = self._names
        self.conditions: dict[str, Condition] = {}
        files = [Path(name) for name in names if Path(name).is_file()]
        self.content = hash_of(*(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)) if files else ""

    def names(self, choice: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names with the options that were chosen."""
        chosen = ",".join(f"{option}={value}" for option, value in choice.items())
        return tuple(f"{name}{',' if ':' in name else ':'}{chosen}" if chosen else name for name in self._names)

    def open(self, name: str, choice: Mapping[str, Any]) -> Any:
        """Open a file, or generate what a name stands for."""
        return self._machine.open(name, None)

    def export(self, choice: Mapping[str, Any], folder: Path) -> str:
        """Return the name."""
        return self.names(choice)[0]


class GeneratedTransformer:
    """Attention of a transformer whose sizes are chosen: layers, heads, widths and length; an encoder.

    Parameters
    ----------
    sizes : mapping
        ``layers``, ``heads``, ``head_dim``, ``feed_forward``, ``length``: a whole number, or an element.
    seed : int
        Of the numbers.
    """

    content = ""
    titles: tuple[str, ...] = ("transformer",)
    has_values = True
    SIZES = ("layers", "heads", "head_dim", "feed_forward", "length")

    def __init__(self, sizes: Mapping[str, int | Element], seed: int) -> None:
        self._fixed = {name: size for name, size in sizes.items() if isinstance(size, int)}
        self.knobs = {name: size for name, size in sizes.items() if not isinstance(size, int)}
        self.conditions: dict[str, Condition] = {}
        self._seed = seed

    def names(self, choice: Mapping[str, Any]) -> tuple[str, ...]:
        """Return a name that tells the sizes."""
        sizes = self._fixed | dict(choice)
        return ("transformer:" + ",".join(f"{name}={sizes[name]}" for name in self.SIZES) + f",seed={self._seed}",)

    def open(self, name: str, choice: Mapping[str, Any]) -> Any:
        """Generate queries, keys and values of the chosen size."""
        from workloads.attention.models import TransformerShape
        from workloads.attention.synthetic import synthetic_attention

        size = self._fixed | dict(choice)
        heads, head_dim = size["heads"], size["head_dim"]
        shape = TransformerShape(
            name="transformer", layers=size["layers"], heads=heads, head_dim=head_dim, hidden=heads * head_dim,
            feed_forward=size["feed_forward"], causal=False, key_value_heads=heads,
        )  # fmt: skip
        return synthetic_attention(shape, name=name, tokens=size["length"], seed=self._seed)

    def export(self, choice: Mapping[str, Any], folder: Path) -> str:
        """Write the sizes as a Hugging Face config.json; return it with its options."""
        size = self._fixed | dict(choice)
        written = {
            "model_type": "bert",
            "num_hidden_layers": size["layers"],
            "num_attention_heads": size["heads"],
            "hidden_size": size["heads"] * size["head_dim"],
            "intermediate_size": size["feed_forward"],
        }
        path = folder / CHOSEN_MODEL
        try:
            path.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}, need a file that can be written") from error
        return f"{path}:length={size['length']},seed={self._seed}"


class WorkloadProblem(Problem):
    """What to run on a machine for sparse products or attention.

    Parameters
    ----------
    workload : SearchedWorkload
    searched : SearchedMachine
    oracle : AttentionOracle or None
        What is known of the model's accuracy.
    over : str
        ``worst`` or ``mean``, over workloads and corners.
    """

    def __init__(
        self,
        workload: SearchedWorkload,
        searched: SearchedMachine,
        *,
        oracle: AttentionOracle | None = None,
        over: str = WORST,
    ) -> None:
        self._workload, self.searched, self._oracle, self.over = workload, searched, oracle, over
        self.provenance = oracle.provenance if oracle else ""
        self.content = workload.content if oracle is None else hash_of(workload.content, oracle.content)
        knobs: dict[str, Knob] = {f"{WORKLOAD}{name}": element for name, element in workload.knobs.items()}
        knobs |= {f"{MACHINE}{name}": element for name, element in searched.knobs.items()}
        conditions = {
            f"{WORKLOAD}{name}": replace(condition, knob=f"{WORKLOAD}{condition.knob}")
            for name, condition in workload.conditions.items()
        }
        self.space = Space(knobs, conditions)
        self.situation_names = searched.situation_names(workload.titles)
        self._opened: dict[str, Any] = {}
        self._plans: dict[tuple[object, ...], Any] = {}

    @cached_property
    def quantities(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of what every outcome that can be had has; known of the kind of machine."""
        has_quality = isinstance(self.searched.machine, AttentionMachine) and self._workload.has_values
        reported = tuple(
            name
            for name, quantity in QUANTITIES.items()
            if quantity.read and (quantity.of_every_machine or has_quality)
        )
        return (*reported, *(self._oracle.quantities if self._oracle else ()))

    def situations(self, genome: Sequence[float] | Genomes) -> list[tuple[Any, Any]]:
        """Return the machine at every corner with every workload of a candidate."""
        candidate = self.space.candidate(genome)
        configs = self.searched.configs(candidate)
        choice = self._choice(candidate)
        opened = [self._open(name, choice) for name in self._workload.names(choice)]
        return [(config, workload) for workload in opened for config in configs]

    def workload(self, genome: Sequence[float] | Genomes, folder: Path) -> str:
        """Return the name of a candidate's first workload, or write what it is generated from."""
        choice = self._choice(self.space.candidate(genome))
        return self._workload.export(choice, folder)

    def evaluate(self, genomes: Genomes) -> list[Outcome]:
        """Evaluate candidates one after another."""
        return [self._evaluate(genome, slice(None)) for genome in genomes]

    def evaluate_in(self, genomes: Genomes, situation: int) -> list[Outcome]:
        """Evaluate candidates one after another, on one workload at one corner."""
        return [self._evaluate(genome, slice(situation, situation + 1)) for genome in genomes]

    def _evaluate(self, genome: Genomes, chosen: slice) -> Outcome:
        try:
            situations = self.situations(genome)[chosen]
            reports = [self._run(config, workload) for config, workload in situations]
        except (ConfigError, WorkloadError) as error:
            return unbuildable(error)
        found = [read_quantities(report, self.quantities) for report in reports]
        if self._oracle is not None:
            configs, names = self._asked(genome)
            for quantities, answer in zip(found, self._oracle.ask(configs[chosen], names[chosen]), strict=True):
                if isinstance(answer, str):
                    return Outcome({}, answer)
                quantities |= answer
        return Outcome(self.combined(found))

    def _asked(self, genome: Genomes) -> tuple[list[Any], list[str]]:
        """Return the machine and the name of the workload of every situation of a candidate."""
        candidate = self.space.candidate(genome)
        pairs = [
            (config, name)
            for name in self._workload.names(self._choice(candidate))
            for config in self.searched.configs(candidate)
        ]
        return [config for config, _ in pairs], [name for _, name in pairs]

    @staticmethod
    def _choice(candidate: Candidate) -> dict[str, Any]:
        return {name.removeprefix(WORKLOAD): value for name, value in candidate.items() if name.startswith(WORKLOAD)}

    def _open(self, name: str, choice: Mapping[str, Any]) -> Any:
        opened = self._opened.get(name)
        if opened is None:
            if len(self._opened) >= MOST_OPENED:
                self._opened.clear()
            opened = self._opened.setdefault(name, self._workload.open(name, choice))
        return opened

    def _run(self, config: Any, workload: Any) -> Any:
        """Run one situation; SpArch's plans, and what they merge, are kept for machines that differ elsewhere."""
        from importlib import import_module

        searched = self.searched
        if searched.machine.name != "sparch" or searched.fidelity == "sample":
            return searched.machine.run(config, workload, searched.fidelity).report
        accel, mapper = import_module("accel.sparch"), import_module("mappers.sparch")
        decides = (config.merge_layers, config.pipelined_merge, config.condensing, config.huffman)
        key = (id(workload), *decides)  # a plan holds its workload, so no other gets the number
        if key not in self._plans:
            self._plans[key] = mapper.best_plan(config, workload)
        return getattr(accel, searched.fidelity)(config, self._plans[key])
