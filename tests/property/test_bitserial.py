"""The bit-serial array's kernel gives what the slow oracle gives, and what must hold between two of its runs does.

One law one would expect does not hold: a larger buffer may cost a few cycles. It means fewer and larger chunks, and
what overlapped at the seams of the small ones is waited for. It never fetches more, and that is here in its place.
"""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accel.bitserial import PRESETS, Config, estimate, kernels
from accel.report import Report
from mappers.bitserial import best_plan
from tests.oracles import bitserial as oracle
from tests.oracles.bitfusion_problems import random_layer
from workloads.layers import ACT_BITS, COLUMNS, KINDS, WGT_BITS, Layer, LayerTable

Counts = dict[str, int]


def machine_for(rng: np.random.Generator, rows_bits: int, columns_bits: int, depth: int) -> oracle.Machine:
    """Odd tiles, streams slower and faster than a word a cycle, a buffer from just one tile to more than enough."""
    tile_rows, tile_columns = (int(rng.choice((1, 2, 3, 4, 5, 7))) for _ in range(2))
    depth_bits = int(rng.choice((1, 3, 8, 64)))
    words = -(-depth // depth_bits)
    least = words * max(tile_rows * rows_bits, tile_columns * columns_bits)
    return oracle.Machine(
        tile_rows,
        tile_columns,
        depth_bits,
        stream_bits_per_cycle=int(rng.choice((1, depth_bits, depth_bits, 2 * depth_bits + 1, 13, 1000))),
        buffer_words=least + int(rng.choice((0, 0, 1, least // 2, least, 2 * least, 100 * least))),
    )


Problem = tuple[oracle.Product, oracle.Machine, int, int]


def problems(seed: int, count: int) -> list[Problem]:
    """Random products; one in four with operands of up to 16 bits, the others of up to 5."""
    rng = np.random.default_rng(seed)
    drawn = []
    for index in range(count):
        act, wgt = (int(rng.integers(1, 6 if index % 4 else 17)) for _ in range(2))
        largest = 16 if index % 4 else 8
        rows, columns = (int(rng.integers(1, largest)) for _ in range(2))
        machine = machine_for(rng, act, wgt, depth=20)
        depth = int(rng.integers(1, min(20, 4 * machine.depth_bits) + 1))
        drawn.append((oracle.Product(rows, depth, columns, int(rng.integers(1, 5))), machine, act, wgt))
    return drawn


def counted(problem: Problem) -> Counts:
    """Run the kernel."""
    product, machine, act, wgt = problem
    layers = np.zeros((1, len(COLUMNS)), np.int64)
    layers[0, [ACT_BITS, WGT_BITS]] = act, wgt
    products = np.array([[product.rows, product.columns, product.depth, product.repeats]])
    mappings = np.zeros((1, kernels.MAPPING_COLUMNS), np.int64)
    counters = np.zeros((1, len(kernels.COUNTERS)), np.int64)
    kernels.published_mappings(layers, products, np.array(astuple(machine)), mappings)
    kernels.network_cost(layers, products, mappings, np.array(astuple(machine)), counters)
    counts = dict(zip(kernels.COUNTERS, counters[0].tolist(), strict=True))
    return {"cycles": counts["compute_cycles"] + counts["stall_cycles"], **counts}


def config_of(machine: oracle.Machine) -> Config:
    return Config(
        tile_rows=machine.tile_rows,
        tile_columns=machine.tile_columns,
        depth_bits=machine.depth_bits,
        stream_bits_per_cycle=machine.stream_bits_per_cycle,
        buffer_words=machine.buffer_words,
        clock_hz=1e8,
    )


def report_of(machine: oracle.Machine, *layers: Layer) -> Report:
    config = config_of(machine)
    return estimate(config, best_plan(config, LayerTable.of("network", layers)))


@pytest.fixture(scope="module")
def drawn() -> list[Problem]:
    return problems(seed=1, count=4000)


@pytest.fixture(scope="module")
def base(drawn: list[Problem]) -> list[Counts]:
    return [counted(problem) for problem in drawn]


# The oracle


def test_kernel_counts_products_as_the_oracle() -> None:
    chunked = 0
    for problem in problems(seed=2, count=700):
        expected = oracle.cost(*problem)
        assert counted(problem) == expected, problem
        product, machine, act, wgt = problem
        depth = -(-product.depth // machine.depth_bits)
        once = product.repeats * product.rows * depth * act, product.repeats * product.columns * depth * wgt
        chunked += (expected["row_words"], expected["column_words"]) != once
    assert chunked > 150


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_kernel_counts_products_as_the_oracle_anywhere(seed: int) -> None:
    (problem,) = problems(seed, count=1)
    assert counted(problem) == oracle.cost(*problem), problem


@given(
    rows=st.integers(1, 12), columns=st.integers(1, 12), depth=st.integers(1, 3), act=st.integers(1, 4),
    wgt=st.integers(1, 4), tile=st.integers(1, 4), stream=st.integers(1, 40), spare=st.integers(0, 12),
)  # fmt: skip
@example(rows=1, columns=1, depth=3, act=4, wgt=4, tile=4, stream=8, spare=99)  # works longer than it waits
@example(rows=12, columns=1, depth=1, act=2, wgt=1, tile=4, stream=8, spare=7)  # 1.9 tiles fit, not 2
@example(rows=10, columns=1, depth=1, act=1, wgt=1, tile=2, stream=8, spare=1)
@settings(max_examples=200, deadline=None)
def test_kernel_counts_small_products_as_the_oracle(
    rows: int, columns: int, depth: int, act: int, wgt: int, tile: int, stream: int, spare: int
) -> None:
    machine = oracle.Machine(tile, tile, 8, stream, tile * depth * max(act, wgt) + spare)
    problem = oracle.Product(rows, 8 * depth, columns, 1), machine, act, wgt
    assert counted(problem) == oracle.cost(*problem)


def test_layers_of_every_kind_count_as_the_oracle() -> None:
    rng = np.random.default_rng(3)
    for index in range(400):
        layer = random_layer(rng, KINDS[index % 4], widest_bits=16 if index % 10 == 0 else 4)
        deepest = layer.kernel_h * layer.kernel_w * layer.in_c
        machine = machine_for(rng, layer.act_bits, layer.wgt_bits, deepest)
        machine = replace(machine, depth_bits=max(machine.depth_bits, deepest // 3))
        expected = oracle.layer_cost(layer, machine)
        report = report_of(machine, layer)
        assert {"cycles": report.cycles, **report.counters} == expected, (layer, machine)
        words = expected["row_words"] + expected["column_words"]
        assert report.dram_bytes["read"] == -(-words * machine.depth_bits // 8)
        assert report.dram_bytes["write"] == expected["output_words"] * oracle.OUTPUT_BITS // 8
        assert report.operations == 2 * layer.macs


def test_layers_of_a_network_add_up() -> None:
    rng = np.random.default_rng(4)
    layers = [replace(random_layer(rng, KINDS[index % 4], 4), name=str(index)) for index in range(20)]
    machine = oracle.Machine(3, 5, 64, 40, 10_000)
    report = report_of(machine, *layers)
    assert [part.cycles for part in report.layers] == [report_of(machine, layer).cycles for layer in layers]
    assert report.cycles == sum(part.cycles for part in report.layers)
    assert [part.name for part in report.layers] == [layer.name for layer in layers]


# Bounds and formulas


def test_compute_cycles_are_tiles_times_words_times_pairs_of_bits(drawn, base) -> None:
    for (product, machine, act, wgt), counts in zip(drawn, base, strict=True):
        tiles = -(-product.rows // machine.tile_rows) * -(-product.columns // machine.tile_columns)
        depth = -(-product.depth // machine.depth_bits)
        assert counts["compute_cycles"] == product.repeats * tiles * depth * act * wgt


def test_no_bound_is_beaten(drawn, base) -> None:
    for (product, machine, act, wgt), counts in zip(drawn, base, strict=True):
        assert counts["cycles"] >= counts["compute_cycles"], (product, machine, act, wgt)
        for words in (counts["row_words"], counts["column_words"]):
            assert counts["cycles"] * machine.stream_bits_per_cycle >= words * machine.depth_bits


def test_narrow_deep_layers_beat_no_bound_on_the_published_machine() -> None:
    for in_c, out_c, batch in ((2560, 1, 1), (1280, 1, 1), (4096, 2, 3), (10_000, 17, 1)):
        size = {"in_h": 1, "in_w": 1, "in_c": in_c, "out_h": 1, "out_w": 1, "out_c": out_c}
        layer = Layer(name="fc", kind="linear", batch=batch, **size)
        config = PRESETS["paper"]
        report = estimate(config, best_plan(config, LayerTable.of("one", [layer])))
        assert report.cycles >= report.counters["compute_cycles"]


def test_every_operand_is_fetched_at_least_once_and_refetched_whole(drawn, base) -> None:
    for (product, machine, act, wgt), counts in zip(drawn, base, strict=True):
        depth = -(-product.depth // machine.depth_bits)
        rows, columns = product.rows * depth * act, product.columns * depth * wgt
        row_times, row_rest = divmod(counts["row_words"], product.repeats * rows)
        column_times, column_rest = divmod(counts["column_words"], product.repeats * columns)
        assert (row_rest, column_rest) == (0, 0)
        # An operand is fetched again for every chunk of the other one.
        assert (row_times == 1) == (columns <= machine.buffer_words), (product, machine, act, wgt)
        assert (column_times == 1) == (rows <= machine.buffer_words), (product, machine, act, wgt)
        assert counts["output_words"] == product.repeats * product.rows * product.columns


def test_chunks_fit_their_buffer(drawn) -> None:
    for product, machine, act, wgt in drawn:
        depth = -(-product.depth // machine.depth_bits)
        for count, tile, bits in ((product.rows, machine.tile_rows, act), (product.columns, machine.tile_columns, wgt)):
            size = kernels.chunk_size(count, tile, depth * bits, machine.buffer_words)
            assert size % tile == 0
            assert min(size, count) * depth * bits <= machine.buffer_words, (count, tile, depth * bits, machine)


# Laws between two runs


@pytest.mark.parametrize("more", [lambda bits: bits + 1, lambda bits: 2 * bits, lambda bits: 65536])
def test_faster_streams_are_never_slower(drawn, base, more) -> None:
    faster = [
        counted((product, replace(machine, stream_bits_per_cycle=more(machine.stream_bits_per_cycle)), act, wgt))
        for product, machine, act, wgt in drawn
        if machine.stream_bits_per_cycle < 65536
    ]
    pairs = list(zip(base, faster, strict=True))
    assert all(after["cycles"] <= before["cycles"] for before, after in pairs)
    assert any(after["cycles"] < before["cycles"] for before, after in pairs)
    assert all(after["row_words"] == before["row_words"] for before, after in pairs)


def test_larger_buffers_never_fetch_more(drawn, base) -> None:
    for extra in (1, 7, 50):
        for (product, machine, act, wgt), before in zip(drawn, base, strict=True):
            roomier = replace(machine, buffer_words=machine.buffer_words + extra)
            after = counted((product, roomier, act, wgt))
            assert after["row_words"] <= before["row_words"]
            assert after["column_words"] <= before["column_words"]
            assert after["compute_cycles"] == before["compute_cycles"]


def test_buffers_that_hold_both_operands_are_never_slower(drawn, base) -> None:
    for (product, machine, act, wgt), before in zip(drawn, base, strict=True):
        after = counted((product, replace(machine, buffer_words=2**24), act, wgt))
        assert after["cycles"] <= before["cycles"], (product, machine, act, wgt)


def test_a_larger_buffer_can_cost_cycles_because_larger_chunks_overlap_less() -> None:
    product = oracle.Product(rows=1, depth=8, columns=14, repeats=1)
    small = oracle.Machine(tile_rows=5, tile_columns=1, depth_bits=8, stream_bits_per_cycle=3, buffer_words=18)
    before = counted((product, small, 1, 5))
    after = counted((product, replace(small, buffer_words=23), 1, 5))
    assert (before["cycles"], after["cycles"]) == (187, 189)
    assert after["row_words"] < before["row_words"]


def test_wider_operands_are_never_faster(drawn, base) -> None:
    """No counterexample is known, chunks or not; where nothing is cut it follows from the pipeline."""
    for (product, machine, act, wgt), before in zip(drawn, base, strict=True):
        depth = -(-product.depth // machine.depth_bits)
        for wider_act, wider_wgt in ((act + 1, wgt), (act, wgt + 1)):
            need = depth * max(machine.tile_rows * wider_act, machine.tile_columns * wider_wgt)
            if need <= machine.buffer_words:
                after = counted((product, machine, wider_act, wider_wgt))
                assert after["cycles"] >= before["cycles"], (product, machine, act, wgt)


@pytest.mark.parametrize("field", ["rows", "columns", "depth"])
def test_larger_products_are_never_faster_in_roomy_buffers(drawn, field: str) -> None:
    for product, machine, act, wgt in drawn[:2000]:
        roomy = replace(machine, buffer_words=2**24)
        larger = replace(product, **{field: getattr(product, field) + 1})
        assert counted((larger, roomy, act, wgt))["cycles"] >= counted((product, roomy, act, wgt))["cycles"]


def test_the_transposed_product_takes_the_same_cycles(drawn, base) -> None:
    for (product, machine, act, wgt), counts in zip(drawn, base, strict=True):
        turned = replace(machine, tile_rows=machine.tile_columns, tile_columns=machine.tile_rows)
        other = counted((replace(product, rows=product.columns, columns=product.rows), turned, wgt, act))
        swapped = {"row_words": other["column_words"], "column_words": other["row_words"]}
        assert {**other, **swapped} == counts


def test_repeats_scale_every_count(drawn) -> None:
    for product, machine, act, wgt in drawn[:1000]:
        once = counted((replace(product, repeats=1), machine, act, wgt))
        many = counted((replace(product, repeats=37), machine, act, wgt))
        assert many == {name: 37 * count for name, count in once.items()}


def test_a_batch_repeats_every_kind_of_layer_but_linear() -> None:
    rng = np.random.default_rng(6)
    machine = oracle.Machine(3, 4, 64, 40, 4096)
    for index in range(200):
        layer = random_layer(rng, KINDS[index % 4], widest_bits=6)
        one, five = (report_of(machine, replace(layer, batch=batch)) for batch in (1, 5))
        if layer.kind == "linear":  # images are the rows: they share the weights
            assert one.cycles <= five.cycles <= 5 * one.cycles
            assert five.counters["column_words"] == one.counters["column_words"]
        else:
            assert five.cycles == 5 * one.cycles
            assert five.counters == {name: 5 * count for name, count in one.counters.items()}


def test_groups_repeat_what_one_group_takes() -> None:
    rng = np.random.default_rng(7)
    machine = oracle.Machine(3, 4, 64, 40, 4096)
    for index in range(100):
        layer = random_layer(rng, ("conv", "matmul")[index % 2], widest_bits=6)
        alone = replace(layer, in_c=layer.in_c // layer.groups, out_c=layer.out_c // layer.groups, groups=1)
        assert report_of(machine, layer).cycles == layer.groups * report_of(machine, alone).cycles
