"""What the systolic array is told to do."""

from __future__ import annotations

from dataclasses import dataclass

from accel.products import ProductPlan


@dataclass(frozen=True, slots=True)
class Plan(ProductPlan):
    """A network as matrix products, each with a dataflow.

    Attributes
    ----------
    dataflows : tuple of str, length n
        Of every layer: ``os``, ``ws`` or ``is``.
    """

    dataflows: tuple[str, ...]

    def describe(self, index: int) -> str:
        """Say how one layer is laid: M x K x N, how often, and what stays in the units."""
        return f"{ProductPlan.describe(self, index)}, {self.dataflows[index]}"
