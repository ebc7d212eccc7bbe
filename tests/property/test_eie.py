"""EIE equals its oracle cycle by cycle, computes what scipy computes, and obeys its laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from accel.eie import PRESETS, Config, simulate
from accel.eie.model import fill_cycles
from mappers.eie import best_plan
from tests.oracles import eie as oracle
from workloads.sparse.generators import pruned
from workloads.sparse.product import SparseProduct, sparse_product

PAPER = PRESETS["paper"]


def random_case(seed: int) -> tuple[Config, SparseProduct]:
    """Draw a small machine and a matrix with few different weights, so that sharing them changes nothing."""
    random = np.random.default_rng(seed)
    rows, inner, vectors = (int(size) for size in random.integers(1, 40, 3) // [1, 1, 12])
    kept = random.random((rows, inner)) < random.choice([0.02, 0.1, 0.4, 0.9])
    row, column = np.nonzero(kept)
    a = sparse.coo_array((random.choice([-1.5, 0.25, 2.0, 0.0], len(row)), (row, column)), shape=(rows, inner))
    b = random.integers(-3, 4, (inner, vectors)) * (random.random((inner, vectors)) < 0.6)
    config = replace(
        PAPER,
        processing_elements=int(random.integers(1, 9)),
        queue_depth=int(random.integers(1, 6)),
        zero_run_bits=int(random.integers(1, 4)),
    )
    return config, sparse_product("random", a, b)


@pytest.mark.parametrize("seed", range(500))
def test_every_count_and_value_is_the_oracles(seed: int) -> None:
    config, product = random_case(seed)
    report = simulate(config, best_plan(config, product))
    stored = np.zeros(product.a.shape, bool)
    stored[np.repeat(np.arange(product.a.shape[0]), np.diff(product.a.indptr)), product.a.indices] = True
    cycles = 0
    counted = dict.fromkeys(("multiplies", "filler_entries", "empty_cycles", "queue_full_cycles"), 0)
    for vector in range(product.b.shape[1]):
        activations = product.b.toarray()[:, vector]
        ran = oracle.run(product.a.toarray(), stored, activations, config.processing_elements, config.queue_depth,
                         config.longest_zero_run)  # fmt: skip
        if activations.any():
            cycles += ran["cycles"] + fill_cycles(config)
        for name in counted:
            counted[name] += ran[name]
        np.testing.assert_array_equal(report.result[:, vector], ran["sums"])
    assert report.cycles == max(1, cycles)
    assert {name: report.counters[name] for name in counted} == counted


@pytest.mark.parametrize("seed", range(40))
def test_shared_weights_multiply_as_scipy_does(seed: int) -> None:
    config, product = random_case(seed)
    report = simulate(config, best_plan(config, product))
    np.testing.assert_array_equal(report.result, (product.a @ product.b).toarray())
    assert report.quality["output_error"] == 0.0


def test_too_many_different_weights_are_clustered_and_the_error_is_said() -> None:
    matrix = pruned(200, 300, 0.1, 1)
    matrix.data = np.random.default_rng(2).normal(size=matrix.nnz)
    plan = best_plan(PAPER, sparse_product("layer", matrix, pruned(300, 1, 0.4, 3)))
    assert len(plan.shared_weights) == 1 + PAPER.shared_weights
    error = simulate(PAPER, plan).quality["output_error"]
    finer = replace(PAPER, weight_bits=8)
    assert 0.0 < simulate(finer, best_plan(finer, plan.product)).quality["output_error"] < error < 0.2


@pytest.mark.parametrize("seed", range(60))
def test_a_deeper_queue_is_never_slower(seed: int) -> None:
    config, product = random_case(seed)
    plan = best_plan(config, product)
    deeper = replace(config, queue_depth=config.queue_depth + 1)
    assert simulate(deeper, plan).cycles <= simulate(config, plan).cycles


@pytest.mark.parametrize("seed", range(60))
def test_longer_zero_runs_never_cost_more_fillers(seed: int) -> None:
    config, product = random_case(seed)
    plan = best_plan(config, product)
    longer = replace(config, zero_run_bits=config.zero_run_bits + 1)
    assert simulate(longer, plan).counters["filler_entries"] <= simulate(config, plan).counters["filler_entries"]


def test_an_empty_matrix_costs_no_multiply() -> None:
    report = simulate(PAPER, best_plan(PAPER, sparse_product("none", np.zeros((8, 8)), np.eye(8))))
    assert report.counters["multiplies"] == 0
    assert not report.result.any()
