"""BitFusion's loop orders on one tiling: its best order, if one is better than the best mapping so far.

Traffic says first whether an order can win at all; what is resident first and last is worked out for those that can.
Few can, so for few tilings this is faster than ``table_kernels``, which do the same for a block of tilings whatever
becomes of them. Sets of loops are the bit masks of ``loop_orders``.
"""

import numpy as np

from accel.bitfusion import kernels as bf
from accel.jit import inlined_kernel, lean_kernel
from mappers.bitfusion.loop_orders import (
    BY_IC,
    BY_OC,
    CHANNEL,
    GROUP_START,
    GROUPED,
    GROUPS_START,
    INNER_CHANNEL,
    INSIDE,
    OUTSIDE_INNER,
    OUTSIDE_OUTER,
    PREFIXES,
    SEQUENCE,
    TRAITS,
)
from mappers.bitfusion.tiling_kernels import (
    ACT_PRICE,
    GROUPS,
    IBUF,
    OBUF,
    OUT_PRICE,
    PER_WIDTH,
    PRELOAD,
    ROUND_UP,
    SIZE,
    STORED,
    T_ACT,
    T_BOUND,
    T_COMPUTE,
    T_OUT,
    T_SITUATION,
    T_WGT,
    TILES,
    WBUF,
    WGT_PRICE,
    fixed_energy,
)

# What is known of the best mapping so far: then its five tile sizes.
BEST_CYCLES, BEST_ENERGY, BEST_NUMBER, BEST_ORDER, BEST_TILE = range(5)
BEST_LENGTH = 9


@inlined_kernel
def try_tiling(problem, machine, unit_pj, terms, axes, lengths, tiling, repeats, best):
    """Keep the tiling's best order in ``best`` (float64[BEST_LENGTH]) if it is better; return how many were computed.

    Of mappings that are equal in cycles and energy the first in the space's own order is kept, in whatever order they
    are tried. ``repeats`` (float64[8]) is scratch: how often each set of batch and map loops runs its inside.
    """
    situation, depthwise = int(tiling[T_SITUATION]), problem[bf.P_DEPTHWISE]
    rounds_b, rounds_w = axes[bf.LOOP_B, TILES, int(tiling[bf.LOOP_B])], axes[bf.LOOP_W, TILES, int(tiling[bf.LOOP_W])]
    rounds_h = axes[bf.LOOP_H, TILES, int(tiling[bf.LOOP_H])]
    rounds_ic = axes[bf.LOOP_IC, TILES, int(tiling[bf.LOOP_IC])]
    rounds_oc = axes[bf.LOOP_OC, TILES, int(tiling[bf.LOOP_OC])]
    rounds_map = rounds_b * rounds_w * rounds_h
    wgt, act, out, compute = tiling[T_WGT], tiling[T_ACT], tiling[T_OUT], tiling[T_COMPUTE]
    act_by, act_rounds, act_again = (BY_OC, rounds_oc, 1.0) if depthwise else (BY_IC, rounds_ic, rounds_oc)
    wbuf, ibuf, obuf, preload, stored = terms[WBUF], terms[IBUF], terms[OBUF], terms[PRELOAD], terms[STORED]
    per_width, up, groups = terms[PER_WIDTH], terms[ROUND_UP], terms[GROUPS]
    whole_wgt, all_act = wgt * rounds_ic * rounds_oc, groups * act * rounds_map * act_rounds
    all_out = groups * out * rounds_map * rounds_oc
    saved = all_out * (2.0 - preload - stored)
    found_cycles, found_energy, found_order, computed = np.inf, np.inf, np.int64(0), np.int64(0)
    energy_fixed = fixed_energy(problem, machine, unit_pj, terms, axes, tiling)
    if tiling[T_BOUND] == best[BEST_CYCLES]:
        least = energy_fixed + groups * whole_wgt * terms[WGT_PRICE] + all_act * terms[ACT_PRICE]
        least += all_out * terms[OUT_PRICE]
        if least > best[BEST_ENERGY] or (least == best[BEST_ENERGY] and number_of(lengths, tiling) > best[BEST_NUMBER]):
            return computed
    for mask in range(8):
        some = (rounds_b if mask & 1 else 1.0) * (rounds_w if mask & 2 else 1.0)
        repeats[mask] = some * (rounds_h if mask & 4 else 1.0)
    for group in range(GROUPS_START[situation], GROUPS_START[situation + 1]):
        traits = TRAITS[GROUP_START[group]]
        part = wgt * (rounds_oc if traits[INNER_CHANNEL] else rounds_ic)
        again = 1.0 if part <= wbuf else repeats[traits[OUTSIDE_INNER]]
        if whole_wgt > wbuf:
            again = max(again, repeats[traits[OUTSIDE_OUTER]])
        wgt_traffic = groups * whole_wgt * again
        inside_act, inside_out = traits[INSIDE + act_by], traits[INSIDE + BY_OC]
        act_traffic = all_act * (1.0 if part_of(act, act_rounds, repeats, inside_act) <= ibuf else act_again)
        out_again = 1.0 if part_of(out, rounds_oc, repeats, inside_out) <= obuf else rounds_ic
        out_traffic = 2.0 * all_out * out_again - saved
        traffic = wgt_traffic + act_traffic + out_traffic
        if np.floor((traffic + up) * per_width) > best[BEST_CYCLES]:
            continue
        wgt_first = whole_wgt if whole_wgt <= wbuf else (part if part <= wbuf else wgt)
        for place in range(GROUP_START[group], GROUP_START[group + 1]):
            computed += 1
            traits = TRAITS[place]
            resident = largest_part(out, rounds_oc, repeats, obuf, PREFIXES[BY_OC, situation, traits[SEQUENCE + BY_OC]])
            act_sets = PREFIXES[act_by, situation, traits[SEQUENCE + act_by]]
            first = wgt_first + largest_part(act, act_rounds, repeats, ibuf, act_sets) + resident * preload
            last = resident * stored
            middle = np.floor((traffic - first - last + up) * per_width)
            cycles = max(compute, middle) + np.floor((first + up) * per_width) + np.floor((last + up) * per_width)
            if cycles > best[BEST_CYCLES] or cycles > found_cycles:
                continue
            sums = 0.5 * (out_traffic + saved)
            energy = energy_fixed + wgt_traffic * terms[WGT_PRICE] + act_traffic * terms[ACT_PRICE]
            energy += sums * terms[OUT_PRICE]
            same = cycles == found_cycles and energy == found_energy
            if cycles < found_cycles or energy < found_energy or (same and GROUPED[place] < found_order):
                found_cycles, found_energy, found_order = cycles, energy, GROUPED[place]
    if found_cycles < np.inf:
        keep_better(axes, lengths, tiling, found_cycles, found_energy, found_order, best)
    return computed


@inlined_kernel
def part_of(tile, channel_rounds, repeats, mask):
    """Return the part of an operand that a set of loops covers."""
    return tile * repeats[mask & 7] * (channel_rounds if mask & CHANNEL else 1.0)


@lean_kernel
def largest_part(tile, channel_rounds, repeats, half_bits, sets):
    """Return the largest part that stays resident: of the sets that a sequence begins with, the last that fits."""
    largest = tile
    for place in range(4):
        part = part_of(tile, channel_rounds, repeats, sets[place])
        if part > half_bits:
            break
        largest = part
    return largest


@inlined_kernel
def number_of(lengths, tiling):
    """Return a tiling's place in the space's own order."""
    number = tiling[bf.LOOP_IC] * lengths[bf.LOOP_OC] + tiling[bf.LOOP_OC]
    number = (number * lengths[bf.LOOP_W] + tiling[bf.LOOP_W]) * lengths[bf.LOOP_H] + tiling[bf.LOOP_H]
    return number * lengths[bf.LOOP_B] + tiling[bf.LOOP_B]


@lean_kernel
def keep_better(axes, lengths, tiling, cycles, energy, order, best):
    """Keep a mapping that is as fast as the best one so far or faster, if it is better."""
    number = number_of(lengths, tiling)
    equal = cycles == best[BEST_CYCLES] and energy == best[BEST_ENERGY]
    if cycles < best[BEST_CYCLES] or energy < best[BEST_ENERGY] or (equal and number < best[BEST_NUMBER]):
        best[BEST_CYCLES], best[BEST_ENERGY] = cycles, energy
        best[BEST_NUMBER], best[BEST_ORDER] = number, order
        for loop in range(5):
            best[BEST_TILE + loop] = axes[loop, SIZE, int(tiling[loop])]
