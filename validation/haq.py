"""What the oracle says quantization costs networks that HAQ's authors printed; it is fitted to none of these.

The bit-serial array's cycles and HAQ's policy in cycles stand in ``bitserial``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from searchers.oracles.accuracy import Bits, Subject
from searchers.oracles.published import Pair
from searchers.oracles.quantization_drop import QuantizationDrop, read_sensitivity
from searchers.oracles.training.fit_drop import lost
from validation.bitserial import POLICY_ACT_BITS, POLICY_WGT_BITS
from workloads.catalog import build_table

# Top-1 before [%]: README of mit-han-lab/haq; and IEEE Micro 2020, table 2, its columns at 8 bits, with PACT's bits.
MOBILENET_V2 = 72.05
PACT = {"drop.edge.5x5": (5, 70.82), "drop.cloud.6x6": (6, 71.81)}


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/haq.toml``, by id."""
    network = Subject("mobilenet_v2", table=build_table("mobilenet_v2"))
    policy = Bits(tuple(POLICY_ACT_BITS), tuple(POLICY_WGT_BITS))
    estimates = QuantizationDrop().lost([network], [policy], "qat", np.array([MOBILENET_V2]))
    ours = {"drop.policy": float(estimates.values[0])}
    for name, (bits, reference) in PACT.items():
        ours[name] = uniform_drop("qat", bits, reference)
    return ours


def uniform_drop(regime: str, bits: int, reference: float) -> float:
    """Return the points that a network with depthwise layers loses at so many bits everywhere, by the oracle."""
    pair = Pair(
        network="", depthwise=True, regime=regime, method="", weight_bits=bits, activation_bits=bits,
        reference=reference, value=reference, source="",
    )  # fmt: skip
    return float(lost(read_sensitivity(), [pair])[0])
