"""BitFusion's published cycle model, one mapping at a time, in plain integers: the oracle of the fast kernel.

Source: Sharma et al., "Bit Fusion: bit-level dynamically composable architecture for accelerating deep
neural networks", ISCA 2018, and the counting rules of the authors' open simulator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product
from math import prod
from typing import NamedTuple

from workloads.layers import Layer

LOOPS = ("b", "w", "h", "ic", "oc")
PARTIAL_SUM_BITS = 32
BUFFERS = ("wbuf", "ibuf", "obuf")

Tile = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Machine:
    """N rows (input channels) by M columns (output channels) of fusion units; double-buffered SRAM."""

    rows: int
    columns: int
    wbuf_bytes: int
    ibuf_bytes: int
    obuf_bytes: int
    dram_bits_per_cycle: int
    wide_outputs: bool = True
    output_preload: bool = True
    full_edge_tiles: bool = True
    unshared_input_reads: bool = True


@dataclass(frozen=True)
class Mapping:
    """Tile sizes, and the five loops over the tiles, outermost first."""

    tile_b: int
    tile_w: int
    tile_h: int
    tile_ic: int
    tile_oc: int
    order: tuple[str, ...]


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


# ---- What the machine sees of a layer ------------------------------------------------------------------


def groups(layer: Layer) -> int:
    """Equal layers that run one after another. Depthwise is one layer: its channels lie on the columns."""
    return 1 if layer.kind == "depthwise" else layer.groups


def dimensions(layer: Layer) -> dict[str, int]:
    """Extent of each loop in one group. A depthwise output has one input channel."""
    in_channels = 1 if layer.kind == "depthwise" else layer.in_c // groups(layer)
    sizes = (layer.batch, layer.out_w, layer.out_h, in_channels, layer.out_c // groups(layer))
    return dict(zip(LOOPS, sizes, strict=True))


def indexed_by(layer: Layer) -> dict[str, tuple[str, ...]]:
    """Name the loops that select another part of each operand."""
    channels = "oc" if layer.kind == "depthwise" else "ic"
    return {"wbuf": ("ic", "oc"), "ibuf": ("b", "w", "h", channels), "obuf": ("b", "w", "h", "oc")}


def multiplication_factor(layer: Layer) -> int:
    """Products of one fusion unit in one cycle; widths above 8 bits take passes instead."""
    activations, weights = (8 // min(max(bits, 2), 8) for bits in (layer.act_bits, layer.wgt_bits))
    return activations * weights


def passes(layer: Layer) -> int:
    return ceil_div(layer.act_bits, 8) * ceil_div(layer.wgt_bits, 8)


# ---- One tile ------------------------------------------------------------------------------------------


def tile_counts(layer: Layer, tile: Tile) -> dict[str, int]:
    return {loop: ceil_div(size, t) for (loop, size), t in zip(dimensions(layer).items(), tile, strict=True)}


def footprints(layer: Layer, machine: Machine, tile: Tile) -> dict[str, int]:
    """Bits that a tile of weights, activations and outputs takes in its buffer."""
    b, w, h, ic, oc = tile
    lanes = machine.rows * multiplication_factor(layer)
    kernel = layer.kernel_h * layer.kernel_w
    in_channels = oc if layer.kind == "depthwise" else ic
    if layer.reads_input:  # stored as the rows of a matrix ("im2col"): windows do not share pixels
        pixels = w * h * kernel
    else:
        pixels = ((w - 1) * layer.stride + layer.reach_w) * ((h - 1) * layer.stride + layer.reach_h)
    return {
        "wbuf": ceil_div(kernel * ic, lanes) * lanes * oc * layer.wgt_bits,
        "ibuf": pixels * in_channels * b * layer.act_bits,
        "obuf": w * h * ceil_div(oc, machine.columns) * machine.columns * b * PARTIAL_SUM_BITS,
    }


def usable_bits(machine: Machine) -> dict[str, int]:
    """Half of each buffer: the other half is being filled or drained."""
    sizes = (machine.wbuf_bytes, machine.ibuf_bytes, machine.obuf_bytes)
    return {buffer: size * 8 // 2 for buffer, size in zip(BUFFERS, sizes, strict=True)}


def compute_cycles(layer: Layer, machine: Machine, tile: Tile) -> int:
    """Cycles in which the array computes, without filling and draining it."""
    lanes = machine.rows * multiplication_factor(layer)
    kernel = layer.kernel_h * layer.kernel_w

    def channel_cycles(ic: int) -> int:
        return ceil_div(kernel * ic, lanes) if layer.reads_input else kernel * ceil_div(ic, lanes)

    b, w, h, ic, oc = tile
    if machine.full_edge_tiles:
        one_tile = b * w * h * ceil_div(oc, machine.columns) * channel_cycles(ic)
        total = one_tile * prod(tile_counts(layer, tile).values())
    else:
        size = dimensions(layer)
        columns = sum(ceil_div(part, machine.columns) for part in parts(size["oc"], oc))
        total = size["b"] * size["w"] * size["h"] * columns * sum(map(channel_cycles, parts(size["ic"], ic)))
    return passes(layer) * groups(layer) * total


def parts(size: int, tile: int) -> list[int]:
    """Cut a dimension into tiles, the last one at its true size."""
    return [min(tile, size - start) for start in range(0, size, tile)]


def inner_accesses(layer: Layer, machine: Machine, tile: Tile) -> dict[str, int]:
    """Bits that the array reads from each buffer for one tile (and writes back, for OBUF).

    Three dataflows are compared with the channels padded to the array, and the one that moves fewest bits
    (the first of equals) is charged without the padding. Padded taps >= 2 make it output stationary, as the
    32-bit sums outweigh the operands; only one row of units at 8 x 8 bits ever takes another.
    """
    b, w, h, ic, oc = tile
    lanes = machine.rows * multiplication_factor(layer)
    padded_ic = ceil_div(ic, lanes) * lanes
    padded_oc = ceil_div(oc, machine.columns) * machine.columns

    def dataflows(ic: int, oc: int) -> list[dict[str, int]]:
        outputs = b * w * h
        taps = layer.kernel_h * layer.kernel_w * ic
        volume = taps * outputs
        readers = oc if machine.unshared_input_reads else ceil_div(oc, machine.columns)
        a_bits, w_bits, o_bits = layer.act_bits, layer.wgt_bits, PARTIAL_SUM_BITS
        return [
            # input stationary, output stationary, weight stationary
            {"ibuf": volume * a_bits, "wbuf": volume * oc * w_bits, "obuf": volume * oc * o_bits},
            {"ibuf": volume * readers * a_bits, "wbuf": volume * oc * w_bits, "obuf": outputs * oc * o_bits},
            {"ibuf": volume * readers * a_bits, "wbuf": taps * oc * w_bits, "obuf": volume * oc * o_bits},
        ]

    padded = [flow["ibuf"] + flow["wbuf"] + 2 * flow["obuf"] for flow in dataflows(padded_ic, padded_oc)]
    return dataflows(ic, oc)[padded.index(min(padded))]


# ---- The loops over the tiles --------------------------------------------------------------------------


def walk(
    order: tuple[str, ...], counts: dict[str, int], footprint: int, indexed: tuple[str, ...], usable: int
) -> tuple[int, int]:
    """Bits that an operand moves to or from DRAM, and the most of it that is resident at once."""
    traffic = largest = footprint
    resident = True
    for loop in reversed(order):
        if not resident:
            traffic *= counts[loop]
        elif loop in indexed:
            traffic *= counts[loop]
            resident = traffic <= usable
            largest = traffic if resident else largest
    return traffic, largest


class TileFacts(NamedTuple):
    """Everything about a tile that does not depend on the loop order."""

    counts: dict[str, int]
    footprint: dict[str, int]
    compute: int
    inner: dict[str, int]


def tile_facts(layer: Layer, machine: Machine, tile: Tile) -> TileFacts:
    return TileFacts(
        tile_counts(layer, tile),
        footprints(layer, machine, tile),
        compute_cycles(layer, machine, tile),
        inner_accesses(layer, machine, tile),
    )


def cost_of_order(layer: Layer, machine: Machine, facts: TileFacts, order: tuple[str, ...]) -> dict[str, int]:
    counts, footprint, compute, inner = facts
    indexed, usable = indexed_by(layer), usable_bits(machine)
    moved, resident = {}, {}
    for buffer in BUFFERS:
        moved[buffer], resident[buffer] = walk(order, counts, footprint[buffer], indexed[buffer], usable[buffer])

    # Outputs travel as partial sums: `once` of them are the finished ones (and the first, empty ones).
    drained = loads = stores = moved["obuf"]
    first_outputs = last = resident["obuf"]
    once = footprint["obuf"] * counts["b"] * counts["w"] * counts["h"] * counts["oc"]
    if not machine.output_preload:
        loads -= once
        first_outputs = 0
    if not machine.wide_outputs:  # exact: a footprint is a multiple of 32 bits
        stores += once * layer.act_bits // PARTIAL_SUM_BITS - once
        last = last * layer.act_bits // PARTIAL_SUM_BITS

    repeat = groups(layer)
    reads = repeat * (moved["wbuf"] + moved["ibuf"] + loads)
    writes = repeat * stores
    first = resident["wbuf"] + resident["ibuf"] + first_outputs
    bandwidth = machine.dram_bits_per_cycle
    unhidden = max(0, ceil_div(reads + writes - first - last, bandwidth) - compute)
    stall = unhidden + ceil_div(first, bandwidth) + ceil_div(last, bandwidth)

    tiles = prod(counts.values())
    return {
        "compute_cycles": compute,
        "stall_cycles": stall,
        "cycles": compute + stall,
        "wbuf_read_bits": repeat * tiles * inner["wbuf"],
        "wbuf_write_bits": repeat * moved["wbuf"],
        "ibuf_read_bits": repeat * tiles * inner["ibuf"],
        "ibuf_write_bits": repeat * moved["ibuf"],
        "obuf_read_bits": repeat * (tiles * inner["obuf"] + drained),
        "obuf_write_bits": repeat * (tiles * inner["obuf"] + loads),
        "dram_read_bits": reads,
        "dram_write_bits": writes,
    }


# ---- The interface -------------------------------------------------------------------------------------


def powers_of_two(unit: int, size: int) -> Iterator[int]:
    """``unit``, twice, four times ``unit``, ... up to the first that covers ``size``, capped at ``size``."""
    while unit < size:
        yield unit
        unit *= 2
    yield size


def tilings(layer: Layer, machine: Machine) -> Iterator[Tile]:
    """Tiles (b, w, h, ic, oc) of the search space whose operands each fit half their buffer."""
    size = dimensions(layer)
    usable = usable_bits(machine)
    oc_unit = 1 if layer.reads_input else machine.columns
    for b in powers_of_two(1, size["b"]):
        for o in powers_of_two(1, max(size["w"], size["h"])):
            for ic in powers_of_two(1, size["ic"]):
                for oc in powers_of_two(oc_unit, size["oc"]):
                    tile = (b, min(o, size["w"]), min(o, size["h"]), ic, oc)
                    if all(bits <= usable[at] for at, bits in footprints(layer, machine, tile).items()):
                        yield tile


def all_tilings(layer: Layer, machine: Machine) -> Iterator[Tile]:
    """Tiles of the wide space: any number of equal parts of every loop, rounded up, and the sizes of ``tilings``."""
    size = dimensions(layer)
    usable = usable_bits(machine)
    units = {loop: machine.columns if loop == "oc" and not layer.reads_input else 1 for loop in LOOPS}
    sizes = [
        sorted({ceil_div(size[loop], parts) for parts in range(1, size[loop] + 1)} | {*powers_of_two(unit, size[loop])})
        for loop, unit in units.items()
    ]
    for tile in product(*sizes):
        if all(bits <= usable[at] for at, bits in footprints(layer, machine, tile).items()):
            yield tile


def cost(layer: Layer, machine: Machine, mapping: Mapping) -> dict[str, int]:
    """Cycles, buffer accesses and DRAM traffic [bits] of a layer under one mapping."""
    tile = (mapping.tile_b, mapping.tile_w, mapping.tile_h, mapping.tile_ic, mapping.tile_oc)
    return cost_of_order(layer, machine, tile_facts(layer, machine, tile), mapping.order)


def energy(counters: dict[str, int], pj: dict[str, float]) -> float:
    """Dynamic energy [pJ]; ``pj`` holds core_pj_per_cycle, dram and {w,i,o}buf_{read,write} per bit."""
    total = counters["compute_cycles"] * pj["core_pj_per_cycle"]
    for buffer in BUFFERS:
        for access in ("read", "write"):
            total += counters[f"{buffer}_{access}_bits"] * pj[f"{buffer}_{access}"]
    return total + (counters["dram_read_bits"] + counters["dram_write_bits"]) * pj["dram"]


def best(layer: Layer, machine: Machine, pj: dict[str, float], *, wide: bool = False) -> tuple[Mapping, dict[str, int]]:
    """Try every tiling with every loop order: fewest cycles, then least energy, then the first one.

    Two short cuts that lose nothing: no order takes fewer cycles than its tile computes, and a loop over
    one tile changes nothing wherever it stands.
    """
    winner: tuple[Mapping, dict[str, int]] | None = None
    for tile in all_tilings(layer, machine) if wide else tilings(layer, machine):
        facts = tile_facts(layer, machine, tile)
        if winner and facts.compute > winner[1]["cycles"]:
            continue
        tried = set()
        for order in permutations(LOOPS):
            looping = tuple(loop for loop in order if facts.counts[loop] > 1)
            if looping in tried:
                continue
            tried.add(looping)
            counters = cost_of_order(layer, machine, facts, order)
            if winner and counters["cycles"] > winner[1]["cycles"]:
                continue
            if not winner or counters["cycles"] < winner[1]["cycles"] or energy(counters, pj) < energy(winner[1], pj):
                winner = Mapping(*tile, order), counters
    if winner is None:
        raise ValueError(f"no tile of layer {layer.name} fits the buffers")
    return winner
