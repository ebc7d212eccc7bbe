"""What a machine without a cascade is told to do: attention, and how much of it the machine skips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attention.attention import Attention


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Made by ``mappers.attention_peers.best_plan``.

    Attributes
    ----------
    machine : str
    workload : Attention
    candidates, values : tuple of float
        Of each layer: share of a query's keys that are candidates, and whose values are used.
    """

    machine: str
    workload: Attention
    candidates: tuple[float, ...]
    values: tuple[float, ...]

    def describe(self, part: int) -> str:
        """Say in a few words what a part of a report looks at."""
        layer = part % len(self.values)
        return f"{self.candidates[layer]:.0%} keys, {self.values[layer]:.0%} values"
