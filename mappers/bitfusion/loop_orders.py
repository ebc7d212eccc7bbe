"""What each of the 120 orders of BitFusion's five loops means for the traffic of its three operands.

Loops sets are bit masks over batch 1, width 2, height 4 and, as the fourth bit, the channel loop that indexes
the operand (input channels for activations, output channels for outputs).
"""

from __future__ import annotations

from itertools import permutations

import numpy as np

from accel.bitfusion.kernels import LOOP_B, LOOP_H, LOOP_IC, LOOP_OC, LOOP_W, ORDERS
from workloads.layers import IntArray

BATCH_OR_MAP = (LOOP_B, LOOP_W, LOOP_H)
CHANNEL_BIT = 3

# Columns of an order's row in ORDER_TRAITS.
INNER_CHANNEL = 0  # 0 when the input-channel loop is inside the output-channel loop, else 1
OUTSIDE_INNER = 1  # batch and map loops outside the inner channel loop
OUTSIDE_OUTER = 2  # batch and map loops outside the outer channel loop
INSIDE_OC = 3  # loops that index activations and lie inside the output-channel loop
INSIDE_IC = 4  # loops that index outputs and lie inside the input-channel loop
SEQUENCE_IC = 5  # in which sequence the loops that index activations come: a row of SEQUENCE_PREFIXES
SEQUENCE_OC = 6  # the same for the loops that index outputs

_SEQUENCES = list(permutations(range(4)))


def _mask(loops: tuple[int, ...], channel: int) -> int:
    bits = {LOOP_B: 1, LOOP_W: 2, LOOP_H: 4, channel: 1 << CHANNEL_BIT}
    return sum(bits[loop] for loop in loops if loop in bits)


def _traits(order: tuple[int, ...]) -> list[int]:
    """Describe one order, given from the innermost loop outwards."""
    place = {loop: index for index, loop in enumerate(order)}
    inner, outer = sorted((LOOP_IC, LOOP_OC), key=lambda loop: place[loop])

    def sequence(channel: int) -> int:
        loops = sorted((*BATCH_OR_MAP, channel), key=lambda loop: place[loop])
        return _SEQUENCES.index(tuple(CHANNEL_BIT if loop == channel else loop for loop in loops))

    return [
        int(inner == LOOP_OC),
        _mask(order[place[inner] + 1 :], channel=-1),
        _mask(order[place[outer] + 1 :], channel=-1),
        _mask(order[: place[LOOP_OC]], channel=LOOP_IC),
        _mask(order[: place[LOOP_IC]], channel=LOOP_OC),
        sequence(LOOP_IC),
        sequence(LOOP_OC),
    ]


ORDER_TRAITS: IntArray = np.array([_traits(tuple(order[::-1])) for order in ORDERS.tolist()], dtype=np.int64)

# The masks of the first one, two and three loops of every sequence.
SEQUENCE_PREFIXES: IntArray = np.array(
    [[sum(1 << loop for loop in sequence[:length]) for length in (1, 2, 3)] for sequence in _SEQUENCES],
    dtype=np.int64,
)


def _distinct(single: int, square: int) -> list[int]:
    """List one order of every class that differs only in loops of one iteration, or width against height."""
    chosen, seen = [], set()
    for index, order in enumerate(ORDERS.tolist()):
        essence = tuple(loop for loop in order if not single >> loop & 1)
        if square:
            essence = tuple(LOOP_W if loop == LOOP_H else loop for loop in essence)
        if essence not in seen:
            seen.add(essence)
            chosen.append(index)
    return chosen


# In situation s bit i is set when loop i has one iteration, bit 5 when width and height have equally many.
SQUARE_BIT = 5
SITUATIONS = 64
_LISTS = [_distinct(situation & 31, situation >> SQUARE_BIT) for situation in range(SITUATIONS)]

# What an order's traffic depends on; orders with the same traffic differ in what is resident first and last.
_TRAFFIC = [INNER_CHANNEL, OUTSIDE_INNER, OUTSIDE_OUTER, INSIDE_OC, INSIDE_IC]


def _by_traffic(orders: list[int]) -> list[list[int]]:
    """Group orders by their traffic."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for order in orders:
        groups.setdefault(tuple(ORDER_TRAITS[order, _TRAFFIC].tolist()), []).append(order)
    return list(groups.values())


# GROUPED[GROUP_START[g] : GROUP_START[g + 1]] are orders of one traffic; the groups to try in situation s are
# GROUPS_START[s] .. GROUPS_START[s + 1] - 1, the orders in them COUNT[s].
_GROUPS = [_by_traffic(orders) for orders in _LISTS]
GROUPS_START: IntArray = np.cumsum([0, *map(len, _GROUPS)], dtype=np.int64)
GROUP_START: IntArray = np.cumsum([0, *(len(group) for groups in _GROUPS for group in groups)], dtype=np.int64)
GROUPED: IntArray = np.array([order for groups in _GROUPS for group in groups for order in group], dtype=np.int64)
COUNT: IntArray = np.array([len(orders) for orders in _LISTS], dtype=np.int64)


def _listed(needed: list[set[int]]) -> tuple[IntArray, IntArray]:
    """Return sets as rows of a table, and their sizes."""
    table = np.zeros((len(needed), max(map(len, needed))), dtype=np.int64)
    for row, values in zip(table, needed, strict=True):
        row[: len(values)] = sorted(values)
    return table, np.array([len(values) for values in needed], dtype=np.int64)


def _needed(*traits: int) -> list[set[int]]:
    """Collect the values of some traits over the orders to try in every situation."""
    return [{int(ORDER_TRAITS[order, trait]) for order in orders for trait in traits} for orders in _LISTS]


# Which masks and sequences the orders to try in a situation refer to: X[s, : X_COUNT[s]].
_SEQUENCES_NEEDED = _needed(SEQUENCE_IC, SEQUENCE_OC)
SEQUENCES, SEQUENCES_COUNT = _listed(_SEQUENCES_NEEDED)
OUTSIDE, OUTSIDE_COUNT = _listed(_needed(OUTSIDE_INNER, OUTSIDE_OUTER))
# Of the loops that index activations or outputs: sets inside the loop that does not, and first parts of sequences.
MASKS, MASKS_COUNT = _listed(
    [
        {15, *inside, *(int(mask) for row in needed for mask in SEQUENCE_PREFIXES[row])}
        for inside, needed in zip(_needed(INSIDE_OC, INSIDE_IC), map(sorted, _SEQUENCES_NEEDED), strict=True)
    ]
)
