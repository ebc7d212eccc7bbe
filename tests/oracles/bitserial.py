"""The bit-serial array of ``docs/bitserial.md``, one cycle at a time: the oracle of the fast kernel.

Two sentences of the documentation leave a cycle or an order open; what the published table says is written here:

- Work that is waited for overlaps the arrival of what it waits for. Of a bit plane, the first pair of its last word
  is done in the cycle in which it arrives; of a tile outside, the first plane of its last word.
- "As equal as can be" is: chunks of equally many tiles, the last of which may be smaller.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product as every

from workloads.layers import Layer

OUTPUT_BITS = 32


@dataclass(frozen=True)
class Machine:
    """Outputs computed together, bits of a word, bits of each stream in a cycle, words of each buffer."""

    tile_rows: int
    tile_columns: int
    depth_bits: int
    stream_bits_per_cycle: int
    buffer_words: int


@dataclass(frozen=True)
class Operand:
    """Rows (or columns) of a product or of a chunk of it, how many make a tile, and their width [bits]."""

    count: int
    tile: int
    bits: int

    @property
    def tiles(self) -> list[int]:
        """Rows that every tile really has."""
        return [min(self.tile, self.count - start) for start in range(0, self.count, self.tile)]


@dataclass(frozen=True)
class Product:
    """A matrix product, its depth still in elements, and how many of them run one after another."""

    rows: int
    depth: int
    columns: int
    repeats: int


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


# ---- Streams: one label a word, in the order the words are sent ------------------------------------------


def tile_by_tile(operand: Operand, depth: int) -> Iterator[tuple[int, ...]]:
    """Word by word of depth, all rows and bits of a tile together."""
    for tile, height in enumerate(operand.tiles):
        for _ in range(depth * height * operand.bits):
            yield (tile,)


def plane_by_plane(operand: Operand, depth: int) -> Iterator[tuple[int, ...]]:
    for tile, height in enumerate(operand.tiles):
        for bit in range(operand.bits):
            for _ in range(height * depth):
                yield tile, bit


def arrivals(stream: Iterator[tuple[int, ...]], machine: Machine) -> dict[tuple[int, ...], int]:
    """Return the cycle at whose end the last word of every label is there."""
    last = {}
    bits = 0
    for label in stream:
        bits += machine.depth_bits
        last[label] = ceil_div(bits, machine.stream_bits_per_cycle)
    return last


# ---- The array: one step a cycle -------------------------------------------------------------------------


def cycles_of_order(
    machine: Machine, outer: Operand, inner: Operand, depth: int, *, kept: tuple[bool, bool] = (False, False)
) -> int:
    """Run all steps of a pair of chunks: every outer tile meets all inner tiles and all their bits.

    A chunk that is kept from an earlier pair is there from the beginning.
    """
    tile_there = arrivals(tile_by_tile(outer, depth), machine)
    plane_there = arrivals(plane_by_plane(inner, depth), machine)
    tile_there = dict.fromkeys(tile_there, 0) if kept[0] else tile_there
    plane_there = dict.fromkeys(plane_there, 0) if kept[1] else plane_there
    last_word_steps = inner.bits * outer.bits
    waiting_step = depth * last_word_steps - (last_word_steps - outer.bits)  # the first plane of the last word ends
    now = 0
    for outer_tile, inner_tile in every(range(len(outer.tiles)), range(len(inner.tiles))):
        steps = every(range(inner.bits), range(depth), range(outer.bits))
        for step, (bit, word, outer_bit) in enumerate(steps, start=1):
            now += 1
            if outer_tile == 0 and (word, outer_bit) == (depth - 1, 0):
                now = max(now, plane_there[inner_tile, bit])
            if inner_tile == 0 and step == waiting_step:
                now = max(now, tile_there[outer_tile,])
    return now


def chunks(operand: Operand, depth: int, machine: Machine) -> list[Operand]:
    """Cut an operand into the fewest chunks of equally many whole tiles (the last may be smaller) that all fit."""
    tiles = operand.tiles
    for number in range(1, len(tiles) + 1):
        size = ceil_div(len(tiles), number)
        counts = [sum(tiles[start : start + size]) for start in range(0, len(tiles), size)]
        if max(counts) * depth * operand.bits <= machine.buffer_words:
            return [Operand(count, operand.tile, operand.bits) for count in counts]
    raise ValueError("the buffer does not hold one tile")


# ---- Mappings --------------------------------------------------------------------------------------------


def cut(operand: Operand, tiles_each: int) -> list[Operand]:
    """Cut an operand into chunks of so many tiles; the last may be smaller."""
    tiles = operand.tiles
    parts = [tiles[start : start + tiles_each] for start in range(0, len(tiles), tiles_each)]
    return [Operand(sum(part), operand.tile, operand.bits) for part in parts]


def mappings(product: Product, machine: Machine, act_bits: int, wgt_bits: int) -> Iterator[tuple[int, int, str]]:
    """All chunks that fit, in tiles of rows and columns, and whose are kept: of every number of chunks the least."""
    depth = ceil_div(product.depth, machine.depth_bits)
    choices = []
    for count, tile, bits in (
        (product.rows, machine.tile_rows, act_bits),
        (product.columns, machine.tile_columns, wgt_bits),
    ):
        operand = Operand(count, tile, bits)
        sizes = {ceil_div(len(operand.tiles), number) for number in range(1, len(operand.tiles) + 1)}
        largest = {size: max(part.count for part in cut(operand, size)) for size in sizes}
        choices.append([size for size in sizes if largest[size] * depth * bits <= machine.buffer_words])
    yield from every(*choices, ("nothing", "rows", "columns"))


def mapped(
    product: Product, machine: Machine, act_bits: int, wgt_bits: int, mapping: tuple[int, int, str]
) -> tuple[int, int]:
    """Cycles, and words that are fetched, of one product under a mapping; buffers are what was fetched last."""
    depth = ceil_div(product.depth, machine.depth_bits)
    rows = list(enumerate(cut(Operand(product.rows, machine.tile_rows, act_bits), mapping[0])))
    columns = list(enumerate(cut(Operand(product.columns, machine.tile_columns, wgt_bits), mapping[1])))
    pairs = list(every(rows, columns))
    if mapping[2] == "columns":
        pairs.sort(key=lambda pair: pair[1][0])
    held: tuple[int | None, int | None] = (None, None)
    cycles = words = 0
    for (row, some_rows), (column, some_columns) in pairs:
        kept = (held[0] == row, held[1] == column) if mapping[2] != "nothing" else (False, False)
        cycles += min(
            cycles_of_order(machine, some_rows, some_columns, depth, kept=kept),
            cycles_of_order(machine, some_columns, some_rows, depth, kept=kept[::-1]),
        )
        words += 0 if kept[0] else some_rows.count * depth * act_bits
        words += 0 if kept[1] else some_columns.count * depth * wgt_bits
        held = row, column
    return cycles, words


# ---- The interface ---------------------------------------------------------------------------------------


def lowered(layer: Layer, machine: Machine) -> Product:
    """Return the products of a layer, by the table of the documentation."""
    window = layer.kernel_h * layer.kernel_w
    pixels = layer.out_h * layer.out_w
    if layer.kind == "depthwise":
        groups_of_channels = ceil_div(layer.out_c, machine.tile_columns)
        return Product(pixels, window, machine.tile_columns, layer.batch * groups_of_channels)
    in_c, out_c = layer.in_c // layer.groups, layer.out_c // layer.groups
    if layer.kind == "linear":
        return Product(layer.batch * pixels, in_c, out_c, layer.groups)
    return Product(pixels, window * in_c, out_c, layer.batch * layer.groups)


def cost(product: Product, machine: Machine, act_bits: int, wgt_bits: int) -> dict[str, int]:
    """Cycles, and what the streams carry, of all products of a layer."""
    depth = ceil_div(product.depth, machine.depth_bits)
    rows = Operand(product.rows, machine.tile_rows, act_bits)
    columns = Operand(product.columns, machine.tile_columns, wgt_bits)
    counters = dict.fromkeys(("cycles", "compute_cycles", "row_words", "column_words", "output_words"), 0)
    for some_rows, some_columns in every(chunks(rows, depth, machine), chunks(columns, depth, machine)):
        counters["cycles"] += min(
            cycles_of_order(machine, some_rows, some_columns, depth),
            cycles_of_order(machine, some_columns, some_rows, depth),
        )
        pairs = len(some_rows.tiles) * len(some_columns.tiles)
        counters["compute_cycles"] += pairs * depth * act_bits * wgt_bits
        counters["row_words"] += some_rows.count * depth * act_bits
        counters["column_words"] += some_columns.count * depth * wgt_bits
        counters["output_words"] += some_rows.count * some_columns.count
    counters = {name: product.repeats * count for name, count in counters.items()}
    counters["stall_cycles"] = counters["cycles"] - counters["compute_cycles"]
    return counters


def layer_cost(layer: Layer, machine: Machine) -> dict[str, int]:
    return cost(lowered(layer, machine), machine, layer.act_bits, layer.wgt_bits)
