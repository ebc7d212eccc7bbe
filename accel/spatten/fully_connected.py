"""The layers around attention on the same multipliers: projections and the feed-forward network (SpAtten-e2e).

Source: Wang et al., SpAtten, HPCA 2021: weights are read with 8 or 12 bits; with one token their transfer takes
longest. Left open there, and closed here as: both arrays multiply, the SRAMs hold as many tokens as fit, weights are
read once for each such block, reading and multiplying overlap. A closed form: nothing here depends on values.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from accel.report import Report
from accel.spatten.config import OPERAND_BITS, Config
from accel.spatten.plan import Plan
from accel.spatten.technology import COMPONENTS, area_mm2, fully_connected_pj
from workloads.errors import ConfigError
from workloads.units import BITS_PER_BYTE, OPERATIONS_PER_MAC

if TYPE_CHECKING:
    from workloads.attention.attention import Attention

ARRAYS = 2  # of multipliers: Q x K, and probability x V


def check_widths(config: Config, plan: Plan) -> None:
    """Check that layers can be run whose weights are asked for.

    Raises
    ------
    ConfigError
        If the plan was made without weights and the configuration has some, or the other way round; if the workload
        does not say how wide its model is.
    """
    if plan.fully_connected != (config.fc_bits > 0):
        raise ConfigError("spatten", "fc_bits", config.fc_bits, "a plan made for it")
    if plan.fully_connected and plan.workload.shape is None:
        need = f"0: it is not known how wide the model of {plan.name} is"
        raise ConfigError("spatten", "fc_bits", config.fc_bits, need)


def fully_connected(config: Config, workload: Attention, name: str, *, tokens: int, heads: int) -> Report:
    """Return the report of a layer's projections and feed-forward network, for tokens and heads that are alive."""
    assert workload.shape is not None
    hidden, inner = workload.shape.hidden, workload.shape.feed_forward
    weights = 4 * hidden * heads * workload.head_dim + 2 * hidden * inner
    return linear_layers(config, name, inputs=hidden, weights=weights, tokens=tokens)


def linear_layers(config: Config, name: str, *, inputs: int, weights: int, tokens: int) -> Report:
    """Return the report of so many weights for so many tokens, each of ``inputs`` numbers."""
    macs = weights * tokens
    block = max(1, ARRAYS * config.sram_bytes * BITS_PER_BYTE // (inputs * OPERAND_BITS))
    blocks = -(-tokens // block)
    read = blocks * -(-weights * config.fc_bits // BITS_PER_BYTE)
    reading = math.ceil(read / config.bytes_per_cycle)
    multiplying = -(-macs // (ARRAYS * config.multipliers))
    cycles = max(reading, multiplying)
    return Report(
        machine="spatten",
        name=name,
        fidelity="estimate",
        cycles=cycles,
        clock_hz=config.clock_hz,
        operations=OPERATIONS_PER_MAC * macs,
        compute_bound_cycles=multiplying,
        bandwidth_bound_cycles=reading,
        dram_bytes={"weight_read": read},
        cycle_stack={"weight_read" if reading > multiplying else "fc": cycles},
        energy_pj={**dict.fromkeys(COMPONENTS, 0.0), **fully_connected_pj(config, macs, blocks * weights, read)},
        area_mm2=area_mm2(config),
        counters={"fc_multiplies": macs},
    )
