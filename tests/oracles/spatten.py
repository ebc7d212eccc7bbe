"""SpAtten's layers as ``docs/spatten.md`` times them, one cycle at a time: the oracle of the fast kernels.

Bursts wait in the FIFOs of channels, scores, exponentials and probabilities in those between the units. In a cycle
every unit does its work once; only whether scores will find room is looked up ahead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from accel.spatten.config import OPERAND_BITS, Config

# Cycles from that in which a unit works to that in which the next one can use what came of it.
SCORES, EXPONENTIALS, PROBABILITIES, DECISION, PRODUCTS = 11, 52, 36, 4, 6
FIRST_BLOCKS = 2  # of queries, which wait for no row
NEVER = 2**62
QUIET = 200  # cycles without any work, beside what is known to take long, after which nothing will happen any more


@dataclass(kw_only=True)
class Fetch:
    """What a job of the layer fetches: items, and how rows use them."""

    items: list[int]
    bursts: int  # of an item
    tokens_each: int = 1
    need: int = 0  # lines of the SRAM
    in_order: bool = True


@dataclass(kw_only=True)
class Query:
    """A row of the layer: one query of one head."""

    group: int
    low_job: int
    keys: int
    values: int
    again: bool
    select_cycles: int


@dataclass(kw_only=True)
class Layer:
    """What is to be timed."""

    head_dim: int
    decides: bool
    late_values: bool
    stores_queries: bool
    rows: list[Query]
    keys: list[Fetch]
    values: list[Fetch]
    low: list[Fetch]


@dataclass(eq=False)
class Line:
    """A line of an SRAM, or a block of queries; it is there when no burst is missing."""

    missing: int = 0


@dataclass(eq=False)
class Burst:
    channel: int
    lines: list[Line]
    item: int = 0
    is_output: bool = False


class Job:
    """A fetch with its bursts, and the lines they fill."""

    def __init__(self, config: Config, fetch: Fetch, width: int) -> None:
        self.fetch = fetch
        tokens = len(fetch.items) * fetch.tokens_each
        self.lines = [Line() for _ in range(-(-tokens // width))]
        self.bursts: deque[Burst] = deque()
        for place, item in enumerate(fetch.items):
            first, last = place * fetch.tokens_each, (place + 1) * fetch.tokens_each - 1
            lines = self.lines[first // width : last // width + 1]
            for number in range(item * fetch.bursts, (item + 1) * fetch.bursts):
                self.bursts.append(Burst(number % config.hbm_channels, lines, place))
                for line in lines:
                    line.missing += 1
        self.whole = Line(len(self.bursts))
        for burst in self.bursts:
            burst.lines = [*burst.lines, self.whole]
        self.begun = False
        self.users = 0  # rows that still need it
        self.released: int | None = None  # the cycle its lines come free
        self.ready: int | None = None  # the cycle its values were chosen


class Row:
    """A row on its way through the units."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self.keys: Job
        self.values: Job
        self.block = -1  # with the end of its query
        self.multiplied = NEVER  # the cycle its first Q x K ended in
        self.final_beats = 0  # probabilities that no second computation can change
        self.decided: int | None = None
        self.passed_beats = 0  # in the order of rows
        self.passed = NEVER  # the cycle of the last of them
        self.indices = 0  # that came out of the top-k engine
        self.output: list[Burst] = []


@dataclass(eq=False)
class Computation:
    """The first or the second of a row."""

    row: Row
    second: bool
    lines: list[Line]
    next_line: int = 0
    scores: deque[tuple[int, int]] = field(default_factory=deque)  # when they are there, and how many
    exponentials: int = 0
    last_exponential: int | None = None
    beats: int = 0  # of probabilities that are there


class Channels:
    """Memory: each channel moves the bursts of its FIFO one after another."""

    def __init__(self, config: Config, free: list[int], start: int) -> None:
        self.config = config
        self.free = list(free)
        self.busy = [max(0, cycle - start) for cycle in free]
        self.fifos: list[deque[Burst]] = [deque() for _ in free]
        self.landing: deque[tuple[int, Burst]] = deque()
        self.output_left = 0

    def land(self, now: int) -> None:
        while self.landing and self.landing[0][0] <= now:
            for line in self.landing.popleft()[1].lines:
                line.missing -= 1

    def have_room(self) -> bool:
        most = self.config.fetch_queue * self.config.hbm_burst_cycles
        waiting = (len(fifo) * self.config.hbm_burst_cycles for fifo in self.fifos)
        return all(busy + cycles <= most for busy, cycles in zip(self.busy, waiting, strict=True))

    def move(self, now: int) -> bool:
        """Let every channel work for a cycle; return whether one did."""
        for channel, fifo in enumerate(self.fifos):
            if self.busy[channel] == 0 and fifo:
                burst = fifo.popleft()
                self.busy[channel] = self.config.hbm_burst_cycles
                self.free[channel] = now + self.config.hbm_burst_cycles
                self.landing.append((self.free[channel] + self.config.hbm_latency_cycles, burst))
                if burst.is_output:
                    self.output_left = max(self.output_left, self.free[channel])
        busy = any(self.busy)
        self.busy = [max(0, cycles - 1) for cycles in self.busy]
        return busy or bool(self.landing)


class Machine:
    """The units, and what is on its way between them; a method named after a unit is what it does in a cycle."""

    def __init__(self, config: Config, layer: Layer, start: int, free: list[int]) -> None:
        self.config, self.layer, self.start = config, layer, start
        self.width, self.lanes = config.multipliers // layer.head_dim, config.multipliers // 64
        self.channels = Channels(config, free, start)
        self.rows = [Row(query) for query in layer.rows]
        self.keys, self.values, self.low = (
            [Job(config, fetch, self.width) for fetch in fetches] for fetches in (layer.keys, layer.values, layer.low)
        )
        for row in self.rows:
            row.keys, row.values = self.keys[row.query.group], self.values[row.query.group]
            row.keys.users += 1
            row.values.users += 1

        self.blocks: deque[tuple[Row | None, list[Burst]]] = deque()  # and the row that they wait for
        if layer.stores_queries:
            self.lay_out_queries()
        self.asked: deque[Job] = deque()
        self.waiting_jobs = {"keys": deque(self.keys), "values": deque(self.values)}
        self.requested_last = "values"
        self.outputs: deque[Row] = deque()

        self.new_rows = deque(self.rows)
        self.again: deque[Row] = deque()
        self.computing: Computation | None = None
        self.scored: deque[Computation] = deque()  # with exponentials to be taken
        self.last_two: deque[Computation] = deque(maxlen=2)
        self.added: deque[Computation] = deque()  # to be divided
        self.dividing, self.divided_beats = False, 0
        self.dividing_pipeline: deque[tuple[int, Computation]] = deque()
        self.decisions: deque[tuple[int, Row]] = deque()
        self.passing, self.selecting, self.weighing = deque(self.rows), deque(self.rows), deque(self.rows)
        self.indices_from: int | None = None
        self.weighed_lines = 0
        self.products: deque[tuple[int, Row]] = deque()
        self.done = 0

    def lay_out_queries(self) -> None:
        """Cut the rows' queries into blocks, and the outputs into what each row completes."""
        vector, burst_bytes = OPERAND_BITS * self.layer.head_dim // 8, self.config.hbm_burst_bytes
        channels, lanes = self.config.hbm_channels, self.config.fetch_lanes
        bursts = -(-len(self.rows) * vector // burst_bytes)
        users: list[Row] = []
        lines = []
        for first in range(0, bursts, lanes):
            numbers = range(first, min(first + lanes, bursts))
            line = Line(len(numbers))
            lines.append(line)
            before = users[-FIRST_BLOCKS] if len(users) >= FIRST_BLOCKS else None
            self.blocks.append((before, [Burst(number % channels, [line]) for number in numbers]))
            last_byte = numbers[-1] * burst_bytes + burst_bytes - 1
            users.append(self.rows[min(last_byte // vector, len(self.rows) - 1)])
        for number, row in enumerate(self.rows):
            row.block = ((number + 1) * vector - 1) // burst_bytes // lanes
            end = bursts if row is self.rows[-1] else (number + 1) * vector // burst_bytes
            row.output = [
                Burst(burst % channels, [], is_output=True) for burst in range(number * vector // burst_bytes, end)
            ]
        self.query_lines = lines

    def beats(self, scores: int) -> int:
        return -(-scores // self.lanes)

    def cycle(self, now: int) -> bool:
        """Let every unit do a cycle's work; return whether anything happened."""
        self.channels.land(now)
        happened = [
            self.finish(now),
            self.take_exponentials(self.scored, now),
            self.divide(now),
            self.decide(now),
            self.multiply_keys(now),
            self.pass_on(now),
            self.select(now),
            self.request(now),
            self.weigh_values(now),
            self.channels.move(now),
        ]
        return any(happened)

    # Q x K

    def multiply_keys(self, now: int) -> bool:
        if self.computing is None:
            self.computing = self.next_computation(now)
        if self.computing is None:
            return False
        computation = self.computing
        if computation.lines[computation.next_line].missing:
            return False
        keys = min(self.width, computation.row.query.keys - self.width * computation.next_line)
        computation.scores.append((now + SCORES, keys))
        computation.next_line += 1
        if computation.next_line == len(computation.lines):
            computation.row.multiplied = min(computation.row.multiplied, now)
            if computation.second or not self.layer.decides:
                self.release(computation.row.keys, now + 1)
            self.computing = None
        return True

    def next_computation(self, now: int) -> Computation | None:
        """Begin a row, again or for the first time, if one can."""
        if len(self.last_two) == 2 and not self.exponentials_end_before(self.last_two[0], now, now + SCORES):
            return None
        begun = None
        if self.again and not self.low[self.again[0].query.low_job].lines[0].missing:
            row = self.again.popleft()
            begun = Computation(row, True, self.low[row.query.low_job].lines)
        elif self.new_rows and len(self.again) < self.config.recompute_queue // 2:
            row = self.new_rows[0]
            if not row.keys.lines[0].missing and self.query_is_there(row):
                self.new_rows.popleft()
                begun = Computation(row, False, row.keys.lines)
        if begun:
            begun.lines = begun.lines[: -(-row.query.keys // self.width)]
            self.scored.append(begun)
            self.last_two.append(begun)
        return begun

    def query_is_there(self, row: Row) -> bool:
        if not self.layer.stores_queries:
            return True
        return not any(line.missing for line in self.query_lines[: row.block + 1])

    # Softmax

    def take_exponentials(self, scored: deque[Computation], now: int) -> bool:
        if not scored:
            return False
        computation = scored[0]
        room = self.lanes
        while room and computation.scores and computation.scores[0][0] <= now:
            there, count = computation.scores.popleft()
            taken = min(room, count)
            room -= taken
            computation.exponentials += taken
            if taken < count:
                computation.scores.appendleft((there, count - taken))
        if computation.exponentials == computation.row.query.keys:
            computation.last_exponential = now
            scored.popleft()
            if scored is self.scored:
                self.added.append(computation)
        return room < self.lanes

    def exponentials_end_before(self, computation: Computation, now: int, end: int) -> bool:
        """Look ahead: all of its scores are on their way."""
        if computation.last_exponential is not None:
            return True
        copies = deque(
            Computation(each.row, each.second, [], scores=deque(each.scores), exponentials=each.exponentials)
            for each in self.scored
        )
        last = copies[self.scored.index(computation)]
        for cycle in range(now + 1, end):
            self.take_exponentials(copies, cycle)
        return last.last_exponential is not None

    def divide(self, now: int) -> bool:
        if self.added and now >= self.added[0].last_exponential + EXPONENTIALS:
            computation = self.added[0]
            self.dividing_pipeline.append((now + PROBABILITIES, computation))
            self.divided_beats += 1
            if self.divided_beats == self.beats(computation.row.query.keys):
                self.divided_beats = 0
                self.added.popleft()
        if not self.dividing_pipeline or self.dividing_pipeline[0][0] > now:
            return bool(self.dividing_pipeline)
        computation = self.dividing_pipeline.popleft()[1]
        computation.beats += 1
        row = computation.row
        if computation.second or not self.layer.decides:
            row.final_beats = computation.beats
        elif computation.beats == self.beats(row.query.keys):
            self.decisions.append((now + DECISION, row))
        return True

    def decide(self, now: int) -> bool:
        if not self.decisions or self.decisions[0][0] > now:
            return bool(self.decisions)
        row = self.decisions.popleft()[1]
        if not row.query.again:
            row.final_beats = self.beats(row.query.keys)
            self.release(row.keys, now + 1)
            return True
        self.again.append(row)
        job = self.low[row.query.low_job]
        if not job.begun:
            job.begun = True
            self.asked.append(job)
        return True

    # Top-k engine

    def pass_on(self, now: int) -> bool:
        """Let a beat of final probabilities go on in the order of rows."""
        if not self.passing or self.passing[0].passed_beats == self.passing[0].final_beats:
            return False
        row = self.passing[0]
        row.passed_beats += 1
        if row.passed_beats == self.beats(row.query.keys):
            row.passed = now
            self.passing.popleft()
        return True

    def select(self, now: int) -> bool:
        if not self.selecting or not self.selecting[0].passed_beats:
            return False
        row = self.selecting[0]
        if self.indices_from is None:
            self.indices_from = now + row.query.select_cycles
        all_passed = row.passed_beats == self.beats(row.query.keys) and row.passed < now
        if row.query.values < row.query.keys and not all_passed:
            return True
        if now < self.indices_from:
            return True
        if not row.indices:
            self.choose_values(row, now)
        row.indices = min(row.query.values, row.indices + self.lanes)
        if row.indices == row.query.values:
            self.indices_from = None
            self.selecting.popleft()
        return True

    def choose_values(self, row: Row, now: int) -> None:
        members = [each for each in self.rows if each.values is row.values]
        if row is members[0 if row.values.fetch.in_order else -1]:
            row.values.ready = now

    # Probability x V

    def weigh_values(self, now: int) -> bool:
        if not self.weighing:
            return False
        row = self.weighing[0]
        last = min(row.query.values, (self.weighed_lines + 1) * self.width)
        line = row.values.lines[self.weighed_lines] if row.values.fetch.in_order else row.values.whole
        if row.indices < last or line.missing:
            return False
        self.weighed_lines += 1
        if last == row.query.values:
            self.weighed_lines = 0
            self.weighing.popleft()
            self.products.append((now + PRODUCTS, row))
            self.release(row.values, now + 1)
        return True

    def finish(self, now: int) -> bool:
        if not self.products or self.products[0][0] > now:
            return bool(self.products)
        row = self.products.popleft()[1]
        self.done = now
        if row.output:
            self.outputs.append(row)
        return True

    # Requests

    def release(self, job: Job, when: int) -> None:
        job.users -= 1
        if job.users == 0:
            job.released = when

    def held(self, jobs: list[Job], now: int) -> list[Job]:
        """Return the jobs that hold lines: lines come free in the order they were taken."""
        begun = [job for job in jobs if job.begun]
        while begun and begun[0].released is not None and begun[0].released <= now:
            begun.pop(0)
        return begun

    def request(self, now: int) -> bool:
        """Request the lane group of the first stream that is ready."""
        if not self.channels.have_room():
            return False
        group = next(self.lane_groups(now), [])
        for burst in group:
            self.channels.fifos[burst.channel].append(burst)
        return bool(group)

    def lane_groups(self, now: int) -> Iterator[list[Burst]]:
        """Take what each stream would request, in the order they are asked."""
        lanes = self.config.fetch_lanes
        if self.blocks and (self.blocks[0][0] is None or self.blocks[0][0].multiplied < now):
            yield self.blocks.popleft()[1]
        if self.asked:
            job = self.asked[0]
            group = [job.bursts.popleft() for _ in range(min(lanes, len(job.bursts)))]
            if not job.bursts:
                self.asked.popleft()
            yield group
        first, then = ("values", "keys") if self.requested_last == "keys" else ("keys", "values")
        for kind in (first, then):
            group = self.vectors(kind, now)
            if group:
                self.requested_last = kind
                yield group
        if self.outputs:
            yield self.outputs.popleft().output

    def vectors(self, kind: str, now: int) -> list[Burst]:
        """Take the next lane group of keys or of values."""
        waiting = self.waiting_jobs[kind]
        if not waiting:
            return []
        job = waiting[0]
        limit = len(job.fetch.items)
        if kind == "values" and self.layer.late_values:
            if job.ready is None:
                return []
            limit = (now - job.ready + 1) * self.lanes // job.fetch.tokens_each
        if not job.bursts or job.bursts[0].item >= limit:
            return []
        if not job.begun:
            held = self.held(self.keys if kind == "keys" else self.values, now)
            lines = sum(each.fetch.need for each in held)
            if lines + job.fetch.need > self.config.sram_lines or len(held) >= self.config.requests_in_flight:
                return []
            job.begun = True
        group = []
        while len(group) < self.config.fetch_lanes and job.bursts and job.bursts[0].item < limit:
            group.append(job.bursts.popleft())
        if not job.bursts:
            waiting.popleft()
        return group


def run(config: Config, layer: Layer, start: int, free: list[int]) -> tuple[int, list[int]]:
    """Return when the layer ends, -1 if it never does, and when every channel is free."""
    machine = Machine(config, layer, start, free)
    longest = max((row.select_cycles for row in layer.rows), default=0)
    now, quiet = start, 0
    while quiet <= QUIET + longest:
        quiet = 0 if machine.cycle(now) else quiet + 1
        now += 1
    if machine.products or machine.weighing or machine.outputs:
        return -1, machine.channels.free
    return max(machine.done, machine.channels.output_left), machine.channels.free
