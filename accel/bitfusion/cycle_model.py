"""BitFusion cycle by cycle: ``simulate`` runs every layer with values; its closed form counts the same.

Source: Sharma et al., "Bit Fusion", ISCA 2018; what the paper leaves open is stated in docs/bitfusion.md. Energy is
dynamic only, from the same tables as the published model's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accel.bitfusion import block_kernels, cycle_kernels, kernels
from accel.bitfusion.arithmetic import draw_operands, layer_outputs
from accel.bitfusion.config import Config, costs
from accel.bitfusion.instruction_kernels import LAYER_COUNTERS
from accel.bitfusion.plan import MACHINE, Plan, stacked
from accel.report import LawError, Report
from workloads.layers import ACT_BITS, BATCH, OUT_C, OUT_H, OUT_W, READS_INPUT, IntArray, LayerTable
from workloads.units import OPERATIONS_PER_MAC

CYCLE_STACK = {
    "compute": kernels.COMPUTE,
    "fill_drain": block_kernels.FILL_DRAIN,
    "weight_load": block_kernels.WEIGHT_LOAD,
    "dram_read": block_kernels.READ_WAIT,
    "dram_write": block_kernels.WRITE_WAIT,
}
MOVING = (kernels.COMPUTE, block_kernels.FILL_DRAIN, block_kernels.WEIGHT_LOAD)  # cycles the array's energy is spent in
BUFFER_ENERGY = {
    "wbuf": (kernels.WBUF_READ, kernels.WBUF_WRITE),
    "ibuf": (kernels.IBUF_READ, kernels.IBUF_WRITE),
    "obuf": (kernels.OBUF_READ, kernels.OBUF_WRITE),
    "dram": (kernels.DRAM_READ, kernels.DRAM_WRITE),
}


def simulate(config: Config, plan: Plan, *, seed: int = 0) -> Report:
    """Run a planned network cycle by cycle with values: signed operands drawn for every layer, at its widths.

    Parameters
    ----------
    config : Config
        The switches of the published model, and ``model``, are not read.
    plan : Plan
        From ``mappers.bitfusion.best_plan``.
    seed : int
        Of the operands; ``arithmetic.draw_operands`` draws them again.

    Returns
    -------
    Report
        ``layers[i].result`` is the layer's sums before they are requantised, int64 of shape
        (batch, out_h, out_w, out_c).

    Raises
    ------
    WorkloadError
        If an operand is wider than 16 bits, or a layer's values are too many to hold.
    ConfigError
        If a tile does not fit half of its buffer.
    """
    counts = CycleCounts((config,), (plan,), step_by_step=True)
    layers = []
    for index, layer in enumerate(plan.table.layers()):
        result = layer_outputs(layer, *draw_operands(layer, seed, index))
        layers.append(counts.report(config, layer.name, slice(index, index + 1), "simulate", result))
    return Report.of_layers(tuple(layers), name=plan.table.name)


def estimate_cycles(config: Config, plan: Plan) -> Report:
    """Count a planned network on the machine ``simulate`` runs, in closed form; the counts are equal."""
    counts = CycleCounts((config,), (plan,), step_by_step=False)
    layers = tuple(
        counts.report(config, name, slice(index, index + 1), "estimate")
        for index, name in enumerate(plan.table.layer_names)
    )
    return Report.of_layers(layers, name=plan.table.name)


def estimate_cycles_batch(configs: Sequence[Config], plans: Sequence[Plan]) -> list[Report]:
    """Count many planned networks like ``estimate_cycles``; the reports carry no layers."""
    counts = CycleCounts(configs, plans, step_by_step=False)
    ends = np.cumsum([len(plan.table) for plan in plans])
    return [
        counts.report(config, plan.table.name, slice(end - len(plan.table), end), "estimate")
        for config, plan, end in zip(configs, plans, ends.tolist(), strict=True)
    ]


def output_bits(table: LayerTable) -> IntArray:
    """Return the width at which every layer's outputs leave: that of the activations of the layer that reads them.

    The table has no graph: the reader is taken to be the next layer that does not read the network's input. The
    outputs of the last leave at its own activations' width.
    """
    widths = table.values[:, ACT_BITS]
    read: IntArray = np.empty(len(table), np.int64)
    reader = int(widths[-1])
    for index in range(len(table) - 1, -1, -1):
        read[index] = reader
        if not table.values[index, READS_INPUT]:
            reader = int(widths[index])
    return read


class CycleCounts:
    """Counters of the layers of many plans, each on its own machine.

    Attributes
    ----------
    counters : ndarray of int64, shape (n, 28)
        Columns as ``instruction_kernels.LAYER_COUNTERS``.
    bounds : ndarray of int64, shape (n, 5)
        As ``kernels.lower_bounds`` writes them.

    Raises
    ------
    WorkloadError
        If an operand is wider than 16 bits.
    ConfigError
        If a tile does not fit half of its buffer.
    """

    def __init__(self, configs: Sequence[Config], plans: Sequence[Plan], *, step_by_step: bool) -> None:
        together = stacked(configs, plans)
        widths = np.concatenate([output_bits(plan.table) for plan in plans])
        where = (together.layers, together.machines, together.machine_of)
        self.counters: IntArray = np.zeros((len(together.layers), len(LAYER_COUNTERS)), np.int64)
        cycle_kernels.network_cycles(*where, together.mappings, widths, step_by_step, self.counters)
        self.bounds: IntArray = np.zeros((len(together.layers), 5), np.int64)
        kernels.lower_bounds(*where, self.counters, self.bounds)
        self._check(together.layers, widths)

    def _check(self, layers: IntArray, out_bits: IntArray) -> None:
        """Check that every bit brought is one needed, that spilled sums come back, and that all is multiplied once."""
        column = self.counters.T
        outputs = layers[:, BATCH] * layers[:, OUT_H] * layers[:, OUT_W] * layers[:, OUT_C]
        brought = column[kernels.DRAM_READ] - column[block_kernels.READ_PADDING]
        stored = column[kernels.DRAM_WRITE] - column[block_kernels.WRITE_PADDING]
        spilled = column[block_kernels.SPILLED]
        laws = {
            "bits read are those the buffers took in": brought
            == column[kernels.WBUF_WRITE] + column[kernels.IBUF_WRITE] + spilled,
            "bits written are the outputs and the sums read back": stored == outputs * out_bits + spilled,
            "multiplications are the layer's": column[block_kernels.MACS] == self.bounds[:, 0],
        }
        for law, holds in laws.items():
            if not holds.all():
                raise LawError(f"{MACHINE}: not so that {law}, layer {int(np.argmin(holds))}")

    def report(self, config: Config, name: str, rows: slice, fidelity: str, result: IntArray | None = None) -> Report:
        """Return the report of some rows run one after another; ``result`` has the shape of the layer's outputs."""
        cost = costs(config)
        counted = self.counters[rows].sum(axis=0)
        count = dict(zip(LAYER_COUNTERS, counted.tolist(), strict=True))
        macs, compute_bound, bandwidth_bound, read_bytes, write_bytes = self.bounds[rows].sum(axis=0).tolist()
        moving = sum(int(counted[counter]) for counter in MOVING)
        buffers = {
            component: sum(int(counted[counter]) * float(cost.unit_pj[counter]) for counter in parts)
            for component, parts in BUFFER_ENERGY.items()
        }
        return Report(
            machine=MACHINE,
            name=name,
            fidelity=fidelity,
            cycles=count["compute_cycles"] + count["stall_cycles"],
            clock_hz=config.clock_hz,
            operations=OPERATIONS_PER_MAC * macs,
            compute_bound_cycles=compute_bound,
            bandwidth_bound_cycles=bandwidth_bound,
            dram_bytes={"read": read_bytes, "write": write_bytes},
            cycle_stack={cause: int(counted[counter]) for cause, counter in CYCLE_STACK.items()},
            energy_pj={"core": moving * float(cost.unit_pj[kernels.COMPUTE]), **buffers},
            area_mm2=cost.area_mm2,
            counters=count,
            result=result,
        )
