"""A layer's work, ready to be timed: rows, what memory is asked for them, and how long that takes.

``run`` goes through it event by event; ``plain_sum`` adds up its parts, as the authors' behaviour model does.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from accel.spatten import timing_kernels as timing
from accel.spatten.config import OPERAND_BITS, TOKEN_BLOCK, Config
from accel.spatten.plan import Integers
from workloads.errors import ConfigError
from workloads.units import BITS_PER_BYTE

IDLE_LATENCY = timing.QK_LATENCY + timing.SUM_LATENCY + timing.PROBABILITY_LATENCY + timing.PV_LATENCY
KINDS = ("keys", "values", "low")
DECISION = 1 + timing.DECISION_LATENCY


@dataclass(slots=True)
class Work:
    """What a layer computes and fetches; made by ``of_rows`` and ``add_jobs``.

    Attributes
    ----------
    name : str
    head_dim : int
    decides : bool
        Whether rows wait for the decision on their keys' low bits.
    late_values : bool
        Whether values are fetched once it is known which: where a head has a single row.
    stores_queries : bool
        Whether queries come from memory and outputs go there.
    rows : ndarray of int64, shape (rows, ROW_COLUMNS)
    """

    name: str
    head_dim: int
    decides: bool
    late_values: bool
    stores_queries: bool
    rows: Integers
    jobs: dict[str, Integers] = field(
        default_factory=lambda: {kind: np.zeros((0, timing.JOB_COLUMNS), np.int64) for kind in KINDS}
    )
    tokens: Integers = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def of_rows(
        cls, name: str, head_dim: int, *, decides: bool, late_values: bool, stores_queries: bool,
        group: Integers, low_job: Integers, keys: Integers, values: Integers, again: npt.NDArray[np.bool_],
        select_cycles: Integers,
    ) -> Work:  # fmt: skip
        """Begin a layer with its rows, each array (rows,); ``low_job`` counts among the jobs for low bits."""
        rows = np.zeros((len(keys), timing.ROW_COLUMNS), np.int64)
        for column, values_of_it in (
            (timing.GROUP, group), (timing.LOW_JOB, low_job), (timing.KEYS, keys), (timing.VALUES, values),
            (timing.AGAIN, again), (timing.SELECT_CYCLES, select_cycles), (timing.LAST, timing.NEVER),
        ):  # fmt: skip
            rows[:, column] = values_of_it
        return cls(name, head_dim, decides, late_values, stores_queries, rows)

    def add_jobs(
        self,
        kind: str,
        tokens: Integers,
        bursts: int | Integers,
        *,
        count: int,
        pointers: Integers | None = None,
        tokens_each: int = 1,
        need: int | Integers = 0,
        in_order: bool | npt.NDArray[np.bool_] = True,
    ) -> None:
        """Add fetches of a kind: ``keys`` and ``values``, one for each group, or ``low`` bits.

        Parameters
        ----------
        kind : str
        tokens : ndarray of int64
            What every one of them fetches; with ``pointers``, of shape (count + 1,), where each one's begin.
        bursts : int or ndarray
            Of an item.
        count : int
            How many fetches.
        tokens_each : int
            Consecutive tokens of an item.
        need : int or ndarray
            Lines it takes in its SRAM.
        in_order : bool or ndarray
            Whether rows use its items from the first on.
        """
        jobs = np.zeros((count, timing.JOB_COLUMNS), np.int64)
        begins = np.zeros(count, np.int64) if pointers is None else pointers[:-1]
        jobs[:, timing.TOKENS] = len(self.tokens) + begins
        jobs[:, timing.COUNT] = len(tokens) if pointers is None else np.diff(pointers)
        jobs[:, timing.TOKENS_EACH], jobs[:, timing.BURSTS] = tokens_each, bursts
        jobs[:, timing.NEED], jobs[:, timing.IN_ORDER] = need, in_order
        jobs[:, timing.READY], jobs[:, timing.RELEASE] = timing.NEVER, timing.NEVER
        self.jobs[kind] = jobs
        self.tokens = np.concatenate((self.tokens, tokens))

    def bursts(self, kind: str) -> Integers:
        """Bursts of every job of a kind; of low bits only those that rows ask for."""
        jobs = self.jobs[kind]
        total = jobs[:, timing.COUNT] * jobs[:, timing.BURSTS]
        if kind == "low":
            asked = np.unique(self.rows[self.rows[:, timing.AGAIN] > 0, timing.LOW_JOB])
            total = total[asked]
        return total

    def vector_bytes(self) -> int:
        """Bytes of a row's query, or its output; 0 where they do not go through memory."""
        return OPERAND_BITS * self.head_dim // BITS_PER_BYTE if self.stores_queries else 0

    def dram_bytes(self, config: Config) -> dict[str, int]:
        """Bytes of every stream."""
        rows = -(-len(self.rows) * self.vector_bytes() // config.hbm_burst_bytes)
        return {
            stream: int(bursts) * config.hbm_burst_bytes
            for stream, bursts in (
                ("q_read", rows),
                ("k_msb_read", self.bursts("keys").sum()),
                ("k_lsb_read", self.bursts("low").sum()),
                ("v_read", self.bursts("values").sum()),
                ("output_write", rows),
            )
        }


def run(config: Config, work: Work, start: int, free: Integers) -> tuple[int, dict[str, int]]:
    """Run a layer event by event; return when it ends, -1 if it never does, and its cycle stack.

    Parameters
    ----------
    config : Config
    work : Work
    start : int
        Cycle it may begin in.
    free : ndarray of int64, shape (hbm_channels,)
        Cycle each channel is free in; changed.

    Raises
    ------
    ConfigError
        If a head's keys or values do not fit an SRAM.
    """
    _check_srams(config, work)
    line_keys, groups = config.keys_per_cycle(work.head_dim), len(work.jobs["keys"])
    jobs = np.concatenate([work.jobs[kind] for kind in KINDS])
    lines = -(-jobs[:, timing.COUNT] * jobs[:, timing.TOKENS_EACH] // line_keys)
    jobs[:, timing.LINES] = np.cumsum(lines) - lines
    jobs[: groups if work.late_values else 2 * groups, timing.READY] = start
    rows = work.rows
    rows[:, timing.LOW_JOB] += 2 * groups
    users = np.bincount(rows[:, timing.GROUP], minlength=groups)
    jobs[: 2 * groups, timing.ROWS_LEFT] = np.tile(users, 2)
    vector = work.vector_bytes()
    blocks = -(-len(rows) * vector // (config.fetch_lanes * config.hbm_burst_bytes))
    stack = np.zeros(len(timing.CAUSES), np.int64)
    arrivals = np.zeros(lines.sum(), np.int64)
    end = timing.run_layer(
        start, groups, _machine(config, work), rows, jobs, work.tokens, arrivals, np.zeros(max(1, blocks), np.int64),
        np.zeros(len(rows), np.int64), np.zeros(len(jobs), np.int64), np.zeros((len(rows), 3), np.int64),
        np.zeros(timing.STREAMS, np.int64), free, stack, np.zeros(timing.STATE_SIZE, np.int64),
    )  # fmt: skip
    return int(end), dict(zip(timing.CAUSES, stack.tolist(), strict=True))


def _machine(config: Config, work: Work) -> Integers:
    values = {
        "channels": config.hbm_channels,
        "burst_cycles": config.hbm_burst_cycles,
        "latency": config.hbm_latency_cycles,
        "fetch_lanes": config.fetch_lanes,
        "fetch_queue": config.fetch_queue,
        "line_keys": config.keys_per_cycle(work.head_dim),
        "softmax_lanes": config.softmax_lanes,
        "sram_lines": config.sram_lines,
        "in_flight": config.requests_in_flight,
        "recompute_queue": config.recompute_queue,
        "decides": work.decides,
        "late_values": work.late_values,
        "burst_bytes": config.hbm_burst_bytes,
        "query_bytes": work.vector_bytes(),
        "output_bytes": work.vector_bytes(),
    }
    return np.array([values[name] for name in timing.MACHINE], np.int64)


def _check_srams(config: Config, work: Work) -> None:
    lane_group = config.fetch_lanes * config.hbm_burst_bytes
    if work.vector_bytes() > lane_group:
        need = f"at least {-(-work.vector_bytes() // config.hbm_burst_bytes)}: a query comes in one lane group"
        raise ConfigError("spatten", "fetch_lanes", config.fetch_lanes, need)
    check_fits(config, work.name, max(int(work.jobs[kind][:, timing.NEED].max()) for kind in ("keys", "values")))


def check_fits(config: Config, name: str, lines: int) -> None:
    """Check that an SRAM holds what a layer of this name fetches at once.

    Raises
    ------
    ConfigError
        If it has fewer lines.
    """
    if lines > config.sram_lines:
        line_bytes = OPERAND_BITS * config.multipliers // BITS_PER_BYTE
        need = f"at least {lines * line_bytes} to hold what {name} fetches at once: a longer context does not fit"
        raise ConfigError("spatten", "sram_bytes", config.sram_bytes, need)


def unit_cycles(config: Config, work: Work) -> dict[str, int]:
    """Return the cycles every unit is busy, whatever it waits for in between."""
    rows, lanes = work.rows, config.softmax_lanes
    passes = 1 + rows[:, timing.AGAIN]
    keys_per_cycle = config.keys_per_cycle(work.head_dim)
    return {
        "qk_cycles": int((_ceil(rows[:, timing.KEYS], keys_per_cycle) * passes).sum()),
        "softmax_cycles": int((_ceil(rows[:, timing.KEYS], lanes) * passes).sum()),
        "topk_cycles": int(rows[:, timing.SELECT_CYCLES].sum()),
        "pv_cycles": int(_ceil(rows[:, timing.VALUES], keys_per_cycle).sum()),
    }


def plain_sum(config: Config, work: Work) -> tuple[int, dict[str, int]]:
    """Add up what fetching, filling, selecting and draining take, as if nothing overlapped.

    Source: the behaviour model in the authors' release: fetches use every channel in every cycle; queries and outputs,
    and the latency of memory, cost nothing; a layer drains once. Here a row that is computed again, which that
    model does not know, drains for itself both times, and deciding and putting out what was selected drain too.
    """
    _check_srams(config, work)
    rows = work.rows
    beats = _ceil(rows[:, timing.KEYS], min(config.keys_per_cycle(work.head_dim), config.softmax_lanes))
    again = rows[:, timing.AGAIN] > 0
    fetches = {
        kind: int(_ceil(work.bursts(kind), config.hbm_channels).sum()) * config.hbm_burst_cycles for kind in work.jobs
    }
    drain = IDLE_LATENCY + int(beats.max())
    if work.decides:
        drain += DECISION + int(beats.max())
    if rows[:, timing.SELECT_CYCLES].any():
        drain += int(_ceil(rows[:, timing.VALUES], config.softmax_lanes).max())
    stack = dict.fromkeys(timing.CAUSES, 0)
    stack["k_msb_read"], stack["k_lsb_read"], stack["v_read"] = fetches["keys"], fetches["low"], fetches["values"]
    stack["qk"] = int(beats.sum())
    stack["softmax"] = int((IDLE_LATENCY + DECISION + 2 * beats[again]).sum())
    stack["topk"] = int(rows[:, timing.SELECT_CYCLES].sum())
    stack["pipeline"] = drain
    return sum(stack.values()), stack


def in_eights(tokens: Integers, counts: Integers) -> tuple[Integers, Integers]:
    """Return what is fetched for some lists of tokens, in eights: those behind the last one fill up; and its pointers.

    Parameters
    ----------
    tokens : ndarray of int64, shape (all tokens,)
        One list after the other, each rising.
    counts : ndarray of int64, shape (lists,)
        How many are on each list; at least one.
    """
    fetched = _ceil(counts, TOKEN_BLOCK) * TOKEN_BLOCK
    pointers = np.concatenate(([0], np.cumsum(fetched)))
    if (fetched == counts).all():
        return tokens, pointers
    ends = np.cumsum(counts)
    beyond = np.arange(pointers[-1]) - (pointers[:-1] + counts).repeat(fetched)  # from 0 on behind each list
    filled = tokens[ends - 1].repeat(fetched) + 1 + beyond
    filled[beyond < 0] = tokens
    return filled, pointers


def fused(heads: Integers, together: int) -> tuple[Integers, Integers]:
    """Return the number of the group that each of some heads (heads,), rising, is in, and how many each group has."""
    if together == 1:
        return np.arange(len(heads)), np.ones(len(heads), np.int64)
    stored = heads // together
    group = np.concatenate(([0], np.cumsum(stored[1:] > stored[:-1])))
    return group, np.bincount(group)


def _ceil(a: Integers, b: int) -> Integers:
    return -(-a // b)
