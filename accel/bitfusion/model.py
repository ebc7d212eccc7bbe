"""BitFusion's estimate: the authors' closed-form model, one report per network, layer by layer or in batches.

Source: Sharma et al., ISCA 2018, and the authors' open simulator. Energy is dynamic only, as there: cycles and
bits times their unit energies. Pooling, activation and additions cost nothing in this model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accel.bitfusion import kernels
from accel.bitfusion.config import MODELS, Config, Costs, costs
from accel.bitfusion.cycle_model import estimate_cycles, estimate_cycles_batch
from accel.bitfusion.plan import MACHINE as MACHINE
from accel.bitfusion.plan import Plan, stacked
from accel.report import Report
from accel.roofline import ROOF_BITS, Roofline, roof_name
from workloads.layers import IntArray
from workloads.units import BITS_PER_BYTE, OPERATIONS_PER_MAC

ENERGY_COMPONENTS = {
    "core": (kernels.COMPUTE,),
    "wbuf": (kernels.WBUF_READ, kernels.WBUF_WRITE),
    "ibuf": (kernels.IBUF_READ, kernels.IBUF_WRITE),
    "obuf": (kernels.OBUF_READ, kernels.OBUF_WRITE),
    "dram": (kernels.DRAM_READ, kernels.DRAM_WRITE),
}


def estimate(config: Config, plan: Plan) -> Report:
    """Count a planned network, layer by layer.

    Parameters
    ----------
    config : Config
    plan : Plan
        From ``mappers.bitfusion.best_plan``.

    Returns
    -------
    Report
        ``layers`` holds a report per layer; ``result`` is None (a closed form computes no values).

    Raises
    ------
    WorkloadError
        If an operand is wider than 16 bits.
    ConfigError
        If a tile does not fit half of its buffer.
    """
    if config.model == "cycle":
        return estimate_cycles(config, plan)
    counts = _Counts((config,), (plan,))
    cost = costs(config)
    layers = tuple(
        _report(config, cost, name, counts.counters[index], counts.bounds[index])
        for index, name in enumerate(plan.table.layer_names)
    )
    return Report.of_layers(layers, name=plan.table.name)


def estimate_batch(configs: Sequence[Config], plans: Sequence[Plan]) -> list[Report]:
    """Count many planned networks, each on its own machine; the reports carry no layers.

    Parameters
    ----------
    configs, plans : sequences of one length
    """
    reports: dict[int, Report] = {}
    for model, count in zip(MODELS, (_published_batch, estimate_cycles_batch), strict=True):
        chosen = [index for index, config in enumerate(configs) if config.model == model]
        if chosen:
            counted = count([configs[index] for index in chosen], [plans[index] for index in chosen])
            reports |= dict(zip(chosen, counted, strict=True))
    return [reports[index] for index in range(len(configs))]


def _published_batch(configs: Sequence[Config], plans: Sequence[Plan]) -> list[Report]:
    counts = _Counts(configs, plans)
    starts = np.cumsum([0, *(len(plan.table) for plan in plans[:-1])])
    counters = np.add.reduceat(counts.counters, starts)
    bounds = np.add.reduceat(counts.bounds, starts)
    return [
        _report(config, costs(config), plan.table.name, counters[index], bounds[index])
        for index, (config, plan) in enumerate(zip(configs, plans, strict=True))
    ]


class _Counts:
    """Counters and lower bounds of the layers of many plans.

    ``counters`` is int64[n, 10] as ``kernels.COUNTERS``. ``bounds`` is int64[n, 5]: operations, the cycles the
    arithmetic and the DRAM alone need, and the bytes read and written (whole bytes a layer).
    """

    def __init__(self, configs: Sequence[Config], plans: Sequence[Plan]) -> None:
        together = stacked(configs, plans)
        where = (together.layers, together.machines, together.machine_of)
        self.counters: IntArray = np.zeros((len(together.layers), len(kernels.COUNTERS)), np.int64)
        kernels.network_cost(*where, together.mappings, self.counters)
        self.bounds: IntArray = np.zeros((len(together.layers), 5), np.int64)
        kernels.lower_bounds(*where, self.counters, self.bounds)


def _report(config: Config, cost: Costs, name: str, counters: IntArray, bounds: IntArray) -> Report:
    count = dict(zip(kernels.COUNTERS, counters.tolist(), strict=True))
    unit_pj = cost.unit_pj
    macs, compute_bound, bandwidth_bound, read_bytes, write_bytes = bounds.tolist()
    return Report(
        machine=MACHINE,
        name=name,
        fidelity="estimate",
        cycles=count["compute_cycles"] + count["stall_cycles"],
        clock_hz=config.clock_hz,
        operations=OPERATIONS_PER_MAC * macs,
        compute_bound_cycles=compute_bound,
        bandwidth_bound_cycles=bandwidth_bound,
        dram_bytes={"read": read_bytes, "write": write_bytes},
        cycle_stack={"compute": count["compute_cycles"], "dram_stall": count["stall_cycles"]},
        energy_pj={
            component: sum(int(counters[counter]) * float(unit_pj[counter]) for counter in parts)
            for component, parts in ENERGY_COMPONENTS.items()
        },
        area_mm2=cost.area_mm2,
        counters=count,
    )


def peak_gops(config: Config, act_bits: int, wgt_bits: int) -> float:
    """Return the rate of a fully used array at given operand widths [10^9 operations per second]."""
    macs = config.rows * config.columns * kernels.macs_per_unit(act_bits, wgt_bits)
    passes = kernels.operand_passes(act_bits) * kernels.operand_passes(wgt_bits)
    return float(OPERATIONS_PER_MAC * macs / passes * config.clock_hz / 1e9)


def roofline(config: Config) -> Roofline:
    """Return the bounds of a configuration."""
    peaks = {roof_name(bits): peak_gops(config, bits, bits) for bits in ROOF_BITS}
    return Roofline(peaks, config.dram_bits_per_cycle / BITS_PER_BYTE * config.clock_hz)
