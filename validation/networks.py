"""The networks that ship with Sextant, beside the parameters and multiply-accumulates published of them."""

from __future__ import annotations

from collections.abc import Mapping

from workloads.catalog import NETWORKS

NAMES = ("resnet18", "resnet50", "mobilenet_v1", "mobilenet_v2")


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/networks.toml``, by id."""
    ours = {}
    for name in NAMES:
        network = NETWORKS[name].build()
        ours[f"{name}.parameters"] = network.parameters / 1e6
        ours[f"{name}.macs"] = network.macs / 1e9
    return ours
