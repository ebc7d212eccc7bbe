"""The mapping of the fewest simulated cycles is the best of the authors' space, and under it the machine's laws hold.

Twice the batch takes at most twice the cycles, but for a batch that is no power of two: tiles are powers of two capped
at the batch, so that 5 images of 5 may be a tile, and 5 of 10 may not. That a larger buffer is never slower does not
hold: it takes in more at once, and what is taken in for the first fold is waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from accel.bitfusion import PRESETS, Config, Plan, estimate
from accel.report import Report
from mappers.bitfusion import best_cycle_plan, best_plan
from tests.oracles.bitfusion import tilings
from tests.oracles.bitfusion_problems import as_machine, random_config, random_layer
from workloads.layers import Layer, LayerTable

PAPER = replace(PRESETS["paper"], model="cycle")


def run(config: Config, layer: Layer) -> Report:
    return estimate(config, best_cycle_plan(config, LayerTable.of("one", [layer])))


@pytest.mark.parametrize("count", [10, pytest.param(25, marks=pytest.mark.drill)])
def test_no_mapping_of_the_space_takes_fewer_cycles(count: int) -> None:
    random = np.random.default_rng(1)
    for _ in range(count):
        layer = random_layer(random)
        config = replace(random_config(random, layer), model="cycle", dram_channels=2, dram_burst_bytes=16)
        table = LayerTable.of("one", [layer])
        tiles = list(tilings(layer, as_machine(config)))
        chosen = random.choice(len(tiles), min(40, len(tiles)), replace=False)
        mappings = [np.array([[*tiles[tile], random.integers(120)]]) for tile in chosen for _ in range(6)]
        fewest = min(estimate(config, Plan(table, mapping)).cycles for mapping in mappings)
        best = run(config, layer).cycles
        assert best <= min(fewest, estimate(config, best_plan(config, table)).cycles), (layer, config)


def test_every_mapping_of_a_small_space_is_tried() -> None:
    random = np.random.default_rng(2)
    for _ in range(3):
        layer = replace(random_layer(random, kind="conv"), batch=2, groups=1, in_c=3, out_c=4)
        config = replace(random_config(random, layer), model="cycle")
        table = LayerTable.of("one", [layer])
        space = [np.array([[*tile, order]]) for tile in tilings(layer, as_machine(config)) for order in range(120)]
        fewest = min(estimate(config, Plan(table, mapping)).cycles for mapping in space)
        assert run(config, layer).cycles == fewest, (layer, config)


def layers(seed: int, count: int) -> list[tuple[Layer, Config]]:
    """Draw layers such as networks have, on the published machine with one of several ports."""
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(count):
        kind = str(random.choice(["conv", "depthwise", "linear"]))
        in_c, out_c = (int(2 ** random.uniform(1, 9)) for _ in range(2))
        out, kernel, stride = int(random.integers(2, 40)), int(random.choice((1, 3, 5))), int(random.choice((1, 2)))
        if kind == "linear":
            out = kernel = stride = 1
        if kind == "depthwise":
            out_c = in_c
        size = (out - 1) * stride + kernel
        layer = Layer(
            name="layer", kind=kind, batch=int(random.choice((1, 2, 5, 16))), in_h=size, in_w=size, in_c=in_c,
            out_h=out, out_w=out, out_c=out_c, kernel_h=kernel, kernel_w=kernel, stride=stride,
            groups=in_c if kind == "depthwise" else 1, act_bits=int(random.choice((1, 2, 4, 8))),
            wgt_bits=int(random.choice((1, 2, 4, 8))), reads_input=int(random.integers(0, 2)),
        )  # fmt: skip
        drawn.append((layer, replace(PAPER, dram_bits_per_cycle=int(random.choice((64, 192, 500))))))
    return drawn


@pytest.fixture(scope="module", params=[80, pytest.param(200, marks=pytest.mark.drill)])
def drawn(request: pytest.FixtureRequest) -> list[tuple[Layer, Config, int]]:
    return [(layer, config, run(config, layer).cycles) for layer, config in layers(seed=3, count=request.param)]


@pytest.mark.parametrize("more", [lambda width: width + 1, lambda width: 2 * width, lambda width: 65536])
def test_more_bandwidth_is_never_slower(drawn, more: Callable[[int], int]) -> None:
    for layer, config, cycles in drawn:
        wider = replace(config, dram_bits_per_cycle=more(config.dram_bits_per_cycle))
        assert run(wider, layer).cycles <= cycles, (layer, config)


@pytest.mark.parametrize("field", ["act_bits", "wgt_bits"])
def test_more_bits_are_never_cheaper(drawn, field: str) -> None:
    for layer, config, cycles in drawn:
        wider = replace(layer, **{field: 2 * getattr(layer, field)})
        assert run(config, wider).cycles >= cycles, (layer, config)


def test_twice_the_batch_takes_at_most_twice_the_cycles(drawn) -> None:
    for layer, config, cycles in drawn:
        twice = run(config, replace(layer, batch=2 * layer.batch)).cycles
        assert cycles <= twice <= (2 if layer.batch != 5 else 2.2) * cycles, (layer, config)


def test_a_larger_buffer_can_be_slower_because_its_first_fill_is_waited_for() -> None:
    layer = Layer(
        name="conv", kind="conv", in_h=13, in_w=13, in_c=350, out_h=9, out_w=9, out_c=7, kernel_h=5, kernel_w=5,
        act_bits=2, wgt_bits=2,
    )  # fmt: skip
    small = replace(PAPER, dram_bits_per_cycle=64)
    large = replace(small, wbuf_bytes=2**17, ibuf_bytes=2**16, obuf_bytes=2**15)
    assert (run(small, layer).cycles, run(large, layer).cycles) == (6678, 6986)


def test_the_published_mapping_under_more_bandwidth_is_never_slower() -> None:
    for layer, config in layers(seed=4, count=200):
        plan = best_plan(config, LayerTable.of("one", [layer]))
        wider = replace(config, dram_bits_per_cycle=config.dram_bits_per_cycle + 7)
        before, after = estimate(config, plan), estimate(wider, plan)
        assert after.cycles <= before.cycles
        assert after.counters["compute_cycles"] == before.counters["compute_cycles"]
