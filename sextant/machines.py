"""The machines of the command line: what each is called, and how a workload is run on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from workloads.errors import ConfigError

if TYPE_CHECKING:
    from accel.report import Report
    from accel.roofline import Roofline
    from workloads.layers import LayerTable


@dataclass(frozen=True, slots=True)
class Run:
    """A workload that was run: its report, the machine's bounds, and how each layer was laid."""

    report: Report
    roofline: Roofline
    describe: Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine for layer tables; its packages are imported when it is used.

    Attributes
    ----------
    name : str
        Of the package below ``accel`` and of the module below ``mappers``.
    description : str
        One line for listings.
    fidelities : tuple of str
        ``estimate`` (closed form), ``simulate`` (cycle by cycle, with values); the first is the default.
    """

    name: str
    description: str
    fidelities: tuple[str, ...] = ("estimate",)

    @property
    def presets(self) -> Mapping[str, Any]:
        """Configurations by name."""
        presets: Mapping[str, Any] = import_module(f"accel.{self.name}").PRESETS
        return presets

    def run(self, config: Any, table: LayerTable, fidelity: str) -> Run:
        """Lay layers on the machine and run them at one of its fidelities."""
        accel, mapper = import_module(f"accel.{self.name}"), import_module(f"mappers.{self.name}")
        plan = mapper.best_plan(config, table)
        return Run(getattr(accel, fidelity)(config, plan), accel.roofline(config), plan.describe)


MACHINES: Mapping[str, Machine] = {
    machine.name: machine
    for machine in (
        Machine("bitfusion", "systolic array of bit-composable units (ISCA 2018), closed form with mapping search"),
        Machine("bitserial", "bit-serial matrix multiplier of the BISMO kind: the machine of HAQ's latency table"),
        Machine("systolic", "dense systolic array, os, ws or is: the usual baseline", ("estimate", "simulate")),
    )
}


def find_machine(name: str) -> Machine:
    """Return a machine by name.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in MACHINES:
        raise ConfigError("command line", "machine", name, "one of " + ", ".join(MACHINES))
    return MACHINES[name]
