"""All tilings and loop orders of the BitFusion authors' space, under the rules that explain APQ's table."""

import numpy as np

from accel.arithmetic import ceil_div
from accel.bitfusion.kernels import COMPUTE, LOOP_B, LOOP_IC, LOOP_OC, MAPPING_COLUMNS, ORDER, ORDERS, STALL
from accel.bitfusion_apq.kernels import (
    COUNTERS,
    P_B,
    P_H,
    P_IM2COL,
    P_W,
    PROBLEM_COLUMNS,
    UNITS_COLUMNS,
    count_compute,
    count_mapping,
    pose,
    tile_bits,
    tile_fits,
)
from accel.jit import kernel


@kernel
def doublings(first, size):
    """Return how many sizes there are from ``first``, doubled up to the first that covers ``size``."""
    count = 1
    while first < size:
        first *= 2
        count += 1
    return count


@kernel
def try_orders(problem, machine, unit_pj, mapping, bits, counters, best, best_cycles, best_energy):
    """Try every loop order of a tiling; return the fewest cycles and then least energy found so far."""
    one_batch = ceil_div(problem[P_B], mapping[LOOP_B]) == 1
    for order in range(len(ORDERS)):
        if one_batch and ORDERS[order, 0] != LOOP_B:
            continue  # where a loop of one step stands makes no difference
        mapping[ORDER] = order
        energy = count_mapping(problem, machine, mapping, bits, unit_pj, counters)
        cycles = counters[COMPUTE] + counters[STALL]
        if cycles < best_cycles or (cycles == best_cycles and energy < best_energy):
            best_cycles, best_energy = cycles, energy
            best[:] = mapping
    return best_cycles, best_energy


@kernel
def best_mapping(layer, machine, unit_pj, best):
    """Write the best mapping of a layer (int64[6]); return whether a tile fits at all.

    Tiles double from one element, output channels from one array width (from one channel where the layer reads the
    network's input); width and height share a tile side.
    """
    problem, bits = np.zeros(PROBLEM_COLUMNS, np.int64), np.zeros(6, np.int64)
    mapping, counters = np.zeros(MAPPING_COLUMNS, np.int64), np.zeros(len(COUNTERS), np.int64)
    pose(layer, machine, problem)
    size_b, size_w, size_h = problem[P_B], problem[P_W], problem[P_H]
    size_ic, size_oc = problem[LOOP_IC], problem[LOOP_OC]
    first_oc = 1 if problem[P_IM2COL] else machine[UNITS_COLUMNS]
    best_cycles, best_energy = np.int64(2**62), np.inf
    for step_b in range(doublings(1, size_b)):
        for step_o in range(doublings(1, max(size_w, size_h))):
            for step_ic in range(doublings(1, size_ic)):
                for step_oc in range(doublings(first_oc, size_oc)):
                    mapping[0] = min(1 << step_b, size_b)
                    mapping[1], mapping[2] = min(1 << step_o, size_w), min(1 << step_o, size_h)
                    mapping[3], mapping[4] = min(1 << step_ic, size_ic), min(first_oc << step_oc, size_oc)
                    tile_bits(problem, machine, mapping, bits)
                    if not tile_fits(machine, bits):
                        break  # more output channels only take more
                    if count_compute(problem, machine, mapping)[0] > best_cycles:
                        continue
                    best_cycles, best_energy = try_orders(
                        problem, machine, unit_pj, mapping, bits, counters, best, best_cycles, best_energy
                    )
    return best_energy < np.inf


@kernel
def search(layers, machine, unit_pj, mappings):
    """Write every layer's best mapping; return the index of the first that does not fit, or -1."""
    for index in range(len(layers)):
        if not best_mapping(layers[index], machine, unit_pj, mappings[index]):
            return index
    return -1
