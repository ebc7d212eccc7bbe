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
DECISION = 1 + timing.DECISION_LATENCY


@dataclass(slots=True)
class Work:
    """What a layer computes and fetches; filled by ``add_rows`` and ``add_job``.

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
    jobs: dict[str, list[list[int]]] = field(default_factory=lambda: {"keys": [], "values": [], "low": []})
    _tokens: list[Integers] = field(default_factory=list)
    _places: dict[int, int] = field(default_factory=dict)
    _held: int = 0

    @classmethod
    def of_rows(
        cls, name: str, head_dim: int, *, decides: bool, late_values: bool, stores_queries: bool,
        group: Integers, low_job: Integers, keys: Integers, values: Integers, again: npt.NDArray[np.bool_],
        select_cycles: Integers,
    ) -> Work:  # fmt: skip
        """Begin a layer with its rows; ``low_job`` counts among the jobs for low bits."""
        rows = np.zeros((len(keys), timing.ROW_COLUMNS), np.int64)
        for column, values_of_it in (
            (timing.GROUP, group), (timing.LOW_JOB, low_job), (timing.KEYS, keys), (timing.VALUES, values),
            (timing.AGAIN, again), (timing.SELECT_CYCLES, select_cycles), (timing.LAST, timing.NEVER),
        ):  # fmt: skip
            rows[:, column] = values_of_it
        return cls(name, head_dim, decides, late_values, stores_queries, rows)

    def add_job(
        self, kind: str, tokens: Integers, bursts: int, *, tokens_each: int = 1, need: int = 0, in_order: bool = True
    ) -> None:
        """Add the fetch of some tokens, or items of ``tokens_each`` consecutive ones, ``bursts`` each."""
        place = self._places.get(id(tokens))
        if place is None:
            place = self._places[id(tokens)] = self._held
            self._tokens.append(tokens)
            self._held += len(tokens)
        job = [0] * timing.JOB_COLUMNS
        job[timing.TOKENS], job[timing.COUNT], job[timing.TOKENS_EACH] = place, len(tokens), tokens_each
        job[timing.BURSTS], job[timing.NEED], job[timing.IN_ORDER] = bursts, need, in_order
        job[timing.RELEASE] = timing.NEVER
        self.jobs[kind].append(job)

    def bursts(self, kind: str) -> Integers:
        """Bursts of every job of a kind; of low bits only those that rows ask for."""
        jobs = np.array(self.jobs[kind], np.int64).reshape(-1, timing.JOB_COLUMNS)
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
    jobs = np.array(work.jobs["keys"] + work.jobs["values"] + work.jobs["low"], np.int64)
    lines = -(-jobs[:, timing.COUNT] * jobs[:, timing.TOKENS_EACH] // line_keys)
    jobs[:, timing.LINES] = np.cumsum(lines) - lines
    jobs[:, timing.READY] = timing.NEVER
    jobs[: groups if work.late_values else 2 * groups, timing.READY] = start
    rows = work.rows
    rows[:, timing.LOW_JOB] += 2 * groups
    users = np.bincount(rows[:, timing.GROUP], minlength=groups)
    jobs[: 2 * groups, timing.ROWS_LEFT] = np.tile(users, 2)
    vector = work.vector_bytes()
    blocks = -(-len(rows) * vector // (config.fetch_lanes * config.hbm_burst_bytes))
    stack = np.zeros(len(timing.CAUSES), np.int64)
    tokens, arrivals = np.concatenate(work._tokens), np.zeros(lines.sum(), np.int64)
    end = timing.run_layer(
        start, groups, _machine(config, work), rows, jobs, tokens, arrivals, np.zeros(max(1, blocks), np.int64),
        np.zeros(len(rows), np.int64), np.zeros(len(jobs), np.int64), np.zeros((len(rows), 3), np.int64), np.zeros(timing.STREAMS, np.int64), free, stack,
        np.zeros(timing.STATE_SIZE, np.int64),
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
    most = max(job[timing.NEED] for kind in ("keys", "values") for job in work.jobs[kind])
    if most > config.sram_lines:
        line_bytes = OPERAND_BITS * config.multipliers // BITS_PER_BYTE
        need = f"at least {most * line_bytes} to hold what {work.name} fetches at once: a longer context does not fit"
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


def in_eights(tokens: Integers) -> Integers:
    """Return tokens with those behind the last up to a multiple of eight: what is fetched for them."""
    missing = -len(tokens) % TOKEN_BLOCK
    return np.concatenate((tokens, tokens[-1] + 1 + np.arange(missing))) if missing else tokens


def fused(heads: Integers, together: int) -> tuple[Integers, Integers]:
    """Return the number of the group that each of some heads, rising, is in, and how many of the heads are in each group."""
    stored = heads // together
    group = np.concatenate(([0], np.cumsum(stored[1:] > stored[:-1])))
    return group, np.bincount(group)


def _ceil(a: Integers, b: int) -> Integers:
    return -(-a // b)
