"""SpArch as ``docs/sparch.md`` describes it, one cycle at a time: the oracle of the fast kernels.

Real elements go through real FIFOs; that their places rise, and meet as the merge order says, is checked on the way.
Where the documentation leaves something open, this is what is done here:

- A round takes the cycles before the one in which it ends. A plan without rounds takes one cycle, `pipeline`.
- A request for A joins elements while fewer than `look_ahead` of its elements make units. It is spared bytes only if it
  follows the request before in memory.
- The buffer's look-ahead and distance count elements whose row of B is empty too. In a new round nothing is held.
- The `emptiest` FIFO is the one that holds the fewest elements, whatever is on its way into it.
- A bank that has no page open yet misses, too.
- A cycle counts as `b_read` also where a unit could be multiplied that has become so in this very cycle.
- Without pipelined merging, products have their leaf in front of their row: so they are sorted, and none coincide.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import Any

from accel.sparch.config import Config
from accel.sparch.plan import Plan
from tests.oracles.sparch_buffer import Buffer, Element, Product, Unit
from tests.oracles.sparch_memory import Memory
from tests.oracles.sparch_tree import Fifo, Tree

STREAMS = ("a_read", "b_read", "partial_write", "partial_read", "c_write")
COUNTERS = (
    "prefetch_hits", "prefetch_misses", "bypassed_elements", "refetched_elements", "refetched_a_elements", "beats",
    "fires", "bursts", "row_misses", "output_nnz", "multiplies", "merge_rounds", "partial_matrices",
)  # fmt: skip
CAUSES = ("multiply", "write", "b_read", "merge", "partial_read", "a_read", "pipeline")


@dataclass(eq=False)
class Partial:
    """A partial matrix, or C, in memory."""

    elements: list[Product]
    address: int


class Machine:
    """What outlives a round: the memory, the buffer, the partial matrices, and all counts."""

    def __init__(self, config: Config, plan: Plan) -> None:
        self.config, self.plan = config, plan
        self.a, self.b = plan.product.a, plan.product.b
        self.memory = Memory(config)
        self.a_address = self.memory.reserve(self.a.nnz * config.element_bytes)
        self.b_address = self.memory.reserve(self.b.nnz * config.element_bytes)
        self.buffer = Buffer(config.prefetch_lines, config.prefetch_distance, config.look_ahead)
        self.partials: dict[int, Partial] = {}  # leaves that were written, and results
        self.counts: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.stack: Counter[str] = Counter()

    def reserve(self, elements: int, block: int) -> int:
        """Return the address of memory for elements that are written in blocks."""
        return self.memory.reserve(-(-elements // block) * self.config.hbm_interleave_bytes)

    def row_of_b(self, row: int) -> list[tuple[int, int]]:
        places = range(self.b.indptr[row], self.b.indptr[row + 1])
        return [(int(self.b.indices[place]), int(self.b.data[place])) for place in places]

    def elements_of(self, leaf: int, slot: int) -> list[Element]:
        """Return a leaf's elements of A with their units."""
        elements = []
        for position in (position for position, of in enumerate(self.plan.element_leaves) if of == leaf):
            row = next(i for i in range(self.a.shape[0]) if position < self.a.indptr[i + 1])
            b_row, value = int(self.a.indices[position]), int(self.a.data[position])
            element = Element(row, slot, b_row, int(self.plan.addresses[position]))
            products = [(row, column, value * factor) for column, factor in self.row_of_b(b_row)]
            for start in range(0, len(products), self.config.prefetch_line_elements):
                line = products[start : start + self.config.prefetch_line_elements]
                element.units.append(Unit(element, int(self.b.indptr[b_row]) + start, line))
            elements.append(element)
        return elements


class Round:
    """Inputs that merge at once; every method named after a part of the machine is what it does in a cycle.

    An input is a list of elements of A, or a partial matrix that is read back.
    """

    def __init__(
        self, machine: Machine, config: Config, inputs: list[list[Element] | Partial], address: int | None, last: bool
    ) -> None:
        self.machine, self.config, self.memory, self.last = machine, config, machine.memory, last
        self.slots = [Fifo(config.fifo_depth) for _ in range(config.leaves)]

        self.elements: list[Element] = []
        streams: list[list[tuple[int, int]]] = [[] for _ in range(config.leaves)]
        for slot, given in enumerate(inputs):
            if isinstance(given, Partial):
                products = given.elements
            else:
                self.elements += given
                products = [product for element in given for unit in element.units for product in unit.products]
            streams[slot] = [(row, column) for row, column, _ in products]
        self.elements.sort(key=lambda element: (element.row, element.slot))
        self.users = [element for element in self.elements if element.units]
        self.units = [unit for element in self.users for unit in element.units]
        self.of_slot = [deque(unit for unit in self.units if unit.element.slot == slot) for slot in range(len(inputs))]
        self.last_fed = len(inputs) - 1  # slot
        self._decide_prefetches()
        self.next_unit = 0  # of the prefetcher
        self.completed = 0  # elements of A
        self.fetchers = [0] * config.prefetch_fetchers  # until when each is busy
        self.next_fetcher = 0

        self.requests = deque(self._requests_for_a())
        self.fetched_users = 0
        self.a_coming: deque[tuple[int, list[Element]]] = deque()

        self.reload_block = config.block_elements(True)
        self.reloads = [
            Reload(given, self.slots[slot], self.reload_block)
            for slot, given in enumerate(inputs)
            if isinstance(given, Partial)
        ]
        for reload in self.reloads:
            share = config.spill_fifo_elements // len(self.reloads)
            reload.fifo.depth += max(share // self.reload_block, 1) * self.reload_block
        self.last_reloaded = len(self.reloads) - 1

        self.write_block = config.block_elements(not last)
        self.tree = Tree(config, self.slots, streams, self.write_block)
        self.to_write = len(self.tree.root.places)
        if address is None:
            address = machine.reserve(self.to_write, self.write_block)
        self.result = Partial([], address)
        self.blocks_asked = 0
        self.writing: deque[tuple[int, int]] = deque()  # end, elements
        self.stopped = ""  # what the prefetcher waits for
        self.bypass_waits = False

    def _decide_prefetches(self) -> None:
        if self.config.prefetcher:
            self.machine.buffer.decide(self.elements)
            return
        for number, unit in enumerate(self.units):
            unit.loaded_by = unit
            if number >= self.config.prefetch_lines:
                unit.last_user = self.units[number - self.config.prefetch_lines]

    def _requests_for_a(self) -> list[tuple[int, int, list[Element]]]:
        """Return where each request begins and how long it is [bytes], and the elements that come with it."""
        size, burst = self.config.element_bytes, self.config.hbm_burst_bytes
        requests = []
        waiting = deque(self.elements)
        follows = False  # the element before, in memory too
        while waiting:
            begin = waiting[0].address * size
            if follows:  # what the last burst brought of it is not asked for again
                begin = -(-begin // burst) * burst
            block = begin // self.config.hbm_interleave_bytes
            joined = [waiting.popleft()]
            while waiting:
                follows = waiting[0].address == joined[-1].address + 1
                same_block = waiting[0].address * size // self.config.hbm_interleave_bytes == block
                users = sum(bool(element.units) for element in joined)
                if not (follows and same_block and users < self.config.look_ahead):
                    break
                joined.append(waiting.popleft())
            end = (joined[-1].address + 1) * size
            requests.append((self.machine.a_address + begin, max(end - begin, 0), joined))
        return requests

    def cycle(self, now: int) -> str:
        """Let every part of the machine do one cycle's work; return what the cycle was spent on."""
        counts = self.machine.counts
        self.arrivals(now)
        fires = self.tree.cycle(now)
        self.writer(now)
        beats = self.multipliers(now)
        self.prefetcher(now)
        self.column_fetcher(now)
        self.reloader(now)
        counts["fires"] += fires
        counts["beats"] += beats
        return self.cause(fires, beats)

    def arrivals(self, now: int) -> None:
        while self.a_coming and self.a_coming[0][0] <= now:
            for element in self.a_coming.popleft()[1]:
                element.fetched = True
        for reload in self.reloads:
            while reload.coming and reload.coming[0][0] <= now:
                _, elements = reload.coming.popleft()
                reload.fifo.elements.extend(elements)
                reload.fifo.on_the_way -= len(elements)

    def writer(self, now: int) -> None:
        fifo = self.tree.root.fifo
        while self.writing and self.writing[0][0] <= now:
            fifo.leaving -= self.writing.popleft()[1]
        count = min(self.write_block, self.to_write)
        if count == 0 or len(fifo.elements) < count:
            return
        self.result.elements += [fifo.elements.popleft() for _ in range(count)]
        fifo.leaving += count
        size = count * (self.config.element_bytes if self.last else self.config.spill_element_bytes)
        self.machine.bytes["c_write" if self.last else "partial_write"] += size
        address = self.result.address + self.blocks_asked * self.config.hbm_interleave_bytes
        self.writing.append((self.memory.transfer(address, size, now), count))
        self.to_write -= count
        self.blocks_asked += 1

    def multipliers(self, now: int) -> int:
        """Return how many groups were busy."""
        for group in range(2):
            able = [units[0] for units in self.of_slot if units and self.can_be_multiplied(units[0])]
            if not able:
                return group
            if self.config.issue_order == "row_major":
                unit = min(able, key=self.units.index)
            else:
                unit = min(able, key=lambda unit: (unit.element.slot - self.last_fed - 1) % len(self.of_slot))
            if not unit.data_there(now):
                return group
            end = unit.bypassed if unit.has_bypass else unit.length
            products = unit.products[unit.multiplied : end][: self.config.group]
            slot = self.last_fed = unit.element.slot
            self.slots[slot].elements.extend(products)
            assert self.slots[slot].room >= 0
            unit.multiplied += len(products)
            self.machine.counts["multiplies"] += len(products)
            if unit.done:
                self.of_slot[slot].popleft()
                self.completed += unit is unit.element.units[-1]
        return 2

    def can_be_multiplied(self, unit: Unit) -> bool:
        """Say whether nothing but the data is missing."""
        room = self.slots[unit.element.slot].room >= self.config.group
        return (unit.prefetched and room) or unit.has_bypass

    def prefetcher(self, now: int) -> None:
        self.stopped, self.bypass_waits = "", False
        for _ in range(self.config.prefetch_fetchers):
            if self.all_fetched_are_prefetched():
                break
            unit = self.units[self.next_unit]
            if not unit.found:
                if unit.last_user and not unit.last_user.done:
                    self.stopped = "line"
                    break
                if self.fetchers[self.next_fetcher] > now:
                    self.stopped = "fetcher"
                    break
                unit.arrival = self.fetch(unit.start, unit.length, now)
                self.machine.counts["refetched_elements"] += unit.bypassed
            missed = unit.bypassed if unit.found else unit.length
            self.machine.counts["prefetch_misses"] += missed
            self.machine.counts["prefetch_hits"] += unit.length - missed
            unit.prefetched = True
            self.next_unit += 1
        starved = self.all_fetched_are_prefetched() and not self.a_coming and self.look_ahead_full()
        if (self.stopped == "line" or starved) and not self.prefetched_can_be_multiplied():
            self.bypass(now)

    def all_fetched_are_prefetched(self) -> bool:
        return self.next_unit == len(self.units) or not self.units[self.next_unit].element.fetched

    def look_ahead_full(self) -> bool:
        """Say whether the column fetcher would ask if it could."""
        if not self.requests:
            return False
        users = sum(bool(element.units) for element in self.requests[0][2])
        return self.fetched_users + users - self.completed > self.config.look_ahead

    def prefetched_can_be_multiplied(self) -> bool:
        return any(units and units[0].prefetched and self.can_be_multiplied(units[0]) for units in self.of_slot)

    def fetch(self, start: int, count: int, asked: int) -> int:
        """Let the next fetcher read elements of B; return when they have arrived."""
        size = count * self.config.element_bytes
        address = self.machine.b_address + start * self.config.element_bytes
        self.machine.bytes["b_read"] += size
        arrival = self.memory.read(address, size, asked)
        self.fetchers[self.next_fetcher] = arrival
        self.next_fetcher = (self.next_fetcher + 1) % len(self.fetchers)
        return arrival

    def bypass(self, now: int) -> None:
        waiting = [
            units[0]
            for units, fifo in zip(self.of_slot, self.slots, strict=False)
            if units and not fifo.elements and not units[0].prefetched and not units[0].has_bypass
        ]
        if not waiting:
            return
        if self.fetchers[self.next_fetcher] > now:
            self.bypass_waits = True
            return
        unit = min(waiting, key=self.units.index)
        asked = now
        if not unit.element.fetched:
            size = self.config.element_bytes
            asked = self.memory.read(self.machine.a_address + unit.element.address * size, size, now)
            self.machine.counts["refetched_a_elements"] += 1
            self.machine.bytes["a_read"] += size
        count = min(unit.length - unit.multiplied, self.config.fifo_depth)
        unit.bypass_arrival = self.fetch(unit.start + unit.multiplied, count, asked)
        unit.bypassed += count
        self.machine.counts["bypassed_elements"] += count

    def column_fetcher(self, now: int) -> None:
        if not self.requests or self.look_ahead_full():
            return
        begin, size, elements = self.requests.popleft()
        self.fetched_users += sum(bool(element.units) for element in elements)
        self.machine.bytes["a_read"] += len(elements) * self.config.element_bytes
        self.a_coming.append((self.memory.read(begin, size, now) if size else now, elements))

    def reloader(self, now: int) -> None:
        for step in range(1, len(self.reloads) + 1):
            number = (self.last_reloaded + step) % len(self.reloads)
            reload = self.reloads[number]
            block = reload.next_block()
            if block and reload.fifo.room >= len(block):
                size = len(block) * self.config.spill_element_bytes
                address = reload.partial.address + reload.blocks_asked * self.config.hbm_interleave_bytes
                reload.coming.append((self.memory.read(address, size, now), block))
                reload.fifo.on_the_way += len(block)
                reload.blocks_asked += 1
                self.machine.bytes["partial_read"] += size
                self.last_reloaded = number
                return

    def ended(self) -> bool:
        written = self.to_write == 0 and not self.writing
        return written and not self.requests and not self.a_coming and self.next_unit == len(self.units)

    def cause(self, fires: int, beats: int) -> str:
        root = self.tree.root
        checks = {
            "multiply": beats > 0,
            "write": self.to_write == len(root.fifo.elements) or root.fifo.room < self.config.merge_width,
            "b_read": any(units and self.can_be_multiplied(units[0]) for units in self.of_slot)
            or self.stopped == "fetcher"
            or self.bypass_waits,
            "merge": fires > 0,
            "partial_read": any(reload.coming for reload in self.reloads),
            "a_read": len(self.a_coming) > 0,
        }
        return next((cause for cause, holds in checks.items() if holds), "pipeline")


class Reload:
    """A partial matrix that comes back, block by block."""

    def __init__(self, partial: Partial, fifo: Fifo, block: int) -> None:
        self.partial = partial
        self.fifo = fifo
        self.block = block
        self.blocks_asked = 0
        self.coming: deque[tuple[int, list[Product]]] = deque()

    def next_block(self) -> list[Product]:
        first = self.blocks_asked * self.block
        return self.partial.elements[first : first + self.block]


def run(config: Config, plan: Plan) -> dict[str, Any]:
    """Run a plan round by round; return cycles, product and every count."""
    machine = Machine(config, plan)
    now = 0
    if plan.rounds and not config.pipelined_merge:
        now = write_products(machine)
    for number, inputs in enumerate(plan.rounds, start=1):
        given = [
            machine.partials[part] if part in machine.partials else machine.elements_of(part, slot)
            for slot, part in enumerate(inputs.tolist())
        ]
        this = Round(machine, config, given, None, last=number == len(plan.rounds))
        now = run_round(machine, this, now)
        machine.partials[plan.leaves + number - 1] = this.result
    if not plan.rounds:
        now = machine.stack["pipeline"] = 1
    product = this.result.elements if plan.rounds else []
    counts = machine.counts
    counts["output_nnz"] = len(product)
    counts["merge_rounds"] = len(plan.rounds)
    counts["partial_matrices"] = plan.leaves
    counts["bursts"], counts["row_misses"] = machine.memory.bursts, machine.memory.row_misses
    return {
        "cycles": now,
        "product": {(row, column): value for row, column, value in product},
        "dram_bytes": {name: machine.bytes[name] for name in STREAMS},
        "counters": {name: counts[name] for name in COUNTERS},
        "stack": {name: machine.stack[name] for name in CAUSES},
    }


def run_round(machine: Machine, this: Round, now: int) -> int:
    """Run a round; return when the next one starts."""
    while True:
        cause = this.cycle(now)
        if this.ended():
            break
        machine.stack[cause] += 1
        now += 1
    machine.stack["pipeline"] += machine.config.multiply_latency_cycles
    return now + machine.config.multiply_latency_cycles


def write_products(machine: Machine) -> int:
    """Write every partial matrix, one after the other, through a tree of one layer; return when that is done."""
    config, plan = machine.config, machine.plan
    block = config.block_elements(True)
    root_room = config.spill_fifo_elements - max(block, config.block_elements(False)) + 1
    width = min(config.multipliers, 64, config.fifo_depth, root_room)
    straight = replace(config, merge_layers=1, merge_width=width)
    elements, addresses = [], []
    for leaf in range(plan.leaves):
        addresses.append(machine.reserve(int(plan.weights[leaf]), block))
        for element in machine.elements_of(leaf, 0):
            element.row = (leaf, element.row)
            for unit in element.units:
                unit.products = [((leaf, row), column, value) for row, column, value in unit.products]
            elements.append(element)
    this = Round(machine, straight, [elements], addresses[0], last=False)
    end = run_round(machine, this, 0)
    for leaf, address in enumerate(addresses):
        written = [(row, column, value) for (of, row), column, value in this.result.elements if of == leaf]
        machine.partials[leaf] = Partial(written, address)
    return end
