"""What must hold of BitFusion's cycles and traffic whatever the layer: laws between two runs.

Three laws one would expect do not hold in the authors' model, so they are not here. A larger buffer may cost cycles,
because what stays resident is loaded before the array starts; wider operands may save some, because weights are
padded to the lanes, of which there are fewer; and twice the batch may take a little more than twice the cycles,
because tiles are powers of two capped at the layer. What does hold in their place is.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from accel.bitfusion import PRESETS, Config, Plan, estimate, estimate_batch, kernels
from accel.report import Report
from mappers.bitfusion import best_plan, best_plans
from tests.oracles import bitfusion as oracle
from tests.oracles.bitfusion_problems import (
    BUFFERS,
    SWITCHES,
    as_machine,
    most_bytes,
    random_config,
    random_layer,
)
from workloads.layers import Layer, LayerTable

Problem = tuple[Layer, Config]


def problems(seed: int, count: int) -> list[Problem]:
    rng = np.random.default_rng(seed)
    layers = [random_layer(rng) for _ in range(count)]
    return [(layer, random_config(rng, layer)) for layer in layers]


@pytest.fixture(scope="module")
def drawn() -> list[Problem]:
    return problems(seed=101, count=800)


def best_reports(drawn: list[Problem]) -> list[Report]:
    configs = [config for _, config in drawn]
    plans = best_plans(configs, [LayerTable.of("one", [layer]) for layer, _ in drawn])
    return estimate_batch(configs, plans)


@pytest.fixture(scope="module")
def best(drawn: list[Problem]) -> list[Report]:
    return best_reports(drawn)


def under(mapping: np.ndarray, layer: Layer, config: Config) -> Report:
    return estimate(config, Plan(LayerTable.of("one", [layer]), mapping[None, :]))


def random_mappings(drawn: list[Problem]) -> list[np.ndarray]:
    """One tiling of the search space per problem, under any order."""
    rng = np.random.default_rng(7)
    mappings = []
    for layer, config in drawn:
        tiles = list(oracle.tilings(layer, as_machine(config)))
        mappings.append(np.array([*tiles[rng.integers(len(tiles))], rng.integers(len(kernels.ORDERS))]))
    return mappings


@pytest.fixture(scope="module")
def mapped(drawn: list[Problem]) -> list[tuple[np.ndarray, Layer, Config]]:
    return [(mapping, *problem) for mapping, problem in zip(random_mappings(drawn), drawn, strict=True)]


def dram_bits(report: Report) -> int:
    return report.counters["dram_read_bits"] + report.counters["dram_write_bits"]


@pytest.mark.parametrize("more", [lambda width: width + 1, lambda width: 2 * width, lambda width: 65536])
def test_more_bandwidth_is_never_slower(drawn, best, more) -> None:
    wider = [(layer, replace(config, dram_bits_per_cycle=more(config.dram_bits_per_cycle))) for layer, config in drawn]
    after = best_reports(wider)
    assert all(new.cycles <= old.cycles for old, new in zip(best, after, strict=True))
    assert any(new.cycles < old.cycles for old, new in zip(best, after, strict=True))


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_switch_off_never_costs_cycles(drawn, switch: str) -> None:
    on = best_reports([(layer, replace(config, **{switch: True})) for layer, config in drawn])
    off = best_reports([(layer, replace(config, **{switch: False})) for layer, config in drawn])
    pairs = list(zip(on, off, strict=True))
    assert all(without.cycles <= with_.cycles for with_, without in pairs)
    if switch == "unshared_input_reads":  # it charges reads, not time
        assert all(without.cycles == with_.cycles for with_, without in pairs)
        assert any(without.energy_pj["ibuf"] < with_.energy_pj["ibuf"] for with_, without in pairs)
    else:
        assert any(without.cycles < with_.cycles for with_, without in pairs)


@pytest.mark.parametrize("switch", ["wide_outputs", "output_preload"])
def test_a_switch_off_never_moves_more_under_the_same_mapping(mapped, switch: str) -> None:
    for mapping, layer, config in mapped:
        on = under(mapping, layer, replace(config, **{switch: True}))
        off = under(mapping, layer, replace(config, **{switch: False}))
        assert dram_bits(off) < dram_bits(on), (mapping, layer, config)


def enlarged(config: Config) -> Config:
    """Double every buffer, as far as bank costs are known."""
    most = most_bytes(config)
    return replace(config, **{field: min(2 * getattr(config, field), size) for field, size in most.items()})


def test_larger_buffers_never_move_more_under_the_same_mapping(mapped) -> None:
    for mapping, layer, config in mapped:
        small, large = under(mapping, layer, config), under(mapping, layer, enlarged(config))
        assert dram_bits(large) <= dram_bits(small), (mapping, layer, config)
        assert large.counters["compute_cycles"] == small.counters["compute_cycles"]


def test_larger_buffers_cost_at_most_the_time_to_fill_and_drain_them(drawn, best) -> None:
    larger = [(layer, enlarged(config)) for layer, config in drawn]
    for (_, config), small, large in zip(larger, best, best_reports(larger), strict=True):
        halves = {buffer: getattr(config, f"{buffer}_bytes") * 8 // 2 for buffer in BUFFERS}
        fill = -(-sum(halves.values()) // config.dram_bits_per_cycle)
        drain = -(-halves["obuf"] // config.dram_bits_per_cycle)
        assert large.cycles <= small.cycles + fill + drain


def test_a_larger_buffer_can_cost_cycles_because_its_first_fill_is_waited_for() -> None:
    layer = Layer(
        name="fc", kind="linear", batch=4, in_h=1, in_w=1, in_c=3, out_h=1, out_w=1, out_c=1, act_bits=7, wgt_bits=1
    )
    small = replace(
        PRESETS["paper"], rows=16, columns=3, wbuf_bytes=769, ibuf_bytes=256, obuf_bytes=48, wide_outputs=False
    )
    before, after = best_reports([(layer, small), (layer, replace(small, obuf_bytes=96))])
    assert (before.counters["compute_cycles"], after.counters["compute_cycles"]) == (4, 4)
    assert (before.cycles, after.cycles) == (7, 8)


def test_twice_the_batch_is_twice_the_arithmetic_under_the_same_mapping(mapped) -> None:
    for mapping, layer, config in mapped:
        tile_b = math.gcd(int(mapping[kernels.LOOP_B]), layer.batch)
        mapping = np.array([tile_b, *mapping[1:]])
        once = under(mapping, layer, config)
        twice = under(mapping, replace(layer, batch=2 * layer.batch), config)
        assert twice.operations == 2 * once.operations
        assert twice.counters["compute_cycles"] == 2 * once.counters["compute_cycles"]
        assert dram_bits(twice) >= dram_bits(once)
        assert twice.dram_bytes["write"] >= once.dram_bytes["write"]


@pytest.mark.parametrize("field", ["act_bits", "wgt_bits"])
def test_wider_operands_never_compute_faster_under_the_same_mapping(mapped, field: str) -> None:
    roomy = [(mapping, layer, replace(config, **most_bytes(config))) for mapping, layer, config in mapped[:250]]
    for mapping, layer, config in roomy:
        reports = [under(mapping, replace(layer, **{field: bits}), config) for bits in range(1, 17)]
        cycles = [report.counters["compute_cycles"] for report in reports]
        assert cycles == sorted(cycles), (mapping, layer, config)
        if field == "act_bits":
            loaded = [report.counters["ibuf_write_bits"] for report in reports]
            assert loaded == sorted(loaded), (mapping, layer, config)


def test_one_to_eight_bits_and_nine_to_sixteen_take_the_published_passes() -> None:
    layer = Layer(name="fc", kind="linear", batch=2, in_h=1, in_w=1, in_c=256, out_h=1, out_w=1, out_c=32)
    mapping = np.array([1, 1, 1, 256, 32, 0])

    def compute(act: int, wgt: int) -> int:
        report = under(mapping, replace(layer, act_bits=act, wgt_bits=wgt), PRESETS["paper"])
        return report.counters["compute_cycles"]

    # 256 channels over 16 rows, twice (batch), sixteen to one products a unit and cycle, one to four passes
    expected = {1: 4, 2: 4, 3: 2, 4: 2, 5: 1, 8: 1, 9: 1 / 2, 16: 1 / 2}
    for act, act_rate in expected.items():
        for wgt, wgt_rate in expected.items():
            assert compute(act, wgt) == 32 / (act_rate * wgt_rate), (act, wgt)


def networks(seed: int, count: int) -> list[tuple[LayerTable, Config]]:
    """Random networks on the paper's machine, or one with another port and switches."""
    rng = np.random.default_rng(seed)
    other = replace(PRESETS["paper"], dram_bits_per_cycle=77, wide_outputs=False, full_edge_tiles=False)
    drawn = []
    for index in range(count):
        layers = [random_layer(rng) for _ in range(rng.integers(1, 8))]
        drawn.append((LayerTable.of(f"net{index}", layers), other if index % 2 else PRESETS["paper"]))
    return drawn


def test_order_of_layers_changes_no_count() -> None:
    for table, config in networks(seed=1, count=40):
        forth = estimate(config, best_plan(config, table))
        back = estimate(config, best_plan(config, LayerTable.of(table.name, table.layers()[::-1])))
        assert back.counters == forth.counters
        assert [layer.counters for layer in back.layers[::-1]] == [layer.counters for layer in forth.layers]
        assert back.cycles == forth.cycles
        assert back.energy_pj == pytest.approx(forth.energy_pj, rel=1e-12)


def test_a_batch_of_networks_is_planned_and_counted_as_each_alone() -> None:
    drawn = networks(seed=2, count=60)
    tables, configs = [table for table, _ in drawn], [config for _, config in drawn]
    plans = best_plans(configs, tables)
    together = estimate_batch(configs, plans)
    assert [report.name for report in together] == [table.name for table in tables]
    for table, config, plan, total in zip(tables, configs, plans, together, strict=True):
        alone = best_plan(config, table)
        np.testing.assert_array_equal(plan.mappings, alone.mappings)
        assert plan.table is table
        report = estimate(config, alone)
        for field in ("cycles", "operations", "counters", "dram_bytes", "cycle_stack", "area_mm2"):
            assert getattr(total, field) == getattr(report, field), field
        for field in ("compute_bound_cycles", "bandwidth_bound_cycles"):
            assert getattr(total, field) == getattr(report, field), field
        assert total.energy_pj == pytest.approx(report.energy_pj, rel=1e-12)
        assert total.layers == ()
        assert len(report.layers) == len(table)


def test_layers_carry_their_names_and_add_up() -> None:
    (table, config), *_ = networks(seed=3, count=1)
    report = estimate(config, best_plan(config, table))
    assert tuple(layer.name for layer in report.layers) == table.layer_names
    assert report.operations == 2 * int(table.macs.sum())
    assert report.dram_bytes["read"] * 8 >= report.counters["dram_read_bits"]
