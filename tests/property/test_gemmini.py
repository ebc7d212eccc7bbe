"""Gemmini's closed form equals the walked calls; its search and its laws."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np

from accel.gemmini import PRESETS, Config, Plan, estimate
from mappers.gemmini import best_plan
from tests.oracles import gemmini as oracle
from tests.oracles.bitfusion_problems import random_layer
from workloads.layers import Layer, LayerTable

PAPER = PRESETS["paper"]


def drawn(seed: int, count: int) -> list[tuple[Config, Layer, tuple[int, ...]]]:
    """Random layers with random tiles on arrays of several sides."""
    rng = np.random.default_rng(seed)
    cases = []
    for _ in range(count):
        layer = random_layer(rng, widest_bits=8)
        layer = replace(layer, batch=min(layer.batch, 2))
        channels = (layer.in_c // layer.groups, layer.out_c // layer.groups)
        sizes = (layer.out_w, layer.out_h, *channels, layer.kernel_w, layer.kernel_h)
        tile = tuple(int(rng.integers(1, size + 1)) for size in sizes)
        cases.append((replace(PAPER, array_side=int(rng.choice((1, 2, 3, 4, 8)))), layer, tile))
    return cases


def test_the_closed_form_equals_the_walk() -> None:
    for config, layer, tile in drawn(1, 450):
        if layer.macs > 8_000:
            continue  # the walk would take too long
        plan = Plan(LayerTable.of("one", [layer]), np.array([tile], dtype=np.int64))
        walk = oracle.convolution if layer.kind in ("conv", "depthwise") else oracle.product
        expected = asdict(walk(layer, tile, config.array_side))
        assert estimate(config, plan).counters == expected, (layer, tile, config.array_side)


def test_a_cycle_is_the_slowest_of_three() -> None:
    for config, layer, tile in drawn(2, 50):
        plan = Plan(LayerTable.of("one", [layer]), np.array([tile], dtype=np.int64))
        report = estimate(config, plan)
        for field in ("conv_call_cycles", "matmul_call_cycles", "step_cycles", "request_cycles", "startup_cycles"):
            slower = replace(config, **{field: 2 * getattr(config, field)})
            assert report.cycles <= estimate(slower, plan).cycles <= 2 * report.cycles
        faster = replace(config, dma_bytes_per_cycle=2 * config.dma_bytes_per_cycle)
        assert estimate(faster, plan).cycles <= report.cycles


def test_the_search_is_never_worse_than_one_element_at_a_time() -> None:
    for config, layer, _ in drawn(3, 40):
        table = LayerTable.of("one", [layer])
        ones = Plan(table, np.array([[1, 1, 1, 1, layer.kernel_w, layer.kernel_h]], dtype=np.int64))
        assert estimate(config, best_plan(config, table)).cycles <= estimate(config, ones).cycles


def test_larger_memories_never_slow_the_search_down() -> None:
    for config, layer, _ in drawn(4, 40):
        small = replace(config, scratchpad_bytes=4096, accumulator_bytes=1024)
        table = LayerTable.of("one", [layer])
        assert estimate(config, best_plan(config, table)).cycles <= estimate(small, best_plan(small, table)).cycles
