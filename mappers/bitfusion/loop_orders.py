"""What each of the 120 orders of BitFusion's five loops means for the traffic of its three operands.

Loop sets are bit masks over batch 1, width 2, height 4 and, as the fourth bit, the channel loop that indexes
the operand (input channels for activations, output channels for outputs).

Most tilings have loops of one iteration, which cause nothing wherever they stand. In every such situation only the
orders that differ are listed, and only the sets and sequences of loops that make a difference.
"""

from __future__ import annotations

import numpy as np

from accel.bitfusion.kernels import LOOP_B, LOOP_H, LOOP_IC, LOOP_OC, LOOP_W, ORDERS
from workloads.layers import IntArray

BATCH_OR_MAP = (LOOP_B, LOOP_W, LOOP_H)
WIDTH, HEIGHT, CHANNEL = 2, 4, 8  # bits of a set

# In situation s bit i is set when loop i has one iteration, bit 5 when width and height have equally many.
SQUARE_BIT = 5
SITUATIONS = 64

BY_IC, BY_OC = range(2)  # an operand by the channel loop that indexes it

# Columns of an order's row in TRAITS.
INNER_CHANNEL = 0  # 0 when the input-channel loop is inside the output-channel loop, else 1
OUTSIDE_INNER = 1  # batch and map loops outside the inner channel loop
OUTSIDE_OUTER = 2  # batch and map loops outside the outer channel loop
INSIDE = 3  # + channel: loops that index the operand and lie inside the channel loop that does not
SEQUENCE = 5  # + channel: in which sequence the loops that index the operand come, a row of PREFIXES
_TRAFFIC = slice(SEQUENCE)  # what an order's traffic depends on; the others say what is resident first and last

Loops = tuple[int, ...]
Sequence = tuple[int, int, int, int]  # the sets of the first one, two, three and four loops


def _mask(loops: Loops, situation: int, channel: int = -1) -> int:
    """Return a set of loops without those of one iteration; width stands for height where they are equal."""
    bits = {LOOP_B: 1, LOOP_W: WIDTH, LOOP_H: HEIGHT, channel: CHANNEL}
    mask = sum(bits[loop] for loop in loops if loop in bits and not situation >> loop & 1)
    only_height = mask & (WIDTH | HEIGHT) == HEIGHT
    return mask - HEIGHT + WIDTH if situation >> SQUARE_BIT and only_height else mask


def _sequence(loops: Loops, situation: int, channel: int) -> Sequence:
    """Return what the loops that index an operand cover, one after another."""
    indexing = [loop for loop in loops if loop in (*BATCH_OR_MAP, channel)]
    one, two, three, four = (_mask(tuple(indexing[:length]), situation, channel) for length in range(1, 5))
    return one, two, three, four


def _distinct(situation: int) -> list[int]:
    """List one order of every class that differs only in loops of one iteration, or width against height."""
    chosen: dict[Loops, int] = {}
    for index, order in enumerate(ORDERS.tolist()):
        essence = (loop for loop in order if not situation >> loop & 1)
        square = situation >> SQUARE_BIT
        chosen.setdefault(tuple(LOOP_W if square and loop == LOOP_H else loop for loop in essence), index)
    return list(chosen.values())


def _of_orders(situation: int, orders: list[int]) -> tuple[list[list[int]], tuple[list[Sequence], list[Sequence]]]:
    """Return the traits of orders in a situation, and the sequences of either channel that they refer to."""
    traits: list[list[int]] = []
    sequences: tuple[dict[Sequence, int], dict[Sequence, int]] = ({}, {})
    for index in orders:
        loops: Loops = tuple(ORDERS[index, ::-1].tolist())  # from the innermost outwards
        place = {loop: position for position, loop in enumerate(loops)}
        inner, outer = sorted((LOOP_IC, LOOP_OC), key=lambda loop: place[loop])
        inside_oc, inside_ic = loops[: place[LOOP_OC]], loops[: place[LOOP_IC]]
        row = [
            int(inner == LOOP_OC),
            _mask(loops[place[inner] + 1 :], situation),
            _mask(loops[place[outer] + 1 :], situation),
            # A channel loop of one iteration brings nothing again, whatever lies inside it.
            0 if situation >> LOOP_OC & 1 else _mask(inside_oc, situation, LOOP_IC),
            0 if situation >> LOOP_IC & 1 else _mask(inside_ic, situation, LOOP_OC),
        ]
        for known, channel in zip(sequences, (LOOP_IC, LOOP_OC), strict=True):
            row.append(known.setdefault(_sequence(loops, situation, channel), len(known)))
        traits.append(row)
    return traits, (list(sequences[BY_IC]), list(sequences[BY_OC]))


def _by_traffic(traits: list[list[int]]) -> list[list[int]]:
    """Group orders, by their places, that have the same traffic."""
    groups: dict[Loops, list[int]] = {}
    for place, row in enumerate(traits):
        groups.setdefault(tuple(row[_TRAFFIC]), []).append(place)
    return list(groups.values())


_ORDERS = [_distinct(situation) for situation in range(SITUATIONS)]
_TRAITS, _SEQUENCES = zip(*(_of_orders(s, orders) for s, orders in enumerate(_ORDERS)), strict=True)
_GROUPS = [_by_traffic(traits) for traits in _TRAITS]
_PLACES = [[(s, place) for group in groups for place in group] for s, groups in enumerate(_GROUPS)]

# Places GROUP_START[g] .. GROUP_START[g + 1] - 1 of GROUPED and TRAITS are orders of one traffic; the groups to try in
# situation s are GROUPS_START[s] .. GROUPS_START[s + 1] - 1, the orders in them COUNT[s].
GROUPS_START: IntArray = np.cumsum([0, *map(len, _GROUPS)], dtype=np.int64)
GROUP_START: IntArray = np.cumsum([0, *(len(group) for groups in _GROUPS for group in groups)], dtype=np.int64)
GROUPED: IntArray = np.array([_ORDERS[s][place] for places in _PLACES for s, place in places], dtype=np.int64)
TRAITS: IntArray = np.array([_TRAITS[s][place] for places in _PLACES for s, place in places], dtype=np.int64)
COUNT: IntArray = np.array([len(orders) for orders in _ORDERS], dtype=np.int64)

# What the orders to try in a situation refer to, X[..., s, : X_COUNT[..., s]]: sets of batch and map loops ...
OUTSIDE: IntArray = np.zeros((SITUATIONS, 8), dtype=np.int64)
OUTSIDE_COUNT: IntArray = np.zeros(SITUATIONS, dtype=np.int64)
for _s, _rows in enumerate(_TRAITS):
    _masks = {mask for row in _rows for mask in row[OUTSIDE_INNER:INSIDE]}
    OUTSIDE[_s, : len(_masks)] = sorted(_masks)
    OUTSIDE_COUNT[_s] = len(_masks)
# ... and by channel: sequences, each as the sets it begins with, and all sets of loops that index the operand.
SEQUENCES_COUNT: IntArray = np.array([[len(of[by]) for of in _SEQUENCES] for by in (BY_IC, BY_OC)], dtype=np.int64)
PREFIXES: IntArray = np.zeros((2, SITUATIONS, SEQUENCES_COUNT.max(), 4), dtype=np.int64)
MASKS: IntArray = np.zeros((2, SITUATIONS, 16), dtype=np.int64)
MASKS_COUNT: IntArray = np.zeros((2, SITUATIONS), dtype=np.int64)
for _by in (BY_IC, BY_OC):
    for _s, (_rows, _of) in enumerate(zip(_TRAITS, _SEQUENCES, strict=True)):
        _masks = {row[INSIDE + _by] for row in _rows} | {mask for sequence in _of[_by] for mask in sequence}
        PREFIXES[_by, _s, : len(_of[_by])] = _of[_by]
        MASKS[_by, _s, : len(_masks)] = sorted(_masks)
        MASKS_COUNT[_by, _s] = len(_masks)
