"""The spatial array's closed form equals the walked loop nest; its search is proven by trying everything; its laws."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest

from accel.spatial import PRESETS, Config, Plan, estimate, kernels
from accel.spatial.kernels import LOOPS
from accel.spatial.plan import problems
from accel.spatial.technology import costs
from mappers.spatial import best_mapping, best_plan, search_kernels
from tests.oracles import bitfusion_problems
from tests.oracles import spatial as oracle
from workloads.errors import WorkloadError
from workloads.layers import IntArray, Layer, LayerTable

PAPER = PRESETS["paper"]


def random_layer(rng: np.random.Generator, **limits: int) -> Layer:
    """A layer whose window is not dilated."""
    while True:
        layer = bitfusion_problems.random_layer(rng, **limits)
        if layer.dilation == 1:
            return layer


def drawn_case(rng: np.random.Generator, *, ragged: bool = True) -> oracle.Case:
    """A tiny layer with random tiles and orders on a random array; without ragged edges if asked."""
    while True:
        depthwise = bool(rng.random() < 0.3)
        wide, tile, steps = ({loop: int(rng.integers(1, 4)) for loop in LOOPS} for _ in range(3))
        for loop in rng.permutation(list(LOOPS))[:3]:
            wide[loop] = 1
        if ragged:
            size = {loop: int(rng.integers(1, 6)) for loop in LOOPS}
            tile = {loop: min(tile[loop], -(-size[loop] // wide[loop])) for loop in LOOPS}
        else:
            size = {loop: wide[loop] * tile[loop] * steps[loop] * int(rng.integers(1, 3)) for loop in LOOPS}
        if depthwise:
            size["C"] = wide["C"] = tile["C"] = steps["C"] = 1
        if np.prod(list(size.values())) <= 250:
            outer, inner = ("".join(rng.permutation(list(LOOPS))) for _ in range(2))
            return oracle.Case(size, int(rng.integers(1, 4)), depthwise, wide, tile, steps, outer, inner)


def counted(case: oracle.Case) -> IntArray:
    """Return the kernel's counters of a case."""
    problem = np.array([*case.size.values(), case.stride, case.depthwise, 1], np.int64)
    machine = np.array([*case.wide.values(), 10**9, 10**9, 16, 1, 1], np.int64)
    orders = [LOOPS.index(loop) for loop in case.outer + case.inner]
    mapping = np.array([*case.tile.values(), *case.steps.values(), *orders], np.int64)
    counters: IntArray = np.zeros(len(kernels.COUNTERS), np.int64)
    kernels.count_layer(problem, machine, mapping, np.empty((4, 6), np.int64), counters)
    return counters


def test_the_closed_form_equals_the_walk() -> None:
    rng = np.random.default_rng(1)
    for _ in range(520):
        case = drawn_case(rng)
        walked = oracle.Walk(case).run()
        counters = counted(case).tolist()
        assert [counters[kernels.COMPUTE], counters[kernels.MACS]] == [walked.cycles, walked.macs], case
        for first, place in ((4, walked.dram), (8, walked.array), (12, walked.elements)):
            assert counters[first : first + 4] == list(place.values()), (case, first)


def test_whole_tiles_are_loaded_when_they_are_not_there_already_and_only_then() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        case = drawn_case(rng, ragged=False)
        held = oracle.loaded_when_not_held(case)
        counters = counted(case).tolist()
        weights_and_inputs = [counters[place] for place in (4, 5, 8, 9)]
        assert weights_and_inputs == held, case


def small_machine(rng: np.random.Generator) -> Config:
    sizes = {f"size_{place}": int(rng.integers(1, 4)) for place in (1, 2, 3)}
    return replace(
        PAPER,
        **sizes,
        unroll="".join(rng.permutation(list(LOOPS))[:3]),
        element_bytes=int(rng.choice((32, 64, 256))),
        buffer_bytes=int(rng.choice((128, 512, 4096))),
        noc_bits_per_cycle=int(rng.choice((16, 64))),
        dram_bits_per_cycle=int(rng.choice((8, 32, 128))),
    )


def halvings(size: int) -> list[int]:
    return [size] if size == 1 else [size, *halvings(-(-size // 2))]


def score(problem: IntArray, config: Config, mapping: IntArray) -> float:
    """Return the product of energy and cycles; infinite where tiles do not fit."""
    machine, counters = config.machine_row(), np.zeros(len(kernels.COUNTERS), np.int64)
    if not kernels.elements_fit(problem, machine, mapping) or not kernels.buffer_fits(problem, machine, mapping):
        return np.inf
    cycles = kernels.count_layer(problem, machine, mapping, np.empty((4, 6), np.int64), counters)
    return float(counters @ costs(config).unit_pj) * cycles


def tilings(problem: IntArray, config: Config) -> list[list[int]]:
    """All choices of element tiles and steps in the search's space."""
    choices = []
    for loop, size in enumerate(problem[:6].tolist()):
        wide = int(config.machine_row()[loop])
        share = -(-size // wide)
        tiles = halvings(share) if loop < 4 else sorted({1, share})
        choices.append([
            (tile, steps)
            for tile in tiles
            for steps in (halvings(-(-size // (tile * wide)))[: None if loop < 4 else 1])
        ])  # fmt: skip
    return [[way[part] for part in (0, 1) for way in chosen] for chosen in product(*choices)]


def test_no_mapping_of_the_space_is_better_than_the_one_found() -> None:
    rng = np.random.default_rng(3)
    orders = [(*outer, *inner) for outer, inner in product(search_kernels.ORDERS.tolist(), repeat=2)]
    searched = 0
    while searched < 25:
        config, layer = small_machine(rng), random_layer(rng, widest_bits=8)
        (problem,) = problems(LayerTable.of("one", [layer]))
        ways = tilings(problem, config)
        if len(ways) > 120:
            continue
        searched += 1
        every = [score(problem, config, np.array([*way, *order], np.int64)) for way in ways for order in orders]
        found = np.zeros(kernels.MAPPING_COLUMNS, np.int64)
        expanded = best_mapping(config, problem, found)
        if expanded:
            assert score(problem, config, found) == pytest.approx(min(every), rel=1e-12), (config, layer)
        else:
            assert min(every) == np.inf


def test_three_orders_a_level_stand_for_all() -> None:
    rng = np.random.default_rng(4)
    everything = np.array(list(permutations(range(6))))
    stand = search_kernels.ORDERS
    for _ in range(6):
        config, layer = replace(small_machine(rng), element_bytes=65536, buffer_bytes=262144), random_layer(rng)
        (problem,) = problems(LayerTable.of("one", [layer]))
        way = rng.choice(tilings(problem, config))
        least = min(score(problem, config, np.array([*way, *one, *other])) for one in stand for other in stand)
        for outer, inner in zip(rng.permutation(everything), rng.permutation(everything), strict=True):
            assert score(problem, config, np.array([*way, *outer, *inner])) >= least * (1 - 1e-12)


def test_more_bandwidth_is_never_slower_and_larger_buffers_are_never_worse() -> None:
    rng = np.random.default_rng(5)
    for _ in range(60):
        config, table = replace(small_machine(rng), element_bytes=64, buffer_bytes=4096), random_table(rng)
        plan = best_plan(config, table)
        report = estimate(config, plan)
        for field in ("noc_bits_per_cycle", "dram_bits_per_cycle"):
            wider = replace(config, **{field: 2 * getattr(config, field)})
            assert estimate(wider, plan).cycles <= report.cycles
            assert estimate(wider, best_plan(wider, table)).edp <= report.edp * (1 + 1e-9)


def random_table(rng: np.random.Generator) -> LayerTable:
    layer = random_layer(rng, widest_bits=8)
    return LayerTable.of("one", [replace(layer, batch=min(layer.batch, 2))])


def test_images_and_groups_repeat_a_layer() -> None:
    conv = Layer(
        name="conv", kind="conv", in_h=8, in_w=8, in_c=16, out_h=8, out_w=8, out_c=32, kernel_h=3, kernel_w=3
    )  # fmt: skip
    one = LayerTable.of("net", [conv])
    plan = best_plan(PAPER, one)
    twice = LayerTable.of("net", [replace(conv, batch=2)])
    grouped = LayerTable.of("net", [replace(conv, in_c=32, out_c=64, groups=2)])
    for table in (twice, grouped):
        again = estimate(PAPER, Plan(table, plan.mappings, plan.wide))
        assert again.counters["macs"] == 2 * one.macs[0]
        assert again.total_energy_pj == pytest.approx(2 * estimate(PAPER, plan).total_energy_pj)
        assert again.cycles <= 2 * estimate(PAPER, plan).cycles


def test_a_dilated_window_is_refused() -> None:
    sizes = {"in_h": 9, "in_w": 9, "in_c": 4, "out_h": 5, "out_w": 5, "out_c": 4, "kernel_h": 3, "kernel_w": 3}
    layer = Layer(name="wide", kind="conv", dilation=2, **sizes)
    with pytest.raises(WorkloadError, match=r"^net, layer wide: dilation = 2, need 1 on a spatial array$"):
        best_plan(PAPER, LayerTable.of("net", [layer]))
