"""Gemmini's estimate: a layer takes as long as the slowest of its calls, its array and its DMA engine.

Energy and area are left out: no source that belongs to this machine is at hand.
"""

from __future__ import annotations

import math

import numpy as np

from accel.gemmini import kernels
from accel.gemmini.config import Config
from accel.gemmini.plan import Plan
from accel.report import Report
from accel.roofline import Roofline
from workloads.layers import IntArray
from workloads.units import OPERATIONS_PER_MAC

MACHINE = "gemmini"
WIDEST_BITS = 8


def estimate(config: Config, plan: Plan) -> Report:
    """Count a planned network, layer by layer.

    Parameters
    ----------
    config : Config
    plan : Plan
        From ``mappers.gemmini``.

    Raises
    ------
    WorkloadError
        If an operand is wider than 8 bits.
    """
    plan.table.check_widths(WIDEST_BITS, MACHINE)
    counters: IntArray = np.zeros((len(plan.table), len(kernels.COUNTERS)), np.int64)
    kernels.network_counts(plan.table.values, plan.tiles, config.machine_row(), counters)
    layers = tuple(_report(config, plan, index, counters[index]) for index in range(len(plan.table)))
    return Report.of_layers(layers, name=plan.table.name)


def layer_cycles(config: Config, convolution: bool, counters: IntArray) -> int:
    """Return the cycles of a layer that asks for what the counters, shape (COUNTERS,), say."""
    calls, steps, requests, read = (
        float(counters[counter]) for counter in (kernels.CALLS, kernels.STEPS, kernels.REQUESTS, kernels.READ)
    )
    call = config.conv_call_cycles if convolution else config.matmul_call_cycles
    dma = requests * config.request_cycles + read / config.dma_bytes_per_cycle
    return math.ceil(config.startup_cycles + max(calls * call, steps * config.step_cycles, dma))


def _report(config: Config, plan: Plan, index: int, counters: IntArray) -> Report:
    count = dict(zip(kernels.COUNTERS, counters.tolist(), strict=True))
    row = plan.table.values[index]
    macs = int(plan.table.macs[index])
    cycles = layer_cycles(config, bool(kernels.is_convolution(row)), counters)
    dma = math.ceil(count["dma_requests"] * config.request_cycles + count["read_bytes"] / config.dma_bytes_per_cycle)
    compute = count["array_steps"]
    stall = max(0, min(cycles, dma) - compute)
    return Report(
        machine=MACHINE,
        name=plan.table.layer_names[index],
        fidelity="estimate",
        cycles=cycles,
        clock_hz=config.clock_hz,
        operations=OPERATIONS_PER_MAC * macs,
        compute_bound_cycles=-(-macs // config.array_side**2),
        bandwidth_bound_cycles=math.ceil(count["read_bytes"] / config.dma_bytes_per_cycle),
        dram_bytes={"read": count["read_bytes"], "write": count["write_bytes"]},
        cycle_stack={"compute": compute, "dma_stall": stall, "control": cycles - compute - stall},
        energy_pj={},
        area_mm2={},
        counters=count,
    )


def roofline(config: Config) -> Roofline:
    """Return the bounds of a configuration; operands have 8 bits whatever a layer says."""
    peak = OPERATIONS_PER_MAC * config.array_side**2 * config.clock_hz / 1e9
    return Roofline({"8 bits": peak}, config.dma_bytes_per_cycle * config.clock_hz)
