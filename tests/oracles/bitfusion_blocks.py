"""What the block of a layer asks of BitFusion: tiles, folds, vectors, instructions; written out, for the oracle.

Products are cut into bricks here too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from tests.oracles.bitfusion import (
    BUFFERS,
    LOOPS,
    Machine,
    Tile,
    ceil_div,
    dimensions,
    footprints,
    groups,
    indexed_by,
    multiplication_factor,
    usable_bits,
)
from workloads.layers import Layer

SUM_BITS = 32
Key = tuple[int, ...]


# ---- Products of 2 bits --------------------------------------------------------------------------------


def brick(x: int, y: int) -> int:
    """Multiply two digits of 2 bits, each extended by a sign bit: -2..3."""
    assert {x, y} <= set(range(-2, 4))
    return x * y


def byte_of(value: int, bits: int, byte: int) -> int:
    """Return one byte of an operand as the array takes it: the top one signed, the others not."""
    return value >> 8 * byte if byte == ceil_div(bits, 8) - 1 else value >> 8 * byte & 255


def digits(value: int, bits: int) -> list[int]:
    """Cut a byte of an operand into digits of 2 bits; 3 bits take as many as 4, and 5 to 7 as many as 8."""
    count = 8 // (8 // min(max(bits, 2), 8)) // 2
    low = [value >> 2 * place & 3 for place in range(count - 1)]
    return [*low, value >> 2 * (count - 1)]


def fused_product(activation: int, weight: int, act_bits: int, wgt_bits: int) -> tuple[int, int]:
    """Add up the shifted products of the bricks; return it and how many bricks it took."""
    pairs = list(product(enumerate(digits(activation, act_bits)), enumerate(digits(weight, wgt_bits))))
    return sum(brick(x, y) << 2 * (i + j) for (i, x), (j, y) in pairs), len(pairs)


# ---- What a layer asks for -----------------------------------------------------------------------------


@dataclass(frozen=True)
class TileVisit:
    """One iteration of the innermost loop over tiles: its place along every loop, and the elements it covers."""

    group: int
    at: Mapping[str, int]
    ranges: Mapping[str, range]

    def indices(self, loops: tuple[str, ...]) -> Key:
        return (self.group, *(self.at[loop] for loop in loops))


def visits(layer: Layer, tile: Tile, order: tuple[str, ...]) -> Iterator[TileVisit]:
    size, part = dimensions(layer), dict(zip(LOOPS, tile, strict=True))
    for group in range(groups(layer)):
        for place in product(*(range(ceil_div(size[loop], part[loop])) for loop in order)):
            at = dict(zip(order, place, strict=True))
            ranges = {
                loop: range(at[loop] * part[loop], min(size[loop], (at[loop] + 1) * part[loop])) for loop in LOOPS
            }
            yield TileVisit(group, at, ranges)


def outside_of(layer: Layer, machine: Machine, tile: Tile, order: tuple[str, ...], buffer: str) -> tuple[str, ...]:
    """Return the loops whose every iteration changes the half of a buffer; it holds all tiles of the others."""
    size, part = dimensions(layer), dict(zip(LOOPS, tile, strict=True))
    held = footprints(layer, machine, tile)[buffer]
    for place in reversed(range(len(order))):
        if order[place] in indexed_by(layer)[buffer]:
            held *= ceil_div(size[order[place]], part[order[place]])
            if held > usable_bits(machine)[buffer]:
                return order[: place + 1]
    return ()


def folds(layer: Layer, machine: Machine, tile: Tile, order: tuple[str, ...]) -> list[list[TileVisit]]:
    """Group the tiles that the array computes before a half of any buffer changes."""
    outside = [outside_of(layer, machine, tile, order, buffer) for buffer in BUFFERS]
    found: list[list[TileVisit]] = []
    before = None
    for visit in visits(layer, tile, order):
        halves = [visit.indices(loops) for loops in outside]
        if halves != before:
            found.append([])
        found[-1].append(visit)
        before = halves
    return found


def taps(layer: Layer, visit: TileVisit) -> list[list[tuple[int, int, int]]]:
    """Return what an output adds up in each step of a tile: (row, column, input channel) of its window."""
    lanes_of = range(layer.kernel_h), range(layer.kernel_w)
    channels = list(visit.ranges["ic"])
    if layer.reads_input:
        return [[(y, x, c) for y, x in product(*lanes_of) for c in channels]]
    return [[(y, x, c) for c in channels] for y, x in product(*lanes_of)]


def in_steps(layer: Layer, machine: Machine, visit: TileVisit) -> list[list[tuple[int, int, int]]]:
    lanes = machine.rows * multiplication_factor(layer)
    return [run[start : start + lanes] for run in taps(layer, visit) for start in range(0, len(run), lanes)]


@dataclass
class Vector:
    """What enters the rows together: taps over the lanes, for one output pixel and one set of columns.

    ``word`` changes when the units need other weights; ``done`` says that the sums of the columns are complete.
    """

    pixel: Key
    channels: list[int]
    lanes: list[tuple[int, int, int]]
    bytes: tuple[int, int]
    group: int
    word: Any
    done: bool


def keeps_sums(layer: Layer, tile: Tile, machine: Machine) -> bool:
    """Say whether sums stay at the columns, rather than weights in the units: what reads fewer bits for a full tile."""
    b, w, h, ic, oc = tile
    one = TileVisit(0, {}, {"ic": range(ic)})
    acts, wgts = ceil_div(layer.act_bits, 8), ceil_div(layer.wgt_bits, 8)
    weights = layer.kernel_h * layer.kernel_w * ic * oc * layer.wgt_bits * acts
    sums = 2 * b * w * h * oc * SUM_BITS
    steps = len(in_steps(layer, machine, one)) * acts * wgts
    return weights * b * w * h + sums <= weights + sums * steps


def vectors(layer: Layer, machine: Machine, tile: Tile, visit: TileVisit) -> Iterator[Vector]:
    """Return what the array is fed for a tile."""
    pixels = list(product(*(visit.ranges[loop] for loop in ("b", "h", "w"))))
    channels = list(visit.ranges["oc"])
    passes = list(product(range(ceil_div(layer.act_bits, 8)), range(ceil_div(layer.wgt_bits, 8))))
    steps = [(bytes_, lanes) for bytes_ in passes for lanes in in_steps(layer, machine, visit)]
    stay = keeps_sums(layer, tile, machine)
    for start in range(0, len(channels), machine.columns):
        columns = channels[start : start + machine.columns]
        if stay:
            for pixel in pixels:
                for number, (bytes_, lanes) in enumerate(steps):
                    done = number == len(steps) - 1
                    yield Vector(pixel, columns, lanes, bytes_, visit.group, object(), done)
        else:
            for bytes_, lanes in steps:
                word = object()
                for pixel in pixels:
                    yield Vector(pixel, columns, lanes, bytes_, visit.group, word, True)


# ---- The block of instructions -------------------------------------------------------------------------


def instructions(layer: Layer, machine: Machine, tile: Tile, order: tuple[str, ...]) -> Counter[str]:
    """Write the block of a layer out, and count it.

    Loops of one iteration are left out. Every access has an address instruction for every loop that moves it.
    """
    size, part = dimensions(layer), dict(zip(LOOPS, tile, strict=True))
    outer = {loop: ceil_div(size[loop], part[loop]) for loop in LOOPS} | {"group": groups(layer)}
    lanes = machine.rows * multiplication_factor(layer)
    if layer.reads_input:
        window = {"step": ceil_div(layer.kernel_h * layer.kernel_w * part["ic"], lanes)}
    else:
        window = {"ky": layer.kernel_h, "kx": layer.kernel_w, "step": ceil_div(part["ic"], lanes)}
    pixel = {"image": part["b"], "row": part["h"], "column": part["w"]}
    column = {"columns": ceil_div(part["oc"], machine.columns)}
    act_pass, wgt_pass = {"act": ceil_div(layer.act_bits, 8)}, {"wgt": ceil_div(layer.wgt_bits, 8)}

    def held(buffer: str) -> dict[str, int]:
        """Loops over tiles that a half of the buffer holds together."""
        outside = outside_of(layer, machine, tile, order, buffer)
        return {loop: outer[loop] for loop in indexed_by(layer)[buffer] if loop not in outside}

    def moving(buffer: str) -> dict[str, int]:
        return {loop: outer[loop] for loop in ("group", *indexed_by(layer)[buffer])}

    reads_inputs = window | pixel | act_pass | held("ibuf") | (column if layer.kind == "depthwise" else {})
    accesses = [
        ("ld_mem", moving("wbuf")),
        ("ld_mem", moving("ibuf")),
        ("st_mem", moving("obuf")),
        ("rd_buf", window | column | wgt_pass | held("wbuf")),
        ("rd_buf", reads_inputs),
        ("rd_buf", pixel | column | held("obuf")),
        ("wr_buf", pixel | column | held("obuf")),
    ]
    if outer["ic"] > 1 and "ic" in outside_of(layer, machine, tile, order, "obuf"):
        accesses.append(("ld_mem", moving("obuf")))
    block = ["setup", "compute", "block_end"]
    loops = [*outer.values(), *(window | pixel | column | act_pass | wgt_pass).values()]
    block += ["loop" for count in loops if count > 1]
    for name, moved_by in accesses:
        block += [name, *("gen_addr" for count in moved_by.values() if count > 1)]
    return Counter(f"{name}_instructions" for name in block)
