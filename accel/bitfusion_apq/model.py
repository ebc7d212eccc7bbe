"""The estimate behind APQ's table of BitFusion: one report per network, layer by layer.

Source: Wang et al., CVPR 2020 (the table); Sharma et al., ISCA 2018 (the machine). See ``kernels``.
"""

from __future__ import annotations

import numpy as np

from accel.bitfusion import kernels as bitfusion
from accel.bitfusion_apq import kernels
from accel.bitfusion_apq.config import Config, areas, unit_energies
from accel.bitfusion_apq.plan import Plan
from accel.report import Report
from accel.roofline import ROOF_BITS, Roofline, roof_name
from workloads.layers import ACT_BITS, WGT_BITS, IntArray
from workloads.units import BITS_PER_BYTE, OPERATIONS_PER_MAC

MACHINE = "bitfusion_apq"
WIDEST_BITS = bitfusion.FUSION_UNIT_BITS
BUFFERS = {
    "wbuf": (bitfusion.WBUF_READ, bitfusion.WBUF_WRITE),
    "ibuf": (bitfusion.IBUF_READ, bitfusion.IBUF_WRITE),
    "obuf": (bitfusion.OBUF_READ, bitfusion.OBUF_WRITE),
    "dram": (bitfusion.DRAM_READ, bitfusion.DRAM_WRITE),
}


def estimate(config: Config, plan: Plan) -> Report:
    """Count a planned network, layer by layer.

    Parameters
    ----------
    config : Config
    plan : Plan
        From ``mappers.bitfusion_apq.best_plan``.

    Raises
    ------
    WorkloadError
        If an operand is wider than 8 bits.
    """
    plan.table.check_widths(WIDEST_BITS, MACHINE)
    counters: IntArray = np.zeros((len(plan.table), len(kernels.COUNTERS)), np.int64)
    kernels.network_cost(plan.table.values, config.machine_row(), plan.mappings, unit_energies(config), counters)
    macs = plan.table.macs
    layers = tuple(_report(config, plan, index, int(macs[index]), counters[index]) for index in range(len(plan.table)))
    return Report.of_layers(layers, name=plan.table.name)


def _report(config: Config, plan: Plan, index: int, macs: int, counters: IntArray) -> Report:
    count = dict(zip(kernels.COUNTERS, counters.tolist(), strict=True))
    row, pj = plan.table.values[index], unit_energies(config)
    lanes = config.rows * config.columns * int(bitfusion.macs_per_unit(row[ACT_BITS], row[WGT_BITS]))
    cycles = count["compute_cycles"] + count["stall_cycles"]
    traffic = count["dram_read_bits"] + count["dram_write_bits"]
    energy = {name: sum(int(counters[part]) * float(pj[part]) for part in parts) for name, parts in BUFFERS.items()}
    return Report(
        machine=MACHINE,
        name=plan.table.layer_names[index],
        fidelity="estimate",
        cycles=cycles,
        clock_hz=config.clock_hz,
        operations=OPERATIONS_PER_MAC * macs,
        compute_bound_cycles=-(-macs // lanes),
        bandwidth_bound_cycles=-(-traffic // config.dram_bits_per_cycle),
        dram_bytes={
            "read": -(-count["dram_read_bits"] // BITS_PER_BYTE),
            "write": -(-count["dram_write_bits"] // BITS_PER_BYTE),
        },
        cycle_stack={"compute": count["compute_cycles"], "dram_stall": count["stall_cycles"]},
        energy_pj={
            "core": count["compute_cycles"] * config.core_pj_per_cycle,
            "static": cycles * config.static_pj_per_cycle,
            **energy,
        },
        area_mm2=areas(config),
        counters=count,
    )


def roofline(config: Config) -> Roofline:
    """Return the bounds of a configuration."""
    units = config.rows * config.columns
    peaks = {
        roof_name(bits): float(OPERATIONS_PER_MAC * units * bitfusion.macs_per_unit(bits, bits) * config.clock_hz / 1e9)
        for bits in ROOF_BITS
    }
    return Roofline(peaks, config.dram_bits_per_cycle / BITS_PER_BYTE * config.clock_hz)
