"""BitFusion's cycles: blocks run cycle by cycle, and the same blocks counted by kinds of folds.

While the array computes one fold, the DRAM port stores what the fold before left and then brings what the fold after
needs; when all three are done the halves of the buffers change roles, and only then the next fold begins. So work
overlaps between neighbours, and nothing else does.
"""

import numpy as np

from accel.arithmetic import ceil_div
from accel.bitfusion.block_kernels import (
    ACCUMULATIONS,
    B_COUNT,
    BLOCK_COLUMNS,
    FILL_DRAIN,
    FOLDS,
    IBUF_READS,
    LOADING,
    MACS,
    PLACES,
    PRODUCTS,
    READ_PADDING,
    READ_WAIT,
    SPILLED,
    VECTORS,
    WBUF_READS,
    WEIGHT_LOAD,
    WORK_COLUMNS,
    WRITE_PADDING,
    WRITE_WAIT,
    activation_bits,
    bursts_read,
    bursts_written,
    following,
    lay_block,
    outputs_of,
    preceding,
    stored_width,
    sum_bits,
    weight_bits,
    work_of,
)
from accel.bitfusion.instruction_kernels import count_instructions
from accel.bitfusion.kernels import (
    ACCUMULATOR_BITS,
    BURST_BITS,
    COMPUTE,
    DRAM_BITS,
    DRAM_CHANNELS,
    DRAM_READ,
    DRAM_WRITE,
    IBUF_READ,
    IBUF_WRITE,
    OBUF_READ,
    OBUF_WRITE,
    ROWS,
    STALL,
    UNITS_COLUMNS,
    WBUF_READ,
    WBUF_WRITE,
)
from accel.jit import kernel, lean_kernel


@lean_kernel
def run_step(loading, vectors, waves, written, read, machine, counters):
    """Run one fold cycle by cycle, beside the storing and the loading of its neighbours.

    Every channel has an equal share of the port and moves whole bursts; the channel with the most of them decides.
    """
    channels, width = machine[DRAM_CHANNELS], machine[DRAM_BITS]
    burst = machine[BURST_BITS] * channels  # what the port moves while one channel moves a burst
    to_write, to_read = ceil_div(written, channels), ceil_div(read, channels)
    moved = 0
    while loading + vectors + waves + to_write + to_read > 0:
        if loading > 0:
            loading -= 1
            counters[WEIGHT_LOAD] += 1
        elif vectors > 0:
            vectors -= 1
            counters[COMPUTE] += 1
        elif waves > 0:
            waves -= 1
            counters[FILL_DRAIN] += 1
        elif to_write > 0:
            counters[WRITE_WAIT] += 1
        else:
            counters[READ_WAIT] += 1
        moved += width
        if to_write > 0:
            while to_write > 0 and moved >= burst:
                to_write -= 1
                moved -= burst
            if to_write == 0:
                moved = 0
        else:
            while to_read > 0 and moved >= burst:
                to_read -= 1
                moved -= burst


@lean_kernel
def add_step(loading, vectors, waves, written, read, machine, times, counters):
    """Add what ``run_step`` counts, for ``times`` folds alike, in closed form."""
    busy = loading + vectors + waves
    storing = transfer_cycles(written, machine)
    counters[WEIGHT_LOAD] += times * loading
    counters[COMPUTE] += times * vectors
    counters[FILL_DRAIN] += times * waves
    counters[WRITE_WAIT] += times * max(0, storing - busy)
    counters[READ_WAIT] += times * max(0, storing + transfer_cycles(read, machine) - max(busy, storing))


@lean_kernel
def transfer_cycles(bursts, machine):
    """Cycles the port takes for bursts."""
    channels = machine[DRAM_CHANNELS]
    return ceil_div(ceil_div(bursts, channels) * machine[BURST_BITS] * channels, machine[DRAM_BITS])


@lean_kernel
def add_traffic(block, index, machine, work, times, counters):
    """Count the bits that ``times`` folds alike move, and the multiplications they do."""
    burst_bits = machine[BURST_BITS]
    weights, activations, sums = weight_bits(block, index), activation_bits(block, index), sum_bits(block, index)
    read = bursts_read(block, index, burst_bits) * burst_bits
    outputs, stored = outputs_of(block, index), stored_width(block, index)
    written = bursts_written(block, index, burst_bits) * burst_bits
    accumulated = work[ACCUMULATIONS] * ACCUMULATOR_BITS
    counters[WBUF_READ] += times * work[WBUF_READS]
    counters[WBUF_WRITE] += times * weights
    counters[IBUF_READ] += times * work[IBUF_READS]
    counters[IBUF_WRITE] += times * activations
    counters[OBUF_READ] += times * (accumulated + (outputs * ACCUMULATOR_BITS if stored else 0))
    counters[OBUF_WRITE] += times * (accumulated + sums)
    counters[DRAM_READ] += times * read
    counters[DRAM_WRITE] += times * written
    counters[SPILLED] += times * sums
    counters[READ_PADDING] += times * (read - weights - activations - sums)
    counters[WRITE_PADDING] += times * (written - outputs * stored)
    counters[FOLDS] += times
    counters[MACS] += times * work[PRODUCTS]


@kernel
def run_block(block, machine, counters):
    """Run all folds of a block one after another, cycle by cycle.

    Contract
    --------
    block    : int64[BLOCK_COLUMNS]  of ``lay_block``
    machine  : int64[MACHINE_COLUMNS]
    counters : int64[len(LAYER_COUNTERS)]  zeroed; written
    """
    burst_bits, waves = machine[BURST_BITS], machine[ROWS] + machine[UNITS_COLUMNS] - 2
    now, after = np.zeros(PLACES, np.int64), np.zeros(PLACES, np.int64)
    work = np.empty(WORK_COLUMNS, np.int64)
    run_step(0, 0, 0, 0, bursts_read(block, now, burst_bits), machine, counters)
    left = 0
    more = True
    while more:
        more = following(block, after)
        read = bursts_read(block, after, burst_bits) if more else 0
        work_of(block, now, work)
        run_step(work[LOADING], work[VECTORS], waves, left, read, machine, counters)
        add_traffic(block, now, machine, work, 1, counters)
        left = bursts_written(block, now, burst_bits)
        now[:] = after
    run_step(0, 0, 0, left, 0, machine, counters)
    finish(block, counters)


@kernel
def count_block(block, machine, counters):
    """Count what ``run_block`` counts, each kind of fold once.

    What happens in a fold follows from the neighbourhood of each of its loop counters: whether it, the one before and
    the one after are the first or the last of their loop. A loop of six iterations or more has five such
    neighbourhoods, of which the middle one stands for all others.

    Contract
    --------
    As ``run_block``.
    """
    burst_bits, waves = machine[BURST_BITS], machine[ROWS] + machine[UNITS_COLUMNS] - 2
    kind, index, near = np.zeros(PLACES, np.int64), np.zeros(PLACES, np.int64), np.zeros(PLACES, np.int64)
    work = np.empty(WORK_COLUMNS, np.int64)
    add_step(0, 0, 0, 0, bursts_read(block, index, burst_bits), machine, 1, counters)
    more = True
    while more:
        times = 1
        for place in range(PLACES):
            count = block[B_COUNT + place]
            index[place] = kind[place] if count <= 5 or kind[place] < 3 else count + kind[place] - 5
            if count > 5 and kind[place] == 2:
                times *= count - 4
        near[:] = index
        left = bursts_written(block, near, burst_bits) if preceding(block, near) else 0
        near[:] = index
        read = bursts_read(block, near, burst_bits) if following(block, near) else 0
        work_of(block, index, work)
        add_step(work[LOADING], work[VECTORS], waves, left, read, machine, times, counters)
        add_traffic(block, index, machine, work, times, counters)
        more = next_kind(block, kind)
    for place in range(PLACES):
        index[place] = block[B_COUNT + place] - 1
    add_step(0, 0, 0, bursts_written(block, index, burst_bits), 0, machine, 1, counters)
    finish(block, counters)


@lean_kernel
def next_kind(block, kind):
    """Step to the next combination of kinds; return whether there is one."""
    for place in range(PLACES - 1, -1, -1):
        kind[place] += 1
        if kind[place] < min(5, block[B_COUNT + place]):
            return True
        kind[place] = 0
    return False


@lean_kernel
def finish(block, counters):
    """Add up the cycles in which nothing is multiplied, and count the block's instructions."""
    counters[STALL] = counters[WEIGHT_LOAD] + counters[FILL_DRAIN] + counters[READ_WAIT] + counters[WRITE_WAIT]
    count_instructions(block, counters)


@kernel
def network_cycles(layers, machines, machine_of, mappings, out_bits, step_by_step, counters):
    """Lay every layer and run it cycle by cycle, or count it; the layers may run on different machines.

    Contract
    --------
    layers     : int64[n, 16]
    machines   : int64[m, MACHINE_COLUMNS]
    machine_of : int64[n]  row of ``machines`` each layer runs on
    mappings   : int64[n, MAPPING_COLUMNS]  tiles that fit half the buffers
    out_bits   : int64[n]  width at which each layer's outputs leave
    counters   : int64[n, len(LAYER_COUNTERS)]  zeroed; written
    """
    block = np.empty(BLOCK_COLUMNS, np.int64)
    for row in range(layers.shape[0]):
        machine = machines[machine_of[row]]
        lay_block(layers[row], machine, mappings[row], out_bits[row], block)
        if step_by_step:
            run_block(block, machine, counters[row])
        else:
            count_block(block, machine, counters[row])
