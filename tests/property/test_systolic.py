"""The systolic array multiplies exactly, takes the cycles its registers take, and obeys its laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from accel.report import Report
from accel.systolic import PRESETS, Config, estimate, multiply, operands, simulate
from accel.systolic.config import DATAFLOWS
from mappers.systolic import best_plan
from tests.oracles import systolic as oracle
from workloads.errors import ConfigError
from workloads.layers import Layer, LayerTable

PAPER = PRESETS["paper"]


def random_case(random: np.random.Generator, dataflow: str) -> tuple[Config, np.ndarray, np.ndarray]:
    m, k, n = (int(size) for size in random.integers(1, 14, 3))
    bits = int(random.integers(1, 17))
    rows, columns = (int(size) for size in random.integers(1, 7, 2))
    config = replace(PAPER, rows=rows, columns=columns, dataflow=dataflow)
    half = 1 << (bits - 1)
    return config, random.integers(-half, half, (m, k)), random.integers(-half, half, (k, n))


def random_layer(random: np.random.Generator) -> Layer:
    kind = str(random.choice(["conv", "depthwise", "linear", "matmul"]))
    groups = int(random.integers(1, 4))
    in_c = groups if kind == "depthwise" else groups * int(random.integers(1, 6))
    out = int(random.integers(1, 7))
    return Layer(
        name="layer",
        kind=kind,
        batch=int(random.integers(1, 4)),
        in_h=out + 2,
        in_w=out + 2,
        in_c=in_c,
        out_h=out,
        out_w=out,
        out_c=in_c if kind == "depthwise" else groups * int(random.integers(1, 6)),
        kernel_h=3,
        kernel_w=3,
        groups=groups,
        act_bits=int(random.integers(1, 17)),
        wgt_bits=int(random.integers(1, 17)),
    )


def random_machine(random: np.random.Generator) -> Config:
    return replace(
        PAPER,
        rows=int(random.integers(1, 9)),
        columns=int(random.integers(1, 9)),
        dataflow=str(random.choice(DATAFLOWS)),
        sram_bytes=int(2 ** random.integers(4, 14)),
        dram_bits_per_cycle=int(random.integers(1, 200)),
    )


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_registers_that_shift_give_the_same_product_and_cycles(dataflow: str) -> None:
    random = np.random.default_rng(DATAFLOWS.index(dataflow))
    for _ in range(200):
        config, a, b = random_case(random, dataflow)
        product, cycles = multiply(config, a, b)
        expected = oracle.multiply(a.tolist(), b.tolist(), config.rows, config.columns, dataflow)
        assert (product.tolist(), cycles) == expected


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_the_product_is_the_product(dataflow: str) -> None:
    random = np.random.default_rng(10)
    for _ in range(500):
        config, a, b = random_case(random, dataflow)
        assert np.array_equal(multiply(config, a, b)[0], a @ b)


def test_a_layer_simulated_equals_its_reference_and_its_estimate() -> None:
    random = np.random.default_rng(20)
    for _ in range(200):
        config, table = random_machine(random), LayerTable.of("one", [random_layer(random)])
        plan = best_plan(config, table)
        simulated, estimated = simulate(config, plan, seed=3), estimate(config, plan)
        a, b = operands(plan, 0, 3)
        assert np.array_equal(simulated.layers[0].result, a @ b)
        assert simulated.counters == estimated.counters
        assert simulated.cycle_stack == estimated.cycle_stack
        assert (simulated.fidelity, estimated.fidelity) == ("simulate", "estimate")
        assert simulated.operations == 2 * int(table.macs.sum())


def test_laws() -> None:
    random = np.random.default_rng(30)
    for _ in range(500):
        config, layer = random_machine(random), random_layer(random)
        table = LayerTable.of("one", [layer])
        report = run(config, table)
        assert run(replace(config, dram_bits_per_cycle=config.dram_bits_per_cycle + 7), table).cycles <= report.cycles
        assert traffic(run(replace(config, sram_bytes=2 * config.sram_bytes), table)) <= traffic(report)
        wider = table.with_bits(min(16, layer.act_bits + 1), min(16, layer.wgt_bits + 1))
        assert traffic(run(config, wider)) >= traffic(report)
        assert run(config, wider).cycles >= report.cycles
        # A batch that outgrows the scratch memory is fetched again and again; computing only doubles.
        double = run(config, table.with_batch(2 * layer.batch))
        assert double.counters["compute_cycles"] <= 2 * report.counters["compute_cycles"]
        assert traffic(double) >= traffic(report)


def run(config: Config, table: LayerTable) -> Report:
    return estimate(config, best_plan(config, table))


def traffic(report: Report) -> int:
    return report.counters["read_bits"] + report.counters["write_bits"]


def test_the_same_seed_gives_the_same_values() -> None:
    table = LayerTable.of("one", [random_layer(np.random.default_rng(1))])
    plan = best_plan(PAPER, table)
    first, again, other = (simulate(PAPER, plan, seed=seed).layers[0].result for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_best_dataflow_of_every_layer() -> None:
    random = np.random.default_rng(12)
    kept = set()
    for _ in range(150):
        config = replace(random_machine(random), dataflow="best")
        table = LayerTable.of("network", [random_layer(random) for _ in range(3)])
        plan = best_plan(config, table)
        report = estimate(config, plan)
        each = [replace(config, dataflow=dataflow) for dataflow in DATAFLOWS]
        others = [estimate(one, best_plan(one, table)) for one in each]
        for index, layer in enumerate(report.layers):
            counts = [other.layers[index] for other in others]
            assert layer.cycles == min(count.cycles for count in counts)
            fastest = [count.total_dram_bytes for count in counts if count.cycles == layer.cycles]
            assert layer.total_dram_bytes == min(fastest)
        kept.update(plan.dataflows)
        assert simulate(config, plan).cycles == report.cycles
    assert kept == set(DATAFLOWS)


def test_one_product_needs_a_dataflow() -> None:
    with pytest.raises(ConfigError, match="systolic: dataflow = best, need one of os, ws, is"):
        multiply(replace(PAPER, dataflow="best"), [[1]], [[1]])
