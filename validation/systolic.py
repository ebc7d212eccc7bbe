"""What Sextant's systolic array gives where other simulators were run at the same configuration."""

from __future__ import annotations

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


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/systolic.toml``, by id; counted from zero, as SCALE-Sim does."""
    ours = {}
    for name, rows, columns, dataflow in CASES:
        m, k, n = PRODUCTS[name]
        product = Layer(name=name, kind="matmul", in_h=m, in_w=1, in_c=k, out_h=m, out_w=1, out_c=n)
        config = replace(PRESETS["paper"], rows=rows, columns=columns, dataflow=dataflow)
        report = estimate(config, best_plan(config, LayerTable.of(name, [product])))
        ours[f"scalesim.{name}.{rows}x{columns}.{dataflow}"] = float(report.counters["compute_cycles"] - 1)
    return ours
