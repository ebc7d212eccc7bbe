"""What a joint search of network and bits finds on APQ's BitFusion, beside the four networks that APQ printed.

APQ's own space, supernet and predictor are not published: ours are the Once-for-All family, bits by block, and the
oracle ``imagenet``. Each printed latency is a limit, and the most accurate network within it is compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from validation.fronts import Design, front, giga_bit_operations, once_for_all

MACHINE, REGIME, BITS, GENERATIONS = {"name": "bitfusion_apq"}, "qat", [4, 6, 8], 100
LIMITS_MS = ("6.11", "8.40", "8.45", "12.17")


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/apq.toml``, by id."""
    problem, found = once_for_all(MACHINE, REGIME, BITS), joint()
    ours = {}
    for limit in LIMITS_MS:
        within = max((one for one in found if one.milliseconds <= float(limit)), key=lambda one: one.accuracy)
        ours[f"accuracy.{limit}_ms"] = within.accuracy
        ours[f"energy.{limit}_ms"] = within.millijoules
        ours[f"bit_operations.{limit}_ms"] = giga_bit_operations(problem, within)
    return ours


@lru_cache(maxsize=1)
def joint() -> list[Design]:
    """Return the front of networks and bits searched together, fastest first."""
    return front(once_for_all(MACHINE, REGIME, BITS), GENERATIONS)
