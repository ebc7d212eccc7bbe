"""Samples of SpArch: all of a product is the product; a part keeps the laws, and is near on what a tenth can tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from accel.config import configure
from accel.report import Report
from accel.sparch import PRESETS, estimate, sample, simulate
from mappers.sparch import best_plan, sample_plan
from tests.property.test_sparch_laws import random_config, random_product
from workloads.errors import ConfigError
from workloads.sparse.catalog import open_sparse
from workloads.sparse.product import sparse_product

PAPER = PRESETS["paper"]
EXACT = ("multiplies", "merge_rounds", "partial_matrices")


def counts(report: Report) -> dict[str, object]:
    """Return all that a report counts and that does not say how it was made."""
    told = {**report.as_dict(), "counters": dict(report.counters)}
    for name in ("fidelity", "cycles_error_band"):
        del told[name]
    told["counters"].pop("sampled_multiplies", None)
    return told


@pytest.mark.parametrize("seed", range(4))
def test_a_sample_of_everything_counts_what_simulate_counts(seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(50):
        config, product = random_config(random), random_product(random, 100)
        sampled = sample(config, sample_plan(config, product, 1.0))
        assert counts(sampled) == counts(simulate(config, best_plan(config, product)))
        assert sampled.counters["sampled_multiplies"] == product.multiplies
        assert (sampled.fidelity, sampled.result, sampled.cycles_error_band) == ("sample", None, (0.0, 0.0))


@pytest.mark.parametrize("seed", range(4))
def test_a_part_of_a_random_product_keeps_the_laws(seed: int) -> None:
    """A report checks its bounds and its stack on construction."""
    random = np.random.default_rng(seed)
    for _ in range(50):
        config, product = random_config(random), random_product(random, 100)
        plan = sample_plan(config, product, float(random.choice([0.01, 0.1, 0.5, 0.9])), int(random.integers(10)))
        sampled, whole = sample(config, plan), best_plan(config, product)
        counters, traffic = sampled.counters, sampled.dram_bytes
        exact = (product.multiplies, len(whole.rounds), whole.leaves)
        assert tuple(counters[name] for name in EXACT) == exact
        assert counters["prefetch_hits"] + counters["prefetch_misses"] == product.multiplies
        assert (counters["sampled_multiplies"] > 0) == (product.multiplies > 0)
        assert traffic["partial_read"] == traffic["partial_write"]
        assert traffic["a_read"] >= config.element_bytes * int((whole.element_leaves >= 0).sum())
        assert traffic["c_write"] == config.element_bytes * counters["output_nnz"]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("rmat:scale=12,edges=8", 0.12),
        ("uniform:rows=20000,per_row=8", 0.08),
        ("power_law:rows=20000,per_row=10,exponent=2.6", 0.12),
        ("poisson2d:200", 0.12),
        ("stencil27:20", 0.05),
        ("banded:rows=10000,bandwidth=8", 0.03),
    ],
)
def test_a_tenth_is_near_and_less_work(name: str, near: float) -> None:
    product = open_sparse(name)
    whole = simulate(PAPER, best_plan(PAPER, product))
    for seed in (0, 1):
        plan = sample_plan(PAPER, product, 0.1, seed)
        sampled = sample(PAPER, plan)
        assert sampled.cycles == pytest.approx(whole.cycles, rel=near)
        assert sampled.counters["prefetch_misses"] == pytest.approx(whole.counters["prefetch_misses"], rel=0.2)
        assert sampled.counters["sampled_multiplies"] < 0.25 * product.multiplies
        assert sampled.cycles_error_band == sample(PAPER, sample_plan(PAPER, product, 0.2)).cycles_error_band
        assert f"{sampled.counters['sampled_multiplies']:,} of {product.multiplies:,}" in plan.describe()


def test_a_sample_is_the_same_for_the_same_seed_only() -> None:
    product = open_sparse("rmat:scale=11,edges=8")
    first, again, other = (sample(PAPER, sample_plan(PAPER, product, 0.1, seed)) for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("technique", ["pipelined_merge", "condensing", "huffman", "prefetcher"])
def test_a_sample_is_near_without_a_technique(technique: str) -> None:
    product, config = open_sparse("rmat:scale=11,edges=8"), configure(PAPER, {technique: False}, "test")
    whole = simulate(config, best_plan(config, product))
    assert sample(config, sample_plan(config, product, 0.25)).cycles == pytest.approx(whole.cycles, rel=0.2)


def test_what_is_smaller_than_a_slab_is_sampled_all_the_same() -> None:
    for dense in (np.zeros((3, 3)), np.ones((1, 1)), np.eye(40), np.pad(np.ones((1, 30)), ((0, 29), (0, 0)))):
        product = sparse_product("small", dense)
        report = sample(PAPER, sample_plan(PAPER, product, 0.05))
        assert report.counters["multiplies"] == product.multiplies


OTHER_MACHINES: list[dict[str, object]] = [
    {"hbm_latency_cycles": 0},
    {"pipelined_merge": False},
    {"prefetch_fetchers": 64, "hbm_channels": 4},
    {"prefetcher": False, "merge_layers": 3},
]


@pytest.mark.parametrize("changes", [{}, *OTHER_MACHINES], ids=str)
def test_fast_modes_lie_within_the_bands_they_report(changes: dict[str, object]) -> None:
    """Also on a grid whose B and C meet in the same banks row after row; bands of other machines are wider."""
    config = configure(PAPER, changes, "test")
    for name in ("poisson2d:120", "power_law:rows=3000,per_row=5", "block_diagonal:rows=1500,block=12"):
        product = open_sparse(name)
        whole = simulate(config, best_plan(config, product))
        reports = [estimate(config, best_plan(config, product))]
        reports += [sample(config, sample_plan(config, product, share)) for share in (0.05, 0.1, 0.5)]
        for fast in reports:
            assert fast.cycles_error_band is not None
            low, high = fast.cycles_error_band
            assert low <= fast.cycles / whole.cycles - 1 <= high, (name, fast.fidelity)
        published = estimate(PAPER, best_plan(PAPER, product)).cycles_error_band
        assert (reports[0].cycles_error_band == published) == (config == PAPER)


def test_no_band_is_reported_where_nothing_was_measured() -> None:
    assert sample(PAPER, sample_plan(PAPER, open_sparse("poisson2d:60"), 0.01)).cycles_error_band is None


@pytest.mark.parametrize("share", [0, -0.1, 1.01, float("nan")])
def test_a_share_that_is_none_is_told(share: float) -> None:
    with pytest.raises(ConfigError) as caught:
        sample_plan(PAPER, open_sparse("poisson2d:5"), share)
    assert str(caught.value) == f"sparch: sample = {share}, need a number above 0, at most 1"


def test_a_sample_for_another_configuration_is_refused() -> None:
    plan = sample_plan(PAPER, open_sparse("poisson2d:20"))
    with pytest.raises(ConfigError, match="merge_layers = 3, need a plan made for it, not for 64 leaves"):
        sample(replace(PAPER, merge_layers=3), plan)
    with pytest.raises(ConfigError, match="huffman = False, need a plan made for it"):
        sample(replace(PAPER, huffman=False), plan)
