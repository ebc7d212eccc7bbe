"""The fast kernel and search give what the slow oracle gives, on small layers and machines of every kind."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel.bitfusion import PRESETS, Config, Plan, estimate, kernels
from mappers.bitfusion import best_plan, search
from tests.oracles import bitfusion as oracle
from tests.oracles.bitfusion_problems import (
    SWITCH_SETTINGS,
    SWITCHES,
    as_machine,
    prices,
    random_config,
    random_layer,
)
from workloads.layers import KINDS, Layer, LayerTable

HOUSE = Path(__file__).resolve().parents[2]
ORDER_NAMES = [tuple(kernels.LOOPS[loop] for loop in order) for order in kernels.ORDERS.tolist()]
Problem = tuple[Layer, Config]


def problems(seed: int, count: int, *, small: bool = False, mapping: str = "published") -> list[Problem]:
    """Random problems; every kind of layer meets all 16 settings of the switches equally often."""
    rng = np.random.default_rng(seed)
    drawn = []
    for index in range(count):
        layer = random_layer(rng, KINDS[index % 4], small=small)
        config = random_config(rng, layer)
        switches = dict(zip(SWITCHES, SWITCH_SETTINGS[index // 4 % 16], strict=True))
        drawn.append((layer, replace(config, **switches, mapping=mapping)))
    return drawn


def table_of(layer: Layer) -> LayerTable:
    return LayerTable.of("network", [layer])


def plans_of(drawn: list[Problem], *, bounded: bool) -> list[Plan]:
    plans, _ = search([config for _, config in drawn], [table_of(layer) for layer, _ in drawn], bounded=bounded)
    return [plan for plan in plans if isinstance(plan, Plan)]


def mapping_of(row: np.ndarray) -> oracle.Mapping:
    return oracle.Mapping(*row[:5].tolist(), ORDER_NAMES[row[kernels.ORDER]])


def counted(layer: Layer, config: Config, row: np.ndarray, cost=kernels.layer_cost) -> dict[str, int]:
    counters = np.zeros(len(kernels.COUNTERS), np.int64)
    cost(np.array(layer.row()), config.machine_row(), row, counters)
    return dict(zip(kernels.COUNTERS, counters.tolist(), strict=True))


def without_total(counters: dict[str, int]) -> dict[str, int]:
    return {name: counters[name] for name in kernels.COUNTERS}


def assert_best(layer: Layer, config: Config, plan: Plan) -> dict[str, int]:
    """No mapping takes fewer cycles, nor as many with less energy; returns the oracle's counters."""
    price, machine = prices(config), as_machine(config)
    _, best = oracle.best(layer, machine, price, wide=config.mapping == "all")
    report = estimate(config, plan)
    assert report.cycles == best["cycles"], (layer, config)
    assert math.isclose(report.total_energy_pj, oracle.energy(best, price), rel_tol=1e-12), (layer, config)
    assert report.counters == without_total(oracle.cost(layer, machine, mapping_of(plan.mappings[0])))
    return without_total(best)


@pytest.mark.parametrize("bounded", [True, False])
def test_search_finds_the_oracles_best_mapping(bounded: bool) -> None:
    drawn = problems(seed=11 + bounded, count=384)
    plans = plans_of(drawn, bounded=bounded)
    assert len(plans) == len(drawn)
    for (layer, config), plan in zip(drawn, plans, strict=True):
        best = assert_best(layer, config, plan)  # none of these has two best mappings of different counters
        assert estimate(config, plan).counters == best, (layer, config)


def test_bounded_search_finds_what_the_whole_space_has() -> None:
    drawn = problems(seed=5, count=1600)
    few, every = plans_of(drawn, bounded=True), plans_of(drawn, bounded=False)
    for (layer, config), of_few, of_every in zip(drawn, few, every, strict=True):
        less, more = estimate(config, of_few), estimate(config, of_every)
        assert less.cycles == more.cycles, (layer, config)
        assert math.isclose(less.total_energy_pj, more.total_energy_pj, rel_tol=1e-12), (layer, config)


@pytest.mark.parametrize("bounded", [True, False])
def test_search_of_all_mappings_finds_the_best_that_brute_force_finds(bounded: bool) -> None:
    drawn = problems(seed=31 + bounded, count=128, small=True, mapping="all")
    for (layer, config), plan in zip(drawn, plans_of(drawn, bounded=bounded), strict=True):
        assert_best(layer, config, plan)


def test_all_mappings_bounded_or_not_are_never_worse_than_the_published() -> None:
    drawn = problems(seed=41, count=400, mapping="all")
    published = plans_of([(layer, replace(config, mapping="published")) for layer, config in drawn], bounded=True)
    few, every = plans_of(drawn, bounded=True), plans_of(drawn, bounded=False)
    for (layer, config), of_few, of_every, before in zip(drawn, few, every, published, strict=True):
        less, more, old = estimate(config, of_few), estimate(config, of_every), estimate(config, before)
        assert less.cycles == more.cycles, (layer, config)
        assert math.isclose(less.total_energy_pj, more.total_energy_pj, rel_tol=1e-12), (layer, config)
        assert (less.cycles, less.total_energy_pj * (1 - 1e-12)) <= (old.cycles, old.total_energy_pj), (layer, config)


@given(seed=st.integers(0, 2**32 - 1), switches=st.sampled_from(SWITCH_SETTINGS), bounded=st.booleans())
@settings(max_examples=25, deadline=None)
def test_search_finds_the_oracles_best_mapping_anywhere(seed: int, switches: tuple[bool, ...], bounded: bool) -> None:
    rng = np.random.default_rng(seed)
    layer = random_layer(rng)
    config = replace(random_config(rng, layer), **dict(zip(SWITCHES, switches, strict=True)))
    (plan,) = plans_of([(layer, config)], bounded=bounded)
    assert_best(layer, config, plan)


def random_mapping(rng: np.random.Generator, layer: Layer, config: Config) -> np.ndarray:
    """Any tile that fits, whether or not the search would try it, under any order."""
    sizes = list(oracle.dimensions(layer).values())
    usable = oracle.usable_bits(as_machine(config))
    while True:
        tile = tuple(int(rng.integers(1, size + 1)) for size in sizes)
        needs = oracle.footprints(layer, as_machine(config), tile)
        if all(needs[buffer] <= usable[buffer] for buffer in needs):
            return np.array([*tile, rng.integers(len(ORDER_NAMES))])
        sizes = [max(1, size - 1) for size in sizes]


def test_any_mapping_counts_what_the_oracle_counts() -> None:
    rng = np.random.default_rng(3)
    for layer, config in problems(seed=17, count=800):
        for _ in range(3):
            row = random_mapping(rng, layer, config)
            expected = oracle.cost(layer, as_machine(config), mapping_of(row))
            assert counted(layer, config, row) == without_total(expected), (layer, config, row)


def test_oracle_and_kernel_name_the_same_counters() -> None:
    layer, config = problems(seed=2, count=1)[0]
    names = set(oracle.cost(layer, as_machine(config), oracle.Mapping(1, 1, 1, 1, 1, kernels.LOOPS)))
    assert names == {*kernels.COUNTERS, "cycles"}


def test_compiled_kernel_counts_what_its_python_source_counts() -> None:
    rng = np.random.default_rng(4)
    for layer, config in problems(seed=23, count=64):
        row = random_mapping(rng, layer, config)
        source = getattr(kernels.layer_cost, "py_func", kernels.layer_cost)
        assert counted(layer, config, row, source) == counted(layer, config, row), (layer, config, row)


UNCOMPILED = """
import json, sys
from accel.bitfusion import PRESETS, estimate, kernels
from mappers.bitfusion import best_plan
from workloads.layers import Layer, LayerTable
assert not hasattr(kernels.layer_cost, "py_func")
layers = [Layer(**fields) for fields in json.loads(sys.argv[1])]
table = LayerTable.of("network", layers)
print(json.dumps(estimate(PRESETS["paper"], best_plan(PRESETS["paper"], table)).as_dict()))
"""


def test_search_without_compiler_finds_the_same() -> None:
    fields = [
        {"name": "a", "kind": "conv", "in_h": 3, "in_w": 4, "in_c": 4, "out_h": 2, "out_w": 3, "out_c": 40}
        | {"kernel_h": 2, "kernel_w": 2, "act_bits": 3, "wgt_bits": 12, "groups": 2, "batch": 2},
        {"name": "b", "kind": "depthwise", "in_h": 2, "in_w": 2, "in_c": 3, "out_h": 2, "out_w": 2, "out_c": 3}
        | {"groups": 3, "reads_input": 1},
    ]
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", UNCOMPILED, json.dumps(fields)],
        env={**os.environ, "SEXTANT_JIT": "0", "PYTHONPATH": str(HOUSE)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    table = LayerTable.of("network", [Layer(**field) for field in fields])
    compiled = estimate(PRESETS["paper"], best_plan(PRESETS["paper"], table)).as_dict()
    assert json.loads(run.stdout) == json.loads(json.dumps(compiled))
