"""The bit-serial array's mappings count what the slow oracle counts, and the search finds the best of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from accel.bitserial import PRESETS, Config, Plan, estimate
from accel.bitserial.kernels import KEEPS
from mappers.bitserial import best_plan, search
from tests.oracles import bitserial as oracle
from workloads.errors import ConfigError
from workloads.layers import Layer, LayerTable

Case = tuple[oracle.Product, oracle.Machine, int, int]


def random_case(random: np.random.Generator, largest: int) -> Case:
    rows, depth, columns, act, wgt = (int(size) for size in random.integers(1, (largest, 12, largest, 5, 5)))
    tile_rows, tile_columns, depth_bits = (int(size) for size in random.integers(1, (4, 4, 12)))
    least = -(-depth // depth_bits) * max(tile_rows * act, tile_columns * wgt)
    machine = oracle.Machine(
        tile_rows, tile_columns, depth_bits, int(random.integers(1, 30)), int(least * random.uniform(1, 5))
    )
    return oracle.Product(rows, depth, columns, int(random.integers(1, 3))), machine, act, wgt


def posed(case: Case) -> tuple[Config, LayerTable]:
    product, machine, act, wgt = case
    config = Config(
        tile_rows=machine.tile_rows,
        tile_columns=machine.tile_columns,
        depth_bits=machine.depth_bits,
        stream_bits_per_cycle=machine.stream_bits_per_cycle,
        buffer_words=machine.buffer_words,
        clock_hz=1e8,
        mapping="all",
    )
    groups = product.repeats
    layer = Layer(
        name="product", kind="matmul", in_h=product.rows, in_w=1, in_c=product.depth * groups, out_h=product.rows,
        out_w=1, out_c=product.columns * groups, groups=groups, act_bits=act, wgt_bits=wgt,
    )  # fmt: skip
    return config, LayerTable.of("net", [layer])


def cost(config: Config, plan: Plan) -> tuple[int, int]:
    """Cycles and words of one of the layer's products."""
    report, repeats = estimate(config, plan), int(plan.products[0, 3])
    words = report.counters["row_words"] + report.counters["column_words"]
    return report.cycles // repeats, words // repeats


def test_any_mapping_counts_and_the_search_finds_what_brute_force_finds() -> None:
    random = np.random.default_rng(1)
    gained = 0
    for _ in range(150):
        case = random_case(random, 8)
        config, table = posed(case)
        plan = best_plan(config, table)
        costs = []
        for mapping in oracle.mappings(*case):
            costs.append(oracle.mapped(*case, mapping))
            rows, columns, kept = (
                mapping[0] * config.tile_rows,
                mapping[1] * config.tile_columns,
                KEEPS.index(mapping[2]),
            )
            laid = replace(plan, mappings=np.array([[rows, columns, kept]]))
            assert cost(config, laid) == costs[-1], (case, mapping)
        assert cost(config, plan) == min(costs), case
        assert plan.effort is not None
        assert plan.effort.space >= len(costs)
        published = best_plan(replace(config, mapping="published"), table)
        assert cost(config, plan) <= cost(config, published)
        assert published.effort is None
        gained += cost(config, plan) < cost(config, published)
    assert gained > 30


def test_bounds_do_not_change_the_answer() -> None:
    random = np.random.default_rng(2)
    evaluated = np.zeros(2, int)
    for _ in range(200):
        config, table = posed(random_case(random, 60))
        ((few,), less), ((every,), more) = (search([config], [table], bounded=flag) for flag in (True, False))
        assert few.describe(0) == every.describe(0)
        assert less.space == more.space
        evaluated += less.evaluated, more.evaluated
    assert evaluated[0] < evaluated[1]


def test_a_plan_says_what_is_cut_and_kept() -> None:
    layer = Layer(name="fc", kind="linear", in_h=100, in_w=1, in_c=4096, out_h=100, out_w=1, out_c=4000)
    table = LayerTable.of("net", [layer])
    config = PRESETS["paper"]
    assert best_plan(config, table).describe(0) == "100 x 4096 x 4000, 1 times, chunks of 128 columns"
    best = best_plan(replace(config, mapping="all"), table)
    assert best.describe(0) == "100 x 4096 x 4000, 1 times, chunks of 128 columns, rows kept"


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ((16, 1024, 1), "buffer_words = 16384, need at least 131072 words for a chunk of 1024 columns"),
        ((15, 16, 0), "rows of a chunk = 15, need tiles of 16 rows"),
        ((16, 0, 0), "columns of a chunk = 0, need tiles of 16 columns"),
    ],
)
def test_a_chunk_that_does_not_fit_is_refused(mapping: tuple[int, ...], message: str) -> None:
    layer = Layer(name="fc", kind="linear", in_h=100, in_w=1, in_c=4096, out_h=100, out_w=1, out_c=4000)
    config = PRESETS["paper"]
    plan = replace(best_plan(config, LayerTable.of("net", [layer])), mappings=np.array([mapping]))
    with pytest.raises(ConfigError) as caught:
        estimate(config, plan)
    assert str(caught.value) == f"bitserial, layer fc of net: {message}"
