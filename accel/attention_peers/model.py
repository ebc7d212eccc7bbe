"""Attention without a cascade in closed form: each head takes as long as its busiest unit, or its memory traffic.

Source: the ideas of A3 (Ham et al., HPCA 2020) and MnnFast (Jang et al., ISCA 2019) as their readers sum them up, on
the units of SpAtten (Wang et al., HPCA 2021), whose paper compares machines of one size. docs/spatten.md says what is
assumed.
"""

from __future__ import annotations

import math
from dataclasses import replace

from accel.attention_peers.config import Config
from accel.attention_peers.plan import Plan
from accel.report import Report
from accel.roofline import Roofline
from accel.spatten import PRESETS as SPATTEN
from accel.spatten.technology import area_mm2, energy_pj
from accel.spatten.work import IDLE_LATENCY
from workloads.units import BITS_PER_BYTE, OPERATIONS_PER_MAC

SOFTMAX_DIM = 64  # scores a cycle are the keys a cycle at this head dimension


def estimate(config: Config, plan: Plan) -> Report:
    """Count planned attention in closed form.

    Parameters
    ----------
    config : Config
    plan : Plan
        From ``mappers.attention_peers.best_plan``.

    Returns
    -------
    Report
        A layer for every layer of every step. ``operations`` are those that were done; the counter ``dense_operations``
        has those of dense attention, which published rates count.
    """
    workload = plan.workload
    steps = [("", workload.prompt, workload.prompt)] if workload.summarise else []
    steps += [(f"token {token}, ", 1, token + 1) for token in range(workload.prompt, workload.tokens)]
    return Report.of_layers(
        tuple(
            _layer(config, plan, f"{step}layer {layer}", layer, queries, tokens)
            for step, queries, tokens in steps
            for layer in range(workload.layers)
        ),
        name=workload.name,
    )


def _layer(config: Config, plan: Plan, name: str, layer: int, queries: int, tokens: int) -> Report:
    """Return the report of a layer, some queries of every head over so many tokens."""
    workload = plan.workload
    heads, head_dim, width = workload.heads, workload.head_dim, config.keys_per_cycle(workload.head_dim)
    seen = [tokens] * queries if queries == 1 or not workload.causal else list(range(1, tokens + 1))
    candidates = [max(1, math.ceil(plan.candidates[layer] * keys)) for keys in seen]
    values = [max(1, math.ceil(plan.values[layer] * keys)) for keys in seen]
    units = {
        "qk_cycles": heads * sum(-(-keys // width) for keys in candidates),
        "softmax_cycles": heads * sum(-(-keys // (config.multipliers // SOFTMAX_DIM)) for keys in candidates),
        "topk_cycles": heads * sum(math.ceil(config.searched_share * keys) for keys in seen),
        "pv_cycles": heads * sum(-(-keys // width) for keys in values),
    }
    vector_bytes = -(-head_dim * config.operand_bits // BITS_PER_BYTE)
    traffic = {
        "q_read": heads * queries * vector_bytes,
        "k_read": heads * tokens * vector_bytes,
        "v_read": heads * tokens * vector_bytes,
        "output_write": heads * queries * vector_bytes,
    }
    computing, fetching = max(units.values()), math.ceil(sum(traffic.values()) / config.hbm_bytes_per_cycle)
    first = math.ceil((traffic["k_read"] + traffic["v_read"]) / config.hbm_bytes_per_cycle) if config.fetch_first else 0
    waiting = max(0, fetching - first - computing)
    macs = heads * (sum(candidates) + sum(values)) * head_dim
    twin = replace(SPATTEN["paper-1/8"], multipliers=config.multipliers, topk_lanes=-(-head_dim // 2))
    spent = energy_pj(twin, head_dim, units, {**traffic, "k_msb_read": traffic["k_read"], "k_lsb_read": 0})
    dram = energy_pj(twin, head_dim, dict.fromkeys(units, 0), {**traffic, "k_msb_read": 0, "k_lsb_read": 0})["dram"]
    area = area_mm2(twin)
    return Report(
        machine=plan.machine,
        name=name,
        fidelity="estimate",
        cycles=first + waiting + computing + IDLE_LATENCY,
        clock_hz=config.clock_hz,
        operations=OPERATIONS_PER_MAC * macs,
        compute_bound_cycles=computing,
        bandwidth_bound_cycles=fetching,
        dram_bytes=traffic,
        cycle_stack={"fetch": first + waiting, "compute": computing, "pipeline": IDLE_LATENCY},
        energy_pj={**spent, "dram": dram},
        area_mm2={}
        if config.looks_at_values
        else {part: area[part] for part in ("key_sram", "value_sram", "datapath")},
        counters={
            **units,
            "rows": heads * queries,
            "dense_operations": OPERATIONS_PER_MAC * 2 * heads * sum(seen) * head_dim,
        },
    )


def roofline(config: Config) -> Roofline:
    """Return the machine's bounds: both arrays of multipliers at once, and the memory's rate."""
    rate = 2 * OPERATIONS_PER_MAC * config.multipliers * config.clock_hz / 1e9
    return Roofline({f"{config.operand_bits} bit": rate}, config.hbm_bytes_per_cycle * config.clock_hz)
