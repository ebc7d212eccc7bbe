"""The row-stationary array's estimate: cycles of its elements, and the energy of what it cannot do without.

Source: Chen et al., ISCA 2016, for the dataflow; how partly filled arrays are counted is read from the table that
BitFusion's authors ship (hsharma35/bitfusion, "eyeriss_results"), whose cycles it reproduces.

Traffic and the buffer's and DRAM's energy are lower bounds: every word of a layer crosses once. Transfers between
elements are not counted at all.
"""

from __future__ import annotations

from accel.eyeriss.config import Config
from accel.eyeriss.plan import (
    CHANNEL_SETS,
    FILTER_SETS,
    FILTERS_A_VISIT,
    KERNEL_FOLDS,
    SEGMENTS,
    SEGMENTS_AT_ONCE,
    Plan,
)
from accel.report import Report
from accel.roofline import Roofline
from workloads.layers import (
    BATCH,
    DILATION,
    GROUPS,
    IN_C,
    KERNEL_H,
    KERNEL_W,
    OUT_C,
    OUT_H,
    OUT_W,
    STRIDE,
    IntArray,
)
from workloads.units import BITS_PER_BYTE, OPERATIONS_PER_MAC

MACHINE = "eyeriss"


def estimate(config: Config, plan: Plan) -> Report:
    """Count a planned network, layer by layer.

    Parameters
    ----------
    config : Config
    plan : Plan
        From ``mappers.eyeriss.best_plan``.
    """
    layers = tuple(_report(config, plan, index) for index in range(len(plan.table)))
    return Report.of_layers(layers, name=plan.table.name)


def _on_the_array(layer: IntArray, mapping: IntArray) -> tuple[int, int]:
    """Return input channels and filters of one group, each filled up to what stands on the array together."""
    groups, visit = int(layer[GROUPS]), int(mapping[FILTERS_A_VISIT])
    channel_sets, filter_sets = int(mapping[CHANNEL_SETS]), int(mapping[FILTER_SETS]) * visit
    channels, filters = int(layer[IN_C]) // groups, int(layer[OUT_C]) // groups
    return -(-channels // channel_sets) * channel_sets, -(-filters // filter_sets) * filter_sets


def compute_cycles(layer: IntArray, mapping: IntArray) -> int:
    """Return the cycles the array computes: an element meets one row of a filter with one row of a map at a time.

    ``layer`` is a row (columns,) of a layer table, ``mapping`` one (columns,) of a plan.
    """
    channels, filters = _on_the_array(layer, mapping)
    sets = int(mapping[CHANNEL_SETS]) * int(mapping[FILTER_SETS])
    segment_passes = -(-int(mapping[SEGMENTS]) // int(mapping[SEGMENTS_AT_ONCE]))
    row = int(layer[OUT_W]) * int(layer[KERNEL_W]) * int(mapping[KERNEL_FOLDS])
    return int(layer[BATCH]) * int(layer[GROUPS]) * channels * filters // sets * segment_passes * row


def element_steps(layer: IntArray, mapping: IntArray) -> int:
    """Return the multiply-accumulates of all elements, those included that only fill up a last set.

    ``layer`` is a row (columns,) of a layer table, ``mapping`` one (columns,) of a plan.
    """
    channels, filters = _on_the_array(layer, mapping)
    window = int(layer[KERNEL_H]) * int(layer[KERNEL_W])
    outputs = int(layer[BATCH]) * int(layer[GROUPS]) * int(layer[OUT_H]) * int(layer[OUT_W])
    return outputs * window * channels * filters


def _words(layer: IntArray) -> tuple[int, int]:
    """Return the words a layer must read (its weights and the part of its padded inputs that is seen) and write."""
    stride, dilation, groups = int(layer[STRIDE]), int(layer[DILATION]), int(layer[GROUPS])
    height, width = (
        min(
            (int(layer[out]) - 1) * stride + (int(layer[kernel]) - 1) * dilation + 1,
            int(layer[out]) * int(layer[kernel]),
        )
        for out, kernel in ((OUT_H, KERNEL_H), (OUT_W, KERNEL_W))
    )
    window = int(layer[KERNEL_H]) * int(layer[KERNEL_W])
    weights = window * int(layer[IN_C]) * int(layer[OUT_C]) // groups
    inputs = int(layer[BATCH]) * height * width * int(layer[IN_C])
    return weights + inputs, int(layer[BATCH]) * int(layer[OUT_H]) * int(layer[OUT_W]) * int(layer[OUT_C])


def _report(config: Config, plan: Plan, index: int) -> Report:
    layer, mapping = plan.table.values[index], plan.mappings[index]
    macs = int(plan.table.macs[index])
    elements = config.rows * config.columns
    compute = compute_cycles(layer, mapping)
    read, written = _words(layer)
    bits = (read + written) * config.operand_bits
    bandwidth = -(-bits // config.dram_bits_per_cycle)
    cycles = max(compute, bandwidth)
    steps = element_steps(layer, mapping)
    return Report(
        machine=MACHINE,
        name=plan.table.layer_names[index],
        fidelity="estimate",
        cycles=cycles,
        clock_hz=config.clock_hz,
        operations=OPERATIONS_PER_MAC * macs,
        compute_bound_cycles=-(-macs // elements),
        bandwidth_bound_cycles=bandwidth,
        dram_bytes={
            "read": -(-read * config.operand_bits // BITS_PER_BYTE),
            "write": -(-written * config.operand_bits // BITS_PER_BYTE),
        },
        cycle_stack={"compute": compute, "dram_stall": cycles - compute},
        energy_pj={
            "alu": macs * config.mac_pj,
            "register_files": steps * config.register_macs * config.mac_pj,
            "buffer": (read + written) * config.buffer_macs * config.mac_pj,
            "dram": (read + written) * config.dram_macs * config.mac_pj,
        },
        area_mm2={},
        counters={"compute_cycles": compute, "stall_cycles": cycles - compute, "element_steps": steps},
    )


def roofline(config: Config) -> Roofline:
    """Return the bounds of a configuration; its elements take operands of any width in one cycle."""
    peak = OPERATIONS_PER_MAC * config.rows * config.columns * config.clock_hz / 1e9
    return Roofline({"any width": peak}, config.dram_bits_per_cycle / BITS_PER_BYTE * config.clock_hz)
