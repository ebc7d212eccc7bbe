"""What is known of an evaluated point: its quantities, or why it has none."""

from __future__ import annotations

from dataclasses import dataclass

BOUND = "a bound: "


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of one candidate: its quantities, or why the machine cannot be built or cannot run it.

    Where corners are pruned, the reason of one with quantities says where it was evaluated.
    """

    quantities: dict[str, float]
    reason: str = ""

    @property
    def is_bound(self) -> bool:
        """Whether the candidate was not evaluated everywhere: it is no better than its quantities, and may be worse."""
        return self.reason.startswith(BOUND)
