"""The networks that ProxylessNAS found, beside the parameters and multiply-accumulates published of them."""

from __future__ import annotations

from collections.abc import Mapping

from workloads.catalog import NETWORKS
from workloads.networks.proxyless import PUBLISHED


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/proxylessnas.toml``, by id."""
    networks = {name: NETWORKS[name].build() for name in PUBLISHED}
    return {
        **{f"{name}.parameters": network.parameters / 1e6 for name, network in networks.items()},
        **{f"{name}.macs": network.macs / 1e6 for name, network in networks.items()},
    }
