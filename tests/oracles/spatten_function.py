"""What SpAtten computes, as ``docs/spatten.md`` says, in plain Python: the oracle of its numbers, counters and traffic.

Whole numbers are Python's, so nothing is exact only by luck; ``single`` rounds where the machine works in single
precision. Nothing of the machine is used but the fields of its configuration and of its plan.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from accel.spatten.config import Config

OPERAND_BITS, EIGHT, PIPELINE = 12, 8, 103
Vector = list[int]


def single(x: float) -> float:
    """Return the nearest number of single precision."""
    rounded: float = struct.unpack("<f", struct.pack("<f", x))[0]
    return rounded


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


class Random:
    """The generator of java.util.Random, as its documentation states it."""

    def __init__(self, seed: int) -> None:
        self.state = (seed ^ 0x5DEECE66D) % 2**48

    def next31(self) -> int:
        self.state = (self.state * 0x5DEECE66D + 0xB) % 2**48
        return self.state >> 17

    def below(self, bound: int) -> int:
        if bound & (bound - 1) == 0:
            return (bound * self.next31()) >> 31
        while True:
            bits = self.next31()
            if bits - bits % bound + bound - 1 < 2**31:
                return bits % bound


class TopK:
    """The engine, with the one stream of pivots of a run."""

    def __init__(self, config: Config) -> None:
        self.lanes, self.turn = config.topk_lanes, config.topk_turn_cycles
        self.random = Random(config.seed)

    def largest(self, values: Sequence[float], keep: int) -> tuple[list[bool], int]:
        """Return which values are kept, and the cycles of finding the smallest of them."""
        if keep >= len(values):
            return [True] * len(values), 0
        candidates, rank, cycles = list(values), len(values) - keep, 0
        while True:
            cycles += ceil_div(len(candidates), self.lanes) + self.turn
            pivot = candidates[self.random.below(len(candidates))]
            below = [value for value in candidates if value < pivot]
            above = [value for value in candidates if value > pivot]
            equal = len(candidates) - len(below) - len(above)
            if len(below) <= rank < len(below) + equal:
                break
            if rank < len(below):
                candidates = below
            else:
                candidates, rank = above, rank - len(below) - equal
        ties = keep - sum(value > pivot for value in values)
        kept = []
        for value in values:
            takes = value > pivot or (value == pivot and ties > 0)
            ties -= value == pivot and takes
            kept.append(takes)
        return kept, cycles


# Arithmetic


def quantized(head: Any, bits: int) -> tuple[list[Vector], float]:
    """Return a head's vectors as whole numbers, and what one stands for."""
    most = 2 ** (bits - 1) - 1
    largest = max(abs(float(x)) for vector in head for x in vector)
    scale = largest / most if largest > 0 else 1.0
    reciprocal = single(1 / scale)

    def whole(x: float) -> int:
        return max(-most, min(most, round(single(x * reciprocal))))  # Python rounds halves to even, too

    return [[whole(float(x)) for x in vector] for vector in head], scale


def exponential(x: float) -> float:
    x = max(x, -87.0)
    n = round(single(x * single(1 / math.log(2))))
    rest = single(single(x - single(n * 0.693359375)) - single(n * single(-2.12194440e-4)))
    series = single(1 / 120)
    for coefficient in (1 / 24, 1 / 6, 1 / 2, 1.0, 1.0):
        series = single(single(coefficient) + single(rest * series))
    return single(series * 2.0**n)


def softmax(scores: Vector, scale: float, bits: int) -> tuple[Vector, float]:
    """Return probabilities in steps, and the largest before it is rounded."""
    largest = max(scores)
    shares = [exponential(single(single(score - largest) * scale)) for score in scores]
    total, whole = 0.0, len(shares) // EIGHT * EIGHT
    for at in range(0, whole, EIGHT):
        beat = shares[at : at + EIGHT]
        while len(beat) > 1:
            beat = [single(beat[i] + beat[i + 1]) for i in range(0, len(beat), 2)]
        total = single(total + beat[0])
    for share in shares[whole:]:
        total = single(total + share)
    steps = [min(2**bits - 1, round(single(single(share / total) * 2**bits))) for share in shares]
    return steps, single(1 / total)


def dot(a: Vector, b: Vector) -> int:
    return sum(x * y for x, y in zip(a, b, strict=True))


@dataclass
class Head:
    """What memory holds of a head."""

    q: list[Vector]
    high: list[Vector]
    low: list[Vector]
    v: list[Vector]
    score_scale: float
    value_scale: float


def stored_head(config: Config, q: Any, k: Any, v: Any) -> Head:
    queries, q_scale = quantized(q, OPERAND_BITS)
    keys, k_scale = quantized(k, config.msb_bits + config.lsb_bits)
    values, v_scale = quantized(v, config.value_bits or config.msb_bits)
    step = 2**config.lsb_bits
    high = [[x // step for x in key] for key in keys]
    low = [[x % step for x in key] for key in keys]
    return Head(queries, high, low, values, q_scale * k_scale / math.sqrt(len(q[0])), v_scale)


# What a layer is made of


@dataclass
class Row:
    """A query of a head: what it saw, and what came of it."""

    seen: list[int]
    kept: list[int]
    again: bool
    select_cycles: int
    output: list[float]


@dataclass
class LayerResult:
    heads: list[int]
    tokens: list[int]
    queries: list[int]
    rows: list[Row] = field(default_factory=list)
    survivors: int = 0
    metadata: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    dram_bytes: dict[str, int] = field(default_factory=dict)


@dataclass
class Shown:
    """What every head's query is shown of the tokens alive."""

    seen: list[list[int]]
    whole: bool = False
    cycles: int = 0
    read: int = 0


class Machine:
    """A run: what is alive, and how important it was so far."""

    def __init__(self, config: Config, plan: Any) -> None:
        self.config, self.plan, self.workload = config, plan, plan.workload
        self.engine = TopK(config)
        self.dim = self.workload.head_dim
        self.importance = [0] * self.workload.tokens
        self.head_importance = [0.0] * self.workload.heads
        self.tokens, self.heads = list(range(self.workload.tokens)), list(range(self.workload.heads))

    def run(self) -> list[LayerResult]:
        workload, results = self.workload, []
        layers = [workload.layer(number) for number in range(workload.layers)]
        stored = [
            [stored_head(self.config, *(part[head].tolist() for part in layer)) for head in range(workload.heads)]
            for layer in layers
        ]
        if workload.summarise:
            self.tokens = list(range(workload.prompt))
            results += [self.layer(number, stored[number], None) for number in range(workload.layers)]
        for token in range(workload.prompt, workload.tokens):
            self.tokens, self.heads = list(range(token + 1)), list(range(workload.heads))
            results += [self.layer(number, stored[number], token) for number in range(workload.layers)]
        return results

    def layer(self, number: int, heads: list[Head], token: int | None) -> LayerResult:
        survivors = self.choose_tokens(self.plan.token_keep[number], token)
        survivors += self.choose_heads(self.plan.heads[number])
        queries = self.tokens if token is None else [token]
        result = LayerResult(list(self.heads), list(self.tokens), list(queries))
        shown = None if token is None else self.show(number, heads, token)
        result.survivors = survivors + (shown.cycles if shown else 0)
        result.metadata = shown.read if shown else 0
        given = [0] * len(self.importance)
        for place, head in enumerate(self.heads):
            size = 0
            for at, query in enumerate(queries):
                seen = self.tokens
                if token is None and self.workload.causal:
                    seen = self.tokens[: at + 1]
                if shown:
                    seen = shown.seen[place]
                row, weighed = self.row(heads[head], query, seen, bool(shown and shown.whole), given)
                result.rows.append(row)
                size += sum(abs(x) for x in weighed)
            self.head_importance[head] += size * (heads[head].value_scale / 2**self.config.probability_bits)
        for at, steps in enumerate(given):
            self.importance[at] += steps
        self.count(result, shown, token is not None)
        return result

    def row(self, head: Head, query: int, seen: list[int], whole: bool, given: Vector) -> tuple[Row, Vector]:
        """Compute a query over the tokens it sees."""
        config, q, step = self.config, head.q[query], 2**self.config.lsb_bits
        first = [dot(q, head.high[token]) for token in seen]
        all_bits = [score * step + dot(q, head.low[token]) for score, token in zip(first, seen, strict=True)]
        exact = lambda: softmax(all_bits, single(head.score_scale), config.probability_bits)  # noqa: E731
        steps, peak = exact() if whole else softmax(first, single(head.score_scale * step), config.probability_bits)
        again = not whole and config.lsb_bits > 0 and peak < single(config.requant_threshold)
        if again:
            steps, _ = exact()
        for token, probability in zip(seen, steps, strict=True):
            given[token] += probability
        keep = max(1, math.floor(len(seen) * self.plan.value_keep))
        marks, cycles = self.engine.largest(steps, keep)
        weighed = [0] * self.dim
        for token, probability, mark in zip(seen, steps, marks, strict=True):
            if mark:
                weighed = [sum_ + probability * x for sum_, x in zip(weighed, head.v[token], strict=True)]
        unit = head.value_scale / 2**config.probability_bits
        kept = [token for token, mark in zip(seen, marks, strict=True) if mark]
        return Row(seen, kept, again, cycles, [x * unit for x in weighed]), weighed

    # Survivors

    def choose_tokens(self, share: float, token: int | None) -> int:
        """Drop unimportant tokens; what is generated stays."""
        alive, newest = (self.tokens, []) if token is None else (self.tokens[:-1], self.tokens[-1:])
        importance = [self.importance[each] for each in alive]
        if share == 1 or not any(importance):
            return 0
        if self.plan.by_importance:
            held, count = 0, 0
            falling = sorted(importance, reverse=True)
            while count == 0 or held < share * sum(importance):
                held += falling[count]
                count += 1
        elif token is None:
            count = math.floor(self.workload.prompt * share)
        else:
            count = math.floor((token + 1) * share) - 1
        count = max(1, count)
        if count >= len(alive):
            return 0
        marks, cycles = self.engine.largest(importance, count)
        self.tokens = [each for each, mark in zip(alive, marks, strict=True) if mark] + newest
        return cycles + ceil_div(count, self.config.topk_lanes)

    def choose_heads(self, count: int) -> int:
        importance = [self.head_importance[head] for head in self.heads]
        if count >= len(self.heads) or not any(importance):
            return 0
        marks, cycles = self.engine.largest(importance, count)
        self.heads = [head for head, mark in zip(self.heads, marks, strict=True) if mark]
        return cycles + ceil_div(count, self.config.topk_lanes)

    # What a generated token's query is shown

    def show(self, number: int, heads: list[Head], token: int) -> Shown | None:
        config = self.config
        if config.selection in ("window", "heads"):
            window = [t for t in self.tokens if t < config.sink_tokens or t > token - config.recent_tokens]
            everywhere = config.selection == "heads"
            return Shown(
                [
                    self.tokens if everywhere and self.plan.retrieval[number][head] else window
                    for head in self.heads
                ]
            )  # fmt: skip
        if config.selection == "none" or number < config.dense_layers:
            return None
        return (self.pages if config.selection == "pages" else self.top_p)(heads, token)

    def pages(self, heads: list[Head], token: int) -> Shown | None:
        config, size = self.config, self.config.page_tokens
        pages = [self.tokens[begin : begin + size] for begin in range(0, len(self.tokens), size)]
        chosen = max(1, config.page_budget // size)
        if chosen >= len(pages):
            return None
        seen, selecting = [], 0
        for head in (heads[number] for number in self.heads):
            bounds: list[float] = []
            for page in pages:
                columns = list(zip(*(head.high[each] for each in page), strict=True))
                bounds.append(
                    sum(max(q * min(c), q * max(c)) for q, c in zip(head.q[token], columns, strict=True))
                )  # fmt: skip
            bounds[-1] = math.inf
            marks, cycles = self.engine.largest(bounds, chosen)
            selecting += cycles + ceil_div(chosen, config.topk_lanes)
            seen.append([each for page, mark in zip(pages, marks, strict=True) if mark for each in page])
        read = self.plane_bytes(2 * len(pages))
        multiplying = len(self.heads) * ceil_div(2 * len(pages), config.multipliers // self.dim)
        return Shown(seen, cycles=self.choosing(read, multiplying, selecting), read=read)

    def top_p(self, heads: list[Head], token: int) -> Shown:
        config, seen = self.config, []
        for head in (heads[number] for number in self.heads):
            scores = [dot(head.q[token], head.high[each]) for each in self.tokens]
            steps, _ = softmax(scores, single(head.score_scale * 2**config.lsb_bits), config.probability_bits)
            falling, held, at = sorted(steps, reverse=True), 0, 0
            while at < len(falling) and held + falling[at] < config.top_p * sum(steps):
                held += falling[at]
                at += 1
            least = max(1, falling[min(at, len(falling) - 1)])
            seen.append(
                [each for each, step in zip(self.tokens, steps, strict=True) if step >= least or each == token]
            )  # fmt: skip
        count = len(self.tokens)
        read = self.plane_bytes(count)
        width = min(config.multipliers // self.dim, config.multipliers // 64)
        passes = config.probability_bits * (ceil_div(count, config.topk_lanes) + config.topk_turn_cycles)
        multiplying = len(self.heads) * ceil_div(count, width)
        cycles = self.choosing(read, multiplying, len(self.heads) * passes)
        return Shown(seen, whole=True, cycles=cycles, read=read)

    def choosing(self, read: int, multiplying: int, selecting: int) -> int:
        bursts = read // self.config.hbm_burst_bytes
        reading = ceil_div(bursts * self.config.hbm_burst_cycles, self.config.hbm_channels)
        return PIPELINE + max(reading, multiplying, selecting)

    def plane_bytes(self, vectors: int) -> int:
        """Bytes of so many vectors of first planes, for all heads alive."""
        together = self.together(self.config.msb_bits)
        groups = ceil_div(len(self.heads), together)
        return groups * vectors * self.group_bytes(self.config.msb_bits, together)

    # Counters and traffic

    def together(self, bits: int) -> int:
        """Return how few heads' vectors of a token fill whole bursts."""
        heads = 1
        while heads * bits * self.dim % (8 * self.config.hbm_burst_bytes):
            heads += 1
        return heads

    def group_bytes(self, bits: int, together: int) -> int:
        return together * bits * self.dim // 8

    def count(self, result: LayerResult, shown: Shown | None, generated: bool) -> None:
        config, rows = self.config, result.rows
        width, lanes = config.multipliers // self.dim, config.multipliers // 64
        passes = [2 if row.again else 1 for row in rows]
        result.counters = {
            "qk_cycles": sum(ceil_div(len(row.seen), width) * n for row, n in zip(rows, passes, strict=True)),
            "softmax_cycles": sum(ceil_div(len(row.seen), lanes) * n for row, n in zip(rows, passes, strict=True)),
            "topk_cycles": sum(row.select_cycles for row in rows),
            "pv_cycles": sum(ceil_div(len(row.kept), width) for row in rows),
            "rows": len(rows),
            "refetched_rows": sum(row.again for row in rows),
            "tokens": len(result.tokens),
            "heads": len(result.heads),
        }
        whole = bool(shown and shown.whole)
        key_bits = config.msb_bits + (config.lsb_bits if whole else 0)
        value_bits = config.value_bits or config.msb_bits
        group = math.lcm(self.together(key_bits), self.together(value_bits))
        asked = (lambda row: row.seen) if shown else (lambda row: result.tokens)
        burst = config.hbm_burst_bytes
        q_bytes = ceil_div(ceil_div(len(rows) * OPERAND_BITS * self.dim, 8), burst) * burst
        result.dram_bytes = {
            "q_read": q_bytes,
            "k_msb_read": self.fetched(result, group, key_bits, asked),
            "k_lsb_read": 0,
            "v_read": self.fetched(result, group, value_bits, (lambda row: row.kept) if generated else asked),
            "output_write": q_bytes,
        }
        if any(row.again for row in rows):
            low = config.lsb_bits
            result.dram_bytes["k_lsb_read"] = self.fetched(result, self.together(low), low, asked, again=True)
        if result.metadata:
            result.dram_bytes["metadata_read"] = result.metadata

    def fetched(
        self, result: LayerResult, together: int, bits: int, asked: Callable[[Row], list[int]], again: bool = False
    ) -> int:
        """Bytes of all groups: what any row of a group asks for, in eights; of low bits where a row needs them."""
        queries = len(result.queries)
        members: dict[int, list[Row]] = {}
        for at, row in enumerate(result.rows):
            members.setdefault(result.heads[at // queries] // together, []).append(row)
        total = 0
        for rows in members.values():
            if not again or any(row.again for row in rows):
                tokens = len({token for row in rows for token in asked(row)})
                total += ceil_div(tokens, EIGHT) * EIGHT * self.group_bytes(bits, together)
        return total
