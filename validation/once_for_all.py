"""What our Once-for-All family has in common with the published one and can be counted.

Networks that were specialised are compared by the tests, which need their descriptions: operations to the printed
digit, accuracies by the oracle (``oracles``).
"""

from __future__ import annotations

from collections.abc import Mapping

from workloads.networks.once_for_all import DEPTHS, EXPANSIONS, KERNELS, STAGES


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/once_for_all.toml``, by id."""
    blocks = len(KERNELS) * len(EXPANSIONS)
    return {"networks": float(sum(blocks**depth for depth in DEPTHS) ** STAGES)}
