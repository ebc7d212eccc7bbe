"""Baselines that an oracle must beat: what can be counted without any accuracy. They rank, and are never shown as one.

More is believed to be better. Which of them ranks best depends on the space: always look at all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from searchers.oracles.accuracy import Keep
from workloads.layers import ACT_BITS, GROUPS, IN_C, KERNEL_H, KERNEL_W, KIND, KINDS, OUT_C, WGT_BITS, LayerTable

OPERAND_BITS = 12  # of SpAtten's queries and probabilities


def macs(table: LayerTable) -> float:
    """Return the multiply-accumulates of a network."""
    return float(table.macs.sum())


def bit_operations(table: LayerTable) -> float:
    """Return multiply-accumulates, each times the widths of its operands."""
    return float((table.macs * table.values[:, ACT_BITS] * table.values[:, WGT_BITS]).sum())


def weights(table: LayerTable) -> float:
    """Return the number of weights in matrix-multiplying layers."""
    column = table.values.T
    counts = column[KERNEL_H] * column[KERNEL_W] * (column[IN_C] // column[GROUPS]) * column[OUT_C]
    return float(counts[column[KIND] != KINDS.index("matmul")].sum())


def sqnr_db(table: LayerTable) -> float:
    """Return the signal-to-noise ratio of uniform quantizers whose noise adds up over layers, unweighted [dB]."""
    noise = 4.0 ** -table.values[:, ACT_BITS].astype(float) + 4.0 ** -table.values[:, WGT_BITS].astype(float)
    return -10.0 * math.log10(float(np.sum(noise)))


def attention_bit_operations(keep: Keep) -> float:
    """Return what of attention's multiply-accumulates is kept, each times the widths of its operands."""
    scores = OPERAND_BITS * (keep.msb_bits + keep.lsb_bits)
    values = OPERAND_BITS * keep.msb_bits * keep.value_keep
    return keep.token_keep * keep.head_keep * (scores + values)


PROXIES: Mapping[str, Callable[[LayerTable], float]] = {
    "bit_operations": bit_operations,
    "macs": macs,
    "parameters": weights,
    "sqnr_db": sqnr_db,
}
