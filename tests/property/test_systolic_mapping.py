"""The systolic array's mappings count what the slow oracle counts, and the search finds the best of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from accel.mapping import SearchEffort
from accel.systolic import PRESETS, Config, Plan, estimate, operands, simulate
from accel.systolic.config import BEST, DATAFLOWS
from accel.systolic.mapping_kernels import ORDERS
from mappers.systolic import best_plan, search
from tests.oracles import systolic_mapping as oracle
from workloads.errors import ConfigError
from workloads.layers import Layer, LayerTable

PAPER = PRESETS["paper"]


def random_case(random: np.random.Generator, largest: int, dataflow: str | None = None) -> tuple[Config, LayerTable]:
    m, n, k = (int(size) for size in random.integers(1, largest + 1, 3))
    act, wgt = (int(bits) for bits in random.integers(1, 17, 2))
    config = replace(
        PAPER,
        rows=int(random.integers(1, 5)),
        columns=int(random.integers(1, 5)),
        dataflow=dataflow or str(random.choice(DATAFLOWS)),
        sram_bytes=int(2 ** random.uniform(1, 8)),
        dram_bits_per_cycle=int(2 ** random.uniform(0, 8)),
        mapping="all",
    )
    layer = Layer(
        name="product", kind="matmul", in_h=m, in_w=1, in_c=k, out_h=m, out_w=1, out_c=n, act_bits=act, wgt_bits=wgt
    )
    return config, LayerTable.of("product", [layer])


def posed(config: Config, table: LayerTable, dataflow: str) -> oracle.Problem:
    layer = table.layer(0)
    return oracle.Problem(
        {"m": layer.out_h, "n": layer.out_c, "k": layer.in_c},
        {"left": layer.act_bits, "right": layer.wgt_bits},
        dataflow,
        config.rows,
        config.columns,
        config.sram_bytes * 8 // 2,
        config.dram_bits_per_cycle,
    )


def plan_of(config: Config, table: LayerTable, mapping: oracle.Mapping, dataflow: str) -> Plan:
    plan = best_plan(replace(config, dataflow=dataflow, mapping="published"), table)
    row = [*(mapping.tile[name] for name in "mnk"), oracle.ORDERS.index(mapping.order)]
    return replace(plan, mappings=np.array([row]))


def cost(config: Config, plan: Plan) -> tuple[int, int]:
    report = estimate(config, plan)
    return report.cycles, report.counters["read_bits"] + report.counters["write_bits"]


def test_orders_have_the_oracles_names() -> None:
    assert [tuple("mnk"[loop] for loop in order) for order in ORDERS.tolist()] == oracle.ORDERS


def test_any_mapping_counts_what_the_oracle_counts() -> None:
    random = np.random.default_rng(1)
    streamed = 0
    for _ in range(400):
        config, table = random_case(random, 11)
        problem = posed(config, table, config.dataflow)
        tile = {name: int(random.integers(1, size + 1)) for name, size in problem.size.items()}
        mapping = oracle.Mapping(tile, oracle.ORDERS[random.integers(6)])
        plan = plan_of(config, table, mapping, config.dataflow)
        if not oracle.fits(problem, mapping):
            with pytest.raises(
                ConfigError, match=r"^systolic, layer product of product: sram_bytes = \d+, need at least"
            ):
                estimate(config, plan)
            continue
        streamed += oracle.part_bits(problem, mapping, "left", dict.fromkeys("mnk", 0), 0) > problem.half_bits
        assert dict(estimate(config, plan).counters) == oracle.cost(problem, mapping), (config, table.layer(0), mapping)
    assert streamed > 20


def test_the_published_mapping_is_a_fold_after_the_other() -> None:
    random = np.random.default_rng(2)
    for _ in range(300):
        config, table = random_case(random, 16)
        problem = posed(config, table, config.dataflow)
        expected = oracle.cost(problem, oracle.published(problem))
        plan = best_plan(replace(config, mapping="published"), table)
        assert dict(estimate(config, plan).counters) == expected
        assert plan.effort is None


@pytest.mark.parametrize("dataflow", [*DATAFLOWS, BEST])
def test_the_search_finds_what_brute_force_finds(dataflow: str) -> None:
    random = np.random.default_rng(3)
    gained = 0
    for _ in range(20 if dataflow == BEST else 50):
        config, table = random_case(random, 4, dataflow)
        flows = DATAFLOWS if dataflow == BEST else (dataflow,)
        problems = [posed(config, table, flow) for flow in flows]
        plan = best_plan(config, table)
        assert cost(config, plan) == min(map(oracle.best, problems)), (config, table.layer(0))
        assert plan.effort is not None
        assert plan.effort.space >= sum(len(list(oracle.mappings(problem))) for problem in problems)
        published = cost(config, best_plan(replace(config, mapping="published"), table))
        assert cost(config, plan) <= published
        gained += cost(config, plan) < published
    assert gained > 0


def test_bounds_do_not_change_the_answer() -> None:
    random = np.random.default_rng(4)
    few = every = SearchEffort(0, 0)
    for _ in range(60):
        config, table = random_case(random, 14, BEST)
        config = replace(config, sram_bytes=8 * config.sram_bytes)
        ((bounded,), less), ((unbounded,), more) = (search([config], [table], bounded=flag) for flag in (True, False))
        assert bounded.describe(0) == unbounded.describe(0)
        few, every = few + less, every + more
    assert few.space == every.space
    assert few.evaluated < every.evaluated / 5


def test_tiles_are_multiplied_and_counted_alike() -> None:
    random = np.random.default_rng(5)
    for _ in range(60):
        config, table = random_case(random, 8, BEST)
        plan = best_plan(config, table)
        report = simulate(config, plan, seed=1)
        a, b = operands(plan, 0, 1)
        assert np.array_equal(report.layers[0].result, a @ b)
        assert report.counters == estimate(config, plan).counters


def test_equal_layers_are_searched_once_and_laid_alike() -> None:
    config, table = random_case(np.random.default_rng(6), 9, BEST)
    (once,), effort = search([config], [table])
    (twice,), again = search([config], [LayerTable.join("two", [table, table])])
    assert [twice.describe(index) for index in range(2)] == [once.describe(0)] * 2
    assert again.evaluated == effort.evaluated
    assert again.space == effort.space * 2


@pytest.mark.parametrize("tile", [(0, 1, 1, 0), (1, 5, 1, 0), (1, 1, -3, 0)])
def test_a_tile_that_is_none_is_refused(tile: tuple[int, ...]) -> None:
    layer = Layer(name="fc", kind="linear", in_h=1, in_w=1, in_c=4, out_h=1, out_w=1, out_c=4)
    plan = replace(best_plan(PAPER, LayerTable.of("net", [layer])), mappings=np.array([tile]))
    with pytest.raises(ConfigError, match=r"^systolic, layer fc of net: tile = .*, need sizes from 1 to .* 1 x 4 x 4$"):
        estimate(PAPER, plan)
