"""The machines SpAtten is compared with: counts by hand, what they skip, and the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from accel.attention_peers import PRESETS, Config, estimate
from mappers.attention_peers import best_plan, search
from tests.command_line import sextant
from workloads.attention.attention import Attention, held_attention
from workloads.attention.requests import read_requests
from workloads.errors import ConfigError, WorkloadError

SMALL = PRESETS["dense_attention"]["paper-1/8"]
DRAIN = 103


def attention(layers: int = 2, heads: int = 3, tokens: int = 20, generate: int = 0, causal: bool = False) -> Attention:
    q, k, v = np.random.default_rng(tokens).standard_normal((3, layers, heads, tokens, 64)).astype(np.float32)
    return held_attention("drawn", q, k, v, causal=causal or generate > 0, prompt=tokens - generate)


def test_dense_attention_by_hand() -> None:
    report = estimate(SMALL, best_plan(SMALL, attention()))
    assert [layer.cycles for layer in report.layers] == [3 * 20 * 20 + DRAIN] * 2, "a key a cycle"
    assert report.operations == report.counters["dense_operations"] == 2 * 3 * 4 * 20 * 20 * 64
    assert report.dram_bytes == dict.fromkeys(("q_read", "k_read", "v_read", "output_write"), 2 * 3 * 20 * 96)


def test_one_query_waits_for_memory() -> None:
    workload = attention(generate=1)
    report = estimate(SMALL, best_plan(SMALL, workload)).layers[-1]
    assert report.name == "token 19, layer 1"
    fetching = 3 * (2 * 20 + 2) * 96 // 64
    assert report.cycle_stack == {"fetch": fetching - 3 * 20, "compute": 3 * 20, "pipeline": DRAIN}


def test_what_is_fetched_first_is_waited_for() -> None:
    config = replace(SMALL, fetch_first=True)
    report = estimate(config, best_plan(config, attention(layers=1)))
    assert report.cycles == 3 * 2 * 20 * 96 // 64 + 3 * 20 * 20 + DRAIN


def test_a_causal_prompt_sees_half() -> None:
    report = estimate(SMALL, best_plan(SMALL, attention(layers=1, causal=True)))
    assert report.counters["qk_cycles"] == 3 * (20 * 21 // 2)


def test_the_search_is_the_greedy_one() -> None:
    draw = np.random.default_rng(1)
    for _ in range(100):
        q, k = draw.standard_normal(6), draw.standard_normal((int(draw.integers(1, 12)), 6))
        share = float(draw.choice([0.25, 0.5, 1, 2]))
        left = sorted((float(a * b), row) for row, key in enumerate(k) for a, b in zip(q, key, strict=True))
        taken = [0.0] * len(k)
        for step in range(int(np.ceil(share * len(k)))):
            (largest, of_largest), (least, of_least) = left[-1 - step], left[step]
            taken[of_largest] += max(largest, 0.0)
            taken[of_least] += min(least, 0.0)
        expected = [total > 0 for total in taken]
        if not any(expected):
            expected[left[-1][1]] = True
        assert search(q, k, share).tolist() == expected


def test_values_of_small_probabilities_are_skipped() -> None:
    size = (1, 1, 10, 64)
    q, k = np.ones(size, np.float32), np.zeros(size, np.float32)
    k[0, 0, 3] = 1.0  # probability of exp(8) to 9 others of 1
    workload = held_attention("peaked", q, k, q)
    for changes in ({"least_probability": 0.1}, {"least_of_largest": 0.05}):
        plan = best_plan(replace(SMALL, **changes), workload)
        assert (plan.candidates, plan.values) == ((1.0,), (0.1,))
    plan = best_plan(replace(SMALL, searched_share=0.5), workload)
    assert plan.candidates == (0.1,)


def test_tables_of_requests_and_wide_heads_are_refused(tmp_path: Path) -> None:
    table = tmp_path / "requests.csv"
    table.write_text(
        "iteration_id,layer_id,head_id,embedding_length_D,sentence_length_L,key_fetch_num,quant_key_bit,if_requant,"
        "auto_requant_incre,value_fetch_num,quant_value_bit\n0,0,0,64,16,16,8,False,4,16,8\n"
    )
    with pytest.raises(WorkloadError, match="need a trace or a model: a3 keeps all tokens"):
        best_plan(SMALL, read_requests(table), "a3")
    arrays = np.ones((1, 1, 4, 80), np.float32)
    with pytest.raises(ConfigError, match="multipliers = 64, need at least the head dimension, 80"):
        estimate(SMALL, best_plan(SMALL, held_attention("wide", arrays, arrays, arrays)))


@pytest.mark.parametrize("field", ["searched_share", "least_of_largest", "least_probability", "operand_bits"])
def test_every_field_says_what_it_allows(field: str) -> None:
    with pytest.raises(ConfigError, match=f"{field} = -1, need"):
        replace(SMALL, **{field: -1})
    assert isinstance(SMALL, Config)


@pytest.mark.parametrize("machine", list(PRESETS))
def test_the_command_line(machine: str) -> None:
    report = json.loads(sextant("simulate", machine, "bert-base:length=16", "--json").out)
    assert (report["machine"], report["fidelity"], len(report["layers"])) == (machine, "estimate", 12)
    assert report["counters"]["dense_operations"] == 12 * 12 * 4 * 16 * 16 * 64
