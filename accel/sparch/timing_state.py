"""What the cycle-level kernel works on: the state of every FIFO, merger, slot and request when a round begins.

Made here and not in the kernel, because every array that a kernel makes costs its compilation a tenth of a second.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from accel.bits import reciprocal
from accel.sparch import memory_kernels as dram
from accel.sparch import timing_kernels as kernels
from accel.sparch import tree_kernels as tree
from accel.sparch.config import Config
from accel.sparch.plan import IndexArray, Positions

Words = npt.NDArray[np.uint64]

WORD_BITS = 64
WORD_KINDS = 2  # of a node's merge bits, whose words lie in turn


def begin_memory(config: Config) -> Words:
    """Return the memory of a configuration: nothing asked for, no row open."""
    record = int(dram.CHANNEL_STATE) + int(dram.BANK_STATE) * config.hbm_banks
    row_blocks = config.hbm_row_bytes // config.hbm_interleave_bytes
    memory = np.zeros(int(dram.STATE) + config.hbm_channels * record, np.uint64)
    for field, value in (
        (dram.INTERLEAVE, config.hbm_interleave_bytes),
        (dram.CHANNELS, config.hbm_channels),
        (dram.BANKS, config.hbm_banks),
        (dram.BURST, config.hbm_burst_bytes),
        (dram.RATE, config.hbm_bytes_per_cycle),
    ):
        memory[field] = value
        memory[int(field) + 1 : int(field) + 3] = reciprocal(value)
    memory[int(dram.BY_ROW_BLOCKS) : int(dram.BY_ROW_BLOCKS) + 2] = reciprocal(row_blocks)
    memory[dram.ROW_MISS], memory[dram.RECORD] = config.hbm_row_miss_cycles, record
    channels_of(memory)[:, int(dram.CHANNEL_STATE + dram.PAGE) :: int(dram.BANK_STATE)] = dram.NO_PAGE
    return memory


def channels_of(memory: Words) -> Words:
    """Return the channels' records in a memory (words,), a row for each."""
    return memory[int(dram.STATE) :].reshape(-1, int(memory[dram.RECORD]))


def begin_round(
    machine: IndexArray, passed: IndexArray, node_word: IndexArray, first_unit: Positions, units: int, requests: int,
    reload_slot: IndexArray, out_block: int,
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
    out_block : int
        Elements of the result that are written together.
    """
    depth, spill_fifo = int(machine[kernels.FIFO_DEPTH]), int(machine[kernels.SPILL_FIFO])
    leaves, slots, reloads = 1 << int(machine[kernels.LAYERS]), len(first_unit), len(reload_slot)
    block = max(1, int(machine[kernels.INTERLEAVE] // machine[kernels.SPILL_BYTES]))
    share = max(block, spill_fifo // max(1, reloads) // block * block)

    fifo_depths = np.full(2 * leaves, depth, np.uint64)
    fifo_depths[1] = spill_fifo
    fifo_depths[leaves + reload_slot] += np.uint64(share)
    slot_state = np.zeros((slots, 1 << kernels.SLOT_SHIFT), np.int64)
    slot_state[:, kernels.HEAD] = np.where(first_unit >= 0, first_unit, kernels.NONE)
    slot_state[reload_slot, kernels.WAITS] = kernels.FOR_BLOCK
    reload_state = np.zeros((reloads, 1 << int(kernels.RELOAD_BITS)), np.int64)
    reload_state[:, kernels.LEFT] = reload_state[:, kernels.LACKING] = passed[leaves + reload_slot]
    keys = max(units, slots) + 1
    return (
        *_begin_tree(machine, passed, node_word, fifo_depths, out_block),
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


def _begin_tree(
    machine: IndexArray, passed: IndexArray, node_word: IndexArray, fifo_depths: Words, out_block: int
) -> tuple[npt.NDArray[np.uint32], Words]:
    """Return what ``tree_kernels.advance`` works on."""
    layers, latency = int(machine[kernels.LAYERS]), int(machine[kernels.MERGE_LATENCY])
    leaves, ring = 2**layers, 1 << (layers * latency).bit_length()
    behind = int(tree.NODES) + (leaves << int(tree.RECORD_BITS))
    state = np.zeros(behind + 2 * ring, np.uint64)
    for field, value in (
        (tree.LEAVES, leaves),
        (tree.WIDTH, machine[kernels.WIDTH]),
        (tree.LATENCY, latency),
        (tree.CHOICE, machine[kernels.NODE_CHOICE]),
        (tree.BLOCK, out_block),
        (tree.RING, ring - 1),
        (tree.NEXT_DUE, tree.NOT_DUE),
        (tree.COMING, passed[1]),
    ):
        state[field] = value
    nodes = state[int(tree.NODES) : behind].reshape(leaves, -1)
    nodes[1:, tree.AT] = node_word[1:] * (WORD_BITS // WORD_KINDS)
    nodes[1:, tree.REST] = passed[2::2] + passed[3::2]
    fifos = np.zeros(int(tree.NOTHING) + tree.KIND_WORDS, np.uint32)
    fifos[int(tree.NEED) : int(tree.USED)] = tree.LACKING | tree.LACKING << tree.HALF
    limits = fifo_depths - np.uint64(machine[kernels.WIDTH])
    fifos[int(tree.LIMIT) :][:leaves] = limits[0::2] | (limits[1::2] << tree.HALF)
    return fifos, state
