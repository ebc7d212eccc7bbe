"""What the cycle-level kernel works on: the state of every FIFO, merger, slot and request when a round begins.

Made here and not in the kernel, because every array that a kernel makes costs its compilation a tenth of a second.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from accel.sparch import timing_kernels as kernels
from accel.sparch import tree_kernels as tree
from accel.sparch.plan import IndexArray, Positions

WORD_BITS = 64
WORD_KINDS = 2  # of a node's merge bits, whose words lie in turn


def begin_round(
    machine: IndexArray, passed: IndexArray, node_word: IndexArray, first_unit: Positions, units: int, requests: int,
    reload_slot: IndexArray,
) -> tuple[npt.NDArray[Any], ...]:  # fmt: skip
    """Return the arrays ``nodes`` to ``write_count`` of ``timing_kernels.run_round``, as they are at first.

    Parameters
    ----------
    machine : ndarray of int64, shape (MACHINE_SIZE,)
    passed, node_word : ndarray of int64
        From ``merge_kernels.merge_round``.
    first_unit : ndarray of int32, shape (slots,)
        Each slot's first unit, -1 for none.
    units, requests : int
        How many there are.
    reload_slot : ndarray of int64, shape (reloads,)
        The slot each reloaded stream feeds.
    """
    layers, depth, spill_fifo, width = (
        int(machine[field]) for field in (kernels.LAYERS, kernels.FIFO_DEPTH, kernels.SPILL_FIFO, kernels.WIDTH)
    )
    leaves, slots, reloads = 2**layers, len(first_unit), len(reload_slot)
    block = max(1, int(machine[kernels.INTERLEAVE] // machine[kernels.SPILL_BYTES]))
    share = max(block, spill_fifo // max(1, reloads) // block * block)

    depths = np.full(2 * leaves, depth, np.uint64)
    depths[1] = spill_fifo
    depths[leaves + reload_slot] += np.uint64(share)
    nodes = np.zeros((leaves, 1 << int(tree.RECORD_BITS)), np.uint64)
    nodes[:, tree.LIMIT] = (depths[0::2] - np.uint64(width)) | ((depths[1::2] - np.uint64(width)) << tree.HALF)
    nodes[1:, tree.AT] = node_word[1:] * (WORD_BITS // WORD_KINDS)
    nodes[1:, tree.REST] = passed[2::2] + passed[3::2]
    deep = np.full((max(1, leaves // WORD_BITS), 4), ~np.uint64(0))
    ring = 1 << (layers * int(machine[kernels.MERGE_LATENCY])).bit_length()
    slot_state = np.zeros((slots, 1 << kernels.SLOT_SHIFT), np.int64)
    slot_state[:, kernels.HEAD] = np.where(first_unit >= 0, first_unit, kernels.NONE)
    slot_state[reload_slot, kernels.WAITS] = kernels.FOR_BLOCK
    reload_state = np.zeros((reloads, 1 << int(kernels.RELOAD_BITS)), np.int64)
    reload_state[:, kernels.LEFT] = reload_state[:, kernels.COMING] = passed[leaves + reload_slot]
    keys = max(units, slots) + 1
    return (
        nodes.ravel(),
        deep.ravel(),
        np.zeros(layers, np.uint64),
        np.zeros(layers, np.uint64),
        np.zeros(ring << int(kernels.RESULT_BITS), np.uint64),
        np.zeros(keys // WORD_BITS + 1, np.uint64),
        np.zeros(keys // WORD_BITS**2 + 1, np.uint64),
        slot_state.ravel(),
        np.empty(units, np.int64),
        np.zeros(units, np.uint8),
        np.zeros(int(machine[kernels.FETCHERS]), np.int64),
        np.empty(requests, np.int64),
        reload_state.ravel(),
        np.zeros((reloads, max(1, (depth + share) // block + 1)), np.int64),
        np.zeros(spill_fifo + 2, np.int64),
        np.zeros(spill_fifo + 2, np.int64),
    )
