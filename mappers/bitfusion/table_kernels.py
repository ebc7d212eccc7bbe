"""BitFusion's loop orders: the traffic every order causes, for a block of tilings at once.

For each tiling of a block the few traffics and resident parts that any order can cause are tabulated first. Orders
of the same traffic share its sum; each is then a handful of look-ups, additions and two rounded divisions, the same
for every tiling: a loop the compiler vectorises. Only the fewest cycles are kept; which order took them, and which
of those the least energy, is asked of the few tilings that may win. Sets of loops are the bit masks of
``loop_orders``.
"""

import numpy as np

from accel.jit import kernel_on_distinct_arrays, lean_kernel
from mappers.bitfusion.loop_orders import (
    BY_OC,
    GROUP_START,
    GROUPED,
    GROUPS_START,
    INNER_CHANNEL,
    INSIDE,
    MASKS,
    MASKS_COUNT,
    OUTSIDE,
    OUTSIDE_COUNT,
    OUTSIDE_INNER,
    OUTSIDE_OUTER,
    PREFIXES,
    SEQUENCE,
    SEQUENCES_COUNT,
    TRAITS,
)
from mappers.bitfusion.tiling_kernels import ACT_PRICE, OUT_PRICE, PER_WIDTH, PRELOAD, ROUND_UP, STORED, WGT_PRICE

# Rows of a block: what the orders and the tables need of each tiling in it.
COMPUTE, SAVED, ENERGY, WGT, ACT, OUT = range(6)
ROUNDS_B, ROUNDS_W, ROUNDS_H, ROUNDS_IC, ROUNDS_OC = range(6, 11)  # tiles of each loop
ONE = 11  # what a loop that is not there repeats
BLOCK_ROWS = 12

# Rows of the tables, by mask or sequence.
WGT_INNER = 0  # + 8 * inner channel + mask
WGT_OUTER = 16  # + mask
WGT_FIRST = 24  # + inner channel
ACT_TRAFFIC = 26  # + mask
OUT_TRAFFIC = 42  # + mask: loads and stores together
ACT_FIRST = 58  # + sequence
OUT_RESIDENT = 82  # + sequence
OUT_LAST_CYCLES = 106  # + sequence
TABLE_ROWS = 130


@kernel_on_distinct_arrays
def tabulate_repeats(count, block, repeats):
    """Write how often each set of batch and map loops runs its inside (float64[8, BLOCK])."""
    for mask in range(8):
        b = ROUNDS_B if mask & 1 else ONE
        w = ROUNDS_W if mask & 2 else ONE
        h = ROUNDS_H if mask & 4 else ONE
        for t in range(count):
            repeats[mask, t] = block[b, t] * block[w, t] * block[h, t]


@kernel_on_distinct_arrays
def tabulate_weights(count, situation, half_bits, groups, block, repeats, tables):
    """Write the weights' traffic and resident parts: indexed by the channel loops, repeated by the others.

    The traffic is the larger of two: once the loops up to the inner channel loop overflow the buffer, all loops
    outside it repeat the traffic; once those up to the outer one do, all outside that.
    """
    for inner in range(2):
        rounds = ROUNDS_OC if inner else ROUNDS_IC
        other = ROUNDS_IC if inner else ROUNDS_OC
        for t in range(count):
            part = block[WGT, t] * block[rounds, t]
            whole = part * block[other, t]
            resident = part if part <= half_bits else block[WGT, t]
            tables[WGT_FIRST + inner, t] = whole if whole <= half_bits else resident
        for place in range(OUTSIDE_COUNT[situation]):
            mask = OUTSIDE[situation, place]
            for t in range(count):
                part = block[WGT, t] * block[rounds, t]
                again = repeats[mask, t]
                tables[WGT_INNER + 8 * inner + mask, t] = (
                    groups * part * block[other, t] * (1.0 if part <= half_bits else again)
                )
    for place in range(OUTSIDE_COUNT[situation]):
        mask = OUTSIDE[situation, place]
        for t in range(count):
            whole = block[WGT, t] * block[ROUNDS_IC, t] * block[ROUNDS_OC, t]
            again = repeats[mask, t]
            tables[WGT_OUTER + mask, t] = groups * whole * (1.0 if whole <= half_bits else again)


@kernel_on_distinct_arrays
def tabulate_map(
    count, situation, by, half_bits, groups, tile, channel_rounds, other_rounds, block, repeats, resident, tables,
    traffic_row, first_row,
):  # fmt: skip
    """Write the traffic and resident parts of activations or outputs.

    ``tile`` and ``channel_rounds`` are the block's rows of the operand and of the channel loop ``by`` that indexes it;
    ``other_rounds`` is that of the channel loop that does not (ONE when both are one loop). Products only grow
    along a sequence of loops, so the largest part that fits is the maximum over the prefixes that fit.
    """
    for place in range(MASKS_COUNT[by, situation]):
        mask = MASKS[by, situation, place]
        rounds = channel_rounds if mask & 8 else ONE
        for t in range(count):
            alone = block[tile, t]
            part = alone * repeats[mask & 7, t] * block[rounds, t]
            everything = groups * alone * repeats[7, t] * block[channel_rounds, t]
            again = block[other_rounds, t]  # read always: a conditional read becomes a masked one, three times slower
            fits = part <= half_bits
            tables[traffic_row + mask, t] = everything * (1.0 if fits else again)
            resident[mask, t] = part if fits else alone
    for sequence in range(SEQUENCES_COUNT[by, situation]):
        one, two = PREFIXES[by, situation, sequence, 0], PREFIXES[by, situation, sequence, 1]
        three, four = PREFIXES[by, situation, sequence, 2], PREFIXES[by, situation, sequence, 3]
        for t in range(count):
            short = max(resident[one, t], resident[two, t])
            tables[first_row + sequence, t] = max(short, max(resident[three, t], resident[four, t]))


@kernel_on_distinct_arrays
def tabulate_ends(count, situation, terms, block, tables):
    """Turn the outputs' traffic into loads and stores, and write the cycles of the last store of their parts."""
    per_width, up, stored = terms[PER_WIDTH], terms[ROUND_UP], terms[STORED]
    for place in range(MASKS_COUNT[BY_OC, situation]):
        mask = MASKS[BY_OC, situation, place]
        for t in range(count):
            tables[OUT_TRAFFIC + mask, t] = 2.0 * tables[OUT_TRAFFIC + mask, t] - block[SAVED, t]
    for sequence in range(SEQUENCES_COUNT[BY_OC, situation]):
        for t in range(count):
            last = tables[OUT_RESIDENT + sequence, t] * stored
            tables[OUT_LAST_CYCLES + sequence, t] = np.floor((last + up) * per_width)


@kernel_on_distinct_arrays
def try_orders(situation, act_by, count, terms, block, tables, traffic, cycles_found):
    """Write each tiling's fewest cycles over all orders.

    Contract
    --------
    act_by : BY_IC, or BY_OC where output channels index the activations (depthwise)
    count  : int64  tilings in the block
    terms  : float64[TERMS]
    block  : float64[BLOCK_ROWS, BLOCK], tables : float64[TABLE_ROWS, BLOCK]
    traffic, cycles_found : float64[BLOCK]  scratch, and written
    """
    per_width, up, preload, stored = terms[PER_WIDTH], terms[ROUND_UP], terms[PRELOAD], terms[STORED]
    for t in range(count):
        cycles_found[t] = np.inf
    for group in range(GROUPS_START[situation], GROUPS_START[situation + 1]):
        traits = TRAITS[GROUP_START[group]]
        wgt_inner = WGT_INNER + 8 * traits[INNER_CHANNEL] + traits[OUTSIDE_INNER]
        wgt_outer, wgt_first = WGT_OUTER + traits[OUTSIDE_OUTER], WGT_FIRST + traits[INNER_CHANNEL]
        act_row, out_row = ACT_TRAFFIC + traits[INSIDE + act_by], OUT_TRAFFIC + traits[INSIDE + BY_OC]
        for t in range(count):
            wgt = max(tables[wgt_inner, t], tables[wgt_outer, t])
            traffic[t] = wgt + tables[act_row, t] + tables[out_row, t] + up
        for place in range(GROUP_START[group], GROUP_START[group + 1]):
            traits = TRAITS[place]
            act_first, sequence = ACT_FIRST + traits[SEQUENCE + act_by], traits[SEQUENCE + BY_OC]
            out_resident, last_cycles = OUT_RESIDENT + sequence, OUT_LAST_CYCLES + sequence
            for t in range(count):
                first = tables[wgt_first, t] + tables[act_first, t] + tables[out_resident, t] * preload
                middle = np.floor((traffic[t] - first - tables[out_resident, t] * stored) * per_width)
                start = np.floor((first + up) * per_width)
                cycles = max(block[COMPUTE, t], middle) + start + tables[last_cycles, t]
                cycles_found[t] = min(cycles_found[t], cycles)


@lean_kernel
def cheapest_order(situation, act_by, t, terms, cycles, block, tables):
    """Return, of the orders with which a tiling takes so many cycles, the least energy and its first order."""
    per_width, up, preload, stored = terms[PER_WIDTH], terms[ROUND_UP], terms[PRELOAD], terms[STORED]
    least, chosen = np.inf, np.int64(0)
    for group in range(GROUPS_START[situation], GROUPS_START[situation + 1]):
        traits = TRAITS[GROUP_START[group]]
        inner = traits[INNER_CHANNEL]
        wgt_inner = tables[WGT_INNER + 8 * inner + traits[OUTSIDE_INNER], t]
        wgt = max(wgt_inner, tables[WGT_OUTER + traits[OUTSIDE_OUTER], t])
        act = tables[ACT_TRAFFIC + traits[INSIDE + act_by], t]
        out = tables[OUT_TRAFFIC + traits[INSIDE + BY_OC], t]
        traffic = wgt + act + out + up
        for place in range(GROUP_START[group], GROUP_START[group + 1]):
            order, sequence = GROUPED[place], TRAITS[place, SEQUENCE + BY_OC]
            resident = tables[OUT_RESIDENT + sequence, t]
            first = tables[WGT_FIRST + inner, t] + tables[ACT_FIRST + TRAITS[place, SEQUENCE + act_by], t]
            first += resident * preload
            middle = np.floor((traffic - first - resident * stored) * per_width)
            start = np.floor((first + up) * per_width)
            end = tables[OUT_LAST_CYCLES + sequence, t]
            if max(block[COMPUTE, t], middle) + start + end == cycles:
                sums = 0.5 * (out + block[SAVED, t])
                energy = block[ENERGY, t] + wgt * terms[WGT_PRICE] + act * terms[ACT_PRICE] + sums * terms[OUT_PRICE]
                if energy < least or (energy == least and order < chosen):
                    least, chosen = energy, order
    return least, chosen
