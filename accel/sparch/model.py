"""SpArch: products of sparse matrices, cycle by cycle."""

from __future__ import annotations

import numpy as np

from accel.report import LawError, Report
from accel.sparch import prefetch_kernels, timing_kernels
from accel.sparch.config import GROUPS, ISSUE_ORDERS, NODE_CHOICES, Config
from accel.sparch.plan import IndexArray, Plan
from accel.sparch.trace import RoundTrace, Trace, merge
from workloads.errors import ConfigError
from workloads.units import OPERATIONS_PER_MAC

MACHINE = "sparch"


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
        If the plan was made for another number of leaves.
    """
    if plan.leaves_per_round != config.leaves:
        raise ConfigError(MACHINE, "merge_layers", config.merge_layers, f"{plan.leaves_per_round} leaves, as in the plan")
    trace = merge(plan)
    run = _Run(config, plan, trace)
    for index in range(len(trace.rounds)):
        run.run_round(index)
    return run.report()


class _Run:
    """The machine's state from round to round."""

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
        self.pieces = -(-lengths // config.prefetch_line_elements)
        self.line_pointers = np.concatenate(([0], np.cumsum(self.pieces)))
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

    def run_round(self, index: int) -> None:
        """Run one round."""
        merged, config, last = self.trace.rounds[index], self.config, index == len(self.trace.rounds) - 1
        out_bytes = config.element_bytes if last else config.spill_element_bytes
        out_address = self.free_address
        outputs = int(merged.passed[1])
        blocks = -(-outputs // config.block_elements(not last))
        self.free_address += self._aligned(blocks * config.hbm_interleave_bytes)
        self.result_address[self.plan.leaves + index] = out_address
        units, first_unit = self._place(merged)
        self.t = timing_kernels.run_round(
            self.t, self.machine, len(merged.slot_reloads), merged.passed, merged.node_word, merged.bits,
            *units, first_unit, 0, self.b_base, *self._requests(merged),
            np.flatnonzero(merged.slot_reloads >= 0),
            np.array([self.result_address[int(number)] for number in merged.reloads], np.int64),
            out_address, out_bytes, self.memory, self.stack, self.totals,
        )  # fmt: skip
        if self.t < 0:
            raise LawError(f"{MACHINE}, {self.plan.product.name}: round {index} came to a stop")
        self.a_elements += len(merged.k)
        self.spilled += 0 if last else outputs
        self.reloaded += int(merged.passed[self.plan.leaves_per_round :][: len(merged.slot_reloads)][merged.slot_reloads >= 0].sum())

    def _place(self, merged: RoundTrace) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        config, b = self.config, self.plan.product.b
        pieces = self.pieces[merged.k]
        count = int(pieces.sum())
        slot, length, following, loader, after = (np.empty(count, np.int32) for _ in range(5))
        begin, last = np.empty(count, np.int64), np.empty(count, np.uint8)
        first_unit = np.empty(len(merged.slot_reloads), np.int32)
        loaders, users = (np.full(self.line_pointers[-1], prefetch_kernels.NOWHERE, np.int32) for _ in range(2))
        prefetch_kernels.place_units(
            merged.slot, merged.k, b.indptr, config.prefetch_line_elements, config.prefetch_lines, config.look_ahead,
            config.prefetch_distance, int(config.prefetcher), self.resident, self.older, self.newer, self.line_pointers, loaders, users,
            slot, length, begin, following, loader, after, last, first_unit, self.placed,
        )  # fmt: skip
        address = np.repeat(self.plan.addresses[merged.position], pieces)
        return (slot, length, begin, following, loader, after, last, address), first_unit

    def _requests(self, merged: RoundTrace) -> tuple[np.ndarray, ...]:
        config = self.config
        requests = tuple(np.empty(len(merged.k), np.int64) for _ in range(4))
        count = prefetch_kernels.fetch_requests(
            merged.position, self.plan.addresses, self.pieces[merged.k], config.element_bytes,
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
            fidelity="simulate",
            cycles=max(1, self.t),
            clock_hz=config.clock_hz,
            operations=OPERATIONS_PER_MAC * multiplies,
            compute_bound_cycles=self._compute_bound(),
            bandwidth_bound_cycles=-(-sum(traffic.values()) // config.bandwidth),
            dram_bytes=traffic,
            cycle_stack=stack,
            energy_pj={},
            area_mm2={},
            counters={
                "multiplies": multiplies,
                "output_nnz": output,
                "prefetch_hits": found - bypassed_hits,
                "prefetch_misses": missed + bypassed_hits,
                "merge_rounds": len(self.trace.rounds),
                "partial_matrices": self.plan.leaves,
                **total,
                "bursts": int(self.memory[:, timing_kernels.BURSTS].sum()),
                "row_misses": int(self.memory[:, timing_kernels.ROW_MISSES].sum()),
            },
            result=self.trace.result,
        )

    def _compute_bound(self) -> int:
        """Beats of the multipliers, and what each layer's merger takes, round by round."""
        bound = -(-int(self.totals[timing_kernels.BEATS]) // GROUPS)
        merging = 0
        for merged in self.trace.rounds:
            layers = np.add.reduceat(merged.taken, 2 ** np.arange(self.config.merge_layers))
            merging += int(-(-layers.max() // self.config.merge_width))
        return max(bound, merging)


def _machine(config: Config) -> IndexArray:
    """Return a configuration as the kernels read it."""
    return np.array(
        [
            config.merge_layers, config.merge_width, config.merge_latency_cycles, NODE_CHOICES.index(config.node_choice),
            config.fifo_depth, GROUPS, config.group, config.multiply_latency_cycles,
            ISSUE_ORDERS.index(config.issue_order), config.look_ahead, config.prefetch_fetchers,
            config.spill_fifo_elements, config.hbm_channels, config.hbm_bytes_per_cycle, config.hbm_latency_cycles,
            config.hbm_row_miss_cycles, config.hbm_banks, config.hbm_row_bytes, config.hbm_interleave_bytes,
            config.hbm_burst_bytes, config.element_bytes, config.spill_element_bytes,
        ],
        np.int64,
    )  # fmt: skip
