"""A systolic array as registers that shift: the slow, obvious model that the fast kernels have to equal.

Every unit holds what it got from its left and upper neighbour in the cycle before. Nothing here knows which step a
unit works on; that follows from the shifting.
"""

from __future__ import annotations

Matrix = list[list[int]]


def multiply(a: Matrix, b: Matrix, rows: int, columns: int, dataflow: str) -> tuple[Matrix, int]:
    """Multiply on a grid of rows x columns; return the product and the cycles of all folds."""
    if dataflow == "is":
        product, cycles = multiply(transposed(b), transposed(a), rows, columns, "ws")
        return transposed(product), cycles
    m, k, n = len(a), len(b), len(b[0])
    product = [[0] * n for _ in range(m)]
    cycles = 0
    if dataflow == "os":
        for m0 in range(0, m, rows):
            for n0 in range(0, n, columns):
                tile = [row[n0 : n0 + columns] for row in b]
                sums, took = outputs_stay(a[m0 : m0 + rows], tile, rows, columns)
                cycles += took
                for i in range(min(rows, m - m0)):
                    for j in range(min(columns, n - n0)):
                        product[m0 + i][n0 + j] = sums[i][j]
        return product, cycles
    for k0 in range(0, k, rows):
        for n0 in range(0, n, columns):
            fed = [row[k0 : k0 + rows] for row in a]
            tile = [row[n0 : n0 + columns] for row in b[k0 : k0 + rows]]
            left, took = weights_stay(fed, tile, rows, columns)
            cycles += took
            for step in range(m):
                for j in range(min(columns, n - n0)):
                    product[step][n0 + j] += left[step][j]
    return product, cycles


def outputs_stay(a: Matrix, b: Matrix, rows: int, columns: int) -> tuple[Matrix, int]:
    """Run one fold; the grid stops when the last operand has met the last unit."""
    steps = len(b)
    sums = [[0] * columns for _ in range(rows)]
    right = [[(0, False)] * columns for _ in range(rows)]  # what each unit hands on, and whether it is an operand
    down = [[(0, False)] * columns for _ in range(rows)]
    cycle = 0
    while True:
        fed_left = [at(a, i, cycle - i, steps) for i in range(rows)]
        fed_top = [at(transposed(b), j, cycle - j, steps) for j in range(columns)]
        right = [[fed_left[i], *right[i][:-1]] for i in range(rows)]
        down = [fed_top, *down[:-1]]
        for i in range(rows):
            for j in range(columns):
                sums[i][j] += right[i][j][0] * down[i][j][0]
        cycle += 1
        if cycle == steps + rows - 1 + columns - 1:  # the last operand entered the last row and crossed all columns
            return sums, cycle


def weights_stay(a: Matrix, weights: Matrix, rows: int, columns: int) -> tuple[Matrix, int]:
    """Run one fold; weights enter a row a cycle, then inputs stream from the left and sums fall down."""
    steps = len(a)
    grid = [
        [weights[i][j] if i < len(weights) and j < len(weights[0]) else 0 for j in range(columns)] for i in range(rows)
    ]
    streams = [[a[step][i] if i < len(a[0]) else 0 for step in range(steps)] for i in range(rows)]
    right = [[(0, False)] * columns for _ in range(rows)]
    falling = [[0] * columns for _ in range(rows)]
    out = [[0] * columns for _ in range(steps)]
    for cycle in range(steps + rows + columns - 2):
        fed = [at(streams, i, cycle - i, steps) for i in range(rows)]
        right = [[fed[i], *right[i][:-1]] for i in range(rows)]
        above = [[0] * columns, *falling[:-1]]
        falling = [[above[i][j] + right[i][j][0] * grid[i][j] for j in range(columns)] for i in range(rows)]
        for j in range(columns):
            step = cycle - (rows - 1) - j
            if 0 <= step < steps:
                out[step][j] = falling[rows - 1][j]
    return out, rows + steps + rows + columns - 2


def at(matrix: Matrix, row: int, step: int, steps: int) -> tuple[int, bool]:
    """Return what a row is fed in a step, and whether there is anything."""
    there = row < len(matrix) and 0 <= step < steps
    return (matrix[row][step], True) if there else (0, False)


def transposed(matrix: Matrix) -> Matrix:
    """Swap rows and columns."""
    return [list(column) for column in zip(*matrix, strict=True)]
