"""The joint design problem: network, operand widths and machine in one genome, evaluated in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from accel import bitfusion
from accel.bitfusion.config import costs
from accel.config import configure
from accel.report import Report
from mappers.bitfusion import best_plan, search
from searchers.networks import SearchedNetwork
from searchers.oracles.quantization_noise import quantization_noise_db
from searchers.outcome import Outcome as Outcome
from searchers.quantities import NOISE, QUANTITIES
from searchers.space import Candidate, Condition, Element, Genomes, Knob, Space, Vector
from workloads.errors import ConfigError
from workloads.layers import LayerTable

ACT_BITS, WGT_BITS = "bits.activations", "bits.weights"


class Problem:
    """What candidates are, and what they cost.

    Parameters
    ----------
    network : SearchedNetwork
    bits : mapping of str to Element
        ``activations`` and ``weights``, each used once per layer; empty to keep the network's own.
    machine : Config
        The base of every candidate's machine.
    machine_knobs : mapping of str to Element
        Fields of the configuration to choose.
    """

    def __init__(
        self,
        network: SearchedNetwork,
        bits: Mapping[str, Element],
        machine: bitfusion.Config,
        machine_knobs: Mapping[str, Element],
    ) -> None:
        self._network, self._machine = network, machine
        self.content = network.content
        knobs: dict[str, Knob] = {f"network.{name}": knob for name, knob in network.knobs.items()}
        conditions = {f"network.{name}": _in_network(condition) for name, condition in network.conditions.items()}
        for name, element in bits.items():
            knobs[f"bits.{name}"] = Vector(element, len(network.slots))
            if network.slot_condition is not None:
                conditions[f"bits.{name}"] = _in_network(network.slot_condition)
        knobs |= {f"machine.{name}": knob for name, knob in machine_knobs.items()}
        self.space = Space(knobs, conditions)

    def build(self, genome: Sequence[float] | Genomes) -> tuple[bitfusion.Config, LayerTable]:
        """Return the machine and the quantized layers of a candidate.

        Raises
        ------
        ConfigError
            If the machine cannot be built.
        """
        candidate = self.space.candidate(genome)
        parts = {name: value for name, value in candidate.items() if name.startswith("machine.")}
        fields = {name.removeprefix("machine."): value for name, value in parts.items()}
        config = configure(self._machine, fields, "candidate")
        costs(config)
        table, slots = self._network.build(
            {name.removeprefix("network."): value for name, value in candidate.items() if name.startswith("network.")}
        )
        widths = [np.asarray(candidate[name])[slots] for name in (ACT_BITS, WGT_BITS) if name in candidate]
        return config, table.with_bits(*widths) if widths else table

    def evaluate(self, genomes: Genomes) -> list[Outcome]:
        """Evaluate candidates: best mapping of every layer, totals of every network.

        Parameters
        ----------
        genomes : ndarray, shape (n, genes)
        """
        outcomes: list[Outcome] = [Outcome({})] * len(genomes)
        built: list[tuple[int, bitfusion.Config, LayerTable]] = []
        for index, genome in enumerate(genomes):
            try:
                built.append((index, *self.build(genome)))
            except ConfigError as error:
                outcomes[index] = Outcome({}, str(error))
        if not built:
            return outcomes
        plans, _ = search([config for _, config, _ in built], [table for _, _, table in built])
        laid: list[tuple[int, bitfusion.Config, bitfusion.Plan]] = []
        for (index, config, _), plan in zip(built, plans, strict=True):
            if isinstance(plan, ConfigError):
                outcomes[index] = Outcome({}, str(plan))
            else:
                laid.append((index, config, plan))
        if laid:
            reports = bitfusion.estimate_batch([config for _, config, _ in laid], [plan for _, _, plan in laid])
            for (index, _, plan), report in zip(laid, reports, strict=True):
                outcomes[index] = Outcome(self._quantities(plan.table, report))
        return outcomes

    def report(self, genome: Sequence[float] | Genomes) -> Report:
        """Return the full report of one candidate, layer by layer."""
        config, table = self.build(genome)
        return bitfusion.estimate(config, best_plan(config, table))

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

    def _quantities(self, table: LayerTable, report: Report) -> dict[str, float]:
        quantities = {name: quantity.read(report) for name, quantity in QUANTITIES.items() if quantity.read}
        quantities[NOISE] = quantization_noise_db(table, self._network.largest_macs)
        return quantities


def _in_network(condition: Condition) -> Condition:
    return replace(condition, knob=f"network.{condition.knob}")
