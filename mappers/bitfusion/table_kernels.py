"""BitFusion's loop orders: the traffic every order causes, for a block of tilings at once.

For each tiling of a block the few traffics and resident parts that any order can cause are tabulated first; an
order is then a handful of look-ups, additions and two rounded divisions, the same for every tiling: a loop the
compiler vectorises. Sets of loops are the bit masks of ``loop_orders``.
"""

import numpy as np

from accel.jit import kernel, kernel_on_distinct_arrays
from mappers.bitfusion.loop_orders import (
    DISTINCT,
    INNER_CHANNEL,
    INSIDE,
    INSIDE_COUNT,
    INSIDE_IC,
    INSIDE_OC,
    ORDER_TRAITS,
    OUTSIDE,
    OUTSIDE_COUNT,
    OUTSIDE_INNER,
    OUTSIDE_OUTER,
    PREFIXES,
    PREFIXES_COUNT,
    SEQUENCE_OC,
    SEQUENCE_PREFIXES,
    SEQUENCES,
    SEQUENCES_COUNT,
)

# Rows of a block: what the orders and the tables need of each tiling in it.
COMPUTE, SAVED, ENERGY, WGT, ACT, OUT = range(6)
ROUNDS_B, ROUNDS_W, ROUNDS_H, ROUNDS_IC, ROUNDS_OC = range(6, 11)  # tiles of each loop
ONE = 11  # what a loop that is not there repeats
BLOCK_ROWS = 12
FOUND_CYCLES, FOUND_ENERGY, FOUND_ORDER = range(3)
FOUND_ROWS = 3

# Rows of the tables, by mask or sequence.
WGT_INNER = 0  # + 8 * inner channel + mask
WGT_OUTER = 16  # + mask
WGT_FIRST = 24  # + inner channel
ACT_TRAFFIC = 26  # + mask
OUT_TRAFFIC = 42  # + mask
ACT_FIRST = 58  # + sequence
OUT_FIRST = 82  # + sequence
OUT_LAST = 106  # + sequence
OUT_LAST_CYCLES = 130  # + sequence
TABLE_ROWS = 154


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
    count, situation, half_bits, groups, tile, channel_rounds, other_rounds, block, repeats, resident, tables,
    traffic_row, first_row,
):  # fmt: skip
    """Write the traffic and resident parts of activations or outputs.

    ``tile`` and ``channel_rounds`` are the block's rows of the operand and of the channel loop that indexes it;
    ``other_rounds`` is that of the channel loop that does not (ONE when both are one loop). Products only grow
    along a sequence of loops, so the largest part that fits is the maximum over the prefixes that fit.
    """
    for place in range(INSIDE_COUNT[situation]):
        mask = INSIDE[situation, place]
        rounds = channel_rounds if mask & 8 else ONE
        for t in range(count):
            part = block[tile, t] * repeats[mask & 7, t] * block[rounds, t]
            everything = groups * block[tile, t] * repeats[7, t] * block[channel_rounds, t]
            again = block[other_rounds, t]
            tables[traffic_row + mask, t] = everything * (1.0 if part <= half_bits else again)
    for place in range(PREFIXES_COUNT[situation]):
        mask = PREFIXES[situation, place]
        rounds = channel_rounds if mask & 8 else ONE
        for t in range(count):
            alone = block[tile, t]
            part = alone * repeats[mask & 7, t] * block[rounds, t]
            resident[mask, t] = part if part <= half_bits else alone
    for place in range(SEQUENCES_COUNT[situation]):
        sequence = SEQUENCES[situation, place]
        one, two = SEQUENCE_PREFIXES[sequence, 0], SEQUENCE_PREFIXES[sequence, 1]
        three = SEQUENCE_PREFIXES[sequence, 2]
        for t in range(count):
            short = max(resident[one, t], resident[two, t])
            tables[first_row + sequence, t] = max(short, max(resident[three, t], resident[15, t]))


@kernel
def tabulate_ends(count, situation, preload, stored, width, tables):
    """Write the first load and the last store of the outputs from their resident parts, which OUT_LAST holds."""
    for place in range(SEQUENCES_COUNT[situation]):
        sequence = SEQUENCES[situation, place]
        for t in range(count):
            part = tables[OUT_LAST + sequence, t]
            tables[OUT_FIRST + sequence, t] = part * preload
            tables[OUT_LAST + sequence, t] = part * stored
            tables[OUT_LAST_CYCLES + sequence, t] = np.ceil(part * stored / width)


@kernel_on_distinct_arrays
def try_orders(
    orders_from, orders_to, act_sequence, count, width, prices, block, tables, cycles_found, energy_found, order_found
):  # fmt: skip
    """Keep each tiling's best order: fewest cycles, then least energy.

    Contract
    --------
    orders_from, orders_to : range of DISTINCT to try
    act_sequence : SEQUENCE_IC, or SEQUENCE_OC where output channels index the activations (depthwise)
    count  : int64  tilings in the block
    width  : float64  DRAM bits per cycle
    prices : float64[3]  pJ per bit of weight, activation and output traffic
    block  : float64[BLOCK_ROWS, BLOCK], tables : float64[TABLE_ROWS, BLOCK]
    cycles_found, energy_found, order_found : float64[BLOCK]  updated
    """
    per_width = 1.0 / width
    price_wgt, price_act, price_sums = prices[0], prices[1], prices[2]
    for place in range(orders_from, orders_to):
        order = float(DISTINCT[place])
        traits = ORDER_TRAITS[DISTINCT[place]]
        inner = traits[INNER_CHANNEL]
        wgt_inner = WGT_INNER + 8 * inner + traits[OUTSIDE_INNER]
        wgt_outer = WGT_OUTER + traits[OUTSIDE_OUTER]
        wgt_first = WGT_FIRST + inner
        act_row, out_row = ACT_TRAFFIC + traits[INSIDE_OC], OUT_TRAFFIC + traits[INSIDE_IC]
        act_first, out_first = ACT_FIRST + traits[act_sequence], OUT_FIRST + traits[SEQUENCE_OC]
        out_last, last_cycles = OUT_LAST + traits[SEQUENCE_OC], OUT_LAST_CYCLES + traits[SEQUENCE_OC]
        for t in range(count):
            wgt = max(tables[wgt_inner, t], tables[wgt_outer, t])
            act = tables[act_row, t]
            sums = tables[out_row, t]
            first = tables[wgt_first, t] + tables[act_first, t] + tables[out_first, t]
            middle = wgt + act + (sums + sums) - block[SAVED, t] - first - tables[out_last, t]
            # x / width rounded up: the quotient rounded down, and one more where it falls short of x.
            whole = np.floor(middle * per_width)
            whole += 1.0 if middle - whole * width > 0.0 else 0.0
            start = np.floor(first * per_width)
            start += 1.0 if first - start * width > 0.0 else 0.0
            cycles = max(block[COMPUTE, t], whole) + start + tables[last_cycles, t]
            energy = block[ENERGY, t] + wgt * price_wgt + act * price_act + sums * price_sums
            # Read first and store always: a conditional read or store becomes a masked one, three times slower.
            old_cycles, old_energy = cycles_found[t], energy_found[t]
            old_order = order_found[t]
            fewest = min(old_cycles, cycles)
            before = old_energy if old_cycles == fewest else np.inf
            here = energy if cycles == fewest else np.inf
            least = min(before, here)
            cycles_found[t] = fewest
            energy_found[t] = least
            order_found[t] = old_order if before == least else order
