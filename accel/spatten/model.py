"""SpAtten: attention with cascade pruning and progressive quantization, computed and timed layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from accel.report import LawError, Report
from accel.roofline import Roofline
from accel.spatten.arithmetic import stored_layer
from accel.spatten.attention import Attended, Selection, attend, compared
from accel.spatten.config import OPERAND_BITS, TOKEN_BLOCK, Config
from accel.spatten.fully_connected import check_widths, fully_connected, linear_layers
from accel.spatten.one_query_kernels import list_fetches
from accel.spatten.plan import AttentionPart, Integers, LinearPart, Plan, RequestPlan, TranslationPlan
from accel.spatten.selection import Mask, Shown, show
from accel.spatten.technology import area_mm2, energy_pj
from accel.spatten.timing_kernels import AGAIN, KEYS, VALUES
from accel.spatten.topk_kernels import keep_largest, scratch, seeded, select_cycles
from accel.spatten.work import Work, check_fits, fused, in_eights, plain_sum, run, unit_cycles
from workloads.units import BITS_PER_BYTE, OPERATIONS_PER_MAC

MACHINE = "spatten"
MOST_PARTS = 2**14  # of translations that are remembered: those of a search are alike


@dataclass(frozen=True, slots=True)
class LayerOutput:
    """What a layer computed.

    Attributes
    ----------
    heads, tokens : ndarray of int64
        Which heads and queries it computed.
    output : ndarray of float64, shape (heads, tokens, head_dim)
    alive, importance : ndarray of int64
        Tokens that have a key, and the probability each was given [steps].
    """

    heads: Integers
    tokens: Integers
    output: npt.NDArray[np.float64]
    alive: Integers
    importance: Integers


@dataclass(frozen=True, slots=True)
class _Part:
    """A layer that ran: its work, what choosing the survivors took and read beforehand, and what came of it."""

    work: Work
    survivor_cycles: int = 0
    chosen_by_bytes: int = 0
    counters: tuple[tuple[str, int], ...] = ()
    error: float = 0.0
    magnitude: float = 0.0
    mass: float = math.nan
    output: LayerOutput | None = None


def simulate(config: Config, plan: Plan | RequestPlan | TranslationPlan, *, compare: bool = True) -> Report:
    """Run attention on the machine: compute every layer, and time it event by event.

    Parameters
    ----------
    config : Config
    plan : Plan, RequestPlan or TranslationPlan
        From ``mappers.spatten``. Requests of a published table have no values, and so no result; a translation's parts
        run one by one, each on an idle memory, and have none either.
    compare : bool
        Whether to compute attention exactly beside it, for ``quality``.

    Returns
    -------
    Report
        A layer for every layer of every step. ``result`` of each is a ``LayerOutput``. ``quality``, summed up over
        layers: ``output_error``, the root of the summed squares of the error by that of the exact outputs, for queries
        and heads that are alive; ``kept_importance``, exact probability that falls on tokens alive.

    Raises
    ------
    ConfigError
        If a context does not fit the SRAMs, or a head the multipliers; if layers around attention are asked for whose
        widths are not known.
    """
    if isinstance(plan, TranslationPlan):
        return Report.of_layers(tuple(_part(config, part) for part in plan.parts), name=plan.name)
    if isinstance(plan, Plan):
        check_widths(config, plan)
    parts = _requests(config, plan) if isinstance(plan, RequestPlan) else _Cascade(config, plan, compare).parts()
    reports = []
    squares = np.zeros(2)
    masses = []
    now, free = 0, np.zeros(config.hbm_channels, np.int64)
    for part in parts:
        report, now = _timed(config, part, now, free)
        reports.append(report)
        if isinstance(plan, Plan) and plan.fully_connected and part.output is not None:
            tokens, heads = len(part.output.tokens), len(part.output.heads)
            around = fully_connected(config, plan.workload, f"{part.work.name}, FC", tokens=tokens, heads=heads)
            reports.append(around)
            now += around.cycles
        squares += (part.error, part.magnitude)
        masses.append(part.mass)
    quality = {}
    if compare and isinstance(plan, Plan):
        quality = _quality(squares[0], squares[1], float(np.mean(masses)))
    return Report.of_layers(tuple(reports), name=plan.name, quality=quality)


@lru_cache(maxsize=MOST_PARTS)
def _part(config: Config, part: AttentionPart | LinearPart) -> Report:
    """Return the report of a part of a translation, all its runs together: they are alike."""
    if isinstance(part, LinearPart):
        once = linear_layers(config, part.name, inputs=part.inputs, weights=part.weights, tokens=part.tokens)
    else:
        once = simulate(replace(config, fc_bits=0), part.plan, compare=False)
    return replace(Report.of_layers((once,) * part.times, name=part.name), layers=())


def _quality(error: float, magnitude: float, mass: float) -> dict[str, float]:
    return {"output_error": math.sqrt(error / magnitude) if magnitude else 0.0, "kept_importance": mass}


def _timed(config: Config, part: _Part, now: int, free: Integers) -> tuple[Report, int]:
    """Time a layer that begins now; return its report and when it ends."""
    work = part.work
    units = unit_cycles(config, work)
    traffic = work.dram_bytes(config)
    if part.chosen_by_bytes:
        traffic["metadata_read"] = part.chosen_by_bytes
    begin = now + part.survivor_cycles
    if config.overlap:
        end, stack = run(config, work, begin, free)
        if end < 0:
            raise LawError(f"{MACHINE}, {work.name}: the machine came to a stop")
    else:
        cycles, stack = plain_sum(config, work)
        end = begin + cycles
    stack = {"survivors": part.survivor_cycles, **stack}
    rows = work.rows
    macs = int((rows[:, KEYS] + rows[:, VALUES]).sum()) * work.head_dim
    counted = sum(traffic.values()) if config.overlap else sum(traffic.values()) - 2 * traffic["q_read"]
    return (
        Report(
            machine=MACHINE,
            name=work.name,
            fidelity="simulate",
            cycles=end - now,
            clock_hz=config.clock_hz,
            operations=OPERATIONS_PER_MAC * macs,
            compute_bound_cycles=max(units["qk_cycles"], units["softmax_cycles"], units["pv_cycles"]),
            bandwidth_bound_cycles=math.ceil(counted / config.bytes_per_cycle),
            dram_bytes=traffic,
            cycle_stack=stack,
            energy_pj=energy_pj(config, work.head_dim, units, traffic),
            area_mm2=area_mm2(config),
            counters={
                **units,
                "rows": len(rows),
                "refetched_rows": int(rows[:, AGAIN].sum()),
                **dict(part.counters),
            },
            quality=_quality(part.error, part.magnitude, part.mass) if part.magnitude else {},
            result=part.output,
        ),
        end,
    )


def _requests(config: Config, plan: RequestPlan) -> Iterator[_Part]:
    """Lay out the requests of a table; which tokens they ask for is not known, so: the first ones."""
    random = seeded(config.seed)
    longest = int(plan.keys.max())
    values, room = np.empty(longest, np.int32), scratch(longest, np.int32)
    decides = config.progressive or bool((plan.low_bits > 0).any())
    for name, part in plan.layers:
        count = part.stop - part.start
        selecting = np.zeros(count, np.int64)
        for row, (n, k, selects) in enumerate(
            zip(plan.exact_keys[part].tolist(), plan.exact_values[part].tolist(), plan.selects[part], strict=True)
        ):
            if selects:
                selecting[row] = select_cycles(
                    n, k, config.topk_lanes, config.topk_turn_cycles, random, values, room
                )  # fmt: skip
        selecting[plan.values[part] == plan.keys[part]] = 0  # in eights: the engine is passed by
        again = plan.low_bits[part] > 0
        work = Work.of_rows(
            name, plan.head_dim, decides=decides, late_values=True, stores_queries=False,
            group=np.arange(count), low_job=np.arange(count), keys=plan.keys[part], values=plan.values[part],
            again=again, select_cycles=selecting,
        )  # fmt: skip
        for kind, counts, bits in (
            ("keys", plan.keys[part], plan.key_bits[part]),
            ("values", plan.values[part], plan.value_bits[part]),
            ("low", plan.keys[part], plan.low_bits[part]),
        ):
            blocks = counts // TOKEN_BLOCK
            pointers = np.concatenate(([0], np.cumsum(blocks)))
            work.add_jobs(
                kind,
                np.arange(pointers[-1]) - pointers[:-1].repeat(blocks),
                -(-TOKEN_BLOCK * bits * plan.head_dim // (BITS_PER_BYTE * config.hbm_burst_bytes)),
                count=count,
                pointers=pointers,
                tokens_each=TOKEN_BLOCK,
                need=-(-counts // config.keys_per_cycle(plan.head_dim)),
            )
        yield _Part(work)


class _Cascade:
    """Layers of a workload, one after another: what is alive falls with what was seen of its importance."""

    def __init__(self, config: Config, plan: Plan, compare: bool) -> None:
        workload = plan.workload
        self.config, self.plan, self.compare = config, plan, compare
        self.random = seeded(config.seed)
        self.importance = np.zeros(workload.tokens, np.int64)
        self.head_importance = np.zeros(workload.heads)
        self.tokens, self.heads = np.arange(workload.tokens), np.arange(workload.heads)

    def parts(self) -> Iterator[_Part]:
        """Run the prompt's queries, then a step for every generated token."""
        workload = self.plan.workload
        if workload.summarise:
            self.tokens = np.arange(workload.prompt)
            for layer in range(workload.layers):
                yield self._layer(f"layer {layer}", layer, None)
        for token in range(workload.prompt, workload.tokens):
            self.tokens, self.heads = np.arange(token + 1), np.arange(workload.heads)
            for layer in range(workload.layers):
                yield self._layer(f"token {token}, layer {layer}", layer, token)

    def _layer(self, name: str, layer: int, token: int | None) -> _Part:
        """Choose the survivors of a layer, compute it, and lay out its work; for all tokens' queries or for one's."""
        cycles = self._choose_tokens(layer, token) + self._choose_heads(layer)
        values, stored = stored_layer(self.config, self.plan, layer)
        queries = self.tokens if token is None else self.tokens[-1:]
        causal = self.plan.workload.causal
        visible = (
            np.arange(1, len(queries) + 1) if causal and token is None else np.full(len(queries), len(self.tokens))
        )
        chosen = Selection(self.heads, queries, self.tokens, visible)
        shown = None
        if token is not None:
            retrieval = None if self.plan.retrieval is None else self.plan.retrieval[layer]
            shown = show(self.config, stored, layer, self.heads, self.tokens, retrieval, self.random)
        if shown is None:  # before the work, not after it
            members = fused(self.heads, self.config.fused_heads(self.config.msb_bits, stored.q.shape[2]))[1]
            lines = -(-len(self.tokens) // self.config.keys_per_cycle(stored.q.shape[2]))
            check_fits(self.config, name, lines * int(members.max()))
        attended = attend(self.config, stored, chosen, self.plan.value_keep, self.random, shown)
        self.importance[self.tokens] += attended.token_importance
        self.head_importance[self.heads] += attended.head_importance
        error, magnitude, mass = compared(values, chosen, attended.output, causal) if self.compare else (0, 0, math.nan)
        return _Part(
            work=self._work(name, chosen, attended, shown),
            survivor_cycles=cycles + (shown.cycles if shown else 0),
            chosen_by_bytes=shown.read_bytes if shown else 0,
            counters=(("tokens", len(self.tokens)), ("heads", len(self.heads))),
            error=error,
            magnitude=magnitude,
            mass=mass,
            output=LayerOutput(self.heads, queries, attended.output, self.tokens, attended.token_importance),
        )

    def _choose_tokens(self, layer: int, token: int | None) -> int:
        """Drop tokens of little importance; return the cycles of choosing. The one that is being generated stays."""
        share = self.plan.token_keep[layer]
        alive = self.tokens if token is None else self.tokens[:-1]
        importance = self.importance[alive]
        if share == 1 or not importance.any():
            return 0
        if self.plan.by_importance:
            falling = np.sort(importance)[::-1]
            count = int(np.searchsorted(np.cumsum(falling), share * falling.sum())) + 1
        else:
            everyone = len(alive) if token is None else token + 1
            if token is None:
                everyone = self.plan.workload.prompt
            count = int(everyone * share) - (token is not None)
        count = max(count, 1)
        if count >= len(alive):
            return 0
        kept, cycles = self._largest(importance, count)
        self.tokens = np.concatenate((alive[kept], self.tokens[len(alive) :]))
        return cycles

    def _choose_heads(self, layer: int) -> int:
        """Drop heads of little importance; return the cycles of choosing."""
        count = self.plan.heads[layer]
        importance = self.head_importance[self.heads]
        if count >= len(self.heads) or not importance.any():
            return 0
        kept, cycles = self._largest(importance, count)
        self.heads = self.heads[kept]
        return cycles

    def _largest(self, importance: npt.NDArray[np.float64] | Integers, count: int) -> tuple[npt.NDArray[np.bool_], int]:
        """Mark the most important; the engine then puts them out, as many a cycle as it has lanes."""
        kept = np.empty(len(importance), np.bool_)
        values = importance.astype(np.float64)
        cycles = keep_largest(
            values, len(values), count, self.config.topk_lanes, self.config.topk_turn_cycles, self.random,
            scratch(len(values), np.float64), kept,
        )  # fmt: skip
        return kept, int(cycles) - (-count // self.config.topk_lanes)

    def _work(self, name: str, chosen: Selection, attended: Attended, shown: Shown | None) -> Work:
        """Lay out a layer's rows and fetches."""
        config, head_dim, heads = self.config, self.plan.workload.head_dim, chosen.heads
        queries, line_keys = len(chosen.queries), config.keys_per_cycle(head_dim)
        whole = shown is not None and shown.whole
        decides = config.progressive and not whole
        key_bits = config.key_bits if whole else config.msb_bits
        together = math.lcm(*(config.fused_heads(bits, head_dim) for bits in (key_bits, config.stored_value_bits)))
        group, members = fused(heads, together)
        low_group, low_members = fused(heads, config.fused_heads(max(1, config.lsb_bits), head_dim))
        seen = np.tile(chosen.visible, len(heads)) if shown is None else np.count_nonzero(shown.mask, axis=1)
        work = Work.of_rows(
            name, head_dim, decides=decides, late_values=queries == 1, stores_queries=True,
            group=group.repeat(queries), low_job=low_group.repeat(queries), keys=seen, values=attended.keeps,
            again=attended.again, select_cycles=attended.select_cycles,
        )  # fmt: skip

        def fetch(kind: str, bits: int, parts: Integers, asked: Mask | None, in_order: bool | Mask = True) -> None:
            """Add the fetches of groups with so many members: of all tokens, or of those their rows ask for."""
            bursts = config.bursts(bits, head_dim)
            if kind != "low":
                bursts *= together // config.fused_heads(bits, head_dim)
            if asked is None:
                tokens, _ = in_eights(chosen.tokens, np.array([len(chosen.tokens)]))
                pointers, lines = None, np.full(len(parts), -(-len(chosen.tokens) // line_keys))
            else:
                tokens = np.empty(len(parts) * (len(chosen.tokens) + TOKEN_BLOCK), np.int64)
                pointers = np.empty(len(parts) + 1, np.int64)
                list_fetches(asked, parts, chosen.tokens, TOKEN_BLOCK, tokens, pointers)
                tokens = tokens[: pointers[-1]]
                lines = -(-np.diff(pointers) // line_keys)
            work.add_jobs(
                kind, tokens, bursts, count=len(parts), pointers=pointers, need=lines * parts, in_order=in_order
            )

        mask = None if shown is None else shown.mask
        fetch("keys", key_bits, members, mask)
        dropped = bool((attended.keeps < seen).any())
        if queries == 1 and (dropped or shown is not None):
            fetch("values", config.stored_value_bits, members, attended.kept, members == 1)
        else:
            fetch("values", config.stored_value_bits, members, None, not dropped)
        if decides:
            fetch("low", config.lsb_bits, low_members, mask)
        return work


def roofline(config: Config) -> Roofline:
    """Return the machine's bounds: both arrays of multipliers at once, and the memory's rate."""
    rate = 2 * OPERATIONS_PER_MAC * config.multipliers * config.clock_hz / 1e9
    return Roofline({f"{OPERAND_BITS} bit": rate}, config.bytes_per_cycle * config.clock_hz)
