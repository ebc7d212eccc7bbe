"""BitFusion cycle by cycle equals registers, bricks and bursts that move; its closed form equals it; its laws hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from accel.bitfusion import PRESETS, Config, Plan, estimate, estimate_batch, kernels, multiply, simulate
from accel.bitfusion.arithmetic import digits, draw_operands, layer_outputs
from tests.oracles import bitfusion_cycles as oracle
from tests.oracles.bitfusion import BUFFERS, dimensions, footprints
from tests.oracles.bitfusion_blocks import instructions
from tests.oracles.bitfusion_problems import LARGEST_BANK_BYTES, SMALLEST_BANK_BYTES, as_machine, banks_of
from workloads.layers import KINDS, Layer, LayerTable

PAPER = PRESETS["paper"]
WIDTHS = (1, 2, 3, 4, 5, 7, 8, 11, 16)


def tiny_layer(random: np.random.Generator, most_macs: int = 1500) -> Layer:
    """Draw any kind of layer of few multiplications."""
    while True:
        kind = str(random.choice(KINDS))
        groups, in_c, out_c = (int(size) for size in random.integers(1, (4, 10, 10)))
        out_h, out_w, kernel_h, kernel_w, stride = (int(size) for size in random.integers(1, (5, 5, 4, 4, 4)))
        if kind in ("linear", "matmul"):
            out_w = kernel_h = kernel_w = stride = 1
        if kind == "depthwise":
            groups = in_c = out_c
        elif kind != "linear":
            in_c, out_c = groups * in_c, groups * out_c
        else:
            groups = 1
        layer = Layer(
            name="tiny", kind=kind, batch=int(random.integers(1, 4)),
            in_h=max(1, (out_h - 1) * stride + kernel_h - int(random.integers(0, kernel_h))),
            in_w=max(1, (out_w - 1) * stride + kernel_w - int(random.integers(0, kernel_w))),
            in_c=in_c, out_h=out_h, out_w=out_w, out_c=out_c, kernel_h=kernel_h, kernel_w=kernel_w, stride=stride,
            groups=groups, act_bits=int(random.choice(WIDTHS)), wgt_bits=int(random.choice(WIDTHS)),
            reads_input=int(random.integers(0, 2)) if kind != "matmul" else 0,
            dilation=1 + (out_h + out_c) % 3 // 2,
        )  # fmt: skip
        if layer.macs <= most_macs:
            return layer


def any_mapping(random: np.random.Generator, layer: Layer) -> np.ndarray:
    """Draw tiles of any size, powers of two or not, and any loop order."""
    tiles = [int(random.choice((1, size, random.integers(1, size + 1)))) for size in dimensions(layer).values()]
    return np.array([*tiles, random.integers(len(kernels.ORDERS))])


def roomy_enough(random: np.random.Generator, layer: Layer, mapping: np.ndarray, widest: int = 4) -> Config:
    """Draw a small machine whose buffers hold one tile of the mapping, some, or all."""
    config = replace(
        PAPER,
        rows=int(random.integers(1, widest)),
        columns=int(random.integers(1, widest)),
        dram_bits_per_cycle=int(random.choice((1, 7, 24, 64, 192, 1000))),
        dram_channels=int(random.integers(1, 5)),
        dram_burst_bytes=int(random.choice((1, 4, 64))),
    )
    tile = tuple(mapping[: kernels.ORDER].tolist())
    needs = footprints(layer, as_machine(config), tile)  # type: ignore[arg-type]
    sizes = {}
    for buffer, banks in zip(BUFFERS, banks_of(config), strict=True):
        tiles = int(random.choice((1, 1, 2, 3, 6, 100)))
        enough = max(SMALLEST_BANK_BYTES * banks, -(-2 * tiles * needs[buffer] // 8))
        sizes[f"{buffer}_bytes"] = min(enough, LARGEST_BANK_BYTES * banks)
    return replace(config, **sizes)


def planned(layer: Layer, mapping: np.ndarray) -> Plan:
    return Plan(LayerTable.of("one", [layer]), mapping[None, :])


def by_the_oracle(layer: Layer, config: Config, mapping: np.ndarray, seed: int) -> tuple[np.ndarray, dict[str, int]]:
    activations, weights = draw_operands(layer, seed, 0)
    tile: Any = tuple(mapping[: kernels.ORDER].tolist())
    order = tuple(kernels.LOOPS[loop] for loop in kernels.ORDERS[mapping[kernels.ORDER]])
    outputs, counts = oracle.run(
        layer, as_machine(config), tile, order,
        channels=config.dram_channels, burst_bits=8 * config.dram_burst_bytes, out_bits=layer.act_bits,
        activations=activations, weights=weights,
    )  # fmt: skip
    return outputs, counts | instructions(layer, as_machine(config), tile, order)


def cases(seed: int, count: int) -> list[tuple[Layer, Config, np.ndarray]]:
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(count):
        layer = tiny_layer(random)
        mapping = any_mapping(random, layer)
        drawn.append((layer, roomy_enough(random, layer, mapping), mapping))
    return drawn


@pytest.mark.parametrize("count", [120, pytest.param(500, marks=pytest.mark.drill)])
def test_registers_bricks_and_bursts_give_the_same_values_and_counts(count: int) -> None:
    for layer, config, mapping in cases(seed=1, count=count):
        report = simulate(config, planned(layer, mapping), seed=5)
        outputs, counts = by_the_oracle(layer, config, mapping, seed=5)
        told = (layer, config, mapping)
        assert np.array_equal(report.layers[0].result, outputs), told
        counted = dict(report.counters)
        idle = {"fill_drain_cycles", "weight_load_cycles", "dram_read_wait_cycles", "dram_write_wait_cycles"}
        assert counted.pop("stall_cycles") == sum(counts[name] for name in idle), told
        assert counted == {name: counts[name] for name in counted}, told


def test_the_closed_form_counts_what_is_run() -> None:
    random = np.random.default_rng(2)
    drawn = []
    for _ in range(300):
        layer = tiny_layer(random, most_macs=200_000)
        mapping = any_mapping(random, layer)
        drawn.append((layer, replace(roomy_enough(random, layer, mapping, widest=9), model="cycle"), mapping))
    together = estimate_batch([config for _, config, _ in drawn], [planned(case[0], case[2]) for case in drawn])
    for (layer, config, mapping), batched in zip(drawn, together, strict=True):
        simulated, estimated = (count(config, planned(layer, mapping)) for count in (simulate, estimate))
        told = (layer, config, mapping)
        for field in ("cycles", "counters", "cycle_stack", "energy_pj", "dram_bytes", "operations", "area_mm2"):
            assert getattr(simulated, field) == getattr(estimated, field) == getattr(batched, field), told
        assert (simulated.fidelity, estimated.fidelity, estimated.result) == ("simulate", "estimate", None)


def test_a_batch_may_mix_the_published_model_and_the_machine() -> None:
    drawn = cases(seed=3, count=40)
    configs = [replace(config, model=("published", "cycle")[row % 2]) for row, (_, config, _) in enumerate(drawn)]
    plans = [planned(layer, mapping) for layer, _, mapping in drawn]
    for together, config, plan in zip(estimate_batch(configs, plans), configs, plans, strict=True):
        assert together.counters == estimate(config, plan).counters
        assert ("folds" in together.counters) == (config.model == "cycle")


def test_the_array_computes_as_long_as_published_with_edges_of_their_true_size() -> None:
    for layer, config, mapping in cases(seed=4, count=300):
        ours = estimate(replace(config, model="cycle"), planned(layer, mapping))
        published = estimate(replace(config, full_edge_tiles=False), planned(layer, mapping))
        assert ours.counters["compute_cycles"] == published.counters["compute_cycles"]
        assert ours.cycle_stack["fill_drain"] == ours.counters["folds"] * (config.rows + config.columns - 2)


def test_products_are_exact_for_every_pair_of_widths_signed_or_not() -> None:
    random = np.random.default_rng(5)
    for case in range(10_000):
        act_bits, wgt_bits = WIDTHS[case % len(WIDTHS)], WIDTHS[case // len(WIDTHS) % len(WIDTHS)]
        act_signed, wgt_signed = (bool(sign) for sign in random.integers(0, 2, 2))
        m, k, n = random.integers(1, 5, 3)
        a, b = (
            random.integers(-(1 << bits - 1) if signed else 0, 1 << bits - signed, shape)
            for bits, signed, shape in ((act_bits, act_signed, (m, k)), (wgt_bits, wgt_signed, (k, n)))
        )
        made = multiply(a, b, act_bits, wgt_bits, act_signed=act_signed, wgt_signed=wgt_signed)
        assert np.array_equal(made, a @ b), (act_bits, wgt_bits, act_signed, wgt_signed)


@pytest.mark.parametrize("bits", range(1, 17))
def test_every_value_of_every_width_is_its_digits(bits: int) -> None:
    for low, signed in ((-(1 << bits - 1), True), (0, False)):
        values = np.arange(low, low + (1 << bits))
        cut = digits(values, bits, signed=signed)
        assert len(cut) == {1: 1, 2: 1, 3: 2, 4: 2}.get(bits, 4 if bits <= 8 else 8)
        assert all(digit.min() >= -2 and digit.max() <= 3 for digit in cut)
        assert np.array_equal(sum(digit << 2 * place for place, digit in enumerate(cut)), values)


def direct(layer: Layer, activations: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute a layer output by output, with whole numbers."""
    grown = oracle.padded(layer, activations.astype(np.int64))
    outputs = np.zeros((layer.batch, layer.out_h, layer.out_w, layer.out_c), np.int64)
    inputs, per_group = layer.in_c // layer.groups, layer.out_c // layer.groups
    for h in range(layer.out_h):
        for w in range(layer.out_w):
            rows, columns = (slice(at * layer.stride, at * layer.stride + size, layer.dilation) for at, size in
                             ((h, layer.reach_h), (w, layer.reach_w)))  # fmt: skip
            for group in range(layer.groups):
                window = grown[:, rows, columns, group * inputs : (group + 1) * inputs]
                made = np.tensordot(window, weights[group].astype(np.int64), axes=3)
                outputs[:, h, w, group * per_group : (group + 1) * per_group] = made
    return outputs


def test_layers_as_matrices_give_the_outputs_of_layers() -> None:
    random = np.random.default_rng(6)
    for seed in range(400):
        layer = tiny_layer(random, most_macs=30_000)
        operands = draw_operands(layer, seed, 0)
        assert np.array_equal(layer_outputs(layer, *operands), direct(layer, *operands)), layer


def test_deep_layers_of_wide_operands_are_exact() -> None:
    layer = Layer(
        name="deep", kind="linear", batch=3, in_h=1, in_w=1, in_c=5000, out_h=1, out_w=1, out_c=7, act_bits=16,
        wgt_bits=16,
    )  # fmt: skip
    least = np.full((3, 1, 1, 5000), -(1 << 15)), np.full((1, 1, 1, 5000, 7), -(1 << 15))
    assert np.array_equal(layer_outputs(layer, *least), np.full((3, 1, 1, 7), 5000 << 30))


def test_the_same_seed_gives_the_same_values() -> None:
    layer, config, mapping = cases(seed=7, count=1)[0]
    first, again, other = (simulate(config, planned(layer, mapping), seed=seed).layers[0].result for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
