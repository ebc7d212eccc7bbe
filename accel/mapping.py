"""Which mappings the layers of a machine may have, and how far the search for the best of them went."""

from __future__ import annotations

from dataclasses import dataclass

PUBLISHED, ALL = MAPPINGS = ("published", "all")


@dataclass(frozen=True, slots=True)
class SearchEffort:
    """How large a search was whose answer is proven best.

    Attributes
    ----------
    space : int
        Mappings decided: all of the stated space, over all layers.
    evaluated : int
        Of them those whose cost was computed; the others were proven equal or worse.
    """

    space: int
    evaluated: int

    def __add__(self, other: SearchEffort) -> SearchEffort:
        return SearchEffort(self.space + other.space, self.evaluated + other.evaluated)

    def describe(self) -> str:
        """Say it in a line."""
        return f"proven best of {self.space:,}, {self.evaluated:,} of them computed"
