"""The spatial array's estimate: a layer takes as long as its array, its on-chip bus or its DRAM port.

Source: Kwon et al., "MAESTRO", MICRO 2019, and Parashar et al., "Timeloop", ISPASS 2019, for what is counted;
docs/spatial.md for every assumption.
"""

from __future__ import annotations

import math
from itertools import pairwise
from operator import mul

import numpy as np

from accel.report import LawError, Report
from accel.roofline import Roofline
from accel.spatial import kernels
from accel.spatial.config import Config
from accel.spatial.plan import Plan, least_words, problems
from accel.spatial.technology import COMPONENTS, costs
from workloads.layers import IntArray
from workloads.units import BITS_PER_BYTE, OPERATIONS_PER_MAC

MACHINE = "spatial"


def estimate(config: Config, plan: Plan) -> Report:
    """Count a planned network, layer by layer.

    Parameters
    ----------
    config : Config
    plan : Plan
        From ``mappers.spatial.best_plan``, or of one's own.

    Raises
    ------
    ConfigError
        If a buffer's size is beyond what the technology tables can answer.
    """
    posed = problems(plan.table)
    counters: IntArray = np.zeros((len(plan.table), len(kernels.COUNTERS)), np.int64)
    kernels.network_counts(posed, config.machine_row(), plan.mappings, counters)
    layers = tuple(_report(config, plan, index, posed[index], counters[index]) for index in range(len(plan.table)))
    return Report.of_layers(layers, name=plan.table.name)


def _report(config: Config, plan: Plan, index: int, problem: IntArray, counters: IntArray) -> Report:
    counted, priced = counters.tolist(), costs(config)
    count = dict(zip(kernels.COUNTERS, counted, strict=True))
    _check(plan.table.layer_names[index], least_words(problem), counted)
    compute, noc, dram = count["compute_cycles"], count["noc_cycles"], count["dram_cycles"]
    cycles = max(compute, noc, dram)
    read = count["dram_weights_read"] + count["dram_inputs_read"] + count["dram_sums_read"]
    written = count["dram_outputs_written"]
    return Report(
        machine=MACHINE,
        name=plan.table.layer_names[index],
        fidelity="estimate",
        cycles=cycles,
        clock_hz=config.clock_hz,
        operations=OPERATIONS_PER_MAC * count["macs"],
        compute_bound_cycles=-(-count["macs"] // config.elements),
        bandwidth_bound_cycles=dram,
        dram_bytes={
            "read": -(-read * config.operand_bits // BITS_PER_BYTE),
            "write": -(-written * config.operand_bits // BITS_PER_BYTE),
        },
        cycle_stack={
            "compute": compute,
            "noc_stall": max(0, noc - compute),
            "dram_stall": max(0, dram - max(compute, noc)),
        },
        energy_pj={
            component: math.fsum(map(mul, counted, prices))
            for component, prices in zip(COMPONENTS, priced.parts_pj.tolist(), strict=True)
        },
        area_mm2=priced.area_mm2,
        counters=count,
    )


def _check(name: str, least: tuple[int, int, int, int], counters: list[int]) -> None:
    """Check that every word reaches every level at least once, and no level hands on more copies than it makes.

    Raises
    ------
    LawError
    """
    dram, array, elements = (
        counters[first : first + 4] for first in (kernels.DRAM_WORDS, kernels.NOC_WORDS, kernels.FILLS)
    )
    chain = (least, dram, array, elements)
    for above, below in pairwise(chain):
        if any(few > many for few, many in zip(above, below, strict=True)):
            raise LawError(f"{MACHINE}, layer {name}: {below} words arrive where at least {above} are needed")
    for level in (dram, array):
        if level[kernels.SUMS_OUT] - level[kernels.SUMS_IN] != least[3]:
            raise LawError(
                f"{MACHINE}, layer {name}: {level[kernels.SUMS_OUT]} sums leave, not once more than come back"
            )


def roofline(config: Config) -> Roofline:
    """Return the bounds of a configuration; its elements take operands of any width in one cycle."""
    peak = OPERATIONS_PER_MAC * config.elements * config.clock_hz / 1e9
    return Roofline({"any width": peak}, config.dram_bits_per_cycle / BITS_PER_BYTE * config.clock_hz)
