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

from accel.jit import kernel, kernel_on_distinct_arrays


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
