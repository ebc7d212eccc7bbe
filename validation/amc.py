"""The networks that AMC pruned, beside the multiply-accumulates published of them."""

from __future__ import annotations

from collections.abc import Mapping

from workloads.catalog import NETWORKS

V1 = ("mobilenet_v1-0.75", "mobilenet_v1-amc-0.5-flops", "mobilenet_v1-amc-0.5-latency")
V2 = "mobilenet_v2-amc-0.7-flops"


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/amc.toml``, by id."""
    macs = {name: NETWORKS[name].build().macs for name in (*V1, V2, "mobilenet_v2")}
    return {f"{name}.macs": macs[name] / 1e6 for name in V1} | {f"{V2}.share": macs[V2] / macs["mobilenet_v2"]}
