"""SpAtten's outputs, counters, traffic and survivors against an oracle in plain Python, written from its docs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from accel.report import Report
from accel.spatten import PRESETS, Config, simulate
from accel.spatten.config import SELECTIONS
from mappers.spatten import best_plan
from tests.oracles.spatten_function import LayerResult, Machine
from workloads.attention.attention import Attention, held_attention

CASES, CASES_A_TEST = 520, 65
BITS = ((8, 4), (6, 4), (4, 4), (2, 10), (6, 6), (8, 0), (12, 0), (4, 0))
SHARES = (1.0, 0.8, 0.5, 0.25, 0.05)


def random_attention(draw: np.random.Generator, generates: bool) -> Attention:
    """Draw tiny attention, from flat to peaked; sometimes of numbers that often tie, or with a head of nothing."""
    size = (
        int(draw.integers(1, 5)),
        int(draw.integers(1, 5)),
        int(draw.integers(3 if generates else 1, 20)),
        int(draw.choice([4, 8, 16, 20])),
    )
    q, k, v = (draw.choice([0.1, 1.0, 4.0]) * draw.standard_normal(size) for _ in "qkv")
    if draw.random() < 0.2:
        q, k, v = (np.rint(array) for array in (q, k, v))
    if draw.random() < 0.1:
        k[:, 0] = 0.0
    q, k, v = (array.astype(np.float32) for array in (q, k, v))
    tokens = size[2]
    if generates:
        prompt = int(draw.integers(max(1, tokens - 3), tokens))
        return held_attention("tiny", q, k, v, causal=True, prompt=prompt, summarise=bool(draw.integers(2)))
    return held_attention("tiny", q, k, v, causal=bool(draw.integers(2)))


def random_config(draw: np.random.Generator, selection: str) -> Config:
    """Draw a machine whose parts are small, and a cascade."""
    msb_bits, lsb_bits = BITS[int(draw.integers(5 if selection == "top_p" else len(BITS)))]
    return replace(
        PRESETS["paper"],
        selection=selection,
        sink_tokens=int(draw.integers(0, 3)),
        recent_tokens=int(draw.integers(1, 10)),
        retrieval_heads=float(draw.choice([0.25, 0.5, 1.0])),
        page_tokens=int(draw.choice([1, 2, 3, 8])),
        page_budget=int(draw.choice([1, 4, 8])),
        top_p=float(draw.choice([0.3, 0.85, 1.0])),
        dense_layers=int(draw.integers(0, 2)),
        token_keep=float(draw.choice(SHARES)),
        head_keep=float(draw.choice(SHARES)),
        value_keep=float(draw.choice(SHARES)),
        schedule=str(draw.choice(["cascade", "importance"])),
        msb_bits=msb_bits,
        lsb_bits=lsb_bits,
        value_bits=int(draw.choice([0, 2, 8, 12])),
        requant_threshold=float(draw.choice([0.0, 0.1, 0.3, 1.0])),
        probability_bits=int(draw.choice([4, 8, 12])),
        topk_lanes=int(draw.choice([1, 2, 16])),
        topk_turn_cycles=int(draw.integers(0, 5)),
        multipliers=int(draw.choice([64, 128, 512])),
        hbm_channels=int(draw.choice([1, 3, 16])),
        hbm_burst_bytes=int(draw.choice([8, 16, 32])),
        hbm_burst_cycles=int(draw.integers(1, 3)),
        overlap=bool(draw.integers(2)),
        seed=int(draw.integers(2**48)),
    )


def check(config: Config, workload: Attention) -> None:
    """Compare a run of the machine with the oracle's, layer by layer and number by number."""
    plan = best_plan(config, workload)
    report, expected = simulate(config, plan), Machine(config, plan).run()
    assert len(report.layers) == len(expected)
    for ours, theirs in zip(report.layers, expected, strict=True):
        check_layer(ours, theirs, workload.head_dim)


def check_layer(ours: Report, theirs: LayerResult, head_dim: int) -> None:
    output: Any = ours.result
    assert output.heads.tolist() == theirs.heads
    assert output.tokens.tolist() == theirs.queries
    assert output.output.reshape(-1, head_dim).tolist() == [row.output for row in theirs.rows]
    assert ours.counters == theirs.counters
    assert ours.dram_bytes == theirs.dram_bytes
    assert ours.cycle_stack["survivors"] == theirs.survivors
    macs = sum(len(row.seen) + len(row.kept) for row in theirs.rows) * head_dim
    assert ours.operations == 2 * macs


@pytest.mark.parametrize("first", range(0, CASES, CASES_A_TEST))
def test_layers_are_the_oracles(first: int) -> None:
    for case in range(first, first + CASES_A_TEST):
        draw = np.random.default_rng(case)
        check(random_config(draw, "none"), random_attention(draw, bool(draw.integers(2))))


@pytest.mark.parametrize("selection", [name for name in SELECTIONS if name != "none"])
def test_what_is_shown_is_the_oracles(selection: str) -> None:
    for case in range(50):
        draw = np.random.default_rng((case, SELECTIONS.index(selection)))
        check(random_config(draw, selection), random_attention(draw, True))
