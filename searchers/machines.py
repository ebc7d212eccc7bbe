"""The machines by name: what each is called, and how a workload is laid and run on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workloads.errors import ConfigError, WorkloadError

if TYPE_CHECKING:
    from accel.report import Report
    from accel.roofline import Roofline
    from workloads.attention.attention import Attention
    from workloads.attention.requests import RequestTable
    from workloads.layers import LayerTable
    from workloads.sparse.product import SparseProduct


@dataclass(frozen=True, slots=True)
class Run:
    """A workload that was run: its report, the machine's bounds, and how it was laid.

    Attributes
    ----------
    report : Report
    roofline : Roofline
    describe : callable
        Says in a few words how a layer, by its index, was laid; for a machine without layers, how all was.
    plan : object
        How it was laid, as the machine's mapper says it.
    """

    report: Report
    roofline: Roofline
    describe: Callable[[int], str]
    plan: Any


@dataclass(frozen=True)
class Machine(ABC):
    """A machine of the command line; its packages are imported when it is used.

    Attributes
    ----------
    name : str
        Of the package below ``accel`` and of the module below ``mappers``.
    description : str
        One line for listings.
    fidelities : tuple of str
        ``estimate`` (closed form), ``simulate`` (cycle by cycle, with values), ``sample`` (a part, cycle by cycle,
        scaled); the first is the default.
    """

    name: str
    description: str
    fidelities: tuple[str, ...] = ("estimate",)

    @property
    def presets(self) -> Mapping[str, Any]:
        """Configurations by name."""
        presets: Mapping[str, Any] = import_module(f"accel.{self.name}").PRESETS
        return presets

    def run(self, config: Any, opened: Any, fidelity: str, share: float | None = None) -> Run:
        """Lay an opened workload on the machine and run it at one of its fidelities; of ``sample``, a share."""
        accel, mapper = import_module(f"accel.{self.name}"), import_module(f"mappers.{self.name}")
        if fidelity == "sample":
            plan = mapper.sample_plan(config, opened, *(() if share is None else (share,)))
        else:
            plan = mapper.best_plan(config, opened)
        return Run(getattr(accel, fidelity)(config, plan), accel.roofline(config), self.describe(plan), plan)

    @abstractmethod
    def open(self, workload: str, workload_b: str | None) -> Any:
        """Return what a path or name, or two, stand for.

        Raises
        ------
        WorkloadError
            If it cannot be opened, or is not for this machine.
        """

    def draw(self, opened: Any, folder: Path) -> list[Path]:
        """Draw an opened workload, if there is something to see; return the pictures."""
        return []

    def draw_plan(self, plan: Any, folder: Path) -> list[Path]:
        """Draw how a workload is laid, if there is something to see; return the pictures."""
        return []

    @abstractmethod
    def describe(self, plan: Any) -> Callable[[int], str]:
        """Return what says how the plan lays a layer."""


class LayerMachine(Machine):
    """A machine that runs networks, layer by layer."""

    def open(self, workload: str, workload_b: str | None) -> LayerTable:
        """Return a layer table."""
        from workloads.source import open_layers

        if workload_b is not None:
            raise WorkloadError("command line", "WORKLOAD_B", workload_b, f"nothing: {self.name} runs one network")
        return open_layers(workload)

    def describe(self, plan: Any) -> Callable[[int], str]:
        """Return what says how a layer is laid."""
        describe: Callable[[int], str] = plan.describe
        return describe


class SparseMachine(Machine):
    """A machine that multiplies two sparse matrices."""

    def open(self, workload: str, workload_b: str | None) -> SparseProduct:
        """Return a product; of a matrix with itself if there is one."""
        from workloads.sparse.catalog import open_sparse

        return open_sparse(workload, workload_b)

    def draw(self, opened: SparseProduct, folder: Path) -> list[Path]:
        """Draw where the left matrix has its elements."""
        from searchers.figures import draw_matrix  # matplotlib is slow to import

        return [draw_matrix(opened, folder)]

    def describe(self, plan: Any) -> Callable[[int], str]:
        """Return what says how the product is laid."""
        return lambda _: str(plan.describe())


class MergingMachine(SparseMachine):
    """A machine that merges partial matrices as a tree."""

    def draw_plan(self, plan: Any, folder: Path) -> list[Path]:
        """Draw the tree, where it is that of a whole product and small enough."""
        from accel.sparch.plan import Plan
        from mappers.sparch import merge_tree
        from searchers.figures import draw_merge_tree  # matplotlib is slow to import

        return draw_merge_tree(merge_tree(plan), plan.product.name, folder) if isinstance(plan, Plan) else []


class AttentionMachine(Machine):
    """A machine that runs attention."""

    def open(self, workload: str, workload_b: str | None) -> Attention | RequestTable:
        """Return a trace, a model's attention, or a table of requests."""
        from workloads.attention.catalog import open_attention

        if workload_b is not None:
            raise WorkloadError("command line", "WORKLOAD_B", workload_b, f"nothing: {self.name} runs one model")
        return open_attention(workload)

    def describe(self, plan: Any) -> Callable[[int], str]:
        """Return what says what a layer keeps."""
        describe: Callable[[int], str] = plan.describe
        return describe


MACHINES: Mapping[str, Machine] = {
    machine.name: machine
    for machine in (
        LayerMachine(
            "bitfusion", "systolic array of bit-composable units (ISCA 2018), closed form with mapping search"
        ),
        LayerMachine("bitserial", "bit-serial matrix multiplier of the BISMO kind: the machine of HAQ's latency table"),
        LayerMachine("systolic", "dense systolic array, os, ws or is: the usual baseline", ("estimate", "simulate")),
        MergingMachine(
            "sparch",
            "sparse products by outer products and a merge tree (HPCA 2020), cycle by cycle",
            ("simulate", "estimate", "sample"),
        ),
        AttentionMachine(
            "spatten",
            "attention with cascade pruning, top-k engine, progressive quantization (HPCA 2021), event by event",
            ("simulate",),
        ),
        SparseMachine("outerspace", "sparse products by outer products in two phases (HPCA 2018), closed form"),
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
