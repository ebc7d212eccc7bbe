"""The systolic array cycle by cycle: every cycle, every active unit multiplies the operands that stand before it.

A fold is the part of a product that the grid holds at once. Operands enter skewed, one cycle later per row or
column, so unit (i, j) works on step ``cycle - i - j``: that is all there is to a systolic array's timing. Values
move as registers would: products are accumulated in place (output stationary), or sums are handed down a column
(weight stationary; input stationary is its mirror image), and what comes out is the product.

Source: the timing is SCALE-Sim's (Samajdar et al., "A Systematic Methodology for Characterizing Scalability of DNN
Accelerators using SCALE-Sim", ISPASS 2020), whose counts it equals but for its counting from zero.

Values are whole numbers below 2**53 held as float64, which multiplies them exactly and fast. What a row of units
is fed is stored reversed, so that what stands before its units in one cycle is contiguous.
"""

import numpy as np

from accel.arithmetic import ceil_div
from accel.jit import kernel, kernel_on_distinct_arrays

OUTPUTS_STAY, WEIGHTS_STAY, INPUTS_STAY = range(3)
ACCUMULATOR_BITS = 32

# Columns of what ``count_product`` writes.
COUNTERS = ("compute_cycles", "stall_cycles", "read_bits", "write_bits", "folds")
COMPUTE, STALL, READ, WRITE, FOLDS = range(5)


@kernel_on_distinct_arrays
def fold_outputs_stay(left, top, steps, rows, columns, sums):
    """Run one output-stationary fold; return the multiplications done.

    Contract
    --------
    left : float64[>= rows, >= steps]                left[i, steps - 1 - k]: fed to row i in step k
    top  : float64[>= steps + columns, >= columns]   top[k + j, j]: fed to column j in step k
    sums : float64[>= rows, >= columns]              added to
    """
    done = 0
    for cycle in range(steps + rows + columns - 2):
        for i in range(max(0, cycle - columns - steps + 2), min(rows, cycle + 1)):
            first, last = max(0, cycle - i - steps + 1), min(columns, cycle - i + 1)
            shift = np.uint64(steps - 1 - cycle + i)  # unsigned: an index that cannot be negative is not checked
            for j in range(np.uint64(first), np.uint64(last)):
                sums[i, j] += left[i, shift + j] * top[cycle - i, j]
            done += last - first
    return done


@kernel_on_distinct_arrays
def fold_weights_stay(left, weights, steps, rows, columns, sums, out):
    """Run one weight-stationary fold after its weights are loaded; return the multiplications done.

    Contract
    --------
    left    : float64[>= rows, >= steps]               left[i, steps - 1 - m]: fed to row i in step m
    weights : float64[>= rows, >= columns]             loaded before, a row a cycle
    sums    : float64[rows + 1, >= columns]            scratch; row 0 stays zero
    out     : float64[>= steps + columns, >= columns]  out[m + j, j]: what leaves column j in step m, added to
    """
    done = 0
    for cycle in range(steps + rows + columns - 2):
        # From the last row up: each row takes the sums its upper neighbour made in the cycle before.
        for i in range(min(rows, cycle + 1) - 1, max(0, cycle - columns - steps + 2) - 1, -1):
            first, last = max(0, cycle - i - steps + 1), min(columns, cycle - i + 1)
            shift = np.uint64(steps - 1 - cycle + i)
            if i == rows - 1:
                for j in range(np.uint64(first), np.uint64(last)):
                    out[cycle - i, j] += sums[i, j] + left[i, shift + j] * weights[i, j]
            else:
                for j in range(np.uint64(first), np.uint64(last)):
                    sums[i + 1, j] = sums[i, j] + left[i, shift + j] * weights[i, j]
            done += last - first
    return done


@kernel
def multiply_outputs_stay(a, b, rows, columns, product):
    """Multiply a (m x k) by b (k x n) fold by fold into ``product`` (zeroed); return cycles and multiplications."""
    m, steps, n = a.shape[0], a.shape[1], b.shape[1]
    left, top = np.empty((rows, steps)), np.empty((steps + columns, columns))
    sums = np.empty((rows, columns))
    cycles = done = 0
    for m0 in range(0, m, rows):
        height = min(rows, m - m0)
        for i in range(height):
            for k in range(steps):
                left[i, steps - 1 - k] = a[m0 + i, k]
        for n0 in range(0, n, columns):
            width = min(columns, n - n0)
            for k in range(steps):
                for j in range(width):
                    top[k + j, j] = b[k, n0 + j]
            sums[:] = 0.0
            done += fold_outputs_stay(left, top, steps, height, width, sums)
            # An edge fold waits for the whole grid to pass, as a full one does.
            cycles += steps + rows + columns - 2
            for i in range(height):
                for j in range(width):
                    product[m0 + i, n0 + j] = sums[i, j]
    return cycles, done


@kernel
def multiply_weights_stay(a, b, rows, columns, product):
    """Multiply a (m x k) by b (k x n) with tiles of b in the grid; return cycles and multiplications."""
    steps, k_size, n = a.shape[0], a.shape[1], b.shape[1]
    left, weights = np.empty((rows, steps)), np.empty((rows, columns))
    sums, out = np.zeros((rows + 1, columns)), np.empty((steps + columns, columns))
    cycles = done = 0
    for k0 in range(0, k_size, rows):
        height = min(rows, k_size - k0)
        for i in range(height):
            for step in range(steps):
                left[i, steps - 1 - step] = a[step, k0 + i]
        for n0 in range(0, n, columns):
            width = min(columns, n - n0)
            for i in range(height):
                for j in range(width):
                    weights[i, j] = b[k0 + i, n0 + j]
            out[:] = 0.0
            done += fold_weights_stay(left, weights, steps, height, width, sums, out)
            cycles += steps + 2 * rows + columns - 2
            for step in range(steps):
                for j in range(width):
                    product[step, n0 + j] += out[step + j, j]
    return cycles, done


@kernel
def count_product(dataflow, m, n, k, act_bits, wgt_bits, rows, columns, half_bits, width, counters):
    """Count one product: folds, DRAM traffic and the waiting between neighbouring folds.

    Of the streamed operand a fold's part is fetched again for every fold of its row, unless it fits half the
    scratch memory; the other operand is fetched once if all of it fits, otherwise for every fold. Sums that go on
    in a later fold stay on chip if all outputs fit, otherwise they are written and read back. A fold's fetch
    overlaps with the fold before it, its write with the fold after it, and nothing else overlaps.

    Contract
    --------
    counters : int64[5]  written, as ``COUNTERS``
    """
    if dataflow == INPUTS_STAY:
        m, n = n, m
        act_bits, wgt_bits = wgt_bits, act_bits
    stay = dataflow != OUTPUTS_STAY
    outer, steps = (k, m) if stay else (m, k)
    length = steps + rows + columns - 2 + (rows if stay else 0)
    all_other_fits = k * n * wgt_bits <= half_bits
    all_sums_fit = m * n * ACCUMULATOR_BITS <= half_bits
    compute = total = read = written = folds = 0
    store_before = store_last = 0  # bits the last two folds write
    for o0 in range(0, outer, rows):
        height = min(rows, outer - o0)
        streamed = height * steps * act_bits
        for n0 in range(0, n, columns):
            columns_here = min(columns, n - n0)
            load = streamed if n0 == 0 or streamed > half_bits else 0
            if o0 == 0 or stay or not all_other_fits:
                load += (height if stay else k) * columns_here * wgt_bits
            sums = (m if stay else height) * columns_here * ACCUMULATOR_BITS
            if stay and o0 > 0 and not all_sums_fit:
                load += sums
            # The fold before computes while this one is fetched and the one before it is written.
            fetch = ceil_div(load, width)
            total += max(length, fetch + ceil_div(store_before, width)) if folds else fetch
            store_before = store_last
            store_last = sums if not stay or o0 + rows >= outer or not all_sums_fit else 0
            folds += 1
            compute += length
            read += load
            written += store_last
    total += max(length, ceil_div(store_before, width)) + ceil_div(store_last, width)
    counters[COMPUTE], counters[STALL] = compute, total - compute
    counters[READ], counters[WRITE], counters[FOLDS] = read, written, folds
