"""SpArch's state from round to round, and what every round counts: cycle by cycle, or in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accel.report import LawError
from accel.sparch import memory_kernels, prefetch_kernels, timing_kernels
from accel.sparch.config import GROUPS, ISSUE_ORDERS, NODE_CHOICES, Config
from accel.sparch.plan import IndexArray, Plan
from accel.sparch.timing_state import begin_memory, begin_round, channels_of
from accel.sparch.trace import Indices, Trace, Words

MACHINE = "sparch"
WINDOW_BITS = 64  # the most elements a node takes in a cycle
LEFT_ONLY = np.array([0, ~0] * 2, np.int64).view(np.uint64)  # bits of nodes that use their left side only

# What a round counts beside its cycles. The kernel counts the first ones; ``merge_bound`` is the fewest cycles its
# merges could take.
EVENTS = (
    *timing_kernels.COUNTERS, "found", "missed", "looked_ahead", "outputs", "spilled", "reloaded", "merged", "pushed",
    "bursts", "row_misses", "merge_bound",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stream:
    """What is multiplied in a round: elements of A in order, the slot each feeds, and the slots read from memory."""

    slot: Indices
    k: Indices
    position: Indices
    slot_reloads: IndexArray


@dataclass(frozen=True, slots=True)
class Units:
    """A round's units, and elements of B found and missed.

    Attributes
    ----------
    records : ndarray of int32, shape (units, 1 << UNIT_SHIFT)
        As ``prefetch_kernels.place_units`` writes them.
    first : ndarray of int32, shape (slots,)
        Each slot's first unit, -1 for none.
    found, missed : int
    """

    records: Indices
    first: Indices
    found: int
    missed: int


class Run:
    """The machine's state from round to round.

    Attributes
    ----------
    t : int
        The cycle reached.
    stacks : list of ndarray of int64, shape (3, causes)
        Of each round that was run, the cycles by phase; see ``timing_kernels.run_round``.
    events : list of ndarray of int64, shape (EVENTS,)
        Of each round that was run.
    counters : tuple of str
        Events that a report names as they are.
    """

    counters: tuple[str, ...] = (*timing_kernels.COUNTERS, "bursts", "row_misses")

    def __init__(self, config: Config, plan: Plan, trace: Trace) -> None:
        self.config, self.plan, self.trace = config, plan, trace
        b = plan.product.b
        self.machine = _machine(config)
        self.t = 0
        self.stacks: list[IndexArray] = []
        self.events: list[IndexArray] = []
        self.memory = begin_memory(config)
        self.pieces = (-(-np.diff(b.indptr) // config.prefetch_line_elements)).astype(np.int32)
        self.rows = np.zeros((b.shape[0] + 1, 1 << prefetch_kernels.ROW_SHIFT), np.int32)
        self.rows[1:, prefetch_kernels.FIRST_LINE] = np.cumsum(self.pieces)
        self.rows[:, prefetch_kernels.BEGIN] = b.indptr
        self.rows[-1, [int(prefetch_kernels.OLDER), int(prefetch_kernels.NEWER)]] = b.shape[0]
        self._forget(slice(None))
        self.placed = np.array([0, 0, config.prefetch_lines])
        self.b_base = self._aligned((1 + int(plan.addresses.max(initial=-1))) * config.element_bytes)
        self.free_address = self.b_base + self._aligned(b.nnz * config.element_bytes)
        self.result_address: dict[int, int] = {}

    def follow(self) -> None:
        """Run all of the plan's rounds."""
        if self.plan.rounds and not self.plan.pipelined_merge:
            self._write_products()
        for index in range(len(self.plan.rounds)):
            self._merge_round(index)

    def counted(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return the cycles by cause and the events of all rounds that were run."""
        stack = sum(self.stacks, no_cycles()).sum(axis=0)
        events = sum(self.events, np.zeros(len(EVENTS), np.int64))
        return dict(zip(timing_kernels.CAUSES, stack.tolist(), strict=True)), named(events)

    def _aligned(self, size: int) -> int:
        """Round a region up to whole rows of every channel."""
        step = self.config.hbm_row_bytes * self.config.hbm_channels
        return -(-size // step) * step

    def _reserve(self, elements: int, spilled: bool) -> int:
        """Return the address of memory for so many elements, in blocks."""
        address = self.free_address
        blocks = -(-elements // self.config.block_elements(spilled))
        self.free_address += self._aligned(blocks * self.config.hbm_interleave_bytes)
        return address

    def _write_products(self) -> None:
        """Multiply without merging: every partial matrix goes to memory, one after the other."""
        plan = self.plan
        address = self.free_address
        for leaf, products in enumerate(plan.weights):
            self.result_address[leaf] = self._reserve(int(products), True)
        products = int(plan.weights.sum())
        straight = self.machine.copy()
        straight[timing_kernels.LAYERS], straight[timing_kernels.WIDTH] = 1, self._straight_width()
        multiplied = np.flatnonzero(plan.element_leaves >= 0).astype(np.int32)
        by_leaf = multiplied[np.argsort(plan.element_leaves[multiplied], kind="stable")]
        stream = Stream(
            slot=np.zeros(len(by_leaf), np.int32),
            k=plan.product.a.indices[by_leaf],
            position=by_leaf,
            slot_reloads=np.full(1, -1),
        )
        passed = np.array([0, products, products, 0])
        counted = self._run(straight, stream, passed, np.zeros(2, np.int64), LEFT_ONLY, [], address, True)
        self._keep(counted, spilled=products)

    def _straight_width(self) -> int:
        """Return how many products pass through the tree in a cycle where they are not merged: all that FIFOs let."""
        config = self.config
        root_room = config.spill_fifo_elements - max(config.block_elements(spilled) for spilled in (True, False)) + 1
        return min(config.multipliers, WINDOW_BITS, config.fifo_depth, root_room)

    def _merge_round(self, index: int) -> None:
        """Run one round of the schedule."""
        merged, last = self.trace.rounds[index], index == len(self.trace.rounds) - 1
        inputs, outputs = self.plan.rounds[index], int(merged.passed[1])
        if self.plan.pipelined_merge:
            stream = Stream(merged.slot, merged.k, merged.position, merged.slot_reloads)
        else:
            nothing = np.empty(0, np.int32)
            stream = Stream(nothing, nothing, nothing, np.arange(len(inputs)))
        address = self.result_address[self.plan.leaves + index] = self._reserve(outputs, not last)
        reloads = inputs[stream.slot_reloads >= 0]
        counted = self._run(
            self.machine, stream, merged.passed, merged.node_word, merged.bits,
            [self.result_address[int(number)] for number in reloads], address, not last,
        )  # fmt: skip
        layers = np.add.reduceat(merged.taken, 2 ** np.arange(self.config.merge_layers))
        self._keep(
            counted,
            outputs=outputs if last else 0,
            spilled=0 if last else outputs,
            reloaded=int(merged.passed[self.plan.leaves_per_round :][: len(inputs)][stream.slot_reloads >= 0].sum()),
            merged=int(merged.taken.sum()),
            pushed=int(merged.passed.sum()),
            merge_bound=-(-int(layers.max()) // self.config.merge_width),
        )

    def _keep(self, counted: tuple[IndexArray, dict[str, int]], **merged: int) -> None:
        """Note what a round counted, and what its merges did."""
        stack, events = counted
        events = {**events, **merged}
        self.stacks.append(stack)
        self.events.append(np.array([events.get(name, 0) for name in EVENTS], np.int64))

    def _run(
        self, machine: IndexArray, stream: Stream, passed: IndexArray, node_word: IndexArray, bits: Words,
        reload_addresses: list[int], address: int, spilled: bool,
    ) -> tuple[IndexArray, dict[str, int]]:  # fmt: skip
        """Run a round; return its cycles and its events."""
        config = self.config
        units, requests = self._place(stream), self._requests(stream)
        reload_slot = np.flatnonzero(stream.slot_reloads >= 0)
        state = begin_round(
            machine, passed, node_word, units.first, len(units.records), len(requests[0]), reload_slot,
            config.block_elements(spilled),
        )  # fmt: skip
        stack = no_cycles()
        totals = np.zeros(len(timing_kernels.COUNTERS), np.int64)
        self.t = timing_kernels.run_round(
            self.t, machine, int(passed[1]), bits, units.records.ravel(), 0, self.b_base, *requests, reload_slot,
            passed[len(passed) // 2 + reload_slot], np.array(reload_addresses, np.int64), address,
            config.spill_element_bytes if spilled else config.element_bytes, self._marks(stream), *state,
            self.memory, stack, totals,
        )  # fmt: skip
        if self.t < 0:
            raise LawError(f"{MACHINE}, {self.plan.product.name}: the machine came to a stop")
        channels = channels_of(self.memory)
        bursts, row_misses = channels[:, memory_kernels.BURSTS], channels[:, memory_kernels.ROW_MISSES]
        events = {
            **dict(zip(timing_kernels.COUNTERS, totals.tolist(), strict=True)),
            "found": units.found,
            "missed": units.missed,
            "looked_ahead": len(stream.k),
            "bursts": int(bursts.sum()),
            "row_misses": int(row_misses.sum()),
        }
        bursts[:] = row_misses[:] = 0
        return stack, events

    def _place(self, stream: Stream) -> Units:
        """Cut a stream into units, and let the prefetcher walk them."""
        config, rows = self.config, self.rows
        records = np.empty((int(self.pieces[stream.k].sum()), 1 << timing_kernels.UNIT_SHIFT), np.int32)
        first, last = np.full((2, len(stream.slot_reloads)), prefetch_kernels.NOWHERE, np.int32)
        lines = int(rows[-1, prefetch_kernels.FIRST_LINE]) << prefetch_kernels.LINE_SHIFT
        self.placed[:2] = 0
        prefetch_kernels.place_units(
            stream.slot, stream.k, stream.position, self.plan.addresses, config.prefetch_line_elements,
            config.prefetch_lines, config.look_ahead, config.prefetch_distance, int(config.prefetcher), rows.ravel(),
            np.full(lines, prefetch_kernels.NOWHERE, np.int32), np.empty(len(stream.k), np.int32),
            np.zeros(len(stream.k) // prefetch_kernels.WORD + 1, np.uint64), records.ravel(), first, last,
            self.placed,
        )  # fmt: skip
        self._forget(stream.k if len(stream.k) < len(rows) else slice(None))
        found, missed, _ = self.placed.tolist()
        return Units(records, first, found, missed)

    def _forget(self, used: Indices | slice) -> None:
        """Leave of a round, for the next one, which of the rows of B that it used are in the buffer."""
        rows = self.rows
        in_buffer = rows[used, prefetch_kernels.RESIDENT] > 0
        rows[used, prefetch_kernels.KNOWN] = np.where(in_buffer, prefetch_kernels.LISTED, prefetch_kernels.HELD)
        rows[used, prefetch_kernels.LAST_USER] = rows[used, prefetch_kernels.UPCOMING] = prefetch_kernels.NOWHERE

    def _marks(self, stream: Stream) -> IndexArray:
        """Return after how many elements of the result cycles are measured, and are not any more, in turn."""
        return np.array([0, timing_kernels.NEVER])

    def _requests(self, stream: Stream) -> tuple[IndexArray, ...]:
        config = self.config
        requests = tuple(np.empty(len(stream.k), np.int64) for _ in range(4))
        count = prefetch_kernels.fetch_requests(
            stream.position, self.plan.addresses, stream.k, self.pieces, config.element_bytes,
            config.hbm_interleave_bytes, config.hbm_burst_bytes, config.look_ahead, *requests,
        )  # fmt: skip
        return tuple(part[:count] for part in requests)


class CountedRun(Run):
    """The same rounds in closed form."""

    counters = ("beats",)

    def _run(
        self, machine: IndexArray, stream: Stream, passed: IndexArray, node_word: IndexArray, bits: Words,
        reload_addresses: list[int], address: int, spilled: bool,
    ) -> tuple[IndexArray, dict[str, int]]:  # fmt: skip
        config, units = self.config, self._place(stream)
        length, loader = (units.records[:, field] for field in (timing_kernels.UNIT_LENGTH, timing_kernels.UNIT_LOADER))
        beats = int((-(-length // config.group)).sum())
        layers, width = int(machine[timing_kernels.LAYERS]), int(machine[timing_kernels.WIDTH])
        taken = [int(passed[2 << layer : 4 << layer].sum()) for layer in range(layers)]
        missed = length[loader == np.arange(len(loader))].astype(np.int64) * config.element_bytes
        # Rows of B lie anywhere: a line that is missed opens a row of its bank.
        on_its_way = config.hbm_row_miss_cycles + config.hbm_latency_cycles + -(-missed // config.hbm_bytes_per_cycle)
        leaves = passed[1 << layers :][: len(stream.slot_reloads)]
        out_bytes = config.spill_element_bytes if spilled else config.element_bytes
        moved = (len(stream.k) + units.missed) * config.element_bytes + int(passed[1]) * out_bytes
        moved += int(leaves[stream.slot_reloads >= 0].sum()) * config.spill_element_bytes
        bounds = {
            timing_kernels.MULTIPLY: -(-beats // GROUPS),
            timing_kernels.MERGE: -(-max(taken) // width),
            timing_kernels.B_READ: -(-int(on_its_way.sum()) // config.prefetch_fetchers),
            timing_kernels.WRITE: -(-moved // config.bandwidth),
        }
        longest = max(bounds, key=lambda cause: bounds[cause])
        start = 2 * config.hbm_latency_cycles + config.multiply_latency_cycles + layers * config.merge_latency_cycles
        stack = no_cycles()
        stack[timing_kernels.STEADY, longest] = bounds[longest]
        stack[timing_kernels.EDGE, timing_kernels.PIPELINE] = start
        self.t += bounds[longest] + start
        events = {"beats": beats, "found": units.found, "missed": units.missed, "looked_ahead": len(stream.k)}
        return stack, events


def no_cycles() -> IndexArray:
    """Return a stack without any: a row for each phase of a round, a column for each cause."""
    return np.zeros((3, len(timing_kernels.CAUSES)), np.int64)


def named(events: IndexArray) -> dict[str, int]:
    """Return events, shape (EVENTS,), by name."""
    return dict(zip(EVENTS, events.tolist(), strict=True))


def _machine(config: Config) -> IndexArray:
    """Return a configuration as the kernels read it."""
    return np.array(
        [
            config.merge_layers, config.merge_width, config.merge_latency_cycles,
            NODE_CHOICES.index(config.node_choice),
            config.fifo_depth, GROUPS, config.group, config.multiply_latency_cycles,
            ISSUE_ORDERS.index(config.issue_order), config.look_ahead, config.prefetch_fetchers,
            config.spill_fifo_elements, config.hbm_latency_cycles, config.hbm_interleave_bytes, config.element_bytes,
            config.spill_element_bytes,
        ],
        np.int64,
    )  # fmt: skip
