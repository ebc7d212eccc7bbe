"""What the cycle-level kernel works on: the state of every FIFO, merger, slot and request when a round begins.

Made here and not in the kernel, because every array that a kernel makes costs its compilation a tenth of a second.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from accel.sparch import timing_kernels as kernels
from accel.sparch.plan import IndexArray, Positions

WORD_NODES = 64  # nodes whose bits share a word, in layers that have more


def begin_round(
    machine: IndexArray, passed: IndexArray, node_word: IndexArray, first_unit: Positions, units: int, requests: int,
    reload_slot: IndexArray,
) -> tuple[npt.NDArray[Any], ...]:  # fmt: skip
    """Return the arrays ``fifos`` to ``write_count`` of ``timing_kernels.run_round``, as they are at first.

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
    layers, depth, spill_fifo = (
        int(machine[field]) for field in (kernels.LAYERS, kernels.FIFO_DEPTH, kernels.SPILL_FIFO)
    )
    leaves, slots, reloads = 2**layers, len(first_unit), len(reload_slot)
    block = max(1, int(machine[kernels.INTERLEAVE] // machine[kernels.SPILL_BYTES]))
    share = max(block, spill_fifo // max(1, reloads) // block * block)

    fifos = np.zeros((2 * leaves, int(kernels.RECORD)), np.int64)
    fifos[1:, kernels.COMING] = passed[1:]
    fifos[1:, kernels.DEPTH] = depth
    fifos[1, kernels.DEPTH] = spill_fifo
    fifos[1:leaves, kernels.TOTAL] = passed[2::2] + passed[3::2]
    fifos[1:leaves, kernels.WORD] = node_word[1:]
    fifos[leaves + reload_slot, kernels.DEPTH] += share
    small = [((1 << 2**layer) - 1) << 2**layer for layer in range(min(layers, kernels.SMALL_LAYERS))]
    nodes = small + [2**WORD_NODES - 1] * (leaves // WORD_NODES - 1)
    masks = np.zeros((len(nodes), 1 << int(kernels.MASK_BITS)), np.uint64)
    masks[:, kernels.ROOM] = masks[:, kernels.DRY] = nodes
    mergers = np.zeros((layers, 1 << int(kernels.MERGER_BITS)), np.int64)
    mergers[:, kernels.DUE] = kernels.NEVER
    pipes = np.full(layers * int(machine[kernels.MERGE_LATENCY]) << int(kernels.RESULT_BITS), kernels.NEVER)
    slot_state = np.zeros((slots, 1 << int(kernels.SLOT_BITS)), np.int64)
    slot_state[:, kernels.HEAD] = np.where(first_unit >= 0, first_unit, kernels.NONE)
    slot_state[:, kernels.RELOAD] = -1
    slot_state[reload_slot, kernels.RELOAD] = np.arange(reloads)
    reload_state = np.zeros((reloads, 1 << int(kernels.RELOAD_BITS)), np.int64)
    reload_state[:, kernels.LEFT] = passed[leaves + reload_slot]
    return (
        fifos.ravel(),
        masks.ravel(),
        mergers.ravel(),
        pipes,
        np.full(slots, kernels.NONE, np.int32),
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
