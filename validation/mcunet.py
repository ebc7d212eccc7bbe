"""What the oracle says 8-bit quantization costs MCUNet's networks that it was not fitted to.

MCUNet's memory and its latencies on microcontrollers are of machines that Sextant does not have.
"""

from __future__ import annotations

from collections.abc import Mapping

from validation.haq import uniform_drop

FULL = {"drop.in0": 41.5, "drop.in3": 62.2}  # top-1 before [%]: README of mit-han-lab/mcunet


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/mcunet.toml``, by id."""
    return {name: uniform_drop("ptq_minmax", 8, reference) for name, reference in FULL.items()}
