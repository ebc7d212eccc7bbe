"""Units of ``docs/sparch.md``, and the row prefetch buffer that decides which of them are found."""

from __future__ import annotations

from dataclasses import dataclass, field

Product = tuple[int, int, int]  # row, column, value


@dataclass(eq=False)
class Element:
    """An element of A: where its row of B goes, and how far it has come."""

    row: int
    slot: int
    b_row: int
    address: int  # in elements
    units: list[Unit] = field(default_factory=list)
    fetched: bool = False


@dataclass(eq=False)
class Unit:
    """What a line of the buffer holds of the row of B that an element of A needs."""

    element: Element
    start: int  # in B's elements
    products: list[Product]
    found: bool = False
    loaded_by: Unit | None = None  # what brought the line; None: an earlier round
    last_user: Unit | None = None  # of the line that is replaced
    prefetched: bool = False
    arrival: int = 0  # of what this unit loads, if it is not found
    multiplied: int = 0
    bypassed: int = 0  # products that a bypass has read, the multiplied ones before it included
    bypass_arrival: int = 0

    @property
    def length(self) -> int:
        return len(self.products)

    @property
    def done(self) -> bool:
        return self.multiplied == self.length

    @property
    def has_bypass(self) -> bool:
        """Whether something that a bypass read, or is reading, waits to be multiplied."""
        return self.bypassed > self.multiplied

    def data_there(self, now: int) -> bool:
        if self.has_bypass:
            return self.bypass_arrival <= now
        return self.loaded_by is None or self.loaded_by.arrival <= now


@dataclass(eq=False)
class Line:
    loaded_by: Unit | None = None
    last_user: Unit | None = None


class Buffer:
    """The lines of rows; of every row the first few, since its last one is replaced first."""

    def __init__(self, lines: int, distance: int, look_ahead: int) -> None:
        self.free = [Line() for _ in range(lines)]
        self.distance = distance
        self.look_ahead = look_ahead
        self.lines_of: dict[int, list[Line]] = {}
        self.last_use: dict[int, int] = {}
        self.element = -1
        self.let_go = -1  # rows last used by this element or one before are not held
        self.first = 0  # element of the round
        self.order: list[int] = []  # rows its elements use

    def decide(self, elements: list[Element]) -> None:
        """Say of all units of a round whether they are found, and what the missed ones replace."""
        for lines in [*self.lines_of.values(), self.free]:
            for line in lines:
                line.loaded_by = line.last_user = None
        self.let_go = self.element
        self.first = self.element + 1
        self.order = [element.b_row for element in elements]
        for element in elements:
            self.element += 1
            self._use(element)

    def _use(self, element: Element) -> None:
        row = element.b_row
        lines = self.lines_of.setdefault(row, [])
        self.last_use[row] = self.element
        passing = False
        for index, unit in enumerate(element.units):
            if index < len(lines) and not passing:
                line = lines[index]
                unit.found, unit.loaded_by = True, line.loaded_by
            else:
                if not passing:
                    if self.free:
                        line = self.free.pop()
                    else:
                        victim = self._victim()
                        passing = victim == row
                        line = self.lines_of[victim].pop()
                    if not passing:
                        lines.append(line)
                unit.loaded_by = unit
                unit.last_user = line.last_user
                line.loaded_by = unit
            line.last_user = unit
        if passing:
            self.free.append(line)

    def _victim(self) -> int:
        """Return the row that loses its last line."""
        present = [row for row, lines in self.lines_of.items() if lines]
        idle = [row for row in present if not self._held(row)]
        if not idle:
            oldest = min(present, key=self.last_use.__getitem__)
            self.let_go = self.last_use[oldest]
            return oldest
        unknown = [row for row in idle if self._next_use(row) is None]
        if unknown:
            return min(unknown, key=self.last_use.__getitem__)
        return max(idle, key=self._next_use)

    def _held(self, row: int) -> bool:
        return self.last_use[row] > max(self.element - self.distance, self.let_go)

    def _next_use(self, row: int) -> int | None:
        now = self.element - self.first
        for ahead in range(now + 1, min(now + self.look_ahead, len(self.order) - 1) + 1):
            if self.order[ahead] == row:
                return ahead
        return None
