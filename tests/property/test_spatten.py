"""SpAtten's timing against an oracle that was written from docs/spatten.md and works cycle by cycle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from accel.spatten import PRESETS, Config, model, simulate
from accel.spatten import timing_kernels as timing
from accel.spatten.plan import Integers
from accel.spatten.work import Work, in_eights, run
from mappers.spatten import best_plan, request_plan
from tests.oracles.spatten import Fetch, Layer, Query
from tests.oracles.spatten import run as oracle_run
from tests.property import test_spatten_function as tiny
from workloads.attention.requests import RequestTable

CASES, CASES_A_TEST = 600, 60


def random_config(draw: np.random.Generator) -> Config:
    """Return a machine that is small somewhere; its SRAMs hold what ``random_work`` asks for, not always two of it."""
    return replace(
        PRESETS["paper"],
        multipliers=int(draw.choice([64, 128, 512])),
        sram_bytes=int(draw.choice([24576, 49152, 196608])),
        hbm_channels=int(draw.choice([1, 2, 5, 16])),
        hbm_burst_cycles=int(draw.integers(1, 4)),
        hbm_latency_cycles=int(draw.choice([0, 0, 3, 20])),
        fetch_lanes=int(draw.choice([4, 8, 32])),
        fetch_queue=int(draw.choice([1, 2, 16])),
        requests_in_flight=int(draw.choice([1, 2, 16])),
        recompute_queue=int(draw.choice([2, 4, 16])),
    )


def random_work(config: Config, draw: np.random.Generator) -> Work:
    """Return a tiny layer: whatever rows and fetches can be, whether or not attention would ask for it."""
    head_dim = int(draw.choice([16, 32, 48, 64]))
    late, heads = bool(draw.integers(2)), int(draw.integers(1, 5))
    queries = 1 if late else int(draw.integers(1, 12))
    each = int(draw.choice([1, 1, 8]))
    items = np.sort(draw.choice(80, int(draw.integers(1, 5 if each == 8 else 40)), replace=False))
    count, rows = len(items) * each, heads * queries
    together, low_together = int(draw.integers(1, 3)), int(draw.integers(1, 3))
    group = (np.arange(heads) // together).repeat(queries)
    low = (np.arange(heads) // low_together).repeat(queries)
    members = np.bincount(np.arange(heads) // together)
    keys = np.full(rows, count) if late or draw.integers(2) else draw.integers(1, count + 1, rows)
    values = np.maximum(1, (keys * draw.choice([1.0, 0.5, 0.1])).astype(np.int64))
    decides = bool(draw.integers(2))
    work = Work.of_rows(
        "layer", head_dim, decides=decides, late_values=late, stores_queries=bool(draw.integers(2)), group=group,
        low_job=low, keys=keys, values=values, again=(draw.random(rows) < draw.choice([0, 0.1, 0.5, 1])) & decides,
        select_cycles=np.where(values < keys, draw.integers(0, 60, rows), 0),
    )  # fmt: skip
    line_keys = config.keys_per_cycle(head_dim)
    everything = bool((values == keys).all())
    need = -(-count // line_keys) * members
    add(work, "keys", items, each, draw, len(members), need)
    if late and not everything:
        lists = [np.sort(draw.choice(items, least_items(values[group == number], each, len(items)), replace=False))
                 for number in range(len(members))]  # fmt: skip
        counts = np.array([len(one) for one in lists])
        pointers = np.concatenate(([0], np.cumsum(counts)))
        work.add_jobs(
            "values", np.concatenate(lists), int(draw.integers(1, 4)), count=len(members), pointers=pointers,
            tokens_each=each, need=-(-counts * each // line_keys) * members, in_order=members == 1,
        )  # fmt: skip
    else:
        add(work, "values", items, each, draw, len(members), need, in_order=everything)
    add(work, "low", items, each, draw, int(low[-1]) + 1, 0)
    return work


def least_items(values: Integers, each: int, most: int) -> int:
    """Return how many items hold the values of a group's rows."""
    return min(most, -(-int(values.max()) // each))


def add(
    work: Work, kind: str, items: Integers, each: int, draw: np.random.Generator, count: int, need: int | Integers,
    in_order: bool = True,
) -> None:  # fmt: skip
    """Add fetches of the same items for every group; of tokens, in eights."""
    fetched = in_eights(items, np.array([len(items)]))[0] if each == 1 else items
    work.add_jobs(kind, fetched, int(draw.integers(1, 4)), count=count, tokens_each=each, need=need, in_order=in_order)


def as_layer(work: Work) -> Layer:
    """Return the same layer as the oracle takes it."""

    def fetches(kind: str) -> list[Fetch]:
        return [
            Fetch(
                items=work.tokens[job[timing.TOKENS] :][: job[timing.COUNT]].tolist(),
                bursts=int(job[timing.BURSTS]),
                tokens_each=int(job[timing.TOKENS_EACH]),
                need=int(job[timing.NEED]),
                in_order=bool(job[timing.IN_ORDER]),
            )
            for job in work.jobs[kind]
        ]

    rows = [
        Query(
            group=int(row[timing.GROUP]),
            low_job=int(row[timing.LOW_JOB]),
            keys=int(row[timing.KEYS]),
            values=int(row[timing.VALUES]),
            again=bool(row[timing.AGAIN]),
            select_cycles=int(row[timing.SELECT_CYCLES]),
        )
        for row in work.rows
    ]
    return Layer(
        head_dim=work.head_dim,
        decides=work.decides,
        late_values=work.late_values,
        stores_queries=work.stores_queries,
        rows=rows,
        keys=fetches("keys"),
        values=fetches("values"),
        low=fetches("low"),
    )


def check(case: int) -> None:
    """Run two layers one after the other on the same channels, in both models."""
    draw = np.random.default_rng(case)
    config = random_config(draw)
    start, free = int(draw.integers(0, 50)), np.zeros(config.hbm_channels, np.int64)
    oracle_start, oracle_free = start, [0] * config.hbm_channels
    for _ in range(2):
        work = random_work(config, draw)
        layer = as_layer(work)
        end, stack = run(config, work, start, free)
        oracle_end, oracle_free = oracle_run(config, layer, oracle_start, oracle_free)
        assert end == oracle_end
        assert sum(stack.values()) == end - start
        start, oracle_start = end, oracle_end


@pytest.mark.parametrize("first", range(0, CASES, CASES_A_TEST))
def test_layers_end_in_the_cycle_the_oracle_ends_in(first: int) -> None:
    for case in range(first, first + CASES_A_TEST):
        check(case)


class Beside:
    """Times every layer of a run with the oracle too, on channels of its own."""

    def __init__(self, config: Config, patch: pytest.MonkeyPatch) -> None:
        self.free, self.layers = [0] * config.hbm_channels, 0
        patch.setattr(model, "run", self.run)

    def run(self, config: Config, work: Work, start: int, free: Integers) -> tuple[int, dict[str, int]]:
        layer = as_layer(work)
        end, stack = run(config, work, start, free)
        oracle_end, self.free = oracle_run(config, layer, start, self.free)
        assert (end, free.tolist()) == (oracle_end, self.free)
        self.layers += 1
        return end, stack


@pytest.mark.parametrize("selection", ["none", "window", "heads", "pages", "top_p"])
def test_layers_of_attention_end_as_the_oracles(selection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for case in range(30):
        draw = np.random.default_rng((case, len(selection)))
        config = replace(tiny.random_config(draw, selection), overlap=True, hbm_burst_bytes=32)
        workload = tiny.random_attention(draw, generates=selection != "none" or bool(draw.integers(2)))
        beside = Beside(config, monkeypatch)
        report = simulate(config, best_plan(config, workload), compare=False)
        assert beside.layers == len(report.layers)


def random_table(draw: np.random.Generator) -> RequestTable:
    """Draw requests of a few layers of two steps, of all kinds that published tables have."""
    steps, layers, heads = int(draw.integers(1, 3)), int(draw.integers(1, 3)), int(draw.integers(1, 6))
    step, layer, head = np.unravel_index(np.arange(steps * layers * heads), (steps, layers, heads))
    length = draw.integers(8, 90, len(step))
    keys = draw.integers(1, length + 1)
    values = np.where(draw.random(len(step)) < 0.3, keys, draw.integers(1, keys + 1))
    return RequestTable(
        name="drawn",
        iteration=step,
        layer=layer,
        head=head,
        head_dim=np.full(len(step), draw.choice([32, 64])),
        length=length,
        keys=keys,
        key_bits=draw.choice([4, 6, 8, 12], len(step)) if draw.integers(2) else np.full(len(step), 6),
        requantised=draw.random(len(step)) < draw.choice([0.0, 0.2, 1.0]),
        requant_bits=np.full(len(step), 4),
        values=values,
        value_bits=draw.choice([0, 4, 6, 8], len(step)),
    )


def test_layers_of_requests_end_as_the_oracles(monkeypatch: pytest.MonkeyPatch) -> None:
    for case in range(100):
        draw = np.random.default_rng(case)
        config = random_config(draw)
        beside = Beside(config, monkeypatch)
        plan = request_plan(random_table(draw))
        simulate(config, plan)
        assert beside.layers == len(plan.layers)
