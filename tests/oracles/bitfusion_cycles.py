"""BitFusion as registers, bricks and bursts, one cycle at a time: the slow, obvious model of ``simulate``.

Nothing here knows which fold a value belongs to or how long a fold takes. Buffers hold what was brought, units multiply
what stands before them, and what leaves the bottom of the array is added up; the counts follow from what happens.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from tests.oracles.bitfusion import BUFFERS, Machine, Tile, ceil_div, dimensions, indexed_by, multiplication_factor
from tests.oracles.bitfusion_blocks import (
    SUM_BITS,
    Key,
    TileVisit,
    Vector,
    byte_of,
    folds,
    fused_product,
    outside_of,
    vectors,
)
from workloads.layers import Layer

BRICKS = 16


@dataclass
class Array:
    """N x M units. Inputs shift to the right, sums fall down, weights stand in the units."""

    layer: Layer
    machine: Machine
    weights: Any
    activations: Any
    counts: Counter[str]
    sums: dict[Key, int] = field(default_factory=dict)

    def begin(self, fed: list[Vector], loading: int) -> None:
        rows, columns = self.machine.rows, self.machine.columns
        self.fed, self.loading, self.cycle = fed, loading, 0
        self.right: list[list[Vector | None]] = [[None] * columns for _ in range(rows)]
        self.falling = [[0] * columns for _ in range(rows)]
        self.words: list[list[Any]] = [[None] * columns for _ in range(rows)]
        self.columns = [0] * columns
        self.to_come = len(fed) * columns  # sums that have to leave the bottom

    @property
    def working(self) -> bool:
        return self.loading > 0 or self.to_come > 0

    def tick(self) -> None:
        if self.loading:
            self.loading -= 1
            self.counts["weight_load_cycles"] += 1
            return
        rows, columns = self.machine.rows, self.machine.columns
        entering = [self.fed[self.cycle - r] if 0 <= self.cycle - r < len(self.fed) else None for r in range(rows)]
        self.right = [[entering[r], *self.right[r][:-1]] for r in range(rows)]
        above = [[0] * columns, *self.falling[:-1]]
        self.falling = [[above[r][c] + self.multiplied(r, c) for c in range(columns)] for r in range(rows)]
        for c in range(columns):
            self.leave(self.right[rows - 1][c], c, self.falling[rows - 1][c])
        self.counts["compute_cycles" if self.cycle < len(self.fed) else "fill_drain_cycles"] += 1
        self.cycle += 1

    def multiplied(self, r: int, c: int) -> int:
        """Return what a unit adds to the sum that falls through it, and count what it reads."""
        vector = self.right[r][c]
        if vector is None or c >= len(vector.channels):
            return 0
        layer, share = self.layer, multiplication_factor(self.layer)
        act_byte, wgt_byte = vector.bytes
        act_width, wgt_width = min(8, layer.act_bits - 8 * act_byte), min(8, layer.wgt_bits - 8 * wgt_byte)
        lanes = vector.lanes[r * share : (r + 1) * share]
        if self.words[r][c] is not vector.word:
            self.words[r][c] = vector.word
            self.counts["wbuf_read_bits"] += len(lanes) * wgt_width
        if c == 0 or layer.kind == "depthwise":  # a row shares its inputs, unless every column has its own
            self.counts["ibuf_read_bits"] += len(lanes) * act_width
        total = used = 0
        for tap in lanes:
            activation, weight = self.operands(vector, c, tap)
            x = byte_of(activation, layer.act_bits, act_byte)
            y = byte_of(weight, layer.wgt_bits, wgt_byte)
            made, bricks = fused_product(x, y, min(layer.act_bits, 8), min(layer.wgt_bits, 8))
            total += made << 8 * (act_byte + wgt_byte)
            used += bricks
            self.counts["macs"] += vector.bytes == (0, 0)
        assert used <= BRICKS
        return total

    def operands(self, vector: Vector, c: int, tap: tuple[int, int, int]) -> tuple[int, int]:
        layer, (y, x, channel) = self.layer, tap
        b, h, w = vector.pixel
        out = vector.channels[c]
        if layer.kind == "depthwise":
            group, inner, kernel_out, channel_in = out, 0, 0, out
        else:
            group, inner, kernel_out = vector.group, channel, out
            channel_in = group * (layer.in_c // layer.groups) + channel
        row, column = h * layer.stride + y * layer.dilation, w * layer.stride + x * layer.dilation
        weight = self.weights[group, y, x, inner, kernel_out]
        return int(self.activations[b, row, column, channel_in]), int(weight)

    def leave(self, vector: Vector | None, c: int, fallen: int) -> None:
        if vector is None:
            return
        self.to_come -= 1
        if c >= len(vector.channels):
            return
        self.columns[c] += fallen
        if vector.done:
            output = (vector.group, *vector.pixel, vector.channels[c])
            self.sums[output] += self.columns[c]  # there only if it was cleared or brought back
            self.columns[c] = 0
            self.counts["obuf_read_bits"] += SUM_BITS
            self.counts["obuf_write_bits"] += SUM_BITS


class Port:
    """Channels with an equal share of the width; bursts take turns over them. A job waits for the one before it."""

    def __init__(self, width: int, channels: int, burst_bits: int) -> None:
        self.width, self.channels, self.burst_bits = width, channels, burst_bits
        self.jobs: list[tuple[str, list[int]]] = []
        self.credit = [0] * channels

    def ask(self, what: str, bursts: int) -> None:
        queues = [0] * self.channels
        for burst in range(bursts):
            queues[burst % self.channels] += 1
        if bursts:
            self.jobs.append((what, queues))

    def tick(self) -> None:
        if not self.jobs:
            return
        queues = self.jobs[0][1]
        for channel in range(self.channels):
            self.credit[channel] += self.width  # in bits of the whole port
            while queues[channel] and self.credit[channel] >= self.burst_bits * self.channels:
                queues[channel] -= 1
                self.credit[channel] -= self.burst_bits * self.channels
        if not any(queues):
            self.jobs.pop(0)
            self.credit = [0] * self.channels


def run(
    layer: Layer,
    machine: Machine,
    tile: Tile,
    order: tuple[str, ...],
    *,
    channels: int,
    burst_bits: int,
    out_bits: int,
    activations: np.ndarray,
    weights: np.ndarray,
) -> tuple[np.ndarray, Counter[str]]:
    """Run a layer; return its outputs and what was counted."""
    counts: Counter[str] = Counter()
    array = Array(layer, machine, weights, padded(layer, activations), counts)
    port = Port(machine.dram_bits_per_cycle, channels, burst_bits)
    todo = folds(layer, machine, tile, order)
    memory = Memory(layer, machine, tile, order, todo, array, out_bits, burst_bits, counts)

    def together(*, until_computed: bool) -> None:
        while port.jobs or (until_computed and array.working):
            if until_computed and array.working:
                array.tick()
            else:
                counts[f"dram_{port.jobs[0][0]}_wait_cycles"] += 1
            port.tick()

    port.ask("read", memory.bring(0))
    together(until_computed=False)
    leaving = 0
    for number, fold in enumerate(todo):
        port.ask("write", leaving)
        memory.land(number)
        if number + 1 < len(todo):
            port.ask("read", memory.bring(number + 1))
        fed = [vector for visit in fold for vector in vectors(layer, machine, tile, visit)]
        array.begin(fed, machine.rows if memory.new_weights(number) else 0)
        together(until_computed=True)
        leaving = memory.store(number)
        counts["folds"] += 1
    port.ask("write", leaving)
    together(until_computed=False)
    assert not array.sums
    return memory.outputs, counts


def padded(layer: Layer, activations: np.ndarray) -> np.ndarray:
    """Pad a map by zeros to what its windows cover, the odd row or column at the end."""
    spans = []
    for size, out, reach in (
        (layer.in_h, layer.out_h, layer.reach_h),
        (layer.in_w, layer.out_w, layer.reach_w),
    ):
        missing = max(0, (out - 1) * layer.stride + reach - size)
        spans.append((missing // 2, missing - missing // 2))
    return np.pad(activations, ((0, 0), *spans, (0, 0)))


@dataclass
class Memory:
    """The buffers' halves and the DRAM: which parts of which operand are where, and the sums that were spilled."""

    layer: Layer
    machine: Machine
    tile: Tile
    order: tuple[str, ...]
    todo: list[list[TileVisit]]
    array: Array
    out_bits: int
    burst_bits: int
    counts: Counter[str]

    def __post_init__(self) -> None:
        layer = self.layer
        self.outside = {buffer: outside_of(layer, self.machine, self.tile, self.order, buffer) for buffer in BUFFERS}
        self.outputs = np.zeros((layer.batch, layer.out_h, layer.out_w, layer.out_c), np.int64)
        self.depth = layer.kernel_h * layer.kernel_w * dimensions(layer)["ic"]
        self.held: dict[str, tuple[Key, set[Key]]] = {buffer: ((-1,), set()) for buffer in BUFFERS}
        self.spilled: dict[Key, int] = {}
        self.added: Counter[Key] = Counter()  # taps every output has had
        self.landing: dict[int, dict[Key, int]] = {}

    def half(self, buffer: str, number: int) -> Key:
        return self.todo[number][0].indices(self.outside[buffer])

    def part(self, buffer: str, number: int) -> Key:
        """Name what a fold needs of an operand: of its first tile, as a fold has all tiles inside."""
        return self.todo[number][0].indices(tuple(indexed_by(self.layer)[buffer]))

    def missing(self, buffer: str, number: int) -> bool:
        """Say whether a fold's part of an operand is not in the buffer, and put it there."""
        half, part = self.half(buffer, number), self.part(buffer, number)
        if self.held[buffer][0] != half:
            self.held[buffer] = (half, set())
        there = part in self.held[buffer][1]
        self.held[buffer][1].add(part)
        return not there

    def elements(self, buffer: str, number: int) -> set[Key]:
        """Return the elements of an operand that a fold works on."""
        layer, found = self.layer, set()
        depthwise = layer.kind == "depthwise"
        for visit in self.todo[number]:
            span = visit.ranges
            if buffer == "wbuf":
                found |= set(product(range(layer.kernel_h), range(layer.kernel_w), span["ic"], span["oc"]))
            elif buffer == "obuf":
                found |= {(visit.group, *rest) for rest in product(*(span[loop] for loop in ("b", "h", "w", "oc")))}
            else:
                # A map is brought as what a window covers, windows that are stored as rows as the taps they have.
                taps = layer.kernel_h, layer.kernel_w
                window = product(*map(range, taps if layer.reads_input else (layer.reach_h, layer.reach_w)))
                channels = span["oc"] if depthwise else span["ic"]
                for (y, x), b, h, w, c in product(window, span["b"], span["h"], span["w"], channels):
                    pixel = (b, h * layer.stride + y, w * layer.stride + x, c)
                    found.add((*pixel, h, w) if layer.reads_input else pixel)
        return found

    def bring(self, number: int) -> int:
        """Ask for what a fold lacks; return the bursts."""
        bursts = 0
        for buffer, width in (("wbuf", self.layer.wgt_bits), ("ibuf", self.layer.act_bits)):
            if self.missing(buffer, number):
                bits = len(self.elements(buffer, number)) * width
                self.counts[f"{buffer}_write_bits"] += bits
                bursts += self.read(bits)
        if self.missing("obuf", number):
            back = {key: self.spilled.pop(key) for key in self.elements("obuf", number) if key in self.spilled}
            self.landing[number] = back or dict.fromkeys(self.elements("obuf", number), 0)
            self.counts["obuf_write_bits"] += len(back) * SUM_BITS
            self.counts["spilled_bits"] += len(back) * SUM_BITS
            bursts += self.read(len(back) * SUM_BITS)
        return bursts

    def land(self, number: int) -> None:
        """Put sums that were brought back, or cleared, where a fold adds to them."""
        self.array.sums |= self.landing.pop(number, {})

    def read(self, bits: int) -> int:
        bursts = ceil_div(bits, self.burst_bits)
        self.counts["dram_read_bits"] += bursts * self.burst_bits
        self.counts["read_padding_bits"] += bursts * self.burst_bits - bits
        return bursts

    def new_weights(self, number: int) -> bool:
        return number == 0 or self.part("wbuf", number) != self.part("wbuf", number - 1)

    def store(self, number: int) -> int:
        """Let what no later fold of the same half needs leave; return the bursts."""
        for visit in self.todo[number]:
            taps_now = self.layer.kernel_h * self.layer.kernel_w * len(visit.ranges["ic"])
            for rest in product(*(visit.ranges[loop] for loop in ("b", "h", "w", "oc"))):
                self.added[visit.group, *rest] += taps_now
        half, part = self.half("obuf", number), self.part("obuf", number)
        for later in range(number + 1, len(self.todo)):
            if self.half("obuf", later) != half:
                break
            if self.part("obuf", later) == part:
                return 0
        keys = self.elements("obuf", number)
        finished = {self.added[key] == self.depth for key in keys}
        assert len(finished) == 1
        width = self.out_bits if finished == {True} else SUM_BITS
        for key in keys:
            value = self.array.sums.pop(key)
            if finished == {True}:
                group, b, h, w, oc = key
                self.outputs[b, h, w, group * dimensions(self.layer)["oc"] + oc] = value
            else:
                self.spilled[key] = value
        bits = len(keys) * width
        bursts = ceil_div(bits, self.burst_bits)
        self.counts["obuf_read_bits"] += len(keys) * SUM_BITS
        self.counts["dram_write_bits"] += bursts * self.burst_bits
        self.counts["write_padding_bits"] += bursts * self.burst_bits - bits
        return bursts
