"""SpArch's memory: channels that transfer in the order of requests, and banks that hold one row open each.

A request to another row of a bank waits for precharge and activation, which other banks' transfers hide.

Source: docs/sparch.md; the paper names channels and bandwidth only.
"""

import numpy as np

from accel.bits import multiply_high
from accel.jit import lean_kernel

# Words of ``memory``: what it is; of what it is divided by, ``bits.reciprocal``.
(
    INTERLEAVE, BY_INTERLEAVE, CHANNELS, BY_CHANNELS, BY_ROW_BLOCKS, BANKS, BY_BANKS, BURST, BY_BURST, RATE, BY_RATE,
    ROW_MISS, RECORD, STATE,
) = (np.uint64(n) for n in (0, 1, 3, 4, 6, 8, 9, 11, 12, 14, 15, 17, 18, 19))  # fmt: skip
# Words of a channel's record, which stand behind; then those of its banks.
BUS_FREE, BURSTS, ROW_MISSES, CHANNEL_STATE = (np.uint64(n) for n in range(4))
BANK_FREE, PAGE, BANK_STATE = (np.uint64(n) for n in range(3))
NO_PAGE = np.uint64(2**64 - 1)
ONE = np.uint64(1)


@lean_kernel
def divide(number, by, memory):
    """Return a number divided by what has its reciprocal at a place."""
    return multiply_high(number << ONE, memory[by]) >> memory[by + ONE]


@lean_kernel
def request(t, address, size, memory):
    """Transfer bytes from time ``t`` on; return when the last has left the channel.

    Contract
    --------
    t, address, size : int
    memory           : uint64[], from ``timing_state.begin_memory``
    """
    at, done = np.uint64(address), np.uint64(t)
    last = at + np.uint64(size)
    while at < last:
        block = divide(at, BY_INTERLEAVE, memory)
        until = min(last, (block + ONE) * memory[INTERLEAVE])
        row = divide(block, BY_CHANNELS, memory)
        channel = STATE + (block - row * memory[CHANNELS]) * memory[RECORD]
        page = divide(row, BY_ROW_BLOCKS, memory)
        which = page - divide(page, BY_BANKS, memory) * memory[BANKS]
        bank = channel + CHANNEL_STATE + which * BANK_STATE
        bursts = divide(until - ONE, BY_BURST, memory) - divide(at, BY_BURST, memory) + ONE
        missed = memory[bank + PAGE] != page
        memory[bank + PAGE] = page
        memory[channel + ROW_MISSES] += np.uint64(missed)
        ready = max(np.uint64(t), memory[bank + BANK_FREE]) + np.uint64(missed) * memory[ROW_MISS]
        cycles = divide(bursts * memory[BURST] + memory[RATE] - ONE, BY_RATE, memory)
        end = max(ready, memory[channel + BUS_FREE]) + cycles
        memory[channel + BUS_FREE] = memory[bank + BANK_FREE] = end
        memory[channel + BURSTS] += bursts
        done = max(done, end)
        at = until
    return np.int64(done)
