"""What a search may choose: typed knobs, some of which only matter when another has a certain value.

A candidate is a row of numbers, one gene per value to choose: the place of a discrete value in its options, or
a share of the way from low to high of a real one. Algorithms see rows; everything else sees values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workloads.errors import StudyError

Genomes = npt.NDArray[np.float64]
Value = int | float | bool | str
Candidate = dict[str, "Value | tuple[Value, ...]"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some values, in the order given; neighbours are assumed to be alike."""

    options: tuple[Value, ...]

    @property
    def places(self) -> int:
        """Number of values."""
        return len(self.options)

    def value(self, gene: float) -> Value:
        """Return the value a gene stands for."""
        return self.options[int(gene)]


@dataclass(frozen=True, slots=True)
class Integer:
    """Whole numbers from ``low`` to ``high``, every ``step``."""

    low: int
    high: int
    step: int = 1

    @property
    def places(self) -> int:
        """Number of values."""
        return max(0, (self.high - self.low) // self.step + 1)

    def value(self, gene: float) -> Value:
        """Return the value a gene stands for."""
        return self.low + int(gene) * self.step


@dataclass(frozen=True, slots=True)
class Real:
    """Numbers from ``low`` to ``high``; ``log`` spreads them evenly over orders of magnitude."""

    low: float
    high: float
    log: bool = False

    @property
    def places(self) -> int:
        """Number of values: 0 says that there is a continuum, -1 that there is none."""
        return 0 if self.low < self.high and (self.low > 0 or not self.log) else -1

    def value(self, gene: float) -> Value:
        """Return the value a gene, 0..1, stands for; the ends are exact."""
        if gene <= 0.0 or gene >= 1.0:
            return self.low if gene <= 0.0 else self.high
        if self.log:
            value = math.exp(math.log(self.low) + gene * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + gene * (self.high - self.low)
        return min(max(value, self.low), self.high)


Element = Choice | Integer | Real


@dataclass(frozen=True, slots=True)
class Vector:
    """The same knob once per layer, block or stage."""

    element: Element
    length: int


Knob = Element | Vector


@dataclass(frozen=True, slots=True)
class Condition:
    """When the genes of a knob matter.

    Attributes
    ----------
    knob : str
        A discrete knob declared before.
    places : tuple of int
        For every gene of the conditional knob, which gene of ``knob`` decides.
    accepted : tuple of frozenset
        For every gene of the conditional knob, the values of that gene for which it matters.
    """

    knob: str
    places: tuple[int, ...]
    accepted: tuple[frozenset[Value], ...]


class Space:
    """All candidates of a study.

    Parameters
    ----------
    knobs : mapping of str to Knob
        In the order of their genes.
    conditions : mapping of str to Condition
        Knobs that do not always matter. A gene that does not matter is kept at 0, so that designs that are the
        same have the same genome.

    Attributes
    ----------
    places : ndarray of int64, shape (genes,)
        Number of values of each gene, 0 for a real one.

    Raises
    ------
    StudyError
        If there is nothing to choose, or a condition refers to no discrete knob declared before.
    """

    def __init__(self, knobs: Mapping[str, Knob], conditions: Mapping[str, Condition] | None = None) -> None:
        self.knobs = dict(knobs)
        self._start: dict[str, int] = {}
        places: list[int] = []
        for name, knob in self.knobs.items():
            element, length = (knob.element, knob.length) if isinstance(knob, Vector) else (knob, 1)
            if element.places < 0 or (element.places == 0 and not isinstance(element, Real)) or length < 1:
                raise StudyError("space", name, knob, "at least one value")
            if isinstance(element, Choice) and len(set(element.options)) < element.places:
                raise StudyError("space", name, list(element.options), "different values")
            self._start[name] = len(places)
            places += [element.places] * length
        if not places:
            raise StudyError("space", "knobs", None, "at least one thing to choose")
        self.places = np.array(places, dtype=np.int64)
        self._values = {
            name: tuple(knob.element.value(place) for place in range(knob.element.places))
            for name, knob in self.knobs.items()
            if isinstance(knob, Vector) and not isinstance(knob.element, Real)
        }
        conditions = conditions or {}
        for name, condition in conditions.items():
            if name not in self.knobs:
                raise StudyError("space", f"condition of {name}", condition.knob, "a knob of the space")
        # A knob is decided after the one it hangs on, which is declared before it.
        self._conditions = [self._compile(name, conditions[name]) for name in self.knobs if name in conditions]

    def _compile(self, name: str, condition: Condition) -> tuple[slice, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Turn a condition into the genes it is about, the genes that decide, and a table of what they accept."""
        parent = self.knobs.get(condition.knob)
        element = parent.element if isinstance(parent, Vector) else parent
        if not isinstance(element, Choice | Integer) or self._start[condition.knob] >= self._start[name]:
            raise StudyError("space", f"condition of {name}", condition.knob, "a discrete knob declared before")
        genes, parent_genes = self.genes(name), self.genes(condition.knob)
        deciding = self._start[condition.knob] + np.array(condition.places, dtype=np.int64)
        values = [element.value(place) for place in range(element.places)]
        accepted = np.array([[value in allowed for value in values] for allowed in condition.accepted])
        if len(deciding) != genes.stop - genes.start or len(accepted) != len(deciding):
            raise StudyError("space", f"condition of {name}", len(deciding), f"{genes.stop - genes.start} places")
        if deciding.min() < parent_genes.start or deciding.max() >= parent_genes.stop:
            raise StudyError("space", f"condition of {name}", condition.places, f"places of {condition.knob}")
        return genes, deciding, accepted

    def genes(self, name: str) -> slice:
        """Return where a knob's genes stand."""
        knob = self.knobs[name]
        length = knob.length if isinstance(knob, Vector) else 1
        return slice(self._start[name], self._start[name] + length)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def size_log10(self) -> float:
        """Decimal logarithm of the number of discrete candidates, genes that do not matter included."""
        return float(np.log10(np.maximum(self.places, 1)).sum())

    def active(self, genomes: Genomes) -> npt.NDArray[np.bool_]:
        """Return which genes matter, shape (n, genes)."""
        active = np.ones(genomes.shape, dtype=bool)
        for genes, deciding, accepted in self._conditions:
            values = genomes[:, deciding].astype(np.int64)
            active[:, genes] = accepted[np.arange(len(accepted)), values] & active[:, deciding]
        return active

    def canonical(self, genomes: Genomes) -> Genomes:
        """Return genomes with every gene in range and those that do not matter at 0.

        Parameters
        ----------
        genomes : ndarray of float64, shape (n, genes)
        """
        discrete = self.places > 0
        highest = np.where(discrete, self.places - 1, 1)
        inside = np.clip(np.where(discrete, np.round(genomes), genomes), 0, highest)
        return np.where(self.active(inside), inside, 0.0)

    def random(self, shares: Genomes) -> Genomes:
        """Return the genomes that uniform shares 0 <= x < 1, shape (n, genes), stand for."""
        return self.canonical(np.where(self.places > 0, np.floor(shares * self.places), shares))

    def chosen(self, genomes: Genomes, name: str) -> npt.NDArray[np.int64]:
        """Return the places of a discrete knob's chosen values in many candidates, shape (n, length)."""
        return genomes[:, self.genes(name)].astype(np.int64)

    def options(self, name: str) -> npt.NDArray[Any]:
        """Return the values a discrete knob's places stand for."""
        knob = self.knobs[name]
        element = knob.element if isinstance(knob, Vector) else knob
        return np.array([element.value(place) for place in range(element.places)])

    def candidate(self, genome: Sequence[float] | Genomes) -> Candidate:
        """Return the values a genome, shape (genes,), stands for, by knob."""
        genome = np.asarray(genome, dtype=float)
        chosen: Candidate = {}
        for name, knob in self.knobs.items():
            genes = genome[self.genes(name)]
            if name in self._values:
                values = self._values[name]
                chosen[name] = tuple([values[place] for place in genes.astype(int).tolist()])
            elif isinstance(knob, Vector):
                chosen[name] = tuple(knob.element.value(gene) for gene in genes)
            else:
                chosen[name] = knob.value(genes[0])
        return chosen

    def genome(self, candidate: Mapping[str, object]) -> Genomes:
        """Return the genome, shape (genes,), that stands for discrete values by knob; genes of other knobs are 0.

        Raises
        ------
        ValueError
            If a value is none that can be chosen.
        """
        genome = np.zeros(len(self))
        for name, value in candidate.items():
            options, parts = self.options(name).tolist(), value if isinstance(value, tuple) else (value,)
            genome[self.genes(name)] = [options.index(part) for part in parts]
        return genome
