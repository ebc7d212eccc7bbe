"""What layers cost on a machine, each distinct one computed once: what makes a search of networks fast.

Layers run one after another, so a network's counts are the sums of its layers'. Candidates of a search share most of
their layers and machines with earlier ones; a layer on a machine that was seen before is looked up.
"""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from accel.report import LawError, Report
from searchers.machines import Machine
from searchers.problems.problem import known_quantities
from searchers.quantities import QUANTITIES
from workloads.errors import ConfigError
from workloads.layers import IntArray, LayerTable
from workloads.units import OPERATIONS_PER_MAC

Floats = npt.NDArray[np.float64]
MOST_REMEMBERED = 400_000  # layers; beyond, all are forgotten and computed again


class LayerCosts(ABC):
    """Costs of layers on machines, remembered.

    Counts are kept as float64, in which whole numbers below 2**53 and their sums are exact.

    Attributes
    ----------
    quantities : tuple of str
        What ``totals`` returns.
    """

    quantities: tuple[str, ...]
    columns: int

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[bytes, int] = {}
        self._costs: Floats = np.empty((1024, self.columns))
        self._kept = 0
        self._machines: dict[Any, int] = {}
        self._machine_keys: list[Any] = []
        self._configs: list[Any] = []

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}  # a lock is this process's own

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())

    def machine(self, config: Any) -> int:
        """Return the number of a machine.

        Raises
        ------
        ConfigError
            If a part of it cannot be built.
        """
        key = self._machine_key(config)
        with self._lock:
            if key not in self._machines:
                self._machines[key] = len(self._configs)
                self._machine_keys.append(key)
                self._configs.append(config)
            return self._machines[key]

    def of_layers(self, rows: IntArray, machine_of: IntArray) -> Floats:
        """Return the costs of layers.

        Parameters
        ----------
        rows : ndarray of int64, shape (n, 16)
            As ``LayerTable.values``.
        machine_of : ndarray of int64, shape (n,)
            Numbers of their machines.

        Returns
        -------
        ndarray, shape (n, columns)
            Not a number where the machine cannot run the layer.
        """
        wide = np.concatenate([rows, machine_of[:, None]], axis=1)
        keys: list[bytes] = wide.view(f"S{wide.itemsize * wide.shape[1]}").ravel().tolist()
        with self._lock:
            known = self._places
            found = np.array([known.get(key, -1) for key in keys])
            result: Floats = self._costs[found]
        unknown = np.flatnonzero(found < 0)
        if unknown.size:
            fresh: dict[bytes, int] = {}
            which = [fresh.setdefault(keys[place], len(fresh)) for place in unknown.tolist()]
            _, first = np.unique(which, return_index=True)
            computed = self._compute(rows[unknown[first]], machine_of[unknown[first]])
            result[unknown] = computed[which]
            with self._lock:
                self._keep(list(fresh), computed)
        return result

    def _keep(self, keys: list[bytes], computed: Floats) -> None:
        """Remember costs. What two threads computed at once has one result, and either copy will do."""
        if self._kept + len(keys) > MOST_REMEMBERED:
            self._places.clear()
            self._kept = 0
        first, self._kept = self._kept, self._kept + len(keys)
        while len(self._costs) < self._kept:
            self._costs = np.concatenate([self._costs, np.empty_like(self._costs)])
        self._costs[first : self._kept] = computed
        self._places.update(zip(keys, range(first, self._kept), strict=True))

    @abstractmethod
    def _machine_key(self, config: Any) -> Any:
        """Return what decides the layers' costs on a machine; raise ConfigError where it cannot be built."""

    @abstractmethod
    def _compute(self, rows: IntArray, machine_of: IntArray) -> Floats:
        """Return the costs of layers, not remembered."""

    @abstractmethod
    def totals(self, config: Any, costs: Floats) -> dict[str, float]:
        """Return a network's quantities from the sums of its layers' costs, shape (columns,)."""

    @abstractmethod
    def refusal(self, config: Any, table: LayerTable) -> ConfigError:
        """Say why a machine cannot run a network."""


class BitFusionCosts(LayerCosts):
    """BitFusion's counters of every layer under its best mapping, without plans and reports in between."""

    # Counters in the order of ``bitfusion.kernels.COUNTERS``, then what ``kernels.lower_bounds`` returns.
    columns = 15

    def __init__(self) -> None:
        super().__init__()
        self.quantities = tuple(name for name, quantity in QUANTITIES.items() if quantity.of_every_machine)

    def _machine_key(self, config: Any) -> tuple[bytes, bytes, int]:
        from accel.bitfusion.config import costs
        from mappers.bitfusion.search import space_of

        if config.model != "published":
            raise ConfigError("candidate", "model", config.model, "published: searches count by the closed form")
        return config.machine_row().tobytes(), costs(config).unit_pj.tobytes(), space_of(config)

    def _compute(self, rows: IntArray, machine_of: IntArray) -> Floats:
        from accel.bitfusion import kernels
        from accel.bitfusion.model import MACHINE
        from mappers.bitfusion.search import map_layers

        LayerTable("candidates", ("",) * len(rows), rows).check_widths(kernels.WIDEST_BITS, MACHINE)
        numbers, machine_of = np.unique(machine_of, return_inverse=True)
        rows_of, prices_of, space = zip(*(self._machine_keys[number] for number in numbers.tolist()), strict=True)
        machines = np.array([np.frombuffer(row, np.int64) for row in rows_of])
        unit_pj = np.array([np.frombuffer(prices) for prices in prices_of])
        mappings, status = map_layers(rows, machines, machine_of, unit_pj, np.array(space, np.int64))
        laid = np.flatnonzero(status == 0)
        counters = np.zeros((len(laid), len(kernels.COUNTERS)), np.int64)
        bounds = np.zeros((len(laid), self.columns - len(kernels.COUNTERS)), np.int64)
        of_laid = rows[laid], machines, machine_of[laid]
        kernels.network_cost(*of_laid, mappings[laid], counters)
        kernels.lower_bounds(*of_laid, counters, bounds)
        cycles = counters[:, kernels.COMPUTE] + counters[:, kernels.STALL]
        if (counters < 0).any() or (cycles[:, None] < bounds[:, 1:3]).any():
            raise LawError("bitfusion: a count is negative, or cycles beat a bound")
        computed = np.full((len(rows), self.columns), np.nan)
        computed[laid] = np.concatenate([counters, bounds], axis=1)
        return computed

    def totals(self, config: Any, costs: Floats) -> dict[str, float]:
        """Return a network's quantities, each computed as a report computes it."""
        from accel.bitfusion import kernels
        from accel.bitfusion.config import costs as price
        from accel.bitfusion.model import ENERGY_COMPONENTS

        priced = price(config)
        count, unit_pj = costs.tolist(), priced.unit_pj.tolist()
        cycles = count[kernels.COMPUTE] + count[kernels.STALL]
        macs, _, _, read, written = count[len(kernels.COUNTERS) :]
        energy = math.fsum(
            sum(count[counter] * unit_pj[counter] for counter in parts) for parts in ENERGY_COMPONENTS.values()
        )
        seconds = cycles / config.clock_hz
        operations = OPERATIONS_PER_MAC * macs
        return {
            "seconds": seconds,
            "cycles": cycles,
            "energy_pj": energy,
            "edp": energy * 1e-12 * seconds,
            "area_mm2": math.fsum(priced.area_mm2.values()),
            "dram_bytes": read + written,
            "operations": operations,
            "gops": operations / seconds / 1e9,
        }

    def refusal(self, config: Any, table: LayerTable) -> ConfigError:
        """Say which buffer is too small for which layer."""
        from mappers.bitfusion import search

        (plan,), _ = search([config], [table])
        if isinstance(plan, ConfigError):
            return plan
        raise AssertionError(f"{table.name} was refused and can be laid")


class ReportedCosts(LayerCosts):
    """Costs read from the reports of any machine whose layers run one after another."""

    columns = 4  # cycles, operations, DRAM bytes, energy [pJ]

    def __init__(self, machine: Machine, fidelity: str, probe: tuple[Any, LayerTable]) -> None:
        super().__init__()
        self._machine, self._fidelity = machine, fidelity
        try:
            self.quantities = known_quantities(self._run(*probe))
        except ConfigError:  # the base need not be able to run it, as long as candidates are
            self.quantities = tuple(name for name, quantity in QUANTITIES.items() if quantity.of_every_machine)
        self._areas: dict[Any, float] = {}

    def _run(self, config: Any, table: LayerTable) -> Report:
        return self._machine.run(config, table, self._fidelity).report

    def _machine_key(self, config: Any) -> Any:
        return config

    def _compute(self, rows: IntArray, machine_of: IntArray) -> Floats:
        computed = np.full((len(rows), self.columns), np.nan)
        for number in np.unique(machine_of):
            here = np.flatnonzero(machine_of == number)
            try:
                computed[here] = self._of_table(number, rows[here])
            except ConfigError:  # of some layer; the others may be able to run
                for place in here:
                    try:
                        computed[place] = self._of_table(number, rows[place : place + 1])
                    except ConfigError:
                        continue
        return computed

    def _of_table(self, number: int, rows: IntArray) -> Floats:
        names = tuple(f"layer{index}" for index in range(len(rows)))
        report = self._run(self._configs[number], LayerTable("candidates", names, rows))
        self._areas[self._configs[number]] = report.total_area_mm2
        parts = [
            (layer.cycles, layer.operations, layer.total_dram_bytes, layer.total_energy_pj)
            for layer in report.layers or (report,)
        ]
        return np.array(parts, dtype=float)

    def totals(self, config: Any, costs: Floats) -> dict[str, float]:
        """Return a network's quantities."""
        cycles, operations, dram_bytes, energy = costs.tolist()
        seconds = cycles / config.clock_hz
        known = {
            "seconds": seconds,
            "cycles": cycles,
            "energy_pj": energy,
            "edp": energy * 1e-12 * seconds,
            "area_mm2": self._areas[self._configs[self.machine(config)]],
            "dram_bytes": dram_bytes,
            "operations": operations,
            "gops": operations / seconds / 1e9,
        }
        return {name: known[name] for name in self.quantities}

    def refusal(self, config: Any, table: LayerTable) -> ConfigError:
        """Say what the machine says of a network it cannot run."""
        try:
            self._run(config, table)
        except ConfigError as error:
            return error
        raise AssertionError(f"{table.name} was refused and can be run")


def make_costs(machine: Machine, fidelity: str, probe: tuple[Any, LayerTable]) -> LayerCosts:
    """Return the costs of a machine's layers: BitFusion has its own way, all others have reports."""
    if (machine.name, fidelity) == ("bitfusion", "estimate"):
        return BitFusionCosts()
    return ReportedCosts(machine, fidelity, probe)
