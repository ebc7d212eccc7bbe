"""A spatial array's loop nest walked iteration by iteration: what every buffer loads, and who works how long.

Written from docs/spatial.md's description with plain loops: tiles are sets of words, made and compared as such. Loads
stand where a schedule for whole tiles puts them: inside the innermost loop that brings another tile.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

Loop = str
LOOPS = "KCYXRS"
OPERANDS = ("weights", "inputs", "sums")


@dataclass
class Case:
    """A tiny layer, an array and a mapping; every dictionary is by loop."""

    size: dict[Loop, int]
    stride: int
    depthwise: bool
    wide: dict[Loop, int]
    tile: dict[Loop, int]
    steps: dict[Loop, int]
    outer: str
    inner: str


@dataclass
class Counts:
    """Words moved by operand at three places, cycles of the array, multiply-accumulates done."""

    dram: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*OPERANDS, "written"), 0))
    array: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*OPERANDS, "written"), 0))
    elements: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*OPERANDS, "written"), 0))
    cycles: int = 0
    macs: int = 0


Ranges = dict[Loop, range]


def words(case: Case, operand: str, tile: Ranges) -> set[tuple[int, ...]]:
    """Every word of an operand that the iterations of a tile touch."""
    k, c, y, x, r, s = (tile[loop] for loop in LOOPS)
    if operand == "weights":
        return set(product(k, c, r, s))
    if operand == "sums":
        return set(product(k, y, x))
    rows = {row * case.stride + kernel for row in y for kernel in r}
    columns = {column * case.stride + kernel for column in x for kernel in s}
    return set(product(k if case.depthwise else (0,), c, rows, columns))


def depends(case: Case, operand: str, loop: Loop) -> bool:
    return loop in {"weights": "KCRS", "inputs": "KCYXRS" if case.depthwise else "CYXRS", "sums": "KYX"}[operand]


def cut(whole: range, size: int) -> list[range]:
    """Cut a range into parts of a size; the last may be shorter."""
    return [whole[start : start + size] for start in range(0, len(whole), size)]


def many(case: Case, loop: Loop, level: str) -> bool:
    """Whether a loop brings another tile where everything is whole."""
    step = case.tile[loop] * case.wide[loop]
    buffer_tile = step * case.steps[loop]
    if level == "outer":
        return case.size[loop] > buffer_tile
    return min(buffer_tile, case.size[loop]) > step


class Walk:
    """The nest as recursion: a loop a level, with the loads that stand inside it."""

    def __init__(self, case: Case) -> None:
        self.case, self.counts = case, Counts()
        self.nest = [("outer", loop) for loop in case.outer] + [("inner", loop) for loop in case.inner]
        self.depths = {operand: (self.depth(operand, 6), self.depth(operand, 12)) for operand in OPERANDS}
        self.visited: dict[str, set[frozenset[tuple[int, ...]]]] = {"dram": set(), "array": set()}

    def depth(self, operand: str, levels: int) -> int:
        """Loops that run outside the place where an operand is loaded."""
        found = 0
        for place, (level, loop) in enumerate(self.nest[:levels]):
            if depends(self.case, operand, loop) and many(self.case, loop, level):
                found = place + 1
        return found

    def run(self) -> Counts:
        whole = {loop: range(self.case.size[loop]) for loop in LOOPS}
        self.at(0, whole, whole)
        return self.counts

    def at(self, place: int, buffer: Ranges, array: Ranges) -> None:
        """Load what is loaded here, then run the next loop; both ranges are cut as far as loops have run."""
        for operand in OPERANDS:
            if self.depths[operand][0] == place:
                self.load_buffer(operand, buffer)
            if self.depths[operand][1] == place:
                self.load_array(operand, buffer, array)
        if place == len(self.nest):
            self.step(array)
            return
        level, loop = self.nest[place]
        step = self.case.tile[loop] * self.case.wide[loop]
        if level == "outer":
            for part in cut(buffer[loop], step * self.case.steps[loop]):
                self.at(place + 1, buffer | {loop: part}, array | {loop: part})
        else:
            for part in cut(array[loop], step):
                self.at(place + 1, buffer, array | {loop: part})

    def first_tile(self, ranges: Ranges, size: dict[Loop, int]) -> Ranges:
        """Cut the loops that have not run to the first tile: for those an operand depends on, it is the only one."""
        return {loop: part[: size[loop]] for loop, part in ranges.items()}

    def load_buffer(self, operand: str, buffer: Ranges) -> None:
        case = self.case
        tiles = {loop: case.tile[loop] * case.wide[loop] * case.steps[loop] for loop in LOOPS}
        tile = words(case, operand, self.first_tile(buffer, tiles))
        self.move("dram", operand, tile)

    def load_array(self, operand: str, buffer: Ranges, array: Ranges) -> None:
        case = self.case
        first = self.first_tile(array, {loop: case.tile[loop] * case.wide[loop] for loop in LOOPS})
        again = self.move("array", operand, words(case, operand, first))
        parts = [cut(first[loop], case.tile[loop]) for loop in LOOPS]
        arrived = sum(len(words(case, operand, dict(zip(LOOPS, part, strict=True)))) for part in product(*parts))
        if operand == "sums":
            self.counts.elements["written"] += arrived
            self.counts.elements["sums"] += again
        else:
            self.counts.elements[operand] += arrived

    def move(self, where: str, operand: str, tile: set[tuple[int, ...]]) -> int:
        """Count a tile that is loaded; of sums one that leaves, and comes before if it was here. Return what came."""
        counts: dict[str, int] = getattr(self.counts, where)
        came = len(tile)
        if operand == "sums":
            counts["written"] += len(tile)
            key = frozenset(tile)
            came = len(tile) if key in self.visited[where] else 0
            self.visited[where].add(key)
        counts[operand] += came
        return came

    def step(self, array: Ranges) -> None:
        """Let all elements work on their tiles of one step."""
        parts = [[len(part) for part in cut(array[loop], self.case.tile[loop])] for loop in LOOPS]
        work = []
        for k, c, y, x, r, s in product(*parts):
            work.append(k * c * y * x * r * s)
        self.counts.cycles += max(work)
        self.counts.macs += sum(work)


def loaded_when_not_held(case: Case) -> list[int]:
    """Words of weights and inputs that buffer and array load if they look before every step which tile they hold."""
    loaded = {(where, operand): 0 for where in ("buffer", "array") for operand in OPERANDS[:2]}
    held: dict[tuple[str, str], list[range]] = {}
    whole = {loop: range(case.size[loop]) for loop in LOOPS}
    step = {loop: case.tile[loop] * case.wide[loop] for loop in LOOPS}
    buffers = [cut(whole[loop], step[loop] * case.steps[loop]) for loop in case.outer]
    for outer in product(*buffers):
        buffer = dict(zip(case.outer, outer, strict=True))
        for inner in product(*(cut(buffer[loop], step[loop]) for loop in case.inner)):
            array = dict(zip(case.inner, inner, strict=True))
            for (where, operand), so_far in loaded.items():
                ranges = buffer if where == "buffer" else array
                tile = [ranges[loop] for loop in LOOPS if depends(case, operand, loop)]
                if held.get((where, operand)) != tile:
                    held[where, operand] = tile
                    loaded[where, operand] = so_far + len(words(case, operand, ranges))
    return list(loaded.values())
