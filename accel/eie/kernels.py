"""EIE's processing elements: one vector of activations through all of them.

Source: Han et al., "EIE: Efficient Inference Engine on Compressed Deep Neural Network", ISCA 2016, section III.

An activation that is not zero is broadcast to the queues of all processing elements, at most one a cycle and only
when no queue is full. A processing element takes the activation at the head of its queue through its part of that
column, an entry a cycle, fillers included; a column without entries costs it the cycle in which its pointers are read.
"""

import numpy as np

from accel.jit import kernel

# What ``run_vector`` counts.
COUNTERS = ("cycles", "multiplies", "filler_entries", "empty_cycles", "queue_full_cycles", "broadcasts")
CYCLES, MULTIPLIES, FILLERS, EMPTY, FULL, BROADCASTS = range(6)


@kernel
def run_vector(column_start, rows, codes, shared_weights, columns, activations, queue_depth, zero_run, free, taken,
               last, entries, sums, counters):  # fmt: skip
    """Take one vector through the machine: add to ``sums`` what it computes, and count. O(entries + broadcasts * n).

    Contract
    --------
    columns     : int64[k]              columns of the activations that are not zero, ascending
    activations : float64[k]
    free        : int64[n]              scratch; cycle from which each processing element is free
    taken       : int64[queue_depth, n] scratch; cycle in which the last activations left each queue
    last        : int64[n]              scratch; each processing element's last local row
    entries     : int64[n]              scratch; its entries of a column
    sums        : float64[matrix rows]  added to
    counters    : int64[6]              added to, as ``COUNTERS``; the last processing element's end in ``CYCLES``
    """
    elements = len(free)
    free[:] = 0
    cycle = np.int64(-1)  # of the last broadcast
    for k in range(len(columns)):
        column, activation = columns[k], activations[k]
        slot = k % queue_depth
        ready = cycle + 1
        cycle = ready
        if k >= queue_depth:  # the activation that had this slot must have left every queue
            for element in range(elements):
                cycle = max(cycle, taken[slot, element] + 1)
        counters[FULL] += cycle - ready
        last[:] = -1
        entries[:] = 0
        for at in range(column_start[column], column_start[column + 1]):
            row = rows[at]
            local, element = row // elements, row % elements
            fillers = (local - last[element] - 1) // (zero_run + 1)
            last[element] = local
            entries[element] += 1 + fillers
            counters[FILLERS] += fillers
            sums[row] += shared_weights[codes[at]] * activation
        counters[MULTIPLIES] += column_start[column + 1] - column_start[column]
        for element in range(elements):
            # Broadcast in one cycle, it can be taken from the queue in the next.
            start = max(free[element], cycle + 1)
            taken[slot, element] = start
            free[element] = start + max(1, entries[element])
            if entries[element] == 0:
                counters[EMPTY] += 1
    counters[BROADCASTS] += len(columns)
    end = np.int64(0)
    for element in range(elements):
        end = max(end, free[element])
    counters[CYCLES] += end
