"""What Sextant's systolic array gives where other simulators were run at the same configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from accel.systolic import PRESETS, estimate
from mappers.systolic import best_plan
from workloads.layers import Layer, LayerTable

# Products by name: M, K, N.
PRODUCTS = {
    "bert128_av_head": (128, 128, 64),
    "bert128_qkv": (128, 768, 768),
    "gemm_100x70x130": (100, 130, 70),
    "gemm_512": (512, 512, 512),
    "gemv_768": (1, 768, 768),
}
CASES = (
    ("bert128_av_head", 16, 16, "os"),
    ("bert128_av_head", 16, 16, "ws"),
    ("bert128_av_head", 32, 32, "is"),
    ("bert128_qkv", 32, 32, "os"),
    ("bert128_qkv", 32, 32, "ws"),
    ("gemm_100x70x130", 16, 16, "is"),
    ("gemm_100x70x130", 16, 32, "os"),
    ("gemm_100x70x130", 16, 32, "ws"),
    ("gemm_512", 32, 32, "os"),
    ("gemm_512", 32, 32, "ws"),
    ("gemv_768", 16, 16, "is"),
    ("gemv_768", 16, 16, "ws"),
    ("gemv_768", 32, 32, "os"),
)

# MAESTRO's fixed mapping, at a number of elements: name, M, N, input channels, elements of the window, elements.
MAESTRO_CASES = (
    ("gemm_512", 512, 512, 512, 1, 256),
    ("gemv_768", 1, 768, 768, 1, 256),
    ("gemm_100x70x130", 100, 70, 130, 1, 1024),
    ("r18_conv1", 12544, 64, 3, 49, 1024),
    ("r18_l4_3x3", 49, 512, 512, 9, 256),
)
MAESTRO_ELEMENTS_PER_CYCLE = 1000
# STONNE's output-stationary mesh: product, side of the mesh.
STONNE_CASES = (("gemm_100x70x130", 16), ("bert128_av_head", 32), ("gemv_768", 32))
STONNE_FOLD_CYCLES = 5  # that it takes for a fold beyond ours; 4 with a single row


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/systolic.toml``, by id; each as its simulator counts."""
    ours = {}
    for name, rows, columns, dataflow in CASES:
        cycles = _counters(*PRODUCTS[name], rows, columns, dataflow)["compute_cycles"]
        ours[f"scalesim.{name}.{rows}x{columns}.{dataflow}"] = float(cycles - 1)
    for name, side in STONNE_CASES:
        ours[f"stonne.{name}.{side}x{side}.os"] = float(_as_stonne_counts(*PRODUCTS[name], side))
    for name, m, n, channels, window, elements in MAESTRO_CASES:
        ours[f"maestro.{name}.{elements}"] = float(_as_maestro_counts(m, n, channels, window, elements))
    return ours


def _counters(m: int, k: int, n: int, rows: int, columns: int, dataflow: str) -> Mapping[str, int]:
    product = Layer(name="product", kind="matmul", in_h=m, in_w=1, in_c=k, out_h=m, out_w=1, out_c=n)
    config = replace(PRESETS["paper"], rows=rows, columns=columns, dataflow=dataflow)
    return estimate(config, best_plan(config, LayerTable.of("product", [product]))).counters


def _as_stonne_counts(m: int, k: int, n: int, side: int) -> int:
    """Return our count with folds at the edges ending early and STONNE's cycles for every fold."""
    counted = _counters(m, k, n, side, side, "os")
    idle = (-m % side) * -(-n // side) + (-n % side) * -(-m // side)
    return counted["compute_cycles"] - idle + (STONNE_FOLD_CYCLES - (m == 1)) * counted["folds"]


def _as_maestro_counts(m: int, n: int, channels: int, window: int, elements: int) -> int:
    """Return our folds as MAESTRO counts them: a step more per window, and the first weights at its bandwidth."""
    side = math.isqrt(elements)
    folds = _counters(m, channels, n, side, side, "ws")["folds"]
    first = -(-side * min(side, channels) * window // MAESTRO_ELEMENTS_PER_CYCLE)
    return m * folds * (window + 1) + first
