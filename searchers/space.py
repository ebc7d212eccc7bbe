"""What a search may choose: typed knobs, some of which only matter when another has a certain value.

A candidate is a row of numbers, one gene per value to choose: the place of a discrete value in its options, or
a share of the way from low to high of a real one. Algorithms see rows; everything else sees values.

An order, of a loop nest say, has a gene for every letter: its place in the order, 0 first. Any numbers in those genes
are an order, that of the numbers: so an algorithm that works with shares, as CMA-ES does, searches the importance of
every letter as a real number and the most important comes first, as NAAS encodes orders (Lin et al., DAC 2021), and one
that works with places sees permutations.
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


@dataclass(frozen=True, slots=True)
class Order:
    """An order of letters, of which the first ``taken`` matter; the value is a text."""

    letters: str
    taken: int

    @property
    def length(self) -> int:
        """Number of genes: one for every letter."""
        return len(self.letters)

    @property
    def levels(self) -> tuple[int, ...]:
        """Letters there are to choose from when those before have been chosen; 1 where it does not matter."""
        return tuple(self.length - place if place < self.taken else 1 for place in range(self.length))

    def value(self, genes: Genomes) -> str:
        """Return the letters whose genes, shape (letters,), come first."""
        return "".join(self.letters[letter] for letter in np.argsort(genes, kind="stable")[: self.taken])

    def canonical(self, genes: Genomes) -> Genomes:
        """Return the place of every letter, shape (n, letters); those not taken in the order they are written."""
        places = _places(genes)
        return _places(np.minimum(places, self.taken)).astype(float)


def _places(genes: Genomes) -> npt.NDArray[np.int64]:
    """Return each gene's place in its row, smallest first; of equals the first."""
    places: npt.NDArray[np.int64] = np.argsort(np.argsort(genes, axis=1, kind="stable"), axis=1)
    return places


Knob = Element | Vector | Order


def gene_count(knob: Knob) -> int:
    """Return the genes of a knob."""
    return knob.length if isinstance(knob, Vector | Order) else 1


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
    levels : ndarray of int64, shape (genes,)
        Values there are to choose from when the genes before have been chosen: fewer than ``places`` in an order.

    Raises
    ------
    StudyError
        If there is nothing to choose, or a condition refers to no discrete knob declared before.
    """

    def __init__(self, knobs: Mapping[str, Knob], conditions: Mapping[str, Condition] | None = None) -> None:
        self.knobs = dict(knobs)
        self._start: dict[str, int] = {}
        places: list[int] = []
        levels: list[int] = []
        for name, knob in self.knobs.items():
            self._start[name] = len(places)
            if isinstance(knob, Order):
                if len(set(knob.letters)) < knob.length or not 1 <= knob.taken <= knob.length:
                    raise StudyError(
                        "space", name, knob, "different letters, and as many of them taken as there are at most"
                    )
                places += [knob.length] * knob.length
                levels += knob.levels
                continue
            element, length = (knob.element, knob.length) if isinstance(knob, Vector) else (knob, 1)
            if element.places < 0 or (element.places == 0 and not isinstance(element, Real)) or length < 1:
                raise StudyError("space", name, knob, "at least one value")
            if isinstance(element, Choice) and len(set(element.options)) < element.places:
                raise StudyError("space", name, list(element.options), "different values")
            places += [element.places] * length
            levels += [element.places] * length
        if not places:
            raise StudyError("space", "knobs", None, "at least one thing to choose")
        self.places, self.levels = np.array(places, dtype=np.int64), np.array(levels, dtype=np.int64)
        self._orders = [(self.genes(name), knob) for name, knob in self.knobs.items() if isinstance(knob, Order)]
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
        return slice(self._start[name], self._start[name] + gene_count(self.knobs[name]))

    def __len__(self) -> int:
        return len(self.places)

    @property
    def size_log10(self) -> float:
        """Decimal logarithm of the number of discrete candidates, genes that do not matter included."""
        return float(np.log10(np.maximum(self.levels, 1)).sum())

    def active(self, genomes: Genomes) -> npt.NDArray[np.bool_]:
        """Return which genes matter, shape (n, genes)."""
        active = np.ones(genomes.shape, dtype=bool)
        for genes, deciding, accepted in self._conditions:
            values = genomes[:, deciding].astype(np.int64)
            active[:, genes] = accepted[np.arange(len(accepted)), values] & active[:, deciding]
        return active

    def canonical(self, genomes: Genomes) -> Genomes:
        """Return genomes with every gene in range, orders as places, and what does not matter at 0.

        Parameters
        ----------
        genomes : ndarray of float64, shape (n, genes)
        """
        discrete = self.places > 0
        highest = np.where(discrete, self.places - 1, 1)
        inside = np.clip(np.where(discrete, np.round(genomes), genomes), 0, highest)
        for genes, order in self._orders:
            inside[:, genes] = order.canonical(genomes[:, genes])
        return np.where(self.active(inside), inside, 0.0)

    def random(self, shares: Genomes) -> Genomes:
        """Return the genomes that uniform shares 0 <= x < 1, shape (n, genes), stand for.

        Shares of an order are the importance of its letters.
        """
        drawn = np.where(self.places > 0, np.floor(shares * self.places), shares)
        for genes, _ in self._orders:
            drawn[:, genes] = -shares[:, genes]
        return self.canonical(drawn)

    def picked(self, chosen: Sequence[float]) -> list[float]:
        """Return the genes that choices out of ``levels`` stand for, one after another, shape (genes,)."""
        genome = [float(choice) for choice in chosen]
        for genes, order in self._orders:
            left = list(range(order.length))
            for place, choice in enumerate(genome[genes]):
                genome[genes.start + left.pop(int(choice))] = float(place)
        return genome

    def chosen(self, genomes: Genomes, name: str) -> npt.NDArray[np.int64]:
        """Return the places of a discrete knob's chosen values in many candidates, shape (n, length)."""
        return genomes[:, self.genes(name)].astype(np.int64)

    def options(self, name: str) -> npt.NDArray[Any]:
        """Return the values a discrete knob's places stand for."""
        knob = self.knobs[name]
        element = knob.element if isinstance(knob, Vector) else knob
        assert not isinstance(element, Order)  # its values are no list
        return np.array([element.value(place) for place in range(element.places)])

    def candidate(self, genome: Sequence[float] | Genomes) -> Candidate:
        """Return the values a genome, shape (genes,), stands for, by knob."""
        genome = np.asarray(genome, dtype=float)
        return {name: self.value(genome, name) for name in self.knobs}

    def value(self, genome: Genomes, name: str) -> Value | tuple[Value, ...]:
        """Return the value of one knob of a genome, shape (genes,)."""
        knob = self.knobs[name]
        if not isinstance(knob, Vector | Order):
            return knob.value(genome[self._start[name]])
        genes = genome[self.genes(name)]
        if name in self._values:
            values = self._values[name]
            return tuple([values[place] for place in genes.astype(int).tolist()])
        if isinstance(knob, Vector):
            return tuple(knob.element.value(gene) for gene in genes)
        return knob.value(genes)

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
