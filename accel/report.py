"""What every machine answers: one report type that checks its own laws.

A report that breaks a law is never returned; constructing it raises.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


class LawError(AssertionError):
    """A model contradicted itself. This is a defect of Sextant, not of its input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Outcome of running a workload, or one layer of it, on a machine.

    Attributes
    ----------
    machine, name : str
        Machine and workload (or layer).
    fidelity : str
        ``simulate`` (cycle level, computes the result) or ``estimate`` (closed form); ``mixed`` if some layers are the
        one and some the other.
    cycles : int
        Clock cycles from first to last.
    clock_hz : float
    operations : int
        One multiply-accumulate counts as 2.
    compute_bound_cycles, bandwidth_bound_cycles : int
        Fewest cycles the arithmetic alone, or the DRAM traffic alone, could take; ``cycles`` is at least both.
    dram_bytes : dict of str to int
        Bytes by stream.
    cycle_stack : dict of str to int
        Every cycle attributed to one cause; sums to ``cycles``.
    energy_pj, area_mm2 : dict of str to float
        By component; empty where nothing is known of this machine's.
    counters : dict of str to int
    quality : dict of str to float
        How the computed result compares with the exact one, where the machine may approximate; empty elsewhere.
    cycles_error_band : tuple of float, or None
        Where the cycles are not exact: how far, as measured, they lie from those of ``simulate`` (lowest, highest;
        0.1 = 10 % too many).
    layers : tuple of Report
        Parts run one after another whose counts add up to this report's; empty when there are none.
    result : object
        What the machine computed, or None for a closed form.

    Raises
    ------
    LawError
        If a count is negative, the cycle stack or the layers do not add up, or a bound is beaten.
    """

    machine: str
    name: str
    fidelity: str
    cycles: int
    clock_hz: float
    operations: int
    compute_bound_cycles: int
    bandwidth_bound_cycles: int
    dram_bytes: Mapping[str, int]
    cycle_stack: Mapping[str, int]
    energy_pj: Mapping[str, float]
    area_mm2: Mapping[str, float]
    counters: Mapping[str, int]
    quality: Mapping[str, float] = field(default_factory=dict)
    cycles_error_band: tuple[float, float] | None = None
    layers: tuple[Report, ...] = ()
    result: Any = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for counts in (self.dram_bytes, self.cycle_stack, self.energy_pj, self.area_mm2, self.counters):
            for name, count in counts.items():
                self._law(0 <= count < math.inf, f"{name} = {count} is not a count")
        for name, value in self.quality.items():
            self._law(math.isfinite(value), f"{name} = {value} is not a number")
        for name in ("operations", "compute_bound_cycles", "bandwidth_bound_cycles"):
            self._law(getattr(self, name) >= 0, f"{name} = {getattr(self, name)} is not a count")
        self._law(self.cycles > 0 and self.clock_hz > 0, f"{self.cycles} cycles at {self.clock_hz} Hz")
        stacked = sum(self.cycle_stack.values())
        self._law(stacked == self.cycles, f"the cycle stack sums to {stacked}, not {self.cycles}")
        for bound in (self.compute_bound_cycles, self.bandwidth_bound_cycles):
            self._law(self.cycles >= bound, f"{self.cycles} cycles beat the bound of {bound}")
        if self.layers:
            self._check_layers()

    def _check_layers(self) -> None:
        for quantity in ("cycles", "operations"):
            total = sum(getattr(layer, quantity) for layer in self.layers)
            self._law(total == getattr(self, quantity), f"the layers' {quantity} sum to {total}")
        for quantity in ("dram_bytes", "cycle_stack", "counters"):
            self._law(added(getattr(layer, quantity) for layer in self.layers) == getattr(self, quantity),
                      f"the layers' {quantity} do not add up")  # fmt: skip
        for layer in self.layers:
            self._law(layer.clock_hz == self.clock_hz, f"layer {layer.name} has another clock")
            self._law(layer.energy_pj.keys() == self.energy_pj.keys(), f"layer {layer.name} has other components")
        for component, energy in self.energy_pj.items():
            parts = math.fsum(layer.energy_pj[component] for layer in self.layers)
            self._law(math.isclose(parts, energy, rel_tol=1e-9), f"the layers' {component} energy does not add up")

    def _law(self, holds: bool, what: str) -> None:
        if not holds:
            raise LawError(f"{self.machine}, {self.name}: {what}")

    @classmethod
    def of_layers(
        cls, layers: tuple[Report, ...], *, name: str, quality: Mapping[str, float] | None = None, result: Any = None
    ) -> Report:
        """Add up layers run one after another; area is the machine's own, and quality does not add up."""
        first = layers[0]
        return cls(
            machine=first.machine,
            name=name,
            fidelity=first.fidelity if len({layer.fidelity for layer in layers}) == 1 else "mixed",
            cycles=sum(layer.cycles for layer in layers),
            clock_hz=first.clock_hz,
            operations=sum(layer.operations for layer in layers),
            compute_bound_cycles=sum(layer.compute_bound_cycles for layer in layers),
            bandwidth_bound_cycles=sum(layer.bandwidth_bound_cycles for layer in layers),
            dram_bytes=added(layer.dram_bytes for layer in layers),
            cycle_stack=added(layer.cycle_stack for layer in layers),
            energy_pj={
                component: math.fsum(layer.energy_pj[component] for layer in layers) for component in first.energy_pj
            },
            area_mm2=first.area_mm2,
            counters=added(layer.counters for layer in layers),
            quality=quality or {},
            cycles_error_band=first.cycles_error_band,
            layers=layers,
            result=result,
        )

    @property
    def seconds(self) -> float:
        """Time from first to last cycle [s]."""
        return self.cycles / self.clock_hz

    @property
    def gops(self) -> float:
        """Achieved rate [10^9 operations per second]."""
        return self.operations / self.seconds / 1e9

    @property
    def total_dram_bytes(self) -> int:
        """Bytes of all streams."""
        return sum(self.dram_bytes.values())

    @property
    def total_energy_pj(self) -> float:
        """Energy of all components [pJ]; not a number where it is not known."""
        return math.fsum(self.energy_pj.values()) if self.energy_pj else math.nan

    @property
    def total_area_mm2(self) -> float:
        """Area of all components [mm2]; not a number where it is not known."""
        return math.fsum(self.area_mm2.values()) if self.area_mm2 else math.nan

    @property
    def bandwidth_utilisation(self) -> float:
        """Share of the cycles the DRAM interface must be busy, 0..1."""
        return self.bandwidth_bound_cycles / self.cycles

    @property
    def intensity(self) -> float:
        """Operations per DRAM byte; infinite without traffic."""
        return self.operations / self.total_dram_bytes if self.total_dram_bytes else math.inf

    @property
    def edp(self) -> float:
        """Energy-delay product [J s]."""
        return self.total_energy_pj * 1e-12 * self.seconds

    def as_dict(self) -> dict[str, Any]:
        """Return the fields under the names of ``--json``; traffic, energy and area with a ``total``.

        What is not known has a ``total`` of None.
        """
        return {
            "machine": self.machine,
            "name": self.name,
            "fidelity": self.fidelity,
            "cycles": self.cycles,
            "clock_hz": self.clock_hz,
            "seconds": self.seconds,
            "operations": self.operations,
            "gops": self.gops,
            "compute_bound_cycles": self.compute_bound_cycles,
            "bandwidth_bound_cycles": self.bandwidth_bound_cycles,
            "dram_bytes": {**self.dram_bytes, "total": self.total_dram_bytes},
            "cycle_stack": dict(self.cycle_stack),
            "energy_pj": {**self.energy_pj, "total": self.total_energy_pj if self.energy_pj else None},
            "area_mm2": {**self.area_mm2, "total": self.total_area_mm2 if self.area_mm2 else None},
            "counters": dict(self.counters),
            "quality": dict(self.quality),
            "cycles_error_band": self.cycles_error_band,
            "layers": [layer.as_dict() for layer in self.layers],
        }


def added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add counts by name."""
    total: dict[str, int] = {}
    for part in counts:
        for name, count in part.items():
            total[name] = total.get(name, 0) + count
    return total
