"""Laws of SpArch on random products: the right answer always, bounds, what more bandwidth does, what plans keep."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
from scipy import sparse

from accel.config import configure
from accel.sparch import PRESETS, Config, estimate, simulate
from accel.sparch.config import NODE_CHOICES
from mappers.sparch import arrival_rounds, best_plan, huffman_rounds, merge_tree, random_rounds
from workloads.sparse.catalog import open_sparse
from workloads.sparse.product import SparseProduct, sparse_product

PAPER = PRESETS["paper"]
INDEX_TYPES = (np.int32, np.int64, np.uint16)


def random_matrix(random: np.random.Generator, rows: int, columns: int, integers: bool) -> Any:
    """Draw a matrix: empty rows, duplicates, any index type; coordinates, rows or columns."""
    count = int(random.integers(0, 1 + min(rows * columns, int(4 * rows * random.random()))))
    kind = random.choice(INDEX_TYPES)
    row, column = (
        random.integers(0, size, count).astype(kind) if size else np.empty(0, kind) for size in (rows, columns)
    )
    values = random.integers(-9, 10, count) if integers else random.normal(size=count)
    matrix = sparse.coo_array((values, (row, column)), shape=(rows, columns))
    return [matrix, matrix.tocsr(), matrix.tocsc()][random.integers(3)]


def random_product(random: np.random.Generator, largest: int, integers: bool = True) -> SparseProduct:
    rows, inner, columns = (int(size) for size in random.integers(0, largest + 1, 3))
    a = random_matrix(random, rows, inner, integers)
    return sparse_product("random", a, random_matrix(random, inner, columns, integers))


def random_config(random: np.random.Generator) -> Config:
    width, multipliers = int(random.choice([1, 2, 4, 16, 32])), int(random.choice([2, 8, 16]))
    changes = {
        "merge_layers": int(random.integers(1, 8)),
        "merge_width": width,
        "multipliers": multipliers,
        "fifo_depth": max(width, multipliers // 2) + int(random.integers(0, 40)),
        "node_choice": str(random.choice(NODE_CHOICES)),
        "prefetch_lines": int(random.choice([1, 2, 7, 64, 1024])),
        "prefetch_line_elements": int(random.choice([1, 3, 48])),
        "look_ahead": int(random.choice([1, 5, 8192])),
        "prefetch_distance": int(random.choice([1, 8, 128])),
        "prefetch_fetchers": int(random.choice([1, 3, 16])),
        "hbm_channels": int(random.choice([1, 3, 16])),
        **{name: bool(random.random() < 0.8) for name in ("pipelined_merge", "condensing", "huffman", "prefetcher")},
    }
    return configure(PAPER, changes, "test")


@pytest.mark.parametrize("seed", range(20))
def test_500_products_are_right(seed: int) -> None:
    random = np.random.default_rng(seed)
    for case in range(500):
        product = random_product(random, 200 if case % 10 == 0 else 30, integers=case % 2 == 0)
        config = random_config(random) if case % 5 == 0 else PAPER
        report = simulate(config, best_plan(config, product))
        expected = product.a @ product.b
        expected.sort_indices()
        result = report.result.copy()
        result.eliminate_zeros()  # what cancels is an element of the machine's product, and left out of scipy's
        assert np.array_equal(result.indptr, expected.indptr)
        assert np.array_equal(result.indices, expected.indices)
        assert np.array_equal(result.data, expected.data)
        assert report.result.tocoo().nnz == report.counters["output_nnz"], "scipy takes it: index types alike"
        assert report.counters["multiplies"] == product.multiplies
        assert report.counters["prefetch_hits"] + report.counters["prefetch_misses"] == product.multiplies
        check_traffic(report, config, product)


def check_traffic(report: Any, config: Config, product: SparseProduct) -> None:
    counters, bytes_of = report.counters, report.dram_bytes
    missed = counters["prefetch_misses"] + counters["refetched_elements"]
    assert bytes_of["b_read"] == config.element_bytes * missed
    assert bytes_of["c_write"] == config.element_bytes * counters["output_nnz"]
    assert bytes_of["partial_read"] == bytes_of["partial_write"], "what is spilled is read once"
    assert bytes_of["a_read"] <= config.element_bytes * (product.a.nnz + counters["refetched_a_elements"])
    assert (
        counters["bursts"] * config.hbm_burst_bytes >= report.total_dram_bytes - config.hbm_burst_bytes * product.a.nnz
    )


def test_faster_channels_are_never_slower() -> None:
    random = np.random.default_rng(7)
    for _ in range(500):
        config, product = random_config(random), random_product(random, 60)
        plan = best_plan(config, product)
        before = simulate(config, plan).cycles
        assert simulate(configure(config, {"hbm_bytes_per_cycle": 16}, "test"), plan).cycles <= before


def test_wider_mergers_and_more_channels_are_slower_by_little_where_they_are() -> None:
    """A wide window waits for more elements, and other addresses miss other rows: docs/sparch.md."""
    random = np.random.default_rng(8)
    slower = 0
    for _ in range(250):
        product = random_product(random, 200)
        plan = best_plan(PAPER, product)
        before = simulate(PAPER, plan).cycles
        for change in ({"merge_width": 32}, {"hbm_channels": 32}):
            after = simulate(configure(PAPER, change, "test"), plan).cycles
            slower += after > before
            assert after <= 1.12 * before + 30
    assert slower < 250


def test_the_same_plan_gives_the_same_report() -> None:
    product = random_product(np.random.default_rng(3), 200)
    plan = best_plan(PAPER, product)
    assert simulate(PAPER, plan) == simulate(PAPER, plan) == simulate(PAPER, best_plan(PAPER, product))


@pytest.mark.parametrize("order", [huffman_rounds, arrival_rounds, random_rounds])
def test_every_order_merges_everything_once_in_full_rounds(order: Any) -> None:
    random = np.random.default_rng(11)
    for _ in range(200):
        leaves, ways = int(random.integers(0, 300)), int(2 ** random.integers(1, 7))
        rounds = order(random.integers(1, 1000, leaves), ways)
        merged = np.concatenate([np.empty(0, np.int64), *rounds])
        assert sorted(merged) == list(range(leaves + max(0, len(rounds) - 1)))
        assert all(len(inputs) == ways for inputs in rounds[1:])
        assert all((inputs < leaves + index).all() for index, inputs in enumerate(rounds))


def test_a_plan_is_a_tree_that_predicts_what_is_spilled() -> None:
    random = np.random.default_rng(13)
    for _ in range(50):
        config = configure(PAPER, {"merge_layers": int(random.integers(1, 4))}, "test")
        plan = best_plan(config, random_product(random, 100))
        tree = merge_tree(plan)
        if not plan.rounds:
            assert len(tree) == plan.predicted_spill == 0
            continue
        root = plan.leaves + len(plan.rounds) - 1
        assert nx.is_arborescence(tree.reverse())
        assert [node for node, degree in tree.out_degree() if degree == 0] == [root]
        assert tree.nodes[root]["weight"] == plan.product.multiplies
        spilled = simulate(config, plan).dram_bytes["partial_write"] // config.spill_element_bytes
        assert spilled <= plan.predicted_spill


def test_huffman_spills_least() -> None:
    random = np.random.default_rng(12)
    for _ in range(100):
        weights, ways = random.integers(1, 1000, 40), 4

        def spilled(rounds: tuple[Any, ...], weights: Any = weights) -> int:
            known = [int(weight) for weight in weights]
            for inputs in rounds:
                known.append(sum(known[number] for number in inputs))
            return sum(known[len(weights) : -1])

        least = spilled(huffman_rounds(weights, ways))
        assert least <= spilled(arrival_rounds(weights, ways))
        assert least <= spilled(random_rounds(weights, ways))


@pytest.mark.parametrize(
    "name",
    [
        "rmat:scale=11,edges=8",
        "uniform:rows=8000,per_row=8",
        "poisson2d:80",
        "stencil27:14",
        "banded:rows=3000,bandwidth=8",
    ],
)
def test_an_estimate_is_near_and_says_what_it_is(name: str) -> None:
    plan = best_plan(PAPER, open_sparse(name))
    counted, run = estimate(PAPER, plan), simulate(PAPER, plan)
    assert (counted.fidelity, run.fidelity) == ("estimate", "simulate")
    assert counted.result is None
    assert 0.65 < counted.cycles / run.cycles < 1.1
    assert 0.95 < counted.total_dram_bytes / run.total_dram_bytes <= 1.0
    assert counted.counters["beats"] == run.counters["beats"] or run.counters["bypassed_elements"] > 0
