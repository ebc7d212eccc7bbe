"""What is known of an evaluated point: its quantities, or why it has none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of one candidate: its quantities, or why the machine cannot be built or cannot run it."""

    quantities: dict[str, float]
    reason: str = ""
