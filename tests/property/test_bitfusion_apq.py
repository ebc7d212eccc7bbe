"""BitFusion by APQ's rules: the closed form equals the walked one, the search finds the best, and laws hold."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
import pytest

from accel.bitfusion.kernels import COUNTERS, ORDERS
from accel.bitfusion_apq import PRESETS, Config, Plan, estimate
from accel.bitfusion_apq.config import unit_energies
from accel.report import Report
from mappers.bitfusion_apq import best_plan
from tests.oracles import bitfusion_apq as oracle
from tests.oracles.bitfusion_problems import random_layer
from workloads.layers import Layer, LayerTable

PAPER = PRESETS["paper"]


def random_machine(rng: np.random.Generator) -> Config:
    rows, columns = (int(rng.choice((1, 2, 3, 4, 8))) for _ in range(2))
    return replace(
        PAPER,
        rows=rows,
        columns=columns,
        wbuf_bytes=rows * columns * int(rng.choice((256, 1024, 16384))),
        ibuf_bytes=rows * int(rng.choice((1024, 4096))),
        obuf_bytes=columns * int(rng.choice((64, 256, 4096))),
        dram_bits_per_cycle=int(rng.choice((1, 7, 32, 192, 4096))),
        core_pj_per_cycle=float(rng.uniform(1, 500)),
    )


def as_machine(config: Config) -> oracle.Machine:
    sizes = {"weights": config.wbuf_bytes, "inputs": config.ibuf_bytes, "outputs": config.obuf_bytes}
    names = [name.removesuffix("_bits") for name in COUNTERS[1:-1]]
    pj = dict(zip(names, unit_energies(config)[1:-1].tolist(), strict=True))
    pj |= {"core": config.core_pj_per_cycle, "static": config.static_pj_per_cycle}
    return oracle.Machine(config.rows, config.columns, sizes, config.dram_bits_per_cycle, pj)


def small_layer(rng: np.random.Generator) -> Layer:
    layer = random_layer(rng, widest_bits=8)
    return replace(layer, batch=min(layer.batch, 2))


def run(config: Config, layer: Layer) -> Report:
    table = LayerTable.of("one", [layer])
    return estimate(config, best_plan(config, table))


def test_the_closed_form_equals_the_walk() -> None:
    rng = np.random.default_rng(1)
    compared = 0
    while compared < 250:
        config, layer = random_machine(rng), small_layer(rng)
        group, machine = oracle.group_of(layer), as_machine(config)
        tiles = oracle.tilings(group, machine)
        if not tiles or prod(group.size.values()) > 20_000:
            continue  # the walk would take too long
        tile = tiles[int(rng.integers(len(tiles)))]
        order = int(rng.integers(len(ORDERS)))
        mapping = np.array([[*tile.values(), order]], dtype=np.int64)
        report = estimate(config, Plan(LayerTable.of("one", [layer]), mapping))
        names = tuple(oracle.LOOPS[loop] for loop in ORDERS[order])
        counters, energy = oracle.count(group, machine, tile, names)
        assert report.counters == {name: count * group.repeats for name, count in counters.items()}
        assert report.total_energy_pj == pytest.approx(energy * group.repeats, rel=1e-9)
        compared += 1


def test_the_search_finds_what_trying_everything_finds() -> None:
    rng = np.random.default_rng(2)
    compared = 0
    while compared < 15:
        config, layer = random_machine(rng), replace(small_layer(rng), batch=1)
        group, machine = oracle.group_of(layer), as_machine(config)
        if prod(group.size.values()) > 1500 or not 0 < len(oracle.tilings(group, machine)) <= 16:
            continue
        cycles, energy = oracle.best(group, machine)
        report = run(config, layer)
        assert report.cycles == cycles * group.repeats
        assert report.total_energy_pj == pytest.approx(energy * group.repeats, rel=1e-9)
        compared += 1


def problems(seed: int, count: int) -> list[tuple[Config, Layer]]:
    rng = np.random.default_rng(seed)
    return [
        (replace(PAPER, dram_bits_per_cycle=int(rng.choice((16, 192, 4096)))), small_layer(rng)) for _ in range(count)
    ]


def test_more_bandwidth_is_never_slower() -> None:
    for config, layer in problems(3, 100):
        wider = replace(config, dram_bits_per_cycle=2 * config.dram_bits_per_cycle)
        assert run(wider, layer).cycles <= run(config, layer).cycles


def test_more_bits_are_never_faster() -> None:
    """With a group's channels as they are; a depthwise group takes fewer channels at more bits."""
    for config, layer in problems(4, 100):
        if layer.kind == "depthwise" or max(layer.act_bits, layer.wgt_bits) == 8:
            continue
        wider = replace(layer, act_bits=layer.act_bits + 1)
        assert run(config, wider).cycles >= run(config, layer).cycles


def test_depthwise_channels_come_in_groups() -> None:
    def depthwise(channels: int, bits: int) -> Layer:
        return Layer(
            name="dw", kind="depthwise", in_h=8, in_w=8, in_c=channels, out_h=8, out_w=8, out_c=channels, kernel_h=3,
            kernel_w=3, groups=channels, act_bits=bits, wgt_bits=bits,
        )  # fmt: skip

    for bits, channels in ((8, 8), (4, 32)):
        one = run(PAPER, depthwise(channels, bits)).cycles
        assert run(PAPER, depthwise(1, bits)).cycles == one
        assert run(PAPER, depthwise(channels + 1, bits)).cycles == 2 * one
