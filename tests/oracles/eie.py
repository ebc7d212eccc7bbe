"""EIE one cycle at a time: queues that hold activations, processing elements that take an entry a cycle."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np


def run(
    matrix: np.ndarray, stored: np.ndarray, vector: np.ndarray, elements: int, depth: int, longest_run: int
) -> dict[str, Any]:
    """Multiply a dense matrix (what is ``stored`` of it) by a vector; return the sums and what was counted."""
    rows, columns = matrix.shape
    compressed = [[_compressed(matrix, stored, column, element, elements, longest_run) for element in range(elements)]
                  for column in range(columns)]  # fmt: skip
    waiting = [column for column in range(columns) if vector[column] != 0.0]
    queues: list[deque[int]] = [deque() for _ in range(elements)]
    work: list[deque[tuple[int, float] | None]] = [deque() for _ in range(elements)]
    sums = np.zeros(rows)
    count = dict.fromkeys(("cycles", "multiplies", "filler_entries", "empty_cycles", "queue_full_cycles"), 0)
    while waiting or any(queues) or any(work):
        lengths = [len(queue) for queue in queues]  # what stands there when the cycle begins
        for element in range(elements):
            if not work[element] and lengths[element]:
                column = queues[element].popleft()
                entries = compressed[column][element]
                count["empty_cycles"] += not entries
                work[element].extend(((column, entry) for entry in entries) if entries else [None])  # type: ignore[arg-type]
            if work[element]:
                step = work[element].popleft()
                if step is not None:
                    column, entry = step
                    if entry is None:
                        count["filler_entries"] += 1
                    else:
                        sums[entry] += matrix[entry, column] * vector[column]
                        count["multiplies"] += 1
        if waiting:
            if max(lengths) < depth:
                column = waiting.pop(0)
                for queue in queues:
                    queue.append(column)
            else:
                count["queue_full_cycles"] += 1
        count["cycles"] += 1
    return {**count, "sums": sums}


def _compressed(
    matrix: np.ndarray, stored: np.ndarray, column: int, element: int, elements: int, longest_run: int
) -> list[int | None]:
    """Return a processing element's entries of a column: rows of the matrix, and None for a filler."""
    entries: list[int | None] = []
    zeros = 0
    for row in range(element, matrix.shape[0], elements):
        if not stored[row, column]:
            zeros += 1
            continue
        while zeros > longest_run:
            entries.append(None)
            zeros -= longest_run + 1
        entries.append(row)
        zeros = 0
    return entries
