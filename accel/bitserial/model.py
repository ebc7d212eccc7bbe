"""The bit-serial array's estimate: HAQ's hardware, cycle for cycle as its published table has it.

Fetching, computing and waiting are counted; energy and area are not known for this machine, and say so.
"""

from __future__ import annotations

import numpy as np

from accel.bitserial import kernels
from accel.bitserial.config import Config
from accel.bitserial.plan import Plan
from accel.products import K, M, N
from accel.report import Report
from accel.roofline import ROOF_BITS, Roofline, roof_name
from workloads.errors import ConfigError
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

    Raises
    ------
    ConfigError
        If a chunk does not fit its buffer, or is not one of whole tiles.
    """
    _check_chunks(config, plan)
    machine = config.machine_row()
    counters: IntArray = np.zeros((len(plan.table), len(kernels.COUNTERS)), np.int64)
    kernels.network_cost(plan.table.values, plan.products, plan.mappings, machine, counters)
    macs = plan.table.macs
    binary = macs * plan.table.values[:, ACT_BITS] * plan.table.values[:, WGT_BITS]
    peak = config.tile_rows * config.tile_columns * config.depth_bits
    layers = tuple(
        _report(config, name, counters[index], int(macs[index]), -(-int(binary[index]) // peak))
        for index, name in enumerate(plan.table.layer_names)
    )
    return Report.of_layers(layers, name=plan.table.name)


def _check_chunks(config: Config, plan: Plan) -> None:
    depth = -(-plan.products[:, K] // config.depth_bits)
    operands = (
        ("rows", kernels.CHUNK_ROWS, M, config.tile_rows, ACT_BITS),
        ("columns", kernels.CHUNK_COLUMNS, N, config.tile_columns, WGT_BITS),
    )
    for name, column, dimension, tile, bits in operands:
        chunk = plan.mappings[:, column]
        no_tiles = np.flatnonzero((chunk < tile) | (chunk % tile > 0))
        words = np.minimum(chunk, plan.products[:, dimension]) * depth * plan.table.values[:, bits]
        too_large = np.flatnonzero(words > config.buffer_words)
        if no_tiles.size:
            where = _where(plan, int(no_tiles[0]))
            raise ConfigError(where, f"{name} of a chunk", int(chunk[no_tiles[0]]), f"tiles of {tile} {name}")
        if too_large.size:
            where, index = _where(plan, int(too_large[0])), int(too_large[0])
            need = f"at least {words[index]} words for a chunk of {chunk[index]} {name}"
            raise ConfigError(where, "buffer_words", config.buffer_words, need)


def _where(plan: Plan, index: int) -> str:
    return f"{MACHINE}, layer {plan.table.layer_names[index]} of {plan.table.name}"


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
