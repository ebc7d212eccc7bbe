"""SpAtten's parts: limits of the configuration, the top-k engine, softmax, plans, requests, area, determinism."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from accel.config import Limit, Number, OneOf, Share, Switch, Whole, limits
from accel.report import Report
from accel.spatten import PRESETS, Config, Plan, RequestPlan, roofline, simulate
from accel.spatten.softmax_kernels import exponential, softmax_rows
from accel.spatten.topk_kernels import draw, draw_below, keep_largest, quick_select, scratch, seeded
from mappers.spatten import (
    DENSE_HEAD_LAYERS,
    DENSE_TOKEN_LAYERS,
    best_plan,
    cascade,
    first_of_pairs,
    given_plan,
    request_plan,
)
from workloads.attention.attention import Attention, held_attention
from workloads.attention.requests import COLUMNS, RequestTable, read_requests
from workloads.errors import ConfigError

PAPER, EIGHTH = PRESETS["paper"], PRESETS["paper-1/8"]
STEPS = np.float32(4096)
BOUND_TO_ANOTHER = (
    "sram_bytes",
    "msb_bits",
    "lsb_bits",
    "page_tokens",
    "page_budget",
)  # fields that another's value limits further


def attention(layers: int = 2, heads: int = 4, tokens: int = 24, head_dim: int = 64, **how: Any) -> Attention:
    random = np.random.default_rng(layers * heads * tokens * head_dim)
    size = (layers, heads, tokens, head_dim)
    return held_attention("drawn", *(random.standard_normal(size, dtype=np.float32) for _ in "qkv"), **how)


def run(workload: Attention, **changes: Any) -> Report:
    config = replace(PAPER, **changes)
    return simulate(config, best_plan(config, workload))


# Configuration


def outside(limit: Limit) -> list[object]:
    """Return values that a field does not allow."""
    match limit:
        case Whole():
            return [limit.low - 1, limit.high + 1, limit.low + 0.5, "many", True]
        case Number():
            return [limit.low - 1, limit.high * 2 + 1, math.nan, math.inf, "many", True]
        case Share():
            return [0, -1, 1.5, math.nan, math.inf, "all", True]
        case Switch():
            return [1, "true"]
        case OneOf():
            return ["none of them", 1]


@pytest.mark.parametrize("field", [field.name for field in fields(Config)])
def test_every_field_says_what_it_allows(field: str) -> None:
    limit = limits(Config)[field]
    for value in outside(limit):
        changes: dict[str, Any] = {field: value}
        with pytest.raises(ConfigError) as caught:
            replace(PAPER, **changes)
        assert str(caught.value) == f"spatten: {field} = {value}, need {limit}"


@pytest.mark.parametrize("field", ["token_keep", "head_keep", "value_keep"])
@pytest.mark.parametrize("keep", [0, 1.5, -1])
def test_keep_ratios_are_above_0_and_at_most_1(field: str, keep: float) -> None:
    changes: dict[str, Any] = {field: keep}
    with pytest.raises(ConfigError) as caught:
        replace(PAPER, **changes)
    assert str(caught.value) == f"spatten: {field} = {keep}, need a number above 0, at most 1"


def test_every_limit_is_allowed_itself() -> None:
    for field, limit in limits(Config).items():
        if isinstance(limit, Whole) and field not in BOUND_TO_ANOTHER:
            for value in (limit.low, limit.high):
                changes: dict[str, Any] = {field: value}
                assert getattr(replace(PAPER, **changes), field) == value


@pytest.mark.parametrize(("msb", "lsb", "most"), [(12, 1, 0), (8, 5, 4), (3, 10, 9)])
def test_operands_have_12_bits(msb: int, lsb: int, most: int) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(PAPER, msb_bits=msb, lsb_bits=lsb)
    need = f"need at most {most} at msb_bits = {msb}: operands have 12 bits"
    assert str(caught.value) == f"spatten: lsb_bits = {lsb}, {need}"


def test_a_context_beyond_the_srams_names_what_would_be_enough() -> None:
    # A head of 40 tokens takes 5 lines of 768 bytes; 6 bits store two heads together, which takes 10.
    workload = attention(layers=1, heads=2, tokens=40)
    need = "to hold what layer 0 fetches at once: a longer context does not fit"
    for bits, enough in ((8, 3840), (6, 7680)):
        config = replace(PAPER, sram_bytes=3072, msb_bits=bits)
        with pytest.raises(ConfigError) as caught:
            simulate(config, best_plan(config, workload))
        assert str(caught.value) == f"spatten: sram_bytes = 3072, need at least {enough} {need}"
        for overlap in (True, False):
            assert run(workload, sram_bytes=enough, msb_bits=bits, overlap=overlap).cycles > 0
            with pytest.raises(ConfigError, match="a longer context does not fit"):
                run(workload, sram_bytes=enough - 1, msb_bits=bits, overlap=overlap)


def test_a_vector_has_to_fit_the_multipliers() -> None:
    workload = attention(layers=1, head_dim=65)
    with pytest.raises(ConfigError) as caught:
        simulate(EIGHTH, best_plan(EIGHTH, workload))
    assert str(caught.value) == "spatten: multipliers = 64, need at least the head dimension, 65"
    assert run(workload, multipliers=65).cycles > 0


def test_the_presets() -> None:
    assert set(PRESETS) == {"paper", "paper-1/8", "hbm2"}
    assert (PAPER.multipliers, PAPER.topk_lanes, PAPER.sram_bytes, PAPER.fetch_lanes) == (512, 16, 196608, 32)
    assert (PAPER.msb_bits, PAPER.lsb_bits, PAPER.requant_threshold, PAPER.clock_hz) == (8, 4, 0.1, 1e9)
    assert (PAPER.hbm_channels, PAPER.bytes_per_cycle) == (16, 512)
    assert (PAPER.token_keep, PAPER.head_keep, PAPER.value_keep) == (1, 1, 1)
    assert (PAPER.keys_per_cycle(64), PAPER.softmax_lanes, PAPER.sram_lines) == (8, 8, 256)
    assert (EIGHTH.multipliers, EIGHTH.bytes_per_cycle, EIGHTH.keys_per_cycle(64)) == (64, 64, 1)
    assert PRESETS["hbm2"].bytes_per_cycle == 256


def test_heads_that_share_bursts() -> None:
    assert [(PAPER.fused_heads(bits, 64), PAPER.bursts(bits, 64)) for bits in (4, 6, 8, 12)] == [
        (1, 1), (2, 3), (1, 2), (1, 3),
    ]  # fmt: skip
    for bits in range(1, 13):
        for head_dim in (1, 3, 32, 64, 80):
            whole = PAPER.fused_heads(bits, head_dim) * bits * head_dim
            assert whole == 8 * PAPER.hbm_burst_bytes * PAPER.bursts(bits, head_dim)


def test_the_roofline_is_the_published_one() -> None:
    bounds = roofline(PAPER)
    assert list(bounds.peak_gops.values()) == [2048]
    assert bounds.bytes_per_second == 512e9


def test_the_area_is_the_published_one() -> None:
    area = run(attention(layers=1)).area_mm2
    assert sum(area.values()) == pytest.approx(18.71)
    assert area["topk"] / sum(area.values()) == pytest.approx(0.027)
    more = run(attention(layers=1), topk_lanes=32, sram_bytes=2 * PAPER.sram_bytes).area_mm2
    assert more["topk"] == 2 * area["topk"]
    assert more["key_sram"] > area["key_sram"]
    assert more["datapath"] == area["datapath"]


# The top-k engine


class JavaRandom:
    """java.util.Random, from its documentation."""

    def __init__(self, seed: int) -> None:
        self.state = (seed ^ 0x5DEECE66D) % 2**48

    def next(self, bits: int) -> int:
        self.state = (self.state * 0x5DEECE66D + 0xB) % 2**48
        return self.state >> (48 - bits)

    def below(self, bound: int) -> int:
        if bound & (bound - 1) == 0:
            return (bound * self.next(31)) >> 31
        while True:
            bits = self.next(31)
            if bits - bits % bound + bound - 1 < 2**31:
                return bits % bound


def selected(values: list[float], rank: int, lanes: int, turn: int, random: JavaRandom) -> tuple[float, int]:
    """Quick-select in a few lines: the value of a rank, and cycles."""
    cycles = 0
    while True:
        cycles += -(-len(values) // lanes) + turn
        pivot = values[random.below(len(values))]
        below, above = [x for x in values if x < pivot], [x for x in values if x > pivot]
        if rank < len(below):
            values = below
        elif rank >= len(values) - len(above):
            rank -= len(values) - len(above)
            values = above
        else:
            return pivot, cycles


def test_numbers_are_javas() -> None:
    state = seeded(1)
    assert [draw(state) for _ in range(5)] == [-1155869325, 431529176, 1761283695, 1749940626, 892128508]
    state = seeded(42)
    assert [draw_below(state, 10) for _ in range(10)] == [0, 3, 8, 4, 0, 5, 5, 8, 9, 3]
    for bound in (1, 2, 7, 1024, 3 * 2**29):  # of the last, every fourth draw is thrown away
        state, java = seeded(2**48 - 1), JavaRandom(2**48 - 1)
        assert [draw_below(state, bound) for _ in range(200)] == [java.below(bound) for _ in range(200)]
        assert int(state[0]) == java.state


def lists(kind: type[np.floating], cases: int) -> Iterator[tuple[NDArray[np.floating], int]]:
    """Draw lists with duplicates, masked entries and signed zeros, and how many of each to keep: none to all."""
    random = np.random.default_rng(np.dtype(kind).itemsize)
    for case in range(cases):
        count = int(random.integers(0, 40)) if case % 20 else int(random.integers(100, 300))
        values = random.standard_normal(count).astype(kind)
        if case % 3 == 1:
            values = random.integers(-3, 4, count).astype(kind)
        elif case % 3 == 2:
            values = random.choice(np.array([-np.inf, -1, -0.0, 0.0, 0.5, 2], kind), count)
        if case % 4 == 3:
            values[random.random(count) < random.random()] = -np.inf
        yield values, int(random.integers(0, count + 1)) if case % 7 else (case // 7 % 2) * count


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_largest_are_kept_in_their_order_and_the_first_of_ties(kind: type[np.floating]) -> None:
    state = seeded(1)
    for values, keep in lists(kind, 10_000):
        count = len(values)
        before = values.copy()
        kept = np.ones(count + 1, np.bool_)
        kept[:count] = np.arange(count) % 2
        cycles = keep_largest(values, count, keep, 16, 3, state, scratch(count, kind), kept)
        # A stable sort of falling values has the first of those that tie first; -0 and 0 tie.
        expected = np.zeros(count, np.bool_)
        expected[np.argsort(-values, kind="stable")[:keep]] = True
        assert kept[:count].tolist() == expected.tolist()
        assert kept[count], "nothing is written behind the list"
        assert np.array_equal(values, before), "read only"
        if 0 < keep < count:
            assert cycles >= -(-count // 16) + 3
        else:
            assert cycles == 0


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_quick_select_is_the_one_of_the_textbook(kind: type[np.floating]) -> None:
    state, java = seeded(5), JavaRandom(5)
    for case, (values, rank) in enumerate(lists(kind, 1500)):
        if rank == len(values):
            continue
        lanes, turn = (1, 3, 16, 64)[case % 4], case % 5
        room = scratch(len(values), kind)
        value, cycles, ties, surplus = quick_select(values, len(values), rank, lanes, turn, state, room)
        expected = np.sort(values)[rank]
        assert (value, cycles) == selected(values.tolist(), rank, lanes, turn, java)
        assert value == expected
        above, equal = int((values > value).sum()), int((values == value).sum())
        assert (ties, surplus) == (len(values) - rank - above, rank - (len(values) - above - equal))
    assert int(state[0]) == java.state


# Softmax


def test_the_series_is_as_exact_as_promised() -> None:
    between = -np.log(2) * (np.arange(125) + 0.5)[:, None] + np.linspace(-1e-4, 1e-4, 101)  # where powers of two change
    x = np.concatenate([np.linspace(-87, 0, 100_001), between.ravel()]).clip(-87, 0).astype(np.float32)
    ours = np.array([exponential(value) for value in x], np.float64)
    assert np.abs(ours / np.exp(x.astype(np.float64)) - 1).max() <= 4e-6
    assert exponential(np.float32(0)) == 1
    assert exponential(np.float32(-1e30)) == exponential(np.float32(-87))


@pytest.mark.parametrize("keys", [1, 2, 7, 8, 9, 24, 100, 1000])
def test_probabilities_are_rounded_to_whole_steps(keys: int) -> None:
    random = np.random.default_rng(keys)
    rows = 20
    scores = random.integers(-2000, 2000, (rows, keys)).astype(np.float32)
    counts = random.integers(1, keys + 1, rows)
    scales = random.uniform(1e-4, 1e-2, rows).astype(np.float32)
    probabilities, peaks = np.full((rows, keys), 7, np.float32), np.empty(rows, np.float32)
    softmax_rows(scores, counts, scales, STEPS, probabilities, peaks)
    for row, count in enumerate(counts):
        exact = np.exp((scores[row, :count] - scores[row, :count].max()) * np.float64(scales[row]))
        exact /= exact.sum()
        assert np.abs(probabilities[row, :count] - np.minimum(exact * 4096, 4095)).max() <= 0.51
        assert peaks[row] == pytest.approx(exact.max(), rel=1e-5)
        assert not probabilities[row, count:].any()
    assert np.array_equal(probabilities, np.rint(probabilities))


# Plans


def test_the_cascade_is_dense_at_first_and_then_falls_about_its_average() -> None:
    for layers in range(1, 40):
        for keep in (0.01, 0.3, 0.5, 0.8, 1.0):
            for dense in (DENSE_TOKEN_LAYERS, DENSE_HEAD_LAYERS):
                shares = cascade(layers, keep, dense)
                first = shares.count(1.0)
                assert len(shares) == layers
                assert all(0 < share <= 1 for share in shares)
                assert shares == sorted(shares, reverse=True)
                if layers > 1 and keep < 1:
                    assert first == min(max(1, math.ceil(dense * layers)), layers - 1)
                    assert np.mean(shares[first:]) == pytest.approx(keep)


def test_the_best_plan_is_what_the_configuration_says() -> None:
    workload = attention(layers=12, heads=12)
    plan = best_plan(replace(PAPER, token_keep=0.5, head_keep=0.8, value_keep=0.25), workload)
    assert isinstance(plan, Plan)
    assert plan.token_keep[:2] == (1, 1)
    assert plan.token_keep[2] == pytest.approx(0.75)
    assert plan.token_keep[-1] == pytest.approx(0.25)
    assert plan.heads[:4] == (12, 12, 12, 12)
    assert plan.heads[-1] == 8
    assert (plan.value_keep, plan.by_importance) == (0.25, False)
    assert best_plan(replace(PAPER, schedule="importance"), workload).by_importance  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("token_keep", "heads", "message"),
    [
        ([1], [4, 4], "drawn: token_keep = 1 numbers, need one for each of the 2 layers"),
        ([1, 1], [4, 4, 4], "drawn: heads = 3 numbers, need one for each of the 2 layers"),
        ([1, 0], [4, 4], "drawn, layer 1: token_keep = 0, need a number above 0, at most 1"),
        ([1.5, 1], [4, 4], "drawn, layer 0: token_keep = 1.5, need a number above 0, at most 1"),
        ([1, math.nan], [4, 4], "drawn, layer 1: token_keep = nan, need a number above 0, at most 1"),
        ([1, 1], [5, 4], "drawn, layer 0: heads = 5, need a whole number, 1..4: heads do not come back"),
        ([1, 1], [2, 3], "drawn, layer 1: heads = 3, need a whole number, 1..2: heads do not come back"),
        ([1, 1], [4, 0], "drawn, layer 1: heads = 0, need a whole number, 1..4: heads do not come back"),
    ],
)
def test_a_given_plan_has_to_be_possible(token_keep: list[float], heads: list[int], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        given_plan(PAPER, attention(), token_keep, heads)
    assert str(caught.value) == message


def test_a_given_plan_is_followed() -> None:
    report = simulate(PAPER, given_plan(PAPER, attention(layers=3), [1, 0.5, 0.26], [4, 3, 1]))
    assert [(layer.counters["tokens"], layer.counters["heads"]) for layer in report.layers] == [
        (24, 4),
        (12, 3),
        (6, 1),
    ]


def test_by_importance_as_few_tokens_are_kept_as_hold_the_share() -> None:
    workload = attention(layers=2, heads=1, tokens=32)
    q, k, v = (array.copy() for array in workload.read(0))
    q[:], k[:] = 1, -1
    k[:, 3] = k[:, 17] = 1  # everyone looks at these two
    peaked = held_attention("peaked", *(np.stack([x, x]) for x in (q, k, v)))
    report = run(peaked, token_keep=0.5, schedule="importance")
    assert report.layers[1].result.tokens.tolist() == [3]
    report = run(peaked, token_keep=0.6, schedule="importance")
    assert report.layers[1].result.tokens.tolist() == [3, 17]
    assert report.layers[1].quality["kept_importance"] == pytest.approx(1, abs=1e-3)


def looking_at(token: int, amplitude: float) -> list[NDArray[np.float32]]:
    """Return a head of 16 tokens that all look at one."""
    q, k = np.ones((1, 16, 64), np.float32), np.zeros((1, 16, 64), np.float32)
    k[0, token] = amplitude
    return [q, k, q]


def test_importance_adds_up_over_layers() -> None:
    layers = looking_at(3, 1.5), looking_at(5, 0.4), looking_at(5, 0.4)  # probabilities of 1, 0.6 and 0.6
    workload = held_attention("looking", *(np.stack(arrays) for arrays in zip(*layers, strict=True)))
    report = simulate(PAPER, given_plan(PAPER, workload, [1, 1, 1 / 16], [1, 1, 1]))
    assert report.layers[2].result.tokens.tolist() == [3]
    report = simulate(PAPER, given_plan(PAPER, workload, [1, 1, 2 / 16], [1, 1, 1]))
    assert report.layers[2].result.tokens.tolist() == [3, 5]


def test_importance_of_many_rows_is_exact() -> None:
    tokens = 4200  # rows that all look at one token give it more than single precision counts
    q, k = np.ones((1, 1, tokens, 8), np.float32), np.zeros((1, 1, tokens, 8), np.float32)
    k[0, 0, 7] = 60.0
    config = replace(PAPER, sram_bytes=2**20)
    layer = simulate(config, best_plan(config, held_attention("one", q, k, k)), compare=False).layers[0]
    assert layer.result.importance[7] == tokens * 4095 > 2**24


def test_selecting_survivors_takes_the_engine_and_a_cycle_for_every_16_of_them() -> None:
    same = np.ones((2, 1, 40, 64), np.float32)
    report = simulate(PAPER, given_plan(PAPER, held_attention("same", same, same, same), [1, 0.5], [1, 1]))
    first, second = report.layers
    assert second.result.tokens.tolist() == list(range(20)), "the first of those that tie"
    # One pass over 40 that are all alike: 3 cycles and 3 to turn round; then 20 come out.
    assert (first.cycle_stack["survivors"], second.cycle_stack["survivors"]) == (0, 3 + 3 + 2)
    assert second.counters["topk_cycles"] == 0, "those of its own rows"


def test_every_generated_token_begins_with_everything_and_stays() -> None:
    workload = attention(layers=3, heads=4, tokens=20, causal=True, prompt=16)
    report = run(workload, token_keep=0.3, head_keep=0.5)
    assert [layer.name for layer in report.layers[:4]] == ["layer 0", "layer 1", "layer 2", "token 16, layer 0"]
    for step, token in enumerate(range(16, 20)):
        layers = report.layers[3 + 3 * step : 6 + 3 * step]
        assert [layer.counters["rows"] for layer in layers] == [layer.counters["heads"] for layer in layers]
        assert layers[0].counters["tokens"] == token + 1
        assert layers[0].counters["heads"] == 4
        assert [layer.result.tokens.tolist() for layer in layers] == 3 * [[token]]
        shares = cascade(3, 0.3, DENSE_TOKEN_LAYERS)
        assert [layer.counters["tokens"] for layer in layers] == [int((token + 1) * share) for share in shares]


# Low bits


def test_rows_ask_for_low_bits_where_nothing_stands_out() -> None:
    same = np.ones((1, 2, 16, 64), np.float32)
    flat = held_attention("flat", same, same, same)
    assert run(flat).counters["refetched_rows"] == 32
    assert run(flat, requant_threshold=0.05).counters["refetched_rows"] == 0  # all have a sixteenth
    assert run(flat, lsb_bits=0).counters["refetched_rows"] == 0
    assert run(flat, requant_threshold=0.0).counters["refetched_rows"] == 0
    assert run(flat, requant_threshold=1 / 16).counters["refetched_rows"] == 0, "which reach it"
    again = run(flat)
    assert again.counters["qk_cycles"] == 2 * again.counters["pv_cycles"]
    assert again.dram_bytes["k_lsb_read"] * 2 == again.dram_bytes["k_msb_read"]
    assert run(flat, lsb_bits=0).dram_bytes["k_lsb_read"] == 0


def test_low_bits_are_read_once_for_all_rows_of_a_head() -> None:
    same = np.ones((1, 2, 16, 64), np.float32)
    few = run(held_attention("flat", same, same, same)).dram_bytes
    assert few["k_lsb_read"] == 2 * 16 * 64 * 4 // 8


def test_a_row_that_is_not_computed_again_waits_for_the_decision() -> None:
    """Its probabilities go on 4 cycles after the last of them, 3 of which the tree of maxima takes."""
    workload = attention(layers=1, heads=1, tokens=64, causal=True, prompt=63, summarise=False)
    decided, static = (run(workload, lsb_bits=lsb, requant_threshold=1e-6) for lsb in (4, 0))
    assert decided.counters["refetched_rows"] == 0
    assert decided.cycles - static.cycles == 64 // 8 + 3


# Requests

HEADER = [column.published for column in COLUMNS.values()]


def requests(folder: Path, *rows: dict[str, object]) -> RequestTable:
    """Write and read a table; what a row does not say is a dense request of 8 bits of 16 tokens."""
    usual = {
        "iteration": 0, "layer": 0, "head": 0, "head_dim": 64, "length": 4096, "keys": 16, "key_bits": 8,
        "requantised": False, "requant_bits": -1, "values": 16, "value_bits": 8,
    }  # fmt: skip
    lines = [",".join(str({**usual, "head": head, **row}[name]) for name in COLUMNS) for head, row in enumerate(rows)]
    path = folder / "requests.csv"
    path.write_text("\n".join([",".join(HEADER), *lines]) + "\n", encoding="utf-8")
    return read_requests(path)


@pytest.mark.parametrize(
    ("bits", "requantised", "added", "key_bits", "low_bits"),
    [
        (-1, False, -1, 8, 4),
        (10, False, -1, 8, 4),
        (12, False, -1, 8, 4),
        (12, True, 4, 8, 4),
        (8, False, 4, 8, 0),
        (8, True, 4, 8, 4),
        (8, True, 2, 8, 2),
        (6, False, -1, 6, 0),
        (6, True, 4, 6, 4),
        (4, False, -1, 4, 0),
        (4, True, 8, 4, 8),
    ],
)
def test_bits_of_keys_become_what_the_test_bench_reads(
    bits: int, requantised: bool, added: int, key_bits: int, low_bits: int, tmp_path: Path
) -> None:
    row: dict[str, object] = {"key_bits": bits, "requantised": requantised, "requant_bits": added}
    plan = request_plan(requests(tmp_path, row))
    assert (plan.key_bits.tolist(), plan.low_bits.tolist()) == ([key_bits], [low_bits])
    report = simulate(PAPER, plan)
    assert report.counters["refetched_rows"] == (low_bits > 0)
    assert report.dram_bytes["k_msb_read"] == 16 * 64 * key_bits // 8
    assert report.dram_bytes["k_lsb_read"] == 16 * 64 * low_bits // 8


@pytest.mark.parametrize(("bits", "value_bits"), [(-1, 8), (4, 4), (6, 6), (8, 8), (10, 8), (12, 8)])
def test_bits_of_values_become_what_the_test_bench_reads(bits: int, value_bits: int, tmp_path: Path) -> None:
    plan = request_plan(requests(tmp_path, {"value_bits": bits}))
    assert plan.value_bits.tolist() == [value_bits]
    assert simulate(PAPER, plan).dram_bytes["v_read"] == 16 * 64 * value_bits // 8


def test_tokens_are_counted_in_eights_and_selected_as_they_are(tmp_path: Path) -> None:
    plan = request_plan(requests(tmp_path, {"keys": 1001, "values": 9}, {"keys": 8, "values": 8}))
    assert (plan.keys.tolist(), plan.values.tolist()) == ([1008, 8], [16, 8])
    assert (plan.exact_keys.tolist(), plan.exact_values.tolist()) == ([1001, 8], [9, 8])
    report = simulate(PAPER, plan)
    assert (report.counters["qk_cycles"], report.counters["pv_cycles"]) == (127, 3)
    java = JavaRandom(PAPER.seed)
    values = [(java.next(32) ^ 2**31) - 2**31 for _ in range(1001)]
    assert report.counters["topk_cycles"] == selected([float(x) for x in values], 9, 16, 3, java)[1]


def test_the_first_of_two_requests_of_6_bits_is_selected_for() -> None:
    bits = np.array([6, 6, 6, 8, 6, 6, 4, 6, 6, 6, 6])
    expected = [True, False, True, True, True, False, True, True, False, True, False]
    assert first_of_pairs(bits).tolist() == expected
    assert first_of_pairs(np.array([6])).tolist() == [True]
    assert first_of_pairs(np.array([8, 8])).tolist() == [True, True]


def test_layers_of_a_table_run_one_after_another(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"iteration": iteration, "layer": layer, "head": head, "keys": 8 * (layer + 1), "values": 8}
        for iteration in range(2)
        for layer in range(3)
        for head in range(2)
    ]
    plan = best_plan(PAPER, requests(tmp_path, *rows))
    assert isinstance(plan, RequestPlan)
    assert [name for name, _ in plan.layers] == [f"step {step}, layer {layer}" for step in (0, 1) for layer in range(3)]
    assert plan.describe(1) == "2 requests, 16 keys, 8 values"
    report = simulate(PAPER, plan)
    assert [layer.counters["rows"] for layer in report.layers] == 6 * [2]
    assert report.quality == {}
    assert report.result is None
    assert report.operations == 2 * 64 * 2 * 2 * sum(8 * (layer + 1) + 8 for layer in range(3))


def test_a_request_beyond_the_srams_is_refused(tmp_path: Path) -> None:
    plan = request_plan(requests(tmp_path, {"keys": 2056}))
    with pytest.raises(ConfigError, match=r"^spatten: sram_bytes = 196608, need at least 197376 to hold what step 0"):
        simulate(PAPER, plan)


# Reports


def changing_only(one: Report, other: Report) -> set[str]:
    """Return the counters and streams in which two reports differ."""
    ours, theirs = {**one.counters, **one.dram_bytes}, {**other.counters, **other.dram_bytes}
    return {name for name in ours if ours[name] != theirs[name]}


def test_a_seed_is_a_report_and_another_changes_the_engines_cycles_alone() -> None:
    workload = attention(layers=3, tokens=40)
    kept = {"token_keep": 0.6, "head_keep": 0.7, "value_keep": 0.4}
    report, again, other = (run(workload, **kept, seed=seed) for seed in (1, 1, 2))
    assert report == again
    assert changing_only(report, other) == {"topk_cycles"}
    assert report.quality == other.quality
    for one, two, three in zip(report.layers, again.layers, other.layers, strict=True):
        assert np.array_equal(one.result.output, two.result.output)
        assert np.array_equal(one.result.output, three.result.output)
        assert one.result.tokens.tolist() == three.result.tokens.tolist()
    assert [layer.counters["topk_cycles"] for layer in report.layers] != [
        layer.counters["topk_cycles"] for layer in other.layers
    ]


def test_a_plan_that_ran_before_gives_the_same_again() -> None:
    config = replace(PAPER, token_keep=0.5)
    plan = best_plan(config, attention())
    first = simulate(config, plan)
    finer = simulate(replace(config, msb_bits=12, lsb_bits=0), plan)
    assert finer.quality["output_error"] < first.quality["output_error"]
    assert simulate(config, plan) == first
    assert simulate(config, plan, compare=False).quality == {}
    assert simulate(config, plan, compare=False).cycles == first.cycles


def test_a_report_has_the_promised_names() -> None:
    report = run(attention())
    assert set(report.counters) >= {
        "qk_cycles", "softmax_cycles", "topk_cycles", "pv_cycles", "rows", "refetched_rows",
    }  # fmt: skip
    assert set(report.dram_bytes) == {"q_read", "k_msb_read", "k_lsb_read", "v_read", "output_write"}
    assert set(report.quality) == {"output_error", "kept_importance"}
    assert report.machine == "spatten"
    assert report.fidelity == "simulate"
    assert report.name == "drawn"
