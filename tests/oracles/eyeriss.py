"""A row-stationary array filled set by set, as docs/eyeriss.md has it: the oracle of the closed form."""

from __future__ import annotations

from workloads.layers import Layer


def parts(size: int, most: int) -> list[int]:
    """Cut a size into parts of at most ``most``."""
    return [min(most, size - start) for start in range(0, size, most)]


def walk(layer: Layer, rows: int, columns: int) -> tuple[int, int]:
    """Return cycles and the multiply-accumulates of all elements, also of those that only fill up a set."""
    if layer.kind in ("linear", "matmul") and layer.kernel_h == layer.kernel_w == 1:
        return vectors(layer, rows, columns)
    places = free_places(layer.kernel_h, rows)
    segments = len(parts(layer.out_h, columns))
    together = min(segments, places)
    filters = 1
    if segments == 1:
        filters = (columns // layer.out_h) * places
    elif together == segments:
        filters = places // segments
    cycles = steps = 0
    window = layer.kernel_h * layer.kernel_w
    for _ in range(layer.batch * layer.groups):
        for _ in parts(layer.out_c // layer.groups, filters):
            for _ in range(layer.in_c // layer.groups):
                steps += filters * layer.out_h * layer.out_w * window
                for _ in parts(segments, together):
                    for _ in parts(layer.kernel_h, rows):
                        cycles += layer.out_w * layer.kernel_w
    return cycles, steps


def free_places(kernel: int, rows: int) -> int:
    """Count how many filters stand one below the other; one whose rows do not fit is folded and stands alone."""
    places = 0
    while (places + 1) * kernel <= rows:
        places += 1
    return max(1, places)


def vectors(layer: Layer, rows: int, columns: int) -> tuple[int, int]:
    """Rows take input channels, columns outputs; an element keeps up to four outputs, as many as there are visits."""
    outputs = layer.out_c // layer.groups
    kept = min(4, len(parts(layer.out_c, columns)))
    cycles = steps = 0
    for _ in range(layer.batch * layer.groups * layer.out_h * layer.out_w):
        for _ in parts(layer.in_c // layer.groups, rows):
            for _ in parts(outputs, columns * kept):
                cycles += kept
                steps += kept * rows * columns
    return cycles, steps
