"""The search that all machines share, on a machine of the test's own: a table of costs."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest

from mappers.search import IMPOSSIBLE, Found, best_mapping, tile_sizes
from tests.command_line import sextant
from workloads.layers import IntArray


class Table:
    """Costs by three decisions; the bound of some decisions is the least cost below them."""

    def __init__(self, random: np.random.Generator, impossible: float = 0.3) -> None:
        lengths = random.integers(1, 6, 3)
        self.axes = tuple(np.sort(random.choice(50, length, replace=False)) for length in lengths)
        self.costs = random.integers(0, 4, (*lengths, 2))  # few values: many ties
        self.costs[random.random(lengths) < impossible] = IMPOSSIBLE

    def _places(self, choices: IntArray) -> list[tuple[int, ...]]:
        found = []
        for row in choices:
            some_axes = self.axes[: len(row)]
            found.append(tuple(np.searchsorted(axis, value) for axis, value in zip(some_axes, row, strict=True)))
        return found

    def bound(self, begun: IntArray) -> IntArray:
        return np.array([self.costs[place].reshape(-1, 2).min(axis=0) for place in self._places(begun)])

    def cost(self, mappings: IntArray) -> IntArray:
        return np.array([self.costs[place] for place in self._places(mappings)])

    def best(self) -> tuple[int, int, tuple[int, ...]]:
        """The first of the least, looking at all."""
        every = [(*self.costs[place].tolist(), place) for place in product(*(range(len(axis)) for axis in self.axes))]
        return min(every)


@pytest.mark.parametrize("bounded", [True, False])
def test_the_first_of_the_best_is_found(bounded: bool) -> None:
    random = np.random.default_rng(1)
    for _ in range(200):
        table = Table(random)
        found, effort = best_mapping(table, None, bounded=bounded)
        cycles, traffic, place = table.best()
        assert effort.space == np.prod([len(axis) for axis in table.axes])
        possible = int((table.costs[..., 0] < IMPOSSIBLE).sum())
        assert effort.evaluated <= possible if bounded else effort.evaluated == possible
        if cycles == IMPOSSIBLE:
            assert found is None
        else:
            assert found == Found(
                tuple(int(axis[at]) for axis, at in zip(table.axes, place, strict=True)), cycles, traffic
            )


def test_a_start_is_kept_unless_there_is_better() -> None:
    random = np.random.default_rng(2)
    kept = 0
    for _ in range(100):
        table = Table(random, impossible=0)
        start = Found((-1,), *random.integers(0, 2, 2).tolist())
        found, _ = best_mapping(table, start)
        assert found is not None
        if table.best()[:2] < (start.cycles, start.traffic):
            assert (found.cycles, found.traffic) == table.best()[:2]
        else:
            assert found is start
            kept += 1
    assert kept > 10


@pytest.mark.parametrize("step", [1, 3, 16])
def test_tiles_are_the_smallest_of_every_number_and_whole_steps(step: int) -> None:
    for length in (*range(1, 80), 1000, 2**20):
        smallest = {-(-length // number) for number in range(1, min(length, 5000) + 1)}
        smallest |= set(range(1, 200)) & {-(-length // -(-length // size)) for size in range(1, min(length, 200) + 1)}
        sizes = tile_sizes(length, step).tolist()
        whole = {min(length, -(-size // step) * step) for size in smallest}
        assert sizes == sorted(set(sizes))
        assert smallest | whole <= set(sizes)
        assert len(sizes) <= 2 * (2 * length**0.5 + 2)
        if length < 80:
            assert set(sizes) == smallest | whole


@pytest.mark.parametrize("machine", ["bitfusion", "systolic", "bitserial"])
def test_a_report_says_what_was_decided_and_computed(machine: str) -> None:
    arguments = ("simulate", machine, "lenet5-bitfusion", "--set", "mapping=all")
    mapping = json.loads(sextant(*arguments, "--json").out)["mapping"]
    assert mapping["proven_best"] is True
    assert mapping["space"] >= mapping["evaluated"] > 0
    assert len(mapping["layers"]) == 4
    line = f"proven best of {mapping['space']:,}, {mapping['evaluated']:,} of them computed"
    assert line in sextant(*arguments).out
