"""Networks, their operand widths and a machine that runs them layer by layer: one genome, evaluated in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from searchers.oracles.accuracy import Policy, Subject
from searchers.oracles.quantization_noise import noises_db
from searchers.problems.accuracy import NetworkOracle
from searchers.problems.layer_costs import make_costs
from searchers.problems.networks import SearchedNetwork, Used
from searchers.problems.problem import MACHINE, WORST, Outcome, Problem, SearchedMachine, hash_of, unbuildable
from searchers.quantities import NOISE
from searchers.space import Condition, Element, Genomes, Knob, Space, Vector, gene_count
from workloads.errors import ConfigError, OutputError
from workloads.layer_csv import write_layers
from workloads.layers import ACT_BITS, WGT_BITS, IntArray, LayerTable

WIDTHS = {"bits.activations": ACT_BITS, "bits.weights": WGT_BITS}
NETWORK = "network."
CHOSEN_LAYERS = "chosen_layers.csv"


@dataclass(frozen=True, slots=True)
class Built:
    """The machine of a candidate at every corner, and its number among the machines of the layers' costs."""

    configs: tuple[Any, ...]
    numbers: tuple[int, ...]


class LayerProblem(Problem):
    """What to run on a machine for networks.

    Parameters
    ----------
    network : SearchedNetwork
    bits : mapping of str to Element
        ``activations`` and ``weights``, each used once per layer; empty to keep the network's own.
    searched : SearchedMachine
    per_block : bool
        Choose widths once for each block, whose layers share them, instead of for every layer. Layers outside the
        blocks keep their own, or have ``end_bits``.
    end_bits : int or None
        Widths of each network's first and last layer, whatever is chosen for them.
    oracle : NetworkOracle or None
        What is known of the networks' accuracy.
    over : str
        ``worst`` or ``mean``, over networks and corners.
    """

    def __init__(
        self,
        network: SearchedNetwork,
        bits: Mapping[str, Element],
        searched: SearchedMachine,
        *,
        per_block: bool = False,
        end_bits: int | None = None,
        oracle: NetworkOracle | None = None,
        over: str = WORST,
    ) -> None:
        self._network, self.searched, self._end_bits, self.over = network, searched, end_bits, over
        self._oracle = oracle
        self.provenance = oracle.provenance if oracle else ""
        self.content = network.content if oracle is None else hash_of(network.content, oracle.content)
        knobs: dict[str, Knob] = {f"{NETWORK}{name}": knob for name, knob in network.knobs.items()}
        conditions = {f"{NETWORK}{name}": _in_network(condition) for name, condition in network.conditions.items()}
        # Which gene decides a slot's widths, -1 where none does.
        self._width_of = network.block_of if per_block else np.arange(len(network.slots))
        decided = [int(np.flatnonzero(self._width_of == gene)[0]) for gene in range(self._width_of.max() + 1)]
        self._ends = self._outside_choice(per_block)
        for name, element in bits.items():
            knobs[f"bits.{name}"] = Vector(element, len(decided))
            if network.slot_condition is not None:
                conditions[f"bits.{name}"] = _of_slots(network.slot_condition, decided)
        knobs |= {f"{MACHINE}{name}": knob for name, knob in searched.knobs.items()}
        self.space = Space(knobs, conditions)
        self._bit_values = {name: self.space.options(name) for name in WIDTHS if name in knobs}
        self._machine_knobs = [name for name in knobs if name.startswith(MACHINE)]
        first = len(self.space) - sum(gene_count(knobs[name]) for name in self._machine_knobs)
        self._machine_genes = slice(first, len(self.space))  # knobs of the machine are declared last
        self._built: dict[bytes, Built | ConfigError] = {}
        rows, used = self._rows(np.zeros((1, len(self.space))))
        self._costs = make_costs(searched.machine, searched.fidelity, (searched.base, self._table(rows[0], used[0], 0)))
        self.situation_names = searched.situation_names(network.names)
        self.quantities = (*self._costs.quantities, NOISE, *(oracle.quantities if oracle else ()))

    def situations(self, genome: Sequence[float] | Genomes) -> list[tuple[Any, LayerTable]]:
        """Return the machine at every corner with every network of a candidate."""
        genomes = np.asarray(genome, dtype=float)[None]
        configs = self.searched.configs(self.space.candidate(genomes[0]))
        for config in configs:
            self._costs.machine(config)  # says what of it cannot be built
        rows, used = self._rows(genomes)
        tables = [self._table(rows[0], used[0], place) for place in range(len(self._network.names))]
        return [(config, table) for table in tables for config in configs]

    def workload(self, genome: Sequence[float] | Genomes, folder: Path) -> str:
        """Write the layers of a candidate's first network; return the file."""
        _, table = self.situations(genome)[0]
        path = folder / CHOSEN_LAYERS
        try:
            write_layers(table, path)
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}, need a file that can be written") from error
        return str(path)

    def evaluate(self, genomes: Genomes) -> list[Outcome]:
        """Evaluate candidates: best mapping of every layer, totals of every network."""
        return self._evaluate(genomes, range(len(self.situation_names)))

    def evaluate_in(self, genomes: Genomes, situation: int) -> list[Outcome]:
        """Evaluate candidates on one network at one corner."""
        return self._evaluate(genomes, (situation,))

    def _evaluate(self, genomes: Genomes, situations: Sequence[int]) -> list[Outcome]:
        outcomes: list[Outcome] = [Outcome({})] * len(genomes)
        machines: list[Built] = []
        buildable: list[int] = []
        for index, genome in enumerate(genomes):
            built = self._machine(genome)
            if isinstance(built, ConfigError):
                outcomes[index] = unbuildable(built)
            else:
                buildable.append(index)
                machines.append(built)
        if not buildable:
            return outcomes
        rows, used = self._rows(genomes[buildable])
        found: list[list[dict[str, float]]] = [[] for _ in buildable]
        refused: dict[int, ConfigError] = {}
        corners = len(self.searched.corners)
        for place in range(len(self._network.names)):
            here = [situation % corners for situation in situations if situation // corners == place]
            if here:
                self._run_network(place, here, rows, used, machines, found, refused)
        for position, index in enumerate(buildable):
            if position in refused:
                outcomes[index] = unbuildable(refused[position])
            else:
                outcomes[index] = Outcome(self.combined(found[position]))
        if self._oracle is not None:
            self._ask_oracle(genomes, rows, used, buildable, outcomes)
        return outcomes

    def _run_network(
        self,
        place: int,
        corners: Sequence[int],
        rows: IntArray,
        used: Used,
        machines: Sequence[Built],
        found: list[list[dict[str, float]]],
        refused: dict[int, ConfigError],
    ) -> None:
        """Add the quantities of one network of every candidate, at some corners; say which machines refuse it."""
        here = self._network.network_of == place
        within = used[:, here]
        layers = rows[:, here][within]
        counts = within.sum(axis=1)
        ends = np.cumsum(counts)
        noises = noises_db(layers, LayerTable("", (), layers).macs, counts, self._network.largest_macs[place])
        for corner in corners:
            machine_of = np.repeat([built.numbers[corner] for built in machines], counts)
            sums = np.add.reduceat(self._costs.of_layers(layers, machine_of), ends - counts)
            for position, (built, total) in enumerate(zip(machines, sums, strict=True)):
                if np.isnan(total[0]):
                    table = self._table(rows[position], used[position], place)
                    refused.setdefault(position, self._costs.refusal(built.configs[corner], table))
                else:
                    quantities = self._costs.totals(built.configs[corner], total)
                    found[position].append(quantities | {NOISE: noises[position]})

    def _ask_oracle(
        self, genomes: Genomes, rows: IntArray, used: Used, buildable: Sequence[int], outcomes: list[Outcome]
    ) -> None:
        """Add what the oracle knows; where it refuses, the candidate has no outcome but a reason."""
        assert self._oracle is not None
        asked = [position for position, index in enumerate(buildable) if outcomes[index].quantities]
        tables = [self._table(rows[position], used[position], 0) for position in asked]
        candidates = [self.space.candidate(genomes[buildable[position]]) for position in asked]
        for position, answer in zip(asked, self._oracle.ask(candidates, tables), strict=True):
            index = buildable[position]
            if isinstance(answer, str):
                outcomes[index] = Outcome({}, answer)
            else:
                outcomes[index] = Outcome(outcomes[index].quantities | answer)

    @property
    def oracle_name(self) -> str:
        """What knows the accuracy; empty where nothing does."""
        return self._oracle.content[0] if self._oracle else ""

    def subject(self, genome: Sequence[float] | Genomes) -> tuple[Subject, Policy] | None:
        """Return a candidate's network as an oracle is asked about it; None without an oracle."""
        if self._oracle is None:
            return None
        rows, used = self._rows(np.asarray(genome, dtype=float)[None])
        return self._oracle.question(self.space.candidate(genome), self._table(rows[0], used[0], 0))

    def _machine(self, genome: Genomes) -> Built | ConfigError:
        """Return a candidate's machine, built once for every choice of its knobs."""
        genes = genome[self._machine_genes]
        key = genes.tobytes()
        if key not in self._built:
            chosen = {name: self.space.value(genome, name) for name in self._machine_knobs}
            try:
                configs = self.searched.configs(chosen)
                self._built[key] = Built(configs, tuple(self._costs.machine(config) for config in configs))
            except ConfigError as error:
                self._built[key] = error
        return self._built[key]

    def _rows(self, genomes: Genomes) -> tuple[IntArray, Used]:
        """Return the layers of candidates with their widths, shape (n, slots, 15), and which are used."""
        places = {name: self.space.chosen(genomes, f"{NETWORK}{name}") for name in self._network.knobs}
        rows, used = self._network.rows(places, len(genomes))
        if self._bit_values or self._end_bits is not None:
            rows = np.array(rows)
        decided = self._width_of >= 0
        for name, values in self._bit_values.items():
            rows[:, decided, WIDTHS[name]] = values[self.space.chosen(genomes, name)][:, self._width_of[decided]]
        if self._end_bits is not None:
            rows[:, self._ends, ACT_BITS] = rows[:, self._ends, WGT_BITS] = self._end_bits
        return rows, used

    def _outside_choice(self, per_block: bool) -> IntArray:
        """Return the slots that have the widths of ends: first and last layers, and those outside the blocks."""
        starts = np.flatnonzero(np.diff(self._network.network_of, prepend=-1))
        ends = np.concatenate([starts, starts[1:] - 1, [len(self._network.slots) - 1]])
        return np.union1d(ends, np.flatnonzero(self._width_of < 0)) if per_block else np.unique(ends)

    def _table(self, rows: IntArray, used: Used, place: int) -> LayerTable:
        """Return the layers of one network of a candidate."""
        slots = np.flatnonzero(used & (self._network.network_of == place))
        values = rows[slots]
        values.setflags(write=False)
        return LayerTable(self._network.names[place], tuple(self._network.slots[slot] for slot in slots), values)


def _of_slots(condition: Condition, slots: Sequence[int]) -> Condition:
    """Return when some slots are used, in a candidate's names."""
    places = tuple(condition.places[slot] for slot in slots)
    return _in_network(replace(condition, places=places, accepted=tuple(condition.accepted[slot] for slot in slots)))


def _in_network(condition: Condition) -> Condition:
    return replace(condition, knob=f"{NETWORK}{condition.knob}")
