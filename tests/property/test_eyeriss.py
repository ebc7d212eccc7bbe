"""The row-stationary array's closed form equals elements that are walked one by one, and its laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accel.eyeriss import PRESETS, Config, estimate
from mappers.eyeriss import best_plan
from tests.oracles import eyeriss as oracle
from tests.oracles.bitfusion_problems import random_layer
from workloads.layers import Layer, LayerTable

PAPER = PRESETS["paper"]


def drawn(seed: int, count: int) -> list[tuple[Config, Layer]]:
    rng = np.random.default_rng(seed)
    sides = (1, 2, 3, 4, 6, 12)
    return [
        (
            replace(PAPER, rows=int(rng.choice(sides)), columns=int(rng.choice(sides)), dram_bits_per_cycle=65536),
            random_layer(rng),
        )
        for _ in range(count)
    ]


def test_the_closed_form_equals_the_walk() -> None:
    for config, layer in drawn(1, 400):
        table = LayerTable.of("one", [layer])
        counters = estimate(config, best_plan(config, table)).counters
        cycles, steps = oracle.walk(layer, config.rows, config.columns)
        assert (counters["compute_cycles"], counters["element_steps"]) == (cycles, steps), (layer, config)


def test_elements_never_do_less_than_the_layer_needs() -> None:
    for config, layer in drawn(2, 300):
        table = LayerTable.of("one", [layer])
        counters = estimate(config, best_plan(config, table)).counters
        assert counters["element_steps"] >= layer.macs
        assert counters["compute_cycles"] * config.rows * config.columns >= layer.macs


def test_a_batch_takes_as_long_as_its_images() -> None:
    for config, layer in drawn(3, 100):
        one, two = (
            estimate(config, best_plan(config, LayerTable.of("one", [replace(layer, batch=batch)]))) for batch in (1, 2)
        )
        assert two.counters["compute_cycles"] == 2 * one.counters["compute_cycles"]


def test_more_bandwidth_is_never_slower() -> None:
    for config, layer in drawn(4, 100):
        narrow = replace(config, dram_bits_per_cycle=16)
        table = LayerTable.of("one", [layer])
        assert estimate(config, best_plan(config, table)).cycles <= estimate(narrow, best_plan(narrow, table)).cycles
