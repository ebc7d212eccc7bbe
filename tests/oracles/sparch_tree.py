"""The merge tree of ``docs/sparch.md``: FIFOs of elements, and mergers that take them in the order of their places."""

from __future__ import annotations

from collections import deque

from accel.sparch.config import Config
from tests.oracles.sparch_buffer import Product

Place = tuple[int, int]


class Fifo:
    """Elements, and how many are on their way in or still take up room on their way out."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.elements: deque[Product] = deque()
        self.on_the_way = 0
        self.leaving = 0

    @property
    def room(self) -> int:
        return self.depth - len(self.elements) - self.on_the_way - self.leaving


class Node:
    """Two inputs that become one stream; the order of their elements is known beforehand, their values are not."""

    def __init__(self, inputs: tuple[Fifo, Fifo], places: tuple[list[Place], list[Place]], depth: int) -> None:
        self.inputs = inputs
        self.order = sorted((place, side) for side in (0, 1) for place in places[side])
        self.places = sorted({place for place, _ in self.order})
        self.taken = 0
        self.fifo = Fifo(depth)
        self.waits: Product | None = None  # for the second element of its place

    def there(self, width: int) -> tuple[int, bool]:
        """Return how many elements of the window are in the input FIFOs, and whether that is all of a window."""
        window = self.order[self.taken : self.taken + width]
        there = [0, 0]
        for _, side in window:
            if there[side] == len(self.inputs[side].elements):
                return sum(there), False
            there[side] += 1
        return len(window), len(window) > 0

    def take(self, count: int) -> list[Product]:
        """Take elements off the inputs, and return what leaves the adders."""
        leave = []
        for _ in range(count):
            place, side = self.order[self.taken]
            self.taken += 1
            row, column, value = self.inputs[side].elements.popleft()
            assert (row, column) == place
            if self.waits:
                assert self.waits[:2] == place
                value += self.waits[2]
                self.waits = None
            if self.taken < len(self.order) and self.order[self.taken][0] == place:
                self.waits = row, column, value
            else:
                leave.append((row, column, value))
        return leave


class Layer:
    """Nodes that share a merger."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self.last_served = len(nodes) - 1
        self.pipeline: deque[tuple[int, Node, list[Product]]] = deque()


class Tree:
    """All layers, from the root; ``root_block`` elements of its result go to memory together."""

    def __init__(self, config: Config, slots: list[Fifo], streams: list[list[Place]], root_block: int) -> None:
        self.config = config
        self.root_block = root_block
        self.layers: list[Layer] = []
        fifos, places = slots, streams
        for depth in reversed(range(config.merge_layers)):
            capacity = config.fifo_depth if depth else config.spill_fifo_elements
            pairs = range(0, len(fifos), 2)
            nodes = [Node((fifos[i], fifos[i + 1]), (places[i], places[i + 1]), capacity) for i in pairs]
            self.layers.insert(0, Layer(nodes))
            fifos, places = [node.fifo for node in nodes], [node.places for node in nodes]
        self.root = self.layers[0].nodes[0]

    def cycle(self, now: int) -> int:
        """Let every merger serve a node, all on the same state, and return how many did."""
        for layer in self.layers:
            while layer.pipeline and layer.pipeline[0][0] <= now:
                _, node, elements = layer.pipeline.popleft()
                node.fifo.elements.extend(elements)
                node.fifo.on_the_way -= len(elements)
        chosen = [self._chosen(layer) for layer in self.layers]
        for layer, (number, count) in zip(self.layers, chosen, strict=True):
            if count:
                node = layer.nodes[number]
                leave = node.take(count)
                node.fifo.on_the_way += len(leave)
                layer.pipeline.append((now + self.config.merge_latency_cycles, node, leave))
                layer.last_served = number
        return sum(count > 0 for _, count in chosen)

    def _chosen(self, layer: Layer) -> tuple[int, int]:
        """Return the node that a layer's merger serves, and how many elements it takes; none: 0."""
        width = self.config.merge_width
        there = [node.there(width) if node.fifo.room >= width else (0, False) for node in layer.nodes]
        ready = [i for i, (_, whole) in enumerate(there) if whole]
        if not ready:
            ready = [i for i, (count, _) in enumerate(there) if count and self._starves(layer.nodes[i])]
        if not ready:
            return 0, 0
        number = self._in_turn(layer, ready)
        return number, there[number][0]

    def _starves(self, node: Node) -> bool:
        if node is self.root:
            return len(node.fifo.elements) < self.root_block
        return not node.fifo.elements and not node.fifo.on_the_way

    def _in_turn(self, layer: Layer, ready: list[int]) -> int:
        if self.config.node_choice == "lowest":
            return ready[0]
        if self.config.node_choice == "emptiest":
            return min(ready, key=lambda i: len(layer.nodes[i].fifo.elements))
        return min(ready, key=lambda i: (i - layer.last_served - 1) % len(layer.nodes))
