"""The machine's numbers: what memory holds of queries, keys and values, and attention done exactly, for comparison.

Source: Wang et al., SpAtten, HPCA 2021: linear symmetric quantization to 12-bit fixed point; keys lie in memory as two
planes, the bits that are read first and the rest. Scales, one a head, are left open there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from accel.spatten.config import OPERAND_BITS, Config
from accel.spatten.plan import Plan
from workloads.errors import WorkloadError

if TYPE_CHECKING:
    from workloads.attention.attention import LayerAttention

Numbers = npt.NDArray[np.floating]
Key = tuple[int, int, int, int]  # layer and bits
MOST_KEPT_NUMBERS = 2**28  # of all of a plan's layers together, a gigabyte; beyond, layers are quantized anew
SMALLEST, LARGEST = 1e-15, 1e15
EXACT_FLOAT32 = 2**24  # whole numbers below are exact in single precision, in whatever order they are added up


@dataclass(frozen=True, slots=True)
class Stored:
    """A layer's queries, keys and values as memory holds them: whole numbers, in single precision.

    Attributes
    ----------
    q, k_high, k_low, v : ndarray of float32, shape (heads, tokens, head_dim)
        A key is ``k_high * 2 ** lsb_bits + k_low``.
    score_scale : ndarray of float64, shape (heads,)
        What a product of a query and a whole key stands for, after division by the root of the head dimension.
    value_scale : ndarray of float64, shape (heads,)
    """

    q: Numbers
    k_high: Numbers
    k_low: Numbers
    v: Numbers
    score_scale: npt.NDArray[np.float64]
    value_scale: npt.NDArray[np.float64]


_stored: WeakKeyDictionary[Plan, dict[Key, tuple[LayerAttention, Stored]]] = WeakKeyDictionary()


def stored_layer(config: Config, plan: Plan, layer: int) -> tuple[LayerAttention, Stored]:
    """Return a layer, and what memory holds of it; of a plan that was run before, without quantizing it again."""
    workload = plan.workload
    key = (layer, config.msb_bits, config.lsb_bits, config.stored_value_bits)
    kept = _stored.setdefault(plan, {})
    if key not in kept:
        values = workload.layer(layer)
        for name, numbers in zip("qkv", values, strict=True):
            check_magnitude(f"{plan.name}, layer {layer}", name, float(np.abs(numbers).max()))
        pair = values, store(config, values)
        if 7 * workload.layers * workload.heads * workload.tokens * workload.head_dim > MOST_KEPT_NUMBERS:
            kept.clear()
        kept[key] = pair
    return kept[key]


def check_magnitude(where: str, name: str, largest: float) -> None:
    """Check that single precision holds a scale, and products of scales.

    Raises
    ------
    WorkloadError
        If all numbers are too small, or one is too large.
    """
    if largest and not SMALLEST <= largest <= LARGEST:
        raise WorkloadError(where, f"largest magnitude of {name}", largest, f"0, or {SMALLEST:g}..{LARGEST:g}")


def store(config: Config, layer: LayerAttention) -> Stored:
    """Quantize a layer: queries to 12 bits, keys to all of their bits, values to theirs."""
    q, q_scale = quantized(layer.q, OPERAND_BITS)
    k, k_scale = quantized(layer.k, config.key_bits)
    v, v_scale = quantized(layer.v, config.stored_value_bits)
    step = np.float32(2**config.lsb_bits)
    high = np.floor(k / step)
    return Stored(
        q=q,
        k_high=high,
        k_low=k - high * step,
        v=v,
        score_scale=q_scale * k_scale / np.sqrt(layer.q.shape[2]),
        value_scale=v_scale,
    )


def quantized(x: Numbers, bits: int) -> tuple[Numbers, npt.NDArray[np.float64]]:
    """Return whole numbers of up to ``bits`` bits, sign included, and what one stands for in each head.

    Numbers are (heads, tokens, head_dim), what one stands for (heads,).
    """
    most = 2 ** (bits - 1) - 1
    largest = np.abs(x).max(axis=(1, 2)).astype(np.float64)
    scale = np.where(largest > 0, largest / most, 1.0)
    return np.rint(x * (1 / scale).astype(np.float32)[:, None, None]).clip(-most, most), scale


def product(a: Numbers, b: Numbers, largest: int) -> Numbers:
    """Multiply (..., m, k) by (..., k, n), whole numbers, exactly; no sum of magnitudes exceeds ``largest``."""
    if largest >= EXACT_FLOAT32:
        a, b = a.astype(np.float64), b.astype(np.float64)
    result: Numbers = np.matmul(a, b)
    return result


def exact_attention(
    q: Numbers, k: Numbers, v: Numbers, visible: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return outputs and probabilities of attention in double precision.

    Parameters
    ----------
    q : ndarray, shape (heads, queries, head_dim)
    k, v : ndarray, shape (heads, keys, head_dim)
    visible : ndarray of int64, shape (queries,)
        Keys that a query sees, from the first on.
    """
    scores = np.matmul(q.astype(np.float64), k.astype(np.float64).transpose(0, 2, 1)) / np.sqrt(q.shape[2])
    scores[:, np.arange(k.shape[1]) >= visible[:, None]] = -np.inf
    scores -= scores.max(axis=2, keepdims=True)
    probabilities = np.exp(scores, out=scores)
    probabilities /= probabilities.sum(axis=2, keepdims=True)
    return np.matmul(probabilities, v.astype(np.float64)), probabilities
