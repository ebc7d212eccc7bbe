"""OuterSPACE's counts are those of a machine that keeps its lists element by element, and obey its laws."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from accel.outerspace import PRESETS, Config, estimate, roofline
from accel.report import Report
from mappers.outerspace import best_plan
from workloads.sparse.product import SparseProduct, sparse_product

PAPER = PRESETS["paper"]


def random_case(seed: int) -> tuple[Config, SparseProduct]:
    """Draw a small machine and a small product; empty rows, stored zeros and products that cancel among them."""
    random = np.random.default_rng(seed)
    rows, inner, columns = (int(size) for size in random.integers(0, 13, 3))
    operands = []
    for shape in ((rows, inner), (inner, columns)):
        kept = random.random(shape) < random.choice([0.05, 0.2, 0.6])
        row, column = np.nonzero(kept)
        operands.append(sparse.coo_array((random.integers(-1, 2, len(row)), (row, column)), shape=shape))
    tiles, of_a_tile = (int(count) for count in random.integers(1, 5, 2))
    config = replace(
        PAPER,
        tiles=tiles,
        processing_elements=tiles * of_a_tile,
        merge_processing_elements=int(random.integers(1, tiles * of_a_tile + 1)),
        hbm_channels=int(random.integers(1, 5)),
        hbm_channel_bytes_per_second=float(random.choice([1e9, 3e9, 64e9])),
        element_bytes=int(random.integers(1, 17)),
        partial_element_bytes=int(random.integers(1, 17)),
        clock_hz=1e9,
    )
    return config, sparse_product("random", *operands)


def elements(matrix: sparse.csr_array) -> list[tuple[int, int]]:
    """Return the places of a matrix's elements."""
    return [
        (row, int(matrix.indices[at]))
        for row in range(matrix.shape[0])
        for at in range(matrix.indptr[row], matrix.indptr[row + 1])
    ]


def oracle(config: Config, product: SparseProduct) -> dict[str, Any]:
    """Multiply pair by pair into lists, merge list by list, and count all that happens."""
    count = dict.fromkeys(("a_read", "b_read", "partial_write", "partial_read", "c_write"), 0)
    lists: list[list[int]] = [[] for _ in range(product.a.shape[0])]
    longest_pair = partial_matrices = 0
    for k in range(product.a.shape[1]):
        column = [row for row, at in elements(product.a) if at == k]
        row_of_b = [at for row, at in elements(product.b) if row == k]
        count["a_read"] += len(column) * config.element_bytes
        count["b_read"] += len(row_of_b) * config.element_bytes
        partial_matrices += bool(column and row_of_b)
        waiting, cycles = list(column), 0
        while waiting:  # every processing element of the tile takes an element of the column through the row
            taken = [waiting.pop(0) for _ in range(min(len(waiting), config.processing_elements // config.tiles))]
            for place in row_of_b:
                cycles += 1
                for row in taken:
                    lists[row].append(place)
                    count["partial_write"] += config.partial_element_bytes
        longest_pair = max(longest_pair, cycles)
    output = 0
    for waiting in lists:
        places = set()
        for place in waiting:
            count["partial_read"] += config.partial_element_bytes
            places.add(place)
        output += len(places)
        count["c_write"] += len(places) * config.element_bytes
    products = sum(len(waiting) for waiting in lists)
    return {
        "dram_bytes": count,
        "multiplies": products,
        "output_nnz": output,
        "partial_matrices": partial_matrices,
        "multiply_compute_cycles": max(longest_pair, rounds(products, config.processing_elements)),
        "merge_compute_cycles": max(
            [rounds(products, config.merge_processing_elements), *(len(waiting) for waiting in lists)]
        ),
        "multiply_dram_cycles": transfer(config, count["a_read"] + count["b_read"] + count["partial_write"]),
        "merge_dram_cycles": transfer(config, count["partial_read"] + count["c_write"]),
    }


def rounds(items: int, at_once: int) -> int:
    """Take items away until none is left; return how often that took."""
    taken = 0
    while items > 0:
        items, taken = items - at_once, taken + 1
    return taken


def transfer(config: Config, size: int) -> int:
    """Return the cycles that bytes take; the clock is 1 GHz and bandwidths are whole, so bytes per cycle are too."""
    return rounds(size, round(config.hbm_channels * config.hbm_channel_bytes_per_second / 1e9))


@pytest.mark.parametrize("start", range(0, 200, 20))
def test_counts_are_those_of_lists_kept_one_by_one(start: int) -> None:
    for seed in range(start, start + 20):
        config, product = random_case(seed)
        report = estimate(config, best_plan(config, product))
        expected = oracle(config, product)
        assert report.dram_bytes == expected.pop("dram_bytes"), seed
        assert report.counters == expected, seed
        phases = [
            max(expected[f"{phase}_{cause}_cycles"] for cause in ("compute", "dram")) for phase in ("multiply", "merge")
        ]
        assert report.cycles == max(1, sum(phases)), seed
        assert sum(count > 0 for count in report.cycle_stack.values()) == max(1, sum(cycles > 0 for cycles in phases))


def run(config: Config, product: SparseProduct) -> Report:
    return estimate(config, best_plan(config, product))


@pytest.mark.parametrize(
    "more",
    ["hbm_channels", "hbm_channel_bytes_per_second", "processing_elements", "merge_processing_elements"],
)
def test_more_is_never_slower(more: str) -> None:
    for seed in range(100):
        config, product = random_case(seed)
        changes = {more: 2 * getattr(config, more)}
        if more == "merge_processing_elements":
            changes["processing_elements"] = 2 * config.processing_elements
        richer = run(replace(config, **changes), product)
        assert richer.cycles <= run(config, product).cycles, seed
        assert richer.dram_bytes == run(config, product).dram_bytes, seed


def test_the_order_of_rows_columns_and_pairs_does_not_matter() -> None:
    for seed in range(100):
        config, product = random_case(seed)
        random = np.random.default_rng(seed)
        rows, inner, columns = (
            random.permutation(size) for size in (product.a.shape[0], product.a.shape[1], product.b.shape[1])
        )
        shuffled = sparse_product(product.name, product.a[rows][:, inner], product.b[inner][:, columns])
        assert run(config, shuffled) == run(config, product), seed


def test_the_roofline_is_never_passed() -> None:
    for seed in range(100):
        config, product = random_case(seed)
        report, bounds = run(config, product), roofline(config)
        assert report.gops <= bounds.peak_gops["multiply, then merge"] * (1 + 1e-12), seed
        assert report.total_dram_bytes <= bounds.bytes_per_second * report.seconds * (1 + 1e-12), seed
