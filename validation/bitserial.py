"""What Sextant's bit-serial array gives for every published number of HAQ's hardware."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from accel.bitserial import PRESETS, estimate
from mappers.bitserial import best_plan
from workloads.catalog import build_table
from workloads.layers import LayerTable

BATCH = 16
# The policy HAQ's code ships for 60 % of the 8-bit latency, MobileNetV2, layer by layer. The first layer's
# activations are 8 bits wide; the code charges them as 7.
POLICY_WGT_BITS = [int(bits) for bits in "87545557447547547547446647657657666566567477477477478"]
POLICY_ACT_BITS = [int(bits) for bits in "87666764667663773777774774774774774774777777777777778"]


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/bitserial.toml``, by id."""
    network = build_table("mobilenet_v2").with_batch(BATCH)
    ours = {f"cycles.mobilenet_v2.{bits}x{bits}": _cycles(network.with_bits(bits, bits)) for bits in (4, 6, 8)}
    eight = ours["cycles.mobilenet_v2.8x8"]
    ours["policy.share"] = _cycles(network.with_bits(POLICY_ACT_BITS, POLICY_WGT_BITS)) / eight
    charged = np.array(POLICY_ACT_BITS)
    charged[0] = 7
    ours["policy.share_as_charged"] = _cycles(network.with_bits(charged, POLICY_WGT_BITS)) / eight
    edge = PRESETS["haq-edge"]
    for name in ("mobilenet_v1", "mobilenet_v2"):
        for bits in (4, 5, 6, 8):
            table = build_table(name).with_bits(bits, bits)
            ours[f"edge.{name}.{bits}x{bits}"] = estimate(edge, best_plan(edge, table)).seconds * 1e3
    return ours


def _cycles(table: LayerTable) -> float:
    config = PRESETS["paper"]
    return float(estimate(config, best_plan(config, table)).cycles)
