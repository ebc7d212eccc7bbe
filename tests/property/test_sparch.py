"""SpArch's kernels give what the slow oracle gives, cycle for cycle; the schedule of merges is a naive one's."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from accel.config import configure
from accel.sparch import Config, simulate
from accel.sparch.config import NODE_CHOICES
from accel.sparch.plan import Plan
from mappers.sparch import arrival_rounds, best_plan, huffman_rounds
from tests.oracles import sparch as oracle
from workloads.sparse.product import sparse_product

CHUNKS, CASES = 10, 50


def random_matrix(rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.float64]:
    """Small whole numbers; one in two has rows without elements, one in three a full row."""
    dense = rng.integers(-3, 4, (rows, columns)) * (rng.random((rows, columns)) < rng.choice((0.03, 0.1, 0.2, 0.4)))
    if rng.random() < 0.5:
        dense[rng.random(rows) < 0.3] = 0
    if rows and rng.random() < 0.3:
        dense[rng.integers(rows)] = rng.integers(1, 4, columns)
    return dense.astype(float)


def random_config(rng: np.random.Generator) -> Config:
    """A tiny machine: FIFOs from the least they may be, and every part at times the slowest one."""

    def one_of(*values: int) -> int:
        return int(rng.choice(values))

    group, width = one_of(1, 1, 2, 4, 8), one_of(1, 2, 3, 4, 8, 16)
    interleave, burst = ((64, 32), (64, 64), (256, 32), (128, 8), (64, 16))[rng.integers(5)]
    element, spilled = one_of(1, 4, 12, 12, 20, 64), one_of(4, 16, 16, 24, 64)
    return Config(
        merge_layers=one_of(1, 2, 3, 4),
        merge_width=width,
        merge_block=1,
        merge_latency_cycles=one_of(1, 2, 6, 9),
        node_choice=NODE_CHOICES[rng.integers(3)],
        fifo_depth=max(width, group) + one_of(0, 0, 1, 3, 16, 100),
        multipliers=2 * group,
        multiply_latency_cycles=one_of(0, 1, 4),
        issue_order="row_major",
        look_ahead=one_of(1, 2, 3, 5, 10, 30, 100),
        prefetch_lines=one_of(1, 2, 3, 4, 6, 10, 20, 64),
        prefetch_line_elements=one_of(*range(1, 9)),
        prefetch_distance=one_of(*range(1, 21)),
        prefetch_fetchers=one_of(1, 2, 3, 4),
        spill_fifo_elements=width + max(1, interleave // min(element, spilled)) - 1 + one_of(0, 0, 1, 5, 20, 200),
        hbm_channels=one_of(1, 2, 3, 4),
        hbm_bytes_per_cycle=one_of(1, 3, 8, 8, 32, 100),
        hbm_latency_cycles=one_of(0, 1, 5, 20, 52),
        hbm_row_miss_cycles=one_of(0, 3, 28),
        hbm_banks=one_of(1, 2, 3, 16),
        hbm_row_bytes=interleave * one_of(1, 2, 4),
        hbm_interleave_bytes=interleave,
        hbm_burst_bytes=burst,
        element_bytes=element,
        spill_element_bytes=spilled,
        clock_hz=1e9,
        pipelined_merge=True,
        condensing=bool(rng.integers(4)),
        huffman=bool(rng.integers(4)),
        prefetcher=bool(rng.integers(4)),
    )


def random_case(seed: int, **changes: object) -> tuple[Config, Plan]:
    rng = np.random.default_rng(seed)
    rows, inner, columns = rng.integers(0, 31, 3)
    product = sparse_product("random", random_matrix(rng, rows, inner), random_matrix(rng, inner, columns))
    config = configure(random_config(rng), changes, "test")
    return config, best_plan(config, product)


def simulated(config: Config, plan: Plan) -> dict[str, object]:
    """Run the kernels, and return what the oracle returns."""
    report = simulate(config, plan)
    c = report.result.tocoo()
    return {
        "cycles": report.cycles,
        "product": dict(zip(zip(c.row.tolist(), c.col.tolist(), strict=True), c.data.tolist(), strict=True)),
        "dram_bytes": dict(report.dram_bytes),
        "counters": {name: report.counters[name] for name in oracle.COUNTERS},
        "stack": dict(report.cycle_stack),
    }


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_kernels_equal_the_oracle(chunk: int) -> None:
    counts: Counter[str] = Counter()
    for seed in range(chunk * CASES, (chunk + 1) * CASES):
        config, plan = random_case(seed)
        expected = oracle.run(config, plan)
        assert simulated(config, plan) == expected, (seed, config)
        counts.update(expected["counters"] | expected["stack"])
        counts["spilled"] += expected["dram_bytes"]["partial_write"]
    assert all(counts[name] for name in (*oracle.COUNTERS, *oracle.CAUSES, "spilled")), counts


@pytest.mark.parametrize("changes", [{"pipelined_merge": False}, {"issue_order": "round_robin"}], ids=str)
def test_kernels_equal_the_oracle_in_the_other_orders(changes: dict[str, object]) -> None:
    counts: Counter[str] = Counter()
    for seed in range(1000, 1000 + 2 * CASES):
        config, plan = random_case(seed, **changes)
        expected = oracle.run(config, plan)
        assert simulated(config, plan) == expected, (seed, config)
        counts.update(expected["counters"] | expected["stack"])
    # What is multiplied into one FIFO that is emptied at once has nothing to bypass.
    rare = (
        {"bypassed_elements", "refetched_elements", "refetched_a_elements"} if "pipelined_merge" in changes else set()
    )
    assert all(counts[name] for name in {*oracle.COUNTERS, *oracle.CAUSES} - rare), counts


@pytest.mark.parametrize(
    "changes", [{"merge_layers": 6, "fifo_depth": 32767, "spill_fifo_elements": 32767}, {"merge_layers": 7}], ids=str
)
def test_kernels_equal_the_oracle_in_larger_trees(changes: dict[str, object]) -> None:
    for seed in range(3000, 3020):
        config, plan = random_case(seed, **changes)
        assert simulated(config, plan) == oracle.run(config, plan), (seed, config)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_oracle_multiplies(chunk: int) -> None:
    for seed in range(chunk * CASES, (chunk + 1) * CASES, 5):
        config, plan = random_case(seed)
        run = oracle.run(config, plan)
        dense = np.zeros((plan.product.a.shape[0], plan.product.b.shape[1]))
        for place, value in run["product"].items():
            dense[place] = value
        assert np.array_equal(dense, plan.product.a.toarray() @ plan.product.b.toarray()), seed
        assert sum(run["stack"].values()) == run["cycles"], seed
        assert run["counters"]["multiplies"] == plan.product.multiplies, seed


# The schedule


def naive_rounds(weights: list[int], ways: int, lightest_first: bool) -> list[list[int]]:
    """Look through all inputs for every one that is taken."""
    waiting = list(enumerate(weights))
    rounds: list[list[int]] = []
    while len(waiting) > 1 or (waiting and not rounds):
        full = ways if rounds or len(waiting) < 2 else (len(waiting) - 2) % (ways - 1) + 2
        taken = []
        for _ in range(min(full, len(waiting))):
            first = waiting[0]
            for number, weight in waiting:
                if lightest_first and (weight < first[1] or (weight == first[1] and number < first[0])):
                    first = number, weight
            waiting.remove(first)
            taken.append(first)
        waiting.append((len(weights) + len(rounds), sum(weight for _, weight in taken)))
        rounds.append(sorted(number for number, _ in taken))
    return rounds


@pytest.mark.parametrize(("schedule", "lightest_first"), [(huffman_rounds, True), (arrival_rounds, False)])
def test_rounds_are_those_of_a_naive_schedule(schedule, lightest_first: bool) -> None:
    rng = np.random.default_rng(1)
    for leaves in range(80):
        for ways in (2, 4, 8, 16, 64):
            weights = rng.integers(1, rng.choice((2, 4, 100)), leaves)
            rounds = [inputs.tolist() for inputs in schedule(weights, ways)]
            assert rounds == naive_rounds(weights.tolist(), ways, lightest_first), (weights, ways)
