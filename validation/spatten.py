"""SpAtten beside its authors' behaviour model and top-k latencies, and beside what is reported of the paper's machine.

Dense cycles do not depend on values, so attention of zeros is run. GPT-2's requests are rebuilt from the published
schedule of GPT-2-small on WikiText-2: what every layer keeps of tokens and values in 32 steps after 992 tokens; and
which requests are computed again, nearly: 300 of 323, in the first two layers of the first steps.

Against A3 and MNNFast the small design runs 22 tasks as BERT-base and 8 as GPT-2-small, averaged geometrically. Of
BERT, whose lengths and shares kept are not known: 64 tokens, and shares that save the operations which are reported
saved, 1.5 x by tokens and values and 1.1 x by heads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from accel.attention_peers import PRESETS as PEERS
from accel.attention_peers import estimate
from accel.report import Report
from accel.spatten import PRESETS, Config, simulate
from accel.spatten.topk_kernels import scratch, seeded, select_cycles
from mappers.attention_peers import best_plan as peer_plan
from mappers.spatten import best_plan, request_plan
from workloads.attention.attention import Attention, LayerAttention
from workloads.attention.catalog import open_attention
from workloads.attention.requests import RequestTable

PAPER, SMALL, HBM2 = PRESETS["paper"], PRESETS["paper-1/8"], PRESETS["hbm2"]
PUBLISHED_DRAWS, LARGEST_LIST = 100, 1024
STEPS, PROMPT, LAYERS, HEADS, HEAD_DIM = 32, 992, 12, 12, 64
TOKENS_KEPT = (0.9, 0.7, *(0.2,) * 4, *(0.1,) * 6)  # of each layer, from the second step on
VALUES_KEPT = 0.2
FIRST_VALUES = 204  # of the first step, which prunes no tokens
BERT_TASK, GPT2_TASK = "bert-base:length=64", "gpt2-small:prompt=992,generate=32,summarise=0"
TASKS = (22, 8)  # that the paper compares: of BERT, and of GPT-2
STEPS_AGAIN = (12, 12, 1)  # of the first layers: all heads of so many steps are computed again
# What a fork of the release measured: 128 multipliers, half of the lanes and channels, SRAMs of 64 lines. Rows wait for
# the decision on a second computation, as all of the release's do, though this one needs none.
MEASURED = replace(HBM2, multipliers=128, fetch_lanes=16, hbm_channels=8, sram_bytes=64 * 192)


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/spatten.toml``, by id."""
    return {
        **closed_forms(),
        **selections(),
        **generation(),
        **peers(),
        "end_to_end": float(one_request().cycles),
    }


def closed_forms() -> dict[str, float]:
    """Return cycles of dense 8-bit attention without overlap."""

    def cycles(config: Config, heads: int, length: int, layers: int = 1, generated: int = 0) -> float:
        config = replace(config, lsb_bits=0, overlap=False)
        return float(dense(config, heads, length, layers, generated).cycles)

    return {
        "bert_base_384": cycles(PAPER, 12, 384, 12),
        "bert_base_128": cycles(PAPER, 12, 128, 12),
        "bert_base_64": cycles(PAPER, 12, 64),
        "bert_large_384": cycles(PAPER, 16, 384, 24),
        "one_head_1024": cycles(PAPER, 1, 1024),
        "one_query_1024": cycles(PAPER, 1, 1024, generated=1),
        "queries_993": cycles(PAPER, 12, 993, generated=1),
        "eighth_384": cycles(SMALL, 12, 384),
        "bert_rate": dense(replace(PAPER, lsb_bits=0), 12, 384, 12).gops / 1e3,
        "sram_bert": dense(PAPER, 12, 384).cycles / dense(larger(PAPER), 12, 384).cycles,
    }


def dense(config: Config, heads: int, length: int, layers: int = 1, generated: int = 0) -> Report:
    """Run attention that keeps everything: all queries at once, or those of the last tokens."""
    zeros = np.zeros((heads, length, HEAD_DIM), np.float32)
    workload = Attention(
        name=f"{heads} heads, {length} tokens",
        layers=layers,
        heads=heads,
        tokens=length,
        head_dim=HEAD_DIM,
        causal=generated > 0,
        prompt=length - generated,
        summarise=generated == 0,
        read=lambda _: LayerAttention(zeros, zeros, zeros),
    )
    return simulate(config, best_plan(config, workload), compare=False)


def larger(config: Config) -> Config:
    """Return a machine with twice the SRAMs."""
    return replace(config, sram_bytes=2 * config.sram_bytes)


def selections() -> dict[str, float]:
    """Return mean cycles of the first list of the release's table, at every width; of two other lists at 16."""
    values, room = np.empty(LARGEST_LIST, np.int32), scratch(LARGEST_LIST, np.int32)

    def mean(lists: list[tuple[int, int]], lanes: int) -> float:
        random = seeded(1)  # lists draw from one stream, one after the other
        for count, rank in lists:
            cycles = [select_cycles(count, rank, lanes, 3, random, values, room) for _ in range(PUBLISHED_DRAWS)]
        return float(np.mean(cycles))

    first = [(1024, 512)]
    widths = {f"topk_{lanes}": mean(first, lanes) for lanes in (1, 2, 4, 8, 16, 32)}
    return {**widths, "topk_64_of_32": mean([*first, (64, 32)], 16)}


def generation() -> dict[str, float]:
    """Return what is reported of GPT-2: the steps of the ablation, the sweeps, rate and power.

    Rates are those with HBM2, which the paper's were simulated with; power and the SRAM's sweep those with memory at
    its full rate, where neither hides behind it.
    """
    unquantized = request_plan(published_schedule(keep=True, bits=12))
    dense = simulate(HBM2, request_plan(published_schedule(keep=False, bits=12)))
    one_lane, lanes = (simulate(replace(HBM2, topk_lanes=count), unquantized) for count in (1, HBM2.topk_lanes))
    plan = request_plan(published_schedule(keep=True, bits=6))
    full, unhindered = simulate(HBM2, plan), simulate(PAPER, plan)
    dense_bytes = 2 * int(plan_lengths().sum()) * HEAD_DIM * 12 // 8
    return {
        "ablation_pruning": dense.cycles / one_lane.cycles,
        "ablation_topk": one_lane.cycles / lanes.cycles,
        "ablation_pruning_and_topk": dense.cycles / lanes.cycles,
        "ablation_quantization": lanes.cycles / full.cycles,
        "dram_reduction": dense_bytes / full.total_dram_bytes,
        "lanes_32": full.cycles / simulate(replace(HBM2, topk_lanes=32), plan).cycles,
        "sram_gpt2": unhindered.cycles / simulate(larger(PAPER), plan).cycles,
        "gpt2_rate": full.gops / 1e3,
        "gpt2_power": unhindered.total_energy_pj * 1e-12 / unhindered.seconds,
    }


def peers() -> dict[str, float]:
    """Return rates and efficiencies of dense attention on machines of one size, and how the small design compares."""
    config = replace(SMALL, lsb_bits=0, token_keep=0.8, head_keep=0.93, value_keep=0.9)
    bert, gpt2 = (open_attention(name) for name in (BERT_TASK, GPT2_TASK))
    ours = (
        simulate(config, best_plan(config, bert), compare=False),
        simulate(SMALL, request_plan(published_schedule(keep=True, bits=6))),
    )
    names = ("dense_attention", "a3", "mnnfast")
    presets = [PEERS[name].get("paper-1/8", PEERS[name]["paper"]) for name in names]
    rivals = [
        tuple(estimate(peer, peer_plan(peer, task, name)) for task in (bert, gpt2))
        for name, peer in zip(names, presets, strict=True)
    ]
    dense = [report.counters["dense_operations"] for report in rivals[0]]

    def mean(values: Iterable[float]) -> float:
        return float(np.prod([value ** (tasks / sum(TASKS)) for value, tasks in zip(values, TASKS, strict=True)]))

    figures = {}
    for name, reports in zip(("eighth", "dense", "a3", "mnnfast"), (ours, *rivals), strict=True):
        each = list(zip(dense, reports, strict=True))
        figures[f"{name}_rate"] = mean(operations / report.seconds / 1e9 for operations, report in each)
        figures[f"{name}_gop_per_joule"] = mean(
            operations / report.total_energy_pj * 1e3 for operations, report in each
        )
    for name in ("dense", "a3", "mnnfast"):
        figures[f"{name}_speedup"] = figures["eighth_rate"] / figures[f"{name}_rate"]
        figures[f"{name}_energy"] = figures["eighth_gop_per_joule"] / figures[f"{name}_gop_per_joule"]
    return figures


def plan_lengths() -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the length of every request's context."""
    steps = np.arange(STEPS).repeat(LAYERS * HEADS)
    return PROMPT + 1 + steps


def published_schedule(*, keep: bool, bits: int) -> RequestTable:
    """Return the requests of GPT-2-small, pruned as published or not at all."""
    requests = np.arange(STEPS * LAYERS * HEADS)
    step, layer, head = np.unravel_index(requests, (STEPS, LAYERS, HEADS))
    length = plan_lengths()
    keys, values = length, length
    if keep:
        share = np.where(step == 0, 1.0, np.array(TOKENS_KEPT)[layer])
        keys = np.floor(share * length + 1e-9).astype(np.int64)
        values = np.where(step == 0, FIRST_VALUES, np.floor(VALUES_KEPT * keys + 1e-9)).astype(np.int64)
    everywhere = np.full(len(requests), bits)
    again = step < np.array([*STEPS_AGAIN, *(0,) * (LAYERS - len(STEPS_AGAIN))])[layer]
    return RequestTable(
        name=f"GPT-2-small, {bits} bit",
        iteration=step,
        layer=layer,
        head=head,
        head_dim=np.full(len(requests), HEAD_DIM),
        length=length,
        keys=keys,
        key_bits=everywhere,
        requantised=again if keep else np.zeros(len(requests), np.bool_),
        requant_bits=np.full(len(requests), 4),
        values=values,
        value_bits=everywhere,
    )


def one_request() -> Report:
    """Run the one request whose cycles were measured from end to end: 128 keys and values of 8 bits."""
    one = np.array([1])
    table = RequestTable(
        name="one request",
        iteration=0 * one,
        layer=0 * one,
        head=0 * one,
        head_dim=HEAD_DIM * one,
        length=128 * one,
        keys=128 * one,
        key_bits=8 * one,
        requantised=np.array([False]),
        requant_bits=0 * one,
        values=128 * one,
        value_bits=8 * one,
    )
    return simulate(MEASURED, request_plan(table))
