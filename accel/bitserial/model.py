"""The bit-serial array's estimate: HAQ's hardware, cycle for cycle as its published table has it.

Fetching, computing and waiting are counted; energy and area are not known for this machine, and say so.
"""

from __future__ import annotations

import numpy as np

from accel.bitserial import kernels
from accel.bitserial.config import Config
from accel.bitserial.plan import Plan
from accel.report import Report
from accel.roofline import ROOF_BITS, Roofline, roof_name
from workloads.layers import ACT_BITS, WGT_BITS, IntArray
from workloads.units import BITS_PER_BYTE, OPERATIONS_PER_MAC

MACHINE = "bitserial"
ACCUMULATOR_BYTES = 4


def estimate(config: Config, plan: Plan) -> Report:
    """Count a planned network, layer by layer.

    Parameters
    ----------
    config : Config
    plan : Plan
        From ``mappers.bitserial.best_plan``.

    Returns
    -------
    Report
        ``energy_pj`` and ``area_mm2`` are empty: nothing is published for them.
    """
    machine = config.machine_row()
    counters: IntArray = np.zeros((len(plan.table), len(kernels.COUNTERS)), np.int64)
    kernels.network_cost(plan.table.values, plan.products, machine, counters)
    macs = plan.table.macs
    binary = macs * plan.table.values[:, ACT_BITS] * plan.table.values[:, WGT_BITS]
    peak = config.tile_rows * config.tile_columns * config.depth_bits
    layers = tuple(
        _report(config, name, counters[index], int(macs[index]), -(-int(binary[index]) // peak))
        for index, name in enumerate(plan.table.layer_names)
    )
    return Report.of_layers(layers, name=plan.table.name)


def _report(config: Config, name: str, counters: IntArray, macs: int, compute_bound: int) -> Report:
    count = dict(zip(kernels.COUNTERS, counters.tolist(), strict=True))
    longest_stream_bits = max(count["row_words"], count["column_words"]) * config.depth_bits
    words = count["row_words"] + count["column_words"]
    return Report(
        machine=MACHINE,
        name=name,
        fidelity="estimate",
        cycles=count["compute_cycles"] + count["stall_cycles"],
        clock_hz=config.clock_hz,
        operations=OPERATIONS_PER_MAC * macs,
        compute_bound_cycles=compute_bound,
        bandwidth_bound_cycles=-(-longest_stream_bits // config.stream_bits_per_cycle),
        dram_bytes={
            "read": -(-words * config.depth_bits // BITS_PER_BYTE),
            "write": count["output_words"] * ACCUMULATOR_BYTES,
        },
        cycle_stack={"compute": count["compute_cycles"], "dram_stall": count["stall_cycles"]},
        energy_pj={},
        area_mm2={},
        counters=count,
    )


def roofline(config: Config) -> Roofline:
    """Return the bounds of a configuration; both operand streams together feed it."""
    binary_gops = (
        OPERATIONS_PER_MAC * config.tile_rows * config.tile_columns * config.depth_bits * config.clock_hz / 1e9
    )
    peaks = {roof_name(bits): binary_gops / bits**2 for bits in ROOF_BITS}
    return Roofline(peaks, 2 * config.stream_bits_per_cycle / BITS_PER_BYTE * config.clock_hz)
