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
    from accel.mapping import SearchEffort
    from accel.report import Report
    from accel.roofline import Roofline
    from workloads.attention.attention import Attention
    from workloads.attention.requests import RequestTable
    from workloads.layers import LayerTable
    from workloads.networks.hat import Translation
    from workloads.sparse.product import SparseProduct


@dataclass(frozen=True, slots=True)
class Run:
    """A workload that was run: its report, the machine's bounds, and how it was laid.

    Attributes
    ----------
    report : Report
    roofline : Roofline or None
        None where a machine has no DRAM to be bound by.
    describe : callable
        Says in a few words how a layer, by its index, was laid; for a machine without layers, how all was.
    plan : object
        How it was laid, as the machine's mapper says it.
    """

    report: Report
    roofline: Roofline | None
    describe: Callable[[int], str]
    plan: Any

    @property
    def effort(self) -> SearchEffort | None:
        """How large the search for the mapping was, where there was one."""
        effort: SearchEffort | None = getattr(self.plan, "effort", None)
        return effort


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
    plan_fields : tuple of str, or None
        The fields of a configuration that a plan for the whole workload depends on, where that is not all: points
        that agree in them may share a plan, and what the machine keeps with it.
    """

    name: str
    description: str
    fidelities: tuple[str, ...] = ("estimate",)
    plan_fields: tuple[str, ...] | None = None

    @property
    def presets(self) -> Mapping[str, Any]:
        """Configurations by name."""
        presets: Mapping[str, Any] = import_module(f"accel.{self.name}").PRESETS
        return presets

    def run(self, config: Any, opened: Any, fidelity: str, share: float | None = None) -> Run:
        """Lay an opened workload on the machine and run it at one of its fidelities; of ``sample``, a share."""
        return self.run_plan(config, self.lay(config, opened, fidelity, share), fidelity)

    def lay(self, config: Any, opened: Any, fidelity: str, share: float | None = None) -> Any:
        """Return a plan of an opened workload for one of the machine's fidelities."""
        mapper = import_module(f"mappers.{self.name}")
        if fidelity == "sample":
            return mapper.sample_plan(config, opened, *(() if share is None else (share,)))
        return mapper.best_plan(config, opened)

    def run_plan(self, config: Any, plan: Any, fidelity: str) -> Run:
        """Run a plan at the fidelity it was made for."""
        accel = import_module(f"accel.{self.name}")
        return Run(getattr(accel, fidelity)(config, plan), accel.roofline(config), self.describe(plan), plan)

    @abstractmethod
    def open(self, workload: str, workload_b: str | None, *, skip_unsupported: bool = False) -> Any:
        """Return what a path or name, or two, stand for; without the operators of a network it cannot run if asked.

        Raises
        ------
        WorkloadError
            If it cannot be opened, or is not for this machine.
        """

    def draw(self, opened: Any, run: Run, folder: Path) -> list[Path]:
        """Draw what is to be seen of an opened workload, of how it was laid, or of how it ran; return the pictures."""
        return []

    @abstractmethod
    def describe(self, plan: Any) -> Callable[[int], str]:
        """Return what says how the plan lays a layer."""


class LayerMachine(Machine):
    """A machine that runs networks, layer by layer."""

    def open(self, workload: str, workload_b: str | None, *, skip_unsupported: bool = False) -> LayerTable:
        """Return a layer table."""
        from workloads.source import open_layers

        if workload_b is not None:
            raise WorkloadError("command line", "WORKLOAD_B", workload_b, f"nothing: {self.name} runs one network")
        return open_layers(workload, skip_unsupported=skip_unsupported)

    def describe(self, plan: Any) -> Callable[[int], str]:
        """Return what says how a layer is laid."""
        describe: Callable[[int], str] = plan.describe
        return describe


class BitFusion(LayerMachine):
    """BitFusion, whose published model and whose simulated machine have best mappings of their own."""

    def lay(self, config: Any, opened: Any, fidelity: str, share: float | None = None) -> Any:
        """Return the plan that is best for what is counted."""
        if fidelity == "simulate" or config.model == "cycle":
            return import_module(f"mappers.{self.name}").best_cycle_plan(config, opened)
        return super().lay(config, opened, fidelity, share)


class SparseMachine(Machine):
    """A machine that multiplies two sparse matrices."""

    def open(self, workload: str, workload_b: str | None, *, skip_unsupported: bool = False) -> SparseProduct:
        """Return a product; of a matrix with itself if there is one."""
        from workloads.sparse.catalog import open_sparse

        return open_sparse(workload, workload_b)

    def draw(self, opened: SparseProduct, run: Run, folder: Path) -> list[Path]:
        """Draw where the left matrix has its elements."""
        from searchers.pictures.figures import draw_matrix  # matplotlib is slow to import

        return [draw_matrix(opened, folder)]

    def describe(self, plan: Any) -> Callable[[int], str]:
        """Return what says how the product is laid."""
        return lambda _: str(plan.describe())


class MergingMachine(SparseMachine):
    """A machine that merges partial matrices as a tree."""

    def draw(self, opened: SparseProduct, run: Run, folder: Path) -> list[Path]:
        """Draw the matrix; and the tree, where it is that of a whole product and small enough."""
        from accel.sparch.plan import Plan
        from mappers.sparch import merge_tree
        from searchers.pictures.figures import draw_merge_tree  # matplotlib is slow to import

        whole = isinstance(run.plan, Plan)
        tree = draw_merge_tree(merge_tree(run.plan), opened.name, folder) if whole else []
        return [*super().draw(opened, run, folder), *tree]


class AttentionMachine(Machine):
    """A machine that runs attention."""

    def open(
        self, workload: str, workload_b: str | None, *, skip_unsupported: bool = False
    ) -> Attention | RequestTable | Translation:
        """Return a trace, a model's attention, a table of requests, or a translation."""
        from workloads.attention.catalog import open_attention

        if workload_b is not None:
            raise WorkloadError("command line", "WORKLOAD_B", workload_b, f"nothing: {self.name} runs one model")
        return open_attention(workload)

    def draw(self, opened: Any, run: Run, folder: Path) -> list[Path]:
        """Draw what is alive in every layer, where it was run with values."""
        from searchers.pictures.attention_figures import draw_alive  # matplotlib is slow to import

        return draw_alive(run.report, folder)

    def describe(self, plan: Any) -> Callable[[int], str]:
        """Return what says what a layer keeps."""
        describe: Callable[[int], str] = plan.describe
        return describe


class AttentionPeer(AttentionMachine):
    """A machine that SpAtten is compared with; they share a package."""

    @property
    def presets(self) -> Mapping[str, Any]:
        """Configurations by name."""
        from accel.attention_peers import PRESETS

        return PRESETS[self.name]

    def lay(self, config: Any, opened: Any, fidelity: str, share: float | None = None) -> Any:
        """Return a plan of an opened workload for this one of the peers."""
        from mappers.attention_peers import best_plan

        return best_plan(config, opened, self.name)

    def run_plan(self, config: Any, plan: Any, fidelity: str) -> Run:
        """Count a plan."""
        from accel.attention_peers import estimate, roofline

        return Run(estimate(config, plan), roofline(config), self.describe(plan), plan)


MACHINES: Mapping[str, Machine] = {
    machine.name: machine
    for machine in (
        BitFusion(
            "bitfusion",
            "systolic array of bit-composable units (ISCA 2018), closed form with mapping search, or cycle by cycle",
            ("estimate", "simulate"),
        ),
        LayerMachine("bitfusion_apq", "BitFusion as APQ's table (CVPR 2020) has it, closed form with mapping search"),
        LayerMachine("bitserial", "bit-serial matrix multiplier of the BISMO kind: the machine of HAQ's latency table"),
        LayerMachine("systolic", "dense systolic array, os, ws or is: the usual baseline", ("estimate", "simulate")),
        LayerMachine(
            "eyeriss", "row-stationary array of the Eyeriss kind (ISCA 2016), closed form: BitFusion's baseline"
        ),
        LayerMachine(
            "spatial", "spatial array of any shape and unrolling (NAAS, DAC 2021), closed form with mapping search"
        ),
        LayerMachine("gemmini", "Gemmini (DAC 2021), cycles of a tiling, closed form held against RTL simulation"),
        MergingMachine(
            "sparch",
            "sparse products by outer products and a merge tree (HPCA 2020), cycle by cycle",
            ("simulate", "estimate", "sample"),
            ("pipelined_merge", "condensing", "huffman", "merge_layers"),
        ),
        AttentionMachine(
            "spatten",
            "attention with cascade pruning, top-k engine, progressive quantization (HPCA 2021), event by event",
            ("simulate",),
        ),
        AttentionPeer("dense_attention", "dense attention on SpAtten's arrays of multipliers, closed form"),
        AttentionPeer("a3", "attention with a search for candidate keys (HPCA 2020), closed form"),
        AttentionPeer("mnnfast", "attention that skips small probabilities (ISCA 2019), closed form"),
        SparseMachine("outerspace", "sparse products by outer products in two phases (HPCA 2018), closed form"),
        SparseMachine(
            "eie", "a pruned layer with shared weights times sparse vectors (ISCA 2016), cycle by cycle", ("simulate",)
        ),
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
