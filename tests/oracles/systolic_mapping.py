"""Products mapped on the systolic array, one tile after the other: the slow, obvious model of ``docs/systolic.md``.

Every memory is a set of the tiles that lie in it, every tile a step with something to fetch, to compute and to store.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from itertools import product as every

SUM_BITS = 32
ORDERS = list(permutations("mnk"))
INDEXED = {"left": "mk", "right": "kn", "sums": "mn"}

Place = dict[str, int]


@dataclass(frozen=True)
class Problem:
    """A product with its widths, what stays in the units (os, ws, is), and the machine."""

    size: dict[str, int]
    bits: dict[str, int]
    dataflow: str
    rows: int
    columns: int
    half_bits: int
    width: int


@dataclass(frozen=True)
class Mapping:
    tile: dict[str, int]
    order: tuple[str, ...]


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def transposed(problem: Problem, mapping: Mapping) -> tuple[Problem, Mapping]:
    """An input-stationary product is a weight-stationary one of the transposed matrices."""
    other = {"m": "n", "n": "m", "k": "k"}
    size = {other[name]: value for name, value in problem.size.items()}
    bits = {"left": problem.bits["right"], "right": problem.bits["left"]}
    turned = Problem(size, bits, "ws", problem.rows, problem.columns, problem.half_bits, problem.width)
    tile = {other[name]: value for name, value in mapping.tile.items()}
    return turned, Mapping(tile, tuple(other[name] for name in mapping.order))


def sides(problem: Problem) -> dict[str, int]:
    """How much of a dimension a fold holds; the rest of them pass by."""
    return {
        "os": {"m": problem.rows, "n": problem.columns},
        "ws": {"k": problem.rows, "n": problem.columns},
        "is": {"k": problem.rows, "m": problem.columns},
    }[problem.dataflow]


def published(problem: Problem) -> Mapping:
    """A fold after the other; the dimension that is not cut is innermost."""
    order = {"os": "mnk", "ws": "knm", "is": "kmn"}[problem.dataflow]
    side = sides(problem)
    return Mapping({name: min(size, side.get(name, size)) for name, size in problem.size.items()}, tuple(order))


def sizes(length: int, step: int) -> list[int]:
    """The smallest tile of every number of tiles, and that in whole steps of the array."""
    smallest = {ceil_div(length, number) for number in range(1, length + 1)}
    return sorted(smallest | {min(length, ceil_div(size, step) * step) for size in smallest})


def mappings(problem: Problem) -> Iterator[Mapping]:
    """All there are; what does not fit is left out."""
    side = sides(problem)
    choices = [sizes(problem.size[name], side.get(name, 1)) for name in "mnk"]
    for tile, order in every(every(*choices), ORDERS):
        mapping = Mapping(dict(zip("mnk", tile, strict=True)), order)
        if fits(problem, mapping):
            yield mapping


def width_of(problem: Problem, operand: str) -> int:
    return problem.bits.get(operand, SUM_BITS)


def fits(problem: Problem, mapping: Mapping) -> bool:
    if all(mapping.tile[name] <= side for name, side in sides(problem).items()):
        return True  # a single fold
    nowhere = dict.fromkeys("mnk", 0)
    return all(part_bits(problem, mapping, operand, nowhere, 0) <= problem.half_bits for operand in INDEXED)


def extent(problem: Problem, mapping: Mapping, name: str, index: int) -> int:
    return min(mapping.tile[name], problem.size[name] - index * mapping.tile[name])


def part_bits(problem: Problem, mapping: Mapping, operand: str, place: Place, inner: int) -> int:
    """Bits of an operand that the innermost loops pass over, the others standing at a place."""
    bits = width_of(problem, operand)
    for name in INDEXED[operand]:
        whole = name in mapping.order[3 - inner :]
        bits *= problem.size[name] if whole else extent(problem, mapping, name, place[name])
    return bits


def loops_held(problem: Problem, mapping: Mapping, operand: str, place: Place) -> int | None:
    """The largest part that fits half of the memory, as inner loops; None if the tile at a place does not fit."""
    for start in (dict.fromkeys("mnk", 0), place):  # a full tile decides, unless it does not fit
        fitting = []
        for inner in range(4):
            if part_bits(problem, mapping, operand, start, inner) > problem.half_bits:
                break
            fitting.append(inner)
        if fitting:
            return fitting[-1]
    return None


def cost(problem: Problem, mapping: Mapping) -> dict[str, int]:
    """Cycles, folds and traffic of a product."""
    if problem.dataflow == "is":
        return cost(*transposed(problem, mapping))
    loops = [range(ceil_div(problem.size[name], mapping.tile[name])) for name in mapping.order]
    places = [dict(zip(mapping.order, index, strict=True)) for index in every(*loops)]
    fetch, store = [0] * len(places), [0] * len(places)
    for operand, indices in INDEXED.items():
        # A visit is a tile in the half it lies in: a new half whenever a loop outside of what is held moves on.
        visits = []
        for step, place in enumerate(places):
            inner = loops_held(problem, mapping, operand, place)
            half = (step,) if inner is None else tuple(place[name] for name in mapping.order[: 3 - inner])
            visits.append((half, tuple(place[name] for name in indices)))
        first = {visit: step for step, visit in reversed(list(enumerate(visits)))}
        last = {visit: step for step, visit in enumerate(visits)}
        begun = set()
        for step, (visit, place) in enumerate(zip(visits, places, strict=True)):
            bits = part_bits(problem, mapping, operand, place, 0)
            if operand != "sums":
                fetch[step] += bits if first[visit] == step else 0
                continue
            if first[visit] == step and visit[1] in begun:
                fetch[step] += bits
            begun.add(visit[1])
            store[step] += bits if last[visit] == step else 0
    compute = [tile_cycles(problem, mapping, place) for place in places]
    total = ceil_div(fetch[0], problem.width) + ceil_div(store[-1], problem.width)
    for step, (_, cycles) in enumerate(compute):
        port = ceil_div(store[step - 1], problem.width) if step else 0
        port += ceil_div(fetch[step + 1], problem.width) if step + 1 < len(places) else 0
        total += max(cycles, port)
    busy = sum(cycles for _, cycles in compute)
    return {
        "compute_cycles": busy,
        "stall_cycles": total - busy,
        "read_bits": sum(fetch),
        "write_bits": sum(store),
        "folds": sum(folds for folds, _ in compute),
    }


def tile_cycles(problem: Problem, mapping: Mapping, place: Place) -> tuple[int, int]:
    """Folds of a tile, and the cycles they take."""
    side, folds = sides(problem), 1
    for name, most in side.items():
        folds *= len(range(0, extent(problem, mapping, name, place[name]), most))
    (along,) = set("mnk") - set(side)
    loading = 0 if problem.dataflow == "os" else problem.rows
    steps = extent(problem, mapping, along, place[along])
    return folds, folds * (steps + loading + problem.rows + problem.columns - 2)


def best(problem: Problem) -> tuple[int, int]:
    """Cycles and traffic of the best mapping there is."""
    found = []
    for mapping in mappings(problem):
        count = cost(problem, mapping)
        cycles, traffic = (
            count[a] + count[b] for a, b in (("compute_cycles", "stall_cycles"), ("read_bits", "write_bits"))
        )
        found.append((cycles, traffic))
    return min(found)
