"""SpArch: products of sparse matrices, cycle by cycle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from accel.report import LawError, Report
from accel.roofline import Roofline
from accel.sparch import prefetch_kernels, timing_kernels
from accel.sparch.config import GROUPS, ISSUE_ORDERS, NODE_CHOICES, Config
from accel.sparch.plan import IndexArray, Plan
from accel.sparch.technology import area_mm2, energy_pj
from accel.sparch.trace import Indices, Trace, Words, merge
from workloads.errors import ConfigError
from workloads.units import OPERATIONS_PER_MAC

MACHINE = "sparch"
LEFT_ONLY = np.array([0, ~0] * 2, np.int64).view(np.uint64)  # bits of nodes that use their left side only


@dataclass(frozen=True, slots=True)
class _Stream:
    """What is multiplied in a round: elements of A in order, the slot each feeds, and the slots read from memory."""

    slot: Indices
    k: Indices
    position: Indices
    slot_reloads: IndexArray


def simulate(config: Config, plan: Plan) -> Report:
    """Multiply the plan's matrices on the machine, cycle by cycle.

    Parameters
    ----------
    config : Config
    plan : Plan
        From ``mappers.sparch.best_plan``, for a configuration with as many leaves and the same techniques. A plan that
        was run before is not merged again: another hardware point costs its timing only.

    Returns
    -------
    Report
        ``result`` is the product, a ``csr_array`` in canonical form. Its values are added up in the order of A's
        elements.

    Raises
    ------
    ConfigError
        If the plan was made for another number of leaves, or other techniques.
    """
    return _follow(_Run(config, plan, _checked_trace(config, plan)))


def estimate(config: Config, plan: Plan) -> Report:
    """Count every round instead of running it: the longest of what multipliers, tree, fetchers and memory take.

    What the rounds merge and what the buffer finds is exact, so traffic is that of ``simulate`` but for bypasses;
    cycles add up each round's longest part, as if the others hid behind it. docs/sparch.md says how far that is from
    ``simulate``. Parameters and errors are those of ``simulate``.

    Returns
    -------
    Report
        Without a result, and without counters that only cycles tell.
    """
    return _follow(_Estimate(config, plan, _checked_trace(config, plan)))


def _checked_trace(config: Config, plan: Plan) -> Trace:
    if plan.leaves_per_round != config.leaves:
        need = f"a plan made for it, not for {plan.leaves_per_round} leaves"
        raise ConfigError(MACHINE, "merge_layers", config.merge_layers, need)
    for technique in ("pipelined_merge", "condensing", "huffman"):
        if getattr(plan, technique) != getattr(config, technique):
            raise ConfigError(MACHINE, technique, getattr(config, technique), "a plan made for it")
    return merge(plan)


def _follow(run: _Run) -> Report:
    """Run all of a plan's rounds."""
    if not run.plan.pipelined_merge:
        run.write_products()
    for index in range(len(run.plan.rounds)):
        run.merge_round(index)
    return run.report()


class _Run:
    """The machine's state from round to round."""

    fidelity = "simulate"

    def __init__(self, config: Config, plan: Plan, trace: Trace) -> None:
        self.config, self.plan, self.trace = config, plan, trace
        b = plan.product.b
        self.machine = _machine(config)
        self.t = 0
        self.stack = np.zeros(len(timing_kernels.CAUSES), np.int64)
        self.totals = np.zeros(len(timing_kernels.COUNTERS), np.int64)
        self.memory = np.zeros((config.hbm_channels, timing_kernels.MEMORY_STATE + 2 * config.hbm_banks), np.int64)
        self.memory[:, timing_kernels.MEMORY_STATE + 1 :: 2] = -1
        lengths = np.diff(b.indptr)
        self.pieces = (-(-lengths // config.prefetch_line_elements)).astype(np.int32)
        self.line_pointers = np.concatenate(([0], np.cumsum(self.pieces, dtype=np.int64)))
        self.resident = np.zeros(b.shape[0], np.int32)
        self.older = np.full(b.shape[0] + 1, b.shape[0], np.int32)
        self.newer = self.older.copy()
        self.placed = np.array([0, 0, config.prefetch_lines])
        self.a_elements = self.spilled = self.reloaded = 0
        self.b_base = self._aligned(plan.product.a.nnz * config.element_bytes)
        self.free_address = self.b_base + self._aligned(b.nnz * config.element_bytes)
        self.result_address: dict[int, int] = {}

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

    def write_products(self) -> None:
        """Multiply without merging: every partial matrix goes to memory, one after the other."""
        plan = self.plan
        address = self.free_address
        for leaf, products in enumerate(plan.weights):
            self.result_address[leaf] = self._reserve(int(products), True)
        products = int(plan.weights.sum())
        straight = self.machine.copy()
        straight[timing_kernels.LAYERS], straight[timing_kernels.WIDTH] = 1, self.config.multipliers
        stream = _Stream(
            slot=np.zeros(len(plan.leaf_elements), np.int32),
            k=plan.product.a.indices[plan.leaf_elements],
            position=plan.leaf_elements,
            slot_reloads=np.full(1, -1),
        )
        passed = np.array([0, products, products, 0])
        self._run(straight, stream, passed, np.zeros(2, np.int64), LEFT_ONLY, [], address, True)
        self.spilled += products

    def merge_round(self, index: int) -> None:
        """Run one round of the schedule."""
        merged, last = self.trace.rounds[index], index == len(self.trace.rounds) - 1
        inputs, outputs = self.plan.rounds[index], int(merged.passed[1])
        if self.plan.pipelined_merge:
            stream = _Stream(merged.slot, merged.k, merged.position, merged.slot_reloads)
        else:
            nothing = np.empty(0, np.int32)
            stream = _Stream(nothing, nothing, nothing, np.arange(len(inputs)))
        address = self.result_address[self.plan.leaves + index] = self._reserve(outputs, not last)
        reloads = inputs[stream.slot_reloads >= 0]
        self._run(
            self.machine, stream, merged.passed, merged.node_word, merged.bits,
            [self.result_address[int(number)] for number in reloads], address, not last,
        )  # fmt: skip
        self.spilled += 0 if last else outputs
        self.reloaded += int(merged.passed[self.plan.leaves_per_round :][: len(inputs)][stream.slot_reloads >= 0].sum())

    def _run(
        self, machine: IndexArray, stream: _Stream, passed: IndexArray, node_word: IndexArray, bits: Words,
        reload_addresses: list[int], address: int, spilled: bool,
    ) -> None:  # fmt: skip
        config = self.config
        units, first_unit = self._place(stream)
        self.t = timing_kernels.run_round(
            self.t, machine, len(stream.slot_reloads), passed, node_word, bits, *units, first_unit, 0, self.b_base,
            *self._requests(stream), np.flatnonzero(stream.slot_reloads >= 0), np.array(reload_addresses, np.int64),
            address, config.spill_element_bytes if spilled else config.element_bytes,
            self.memory, self.stack, self.totals,
        )  # fmt: skip
        if self.t < 0:
            raise LawError(f"{MACHINE}, {self.plan.product.name}: the machine came to a stop")
        self.a_elements += len(stream.k)

    def _place(self, stream: _Stream) -> tuple[tuple[Any, ...], Indices]:
        config, b = self.config, self.plan.product.b
        pieces = self.pieces[stream.k]
        count = int(pieces.sum())
        slot, length, begin, after_next, loader, after = (np.empty(count, np.int32) for _ in range(6))
        last = np.empty(count, np.uint8)
        first_unit = np.empty(len(stream.slot_reloads), np.int32)
        loaders, users = (np.full(self.line_pointers[-1], prefetch_kernels.NOWHERE, np.int32) for _ in range(2))
        nowhere = np.full(b.shape[0], prefetch_kernels.NOWHERE, np.int32)
        known = np.where(self.resident > 0, prefetch_kernels.LISTED, prefetch_kernels.HELD).astype(np.int32)
        following = np.empty(len(stream.k), np.int32)
        uses = np.zeros(len(stream.k) // prefetch_kernels.WORD + 1, np.uint64)
        prefetch_kernels.place_units(
            stream.slot, stream.k, b.indptr, config.prefetch_line_elements, config.prefetch_lines, config.look_ahead,
            config.prefetch_distance, int(config.prefetcher), self.resident, self.older, self.newer, self.line_pointers,
            loaders, users, following, nowhere, known, nowhere.copy(), uses,
            slot, length, begin, after_next, loader, after, last, first_unit, self.placed,
        )  # fmt: skip
        address = np.repeat(self.plan.addresses[stream.position], pieces)
        return (slot, length, begin, after_next, loader, after, last, address), first_unit

    def _requests(self, stream: _Stream) -> tuple[IndexArray, ...]:
        config = self.config
        requests = tuple(np.empty(len(stream.k), np.int64) for _ in range(4))
        count = prefetch_kernels.fetch_requests(
            stream.position, self.plan.addresses, self.pieces[stream.k], config.element_bytes,
            config.hbm_interleave_bytes, config.hbm_burst_bytes, config.look_ahead, *requests,
        )  # fmt: skip
        return tuple(part[:count] for part in requests)

    def report(self) -> Report:
        """Return what was counted."""
        config, product = self.config, self.plan.product
        total = dict(zip(timing_kernels.COUNTERS, self.totals.tolist(), strict=True))
        found, missed, _ = self.placed.tolist()
        bypassed_hits = total["bypassed_elements"] - total["refetched_elements"]
        multiplies = product.multiplies
        if found + missed != multiplies:
            raise LawError(f"{MACHINE}, {product.name}: {found + missed} elements of B for {multiplies} products")
        output = self.trace.result.nnz
        traffic = {
            "a_read": (self.a_elements + total["refetched_a_elements"]) * config.element_bytes,
            "b_read": (missed + total["bypassed_elements"]) * config.element_bytes,
            "partial_write": self.spilled * config.spill_element_bytes,
            "partial_read": self.reloaded * config.spill_element_bytes,
            "c_write": output * config.element_bytes,
        }
        stack = dict(zip(timing_kernels.CAUSES, self.stack.tolist(), strict=True))
        if not self.t:
            stack["pipeline"] = 1  # there is nothing to do, and a cycle to see it
        return Report(
            machine=MACHINE,
            name=product.name,
            fidelity=self.fidelity,
            cycles=max(1, self.t),
            clock_hz=config.clock_hz,
            operations=OPERATIONS_PER_MAC * multiplies,
            compute_bound_cycles=self._compute_bound(),
            bandwidth_bound_cycles=-(-sum(traffic.values()) // config.bandwidth),
            dram_bytes=traffic,
            cycle_stack=stack,
            energy_pj=energy_pj(
                config,
                multiplies=multiplies,
                merged=sum(int(merged.taken.sum()) for merged in self.trace.rounds),
                pushed=sum(int(merged.passed.sum()) for merged in self.trace.rounds),
                buffered=missed,
                looked_ahead=self.a_elements,
                dram_bytes=sum(traffic.values()),
            ),
            area_mm2=area_mm2(config),
            counters={
                "multiplies": multiplies,
                "output_nnz": output,
                "prefetch_hits": found - bypassed_hits,
                "prefetch_misses": missed + bypassed_hits,
                "merge_rounds": len(self.trace.rounds),
                "partial_matrices": self.plan.leaves,
                **self._cycle_counters(total),
            },
            result=self._result(),
        )

    def _cycle_counters(self, total: dict[str, int]) -> dict[str, int]:
        """Return what only cycles tell."""
        bursts, row_misses = (self.memory[:, column] for column in (timing_kernels.BURSTS, timing_kernels.ROW_MISSES))
        return {**total, "bursts": int(bursts.sum()), "row_misses": int(row_misses.sum())}

    def _result(self) -> csr_array | None:
        return self.trace.result

    def _compute_bound(self) -> int:
        """Beats of the multipliers, and what each layer's merger takes, round by round."""
        bound = -(-int(self.totals[timing_kernels.BEATS]) // GROUPS)
        merging = 0
        for merged in self.trace.rounds:
            layers = np.add.reduceat(merged.taken, 2 ** np.arange(self.config.merge_layers))
            merging += int(-(-layers.max() // self.config.merge_width))
        return max(bound, merging)


class _Estimate(_Run):
    """The same rounds in closed form."""

    fidelity = "estimate"

    def _run(
        self, machine: IndexArray, stream: _Stream, passed: IndexArray, node_word: IndexArray, bits: Words,
        reload_addresses: list[int], address: int, spilled: bool,
    ) -> None:  # fmt: skip
        config, before = self.config, int(self.placed[1])
        (_, length, _, _, loader, *_), _ = self._place(stream)
        beats = int((-(-length // config.group)).sum())
        layers, width = int(machine[timing_kernels.LAYERS]), int(machine[timing_kernels.WIDTH])
        taken = [int(passed[2 << layer : 4 << layer].sum()) for layer in range(layers)]
        missed = length[loader == np.arange(len(loader))].astype(np.int64) * config.element_bytes
        # Rows of B lie anywhere: a line that is missed opens a row of its bank.
        on_its_way = config.hbm_row_miss_cycles + config.hbm_latency_cycles + -(-missed // config.hbm_bytes_per_cycle)
        leaves = passed[1 << layers :][: len(stream.slot_reloads)]
        out_bytes = config.spill_element_bytes if spilled else config.element_bytes
        moved = (len(stream.k) + int(self.placed[1]) - before) * config.element_bytes + int(passed[1]) * out_bytes
        moved += int(leaves[stream.slot_reloads >= 0].sum()) * config.spill_element_bytes
        bounds = {
            timing_kernels.MULTIPLY: -(-beats // GROUPS),
            timing_kernels.MERGE: -(-max(taken) // width),
            timing_kernels.B_READ: -(-int(on_its_way.sum()) // config.prefetch_fetchers),
            timing_kernels.WRITE: -(-moved // config.bandwidth),
        }
        longest = max(bounds, key=lambda cause: bounds[cause])
        start = 2 * config.hbm_latency_cycles + config.multiply_latency_cycles + layers * config.merge_latency_cycles
        self.stack[longest] += bounds[longest]
        self.stack[timing_kernels.PIPELINE] += start
        self.t += bounds[longest] + start
        self.totals[timing_kernels.BEATS] += beats
        self.a_elements += len(stream.k)

    def _cycle_counters(self, total: dict[str, int]) -> dict[str, int]:
        return {"beats": total["beats"]}

    def _result(self) -> None:
        return None


def _machine(config: Config) -> IndexArray:
    """Return a configuration as the kernels read it."""
    return np.array(
        [
            config.merge_layers, config.merge_width, config.merge_latency_cycles,
            NODE_CHOICES.index(config.node_choice),
            config.fifo_depth, GROUPS, config.group, config.multiply_latency_cycles,
            ISSUE_ORDERS.index(config.issue_order), config.look_ahead, config.prefetch_fetchers,
            config.spill_fifo_elements, config.hbm_channels, config.hbm_bytes_per_cycle, config.hbm_latency_cycles,
            config.hbm_row_miss_cycles, config.hbm_banks, config.hbm_row_bytes, config.hbm_interleave_bytes,
            config.hbm_burst_bytes, config.element_bytes, config.spill_element_bytes,
        ],
        np.int64,
    )  # fmt: skip


def roofline(config: Config) -> Roofline:
    """Return the bounds of a configuration: every multiplier busy, and every channel."""
    peak = OPERATIONS_PER_MAC * config.multipliers * config.clock_hz / 1e9
    return Roofline({"multiply and add": peak}, config.bandwidth * config.clock_hz)
