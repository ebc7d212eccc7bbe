"""Gemmini's calls one by one, as docs/gemmini.md has them: the oracle of the closed form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workloads.layers import Layer


@dataclass
class Counts:
    """What a layer asks of the machine."""

    calls: int = 0
    array_steps: int = 0
    dma_requests: int = 0
    read_bytes: int = 0
    write_bytes: int = 0


def parts(size: int, most: int) -> Iterator[int]:
    """Cut a size into parts of at most ``most``."""
    while size > 0:
        yield min(size, most)
        size -= most


def requests(size: int) -> int:
    return sum(1 for _ in parts(size, 64))


def steps(rows: int, side: int) -> int:
    """Rows of outputs pass a block of weights one a cycle, in blocks of the array's side, each in at least 4."""
    return sum(max(4, part) for part in parts(rows, side))


def convolution(layer: Layer, tile: tuple[int, ...], side: int) -> Counts:
    """Every call takes as long as a full one."""
    w, h, ic, oc, kw, kh = tile
    count = Counts()
    in_c, out_c = layer.in_c // layer.groups, layer.out_c // layer.groups
    for _ in range(layer.groups * layer.batch):
        for _ in parts(layer.out_h, h):
            for _ in parts(layer.out_w, w):
                for _ in parts(out_c, oc):
                    for _ in parts(layer.kernel_h, kh):
                        for _ in parts(layer.kernel_w, kw):
                            for _ in parts(in_c, ic):
                                call(count, layer, tile, side)
        count.write_bytes += layer.out_h * layer.out_w * out_c
    return count


def call(count: Counts, layer: Layer, tile: tuple[int, ...], side: int) -> None:
    w, h, ic, oc, kw, kh = tile
    count.calls += 1
    for _ in range(h):
        for _ in range(kw * kh):
            for _ in parts(ic, side):
                for _ in parts(oc, side):
                    count.array_steps += steps(w, side)
    width, height = ((out - 1) * layer.stride + (taps - 1) * layer.dilation + 1 for out, taps in ((w, kw), (h, kh)))
    for _ in range(width * height):
        count.dma_requests += requests(ic)
        count.read_bytes += ic
    for _ in range(kw * kh * ic):
        count.dma_requests += requests(oc)
        count.read_bytes += oc


def product(layer: Layer, tile: tuple[int, ...], side: int) -> Counts:
    """Calls at the edges are as small as they are."""
    count = Counts()
    rows, depth = layer.batch * layer.out_h * layer.out_w, layer.in_c // layer.groups
    columns = layer.out_c // layer.groups
    most = [max(1, size // 16) * side for size in (tile[0] * tile[1], tile[2], tile[3])]
    for _ in range(layer.groups):
        for own_rows in parts(rows, most[0]):
            for own_columns in parts(columns, most[2]):
                for own_depth in parts(depth, most[1]):
                    count.calls += 1
                    for _ in parts(own_depth, side):
                        for _ in parts(own_columns, side):
                            count.array_steps += steps(own_rows, side)
                    count.dma_requests += own_rows * requests(own_depth) + own_depth * requests(own_columns)
                    count.read_bytes += own_rows * own_depth + own_depth * own_columns
        count.write_bytes += rows * columns
    return count
