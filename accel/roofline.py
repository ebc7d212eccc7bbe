"""The bounds of a machine: how fast it computes at best, and how fast it is fed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Roofline:
    """What a design's layers are drawn against.

    Attributes
    ----------
    peak_gops : dict of str to float
        Rate of the fully used machine by operand widths [10^9 operations per second].
    bytes_per_second : float
        Rate of its DRAM interface.
    """

    peak_gops: Mapping[str, float]
    bytes_per_second: float


ROOF_BITS = (2, 4, 8)


def roof_name(bits: int) -> str:
    """Return what a roof of equal widths is called."""
    return f"{bits} × {bits} bit"
