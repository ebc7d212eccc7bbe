"""A network as a graph of layers, with every shape inferred and checked.

Nodes of the networkx graph are operations, edges are feature maps. Builders add operations one by one and get
back the name of the map they made; ``Network.table`` lowers the graph to the rows a machine runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy.typing as npt

from workloads.errors import WorkloadError
from workloads.layers import ACT_BITS, WGT_BITS, Layer, LayerTable

INPUT = "input"


@dataclass(frozen=True, slots=True)
class Shape:
    """A feature map of one image [elements]."""

    h: int
    w: int
    c: int

    def __str__(self) -> str:
        return f"{self.h} x {self.w} x {self.c}"


class Network:
    """A directed graph of operations.

    Parameters
    ----------
    name : str
    input_shape : tuple of int
        Height, width and channels of one image [elements].

    Attributes
    ----------
    graph : networkx.DiGraph
        A node per operation with ``kind`` (conv, depthwise, linear, matmul, elementwise, pooling), ``shape``
        of its output, ``layer`` (what a machine runs, or None) and ``parameters`` (trainable values).
    """

    def __init__(self, name: str, input_shape: tuple[int, int, int]) -> None:
        self.name = name
        self.graph = nx.DiGraph(name=name)
        self.graph.add_node(INPUT, kind=INPUT, shape=Shape(*input_shape), layer=None, parameters=0)

    def shape(self, node: str) -> Shape:
        """Return the feature map a node makes.

        Raises
        ------
        WorkloadError
            If the network has no such node.
        """
        if node not in self.graph:
            raise WorkloadError(self.name, "source", node, "an operation added before")
        shape: Shape = self.graph.nodes[node]["shape"]
        return shape

    def conv(
        self,
        name: str,
        source: str,
        out_c: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        bias: bool = False,
        batch_norm: bool = True,
        act_bits: int = 8,
        wgt_bits: int = 8,
    ) -> str:
        """Add a convolution with a square window; padding None keeps the size (``kernel // 2``)."""
        shape = self.shape(source)
        padding = kernel // 2 if padding is None else padding
        out_h, out_w = (self._window(name, size, kernel, stride, padding) for size in (shape.h, shape.w))
        layer = Layer(
            name=name,
            kind="depthwise" if 1 < groups == shape.c == out_c else "conv",
            in_h=shape.h,
            in_w=shape.w,
            in_c=shape.c,
            out_h=out_h,
            out_w=out_w,
            out_c=out_c,
            kernel_h=kernel,
            kernel_w=kernel,
            stride=stride,
            groups=groups,
            act_bits=act_bits,
            wgt_bits=wgt_bits,
            reads_input=int(source == INPUT),
        )
        weights = kernel * kernel * (shape.c // groups) * out_c
        return self.layer(layer, weights + bias * out_c + 2 * batch_norm * out_c, source)

    def depthwise(self, name: str, source: str, kernel: int, *, stride: int = 1, batch_norm: bool = True) -> str:
        """Add a convolution of each channel by itself."""
        channels = self.shape(source).c
        return self.conv(name, source, channels, kernel, stride=stride, groups=channels, batch_norm=batch_norm)

    def linear(
        self,
        name: str,
        source: str,
        out_c: int,
        *,
        bias: bool = True,
        each: bool = False,
        act_bits: int = 8,
        wgt_bits: int = 8,
    ) -> str:
        """Add a fully connected layer: of the flattened map, or with ``each`` of every element (token) of it."""
        shape = self.shape(source)
        if not each:
            shape = Shape(1, 1, shape.h * shape.w * shape.c)
        layer = Layer(
            name=name,
            kind="linear",
            in_h=shape.h,
            in_w=shape.w,
            in_c=shape.c,
            out_h=shape.h,
            out_w=shape.w,
            out_c=out_c,
            act_bits=act_bits,
            wgt_bits=wgt_bits,
        )
        return self.layer(layer, shape.c * out_c + bias * out_c, source)

    def matmul(self, name: str, left: str, right: str, *, heads: int = 1, transpose: bool = False) -> str:
        """Add a product of two feature maps whose rows are tokens, per head.

        The left map is R x 1 x (heads K). The right one is K x 1 x (heads C), or with ``transpose`` the map
        C x 1 x (heads K) of the tokens themselves.
        """
        a, b = self.shape(left), self.shape(right)
        depth, columns = (b.c // heads, b.h) if transpose else (b.h, b.c // heads)
        if a.w != 1 or b.w != 1 or a.c % heads or b.c % heads or a.c // heads != depth:
            raise WorkloadError(f"{self.name}, {name}", "shapes", f"{a} and {b}", "an inner dimension that agrees")
        layer = Layer(
            name=name,
            kind="matmul",
            in_h=a.h,
            in_w=1,
            in_c=a.c,
            out_h=a.h,
            out_w=1,
            out_c=heads * columns,
            groups=heads,
        )
        return self.layer(layer, 0, left, right)

    def elementwise(self, name: str, *sources: str) -> str:
        """Add a sum, product or activation; maps of 1 x 1 are broadcast over the others."""
        shapes = [self.shape(source) for source in sources]
        result = max(shapes, key=lambda shape: shape.h * shape.w)
        for shape in shapes:
            if shape.c != result.c or (shape != result and (shape.h, shape.w) != (1, 1)):
                raise WorkloadError(f"{self.name}, {name}", "shape", shape, f"{result} or 1 x 1 x {result.c}")
        return self.operation(name, "elementwise", result, *sources)

    def concatenate(self, name: str, *sources: str) -> str:
        """Join maps of one size along their channels."""
        shapes = [self.shape(source) for source in sources]
        if len({(shape.h, shape.w) for shape in shapes}) != 1:
            raise WorkloadError(f"{self.name}, {name}", "shapes", ", ".join(map(str, shapes)), "maps of one size")
        result = Shape(shapes[0].h, shapes[0].w, sum(shape.c for shape in shapes))
        return self.operation(name, "elementwise", result, *sources)

    def reshape(self, name: str, source: str, shape: Shape) -> str:
        """Read a map as one of another shape with as many elements."""
        old = self.shape(source)
        if old.h * old.w * old.c != shape.h * shape.w * shape.c:
            raise WorkloadError(f"{self.name}, {name}", "shape", shape, f"as many elements as {old}")
        return self.operation(name, "elementwise", shape, source)

    def pool(self, name: str, source: str, kernel: int = 0, *, stride: int = 0, padding: int = 0) -> str:
        """Add a maximum or average over windows; kernel 0 takes the whole map (global pooling)."""
        shape = self.shape(source)
        if kernel == 0:
            return self.operation(name, "pooling", Shape(1, 1, shape.c), source)
        out_h, out_w = (self._window(name, size, kernel, stride or kernel, padding) for size in (shape.h, shape.w))
        return self.operation(name, "pooling", Shape(out_h, out_w, shape.c), source)

    def layer(self, layer: Layer, parameters: int, *sources: str, shape: Shape | None = None) -> str:
        """Add what a machine runs, with its trainable values; ``shape`` where the map is not the layer's outputs."""
        shape = shape or Shape(layer.out_h, layer.out_w, layer.out_c)
        return self.operation(layer.name, layer.kind, shape, *sources, layer=layer, parameters=parameters)

    def operation(self, name: str, kind: str, shape: Shape, *sources: str, **data: Any) -> str:
        """Add an operation whose output's shape is known."""
        if name in self.graph:
            raise WorkloadError(self.name, "name", name, "a different name for every operation")
        self.graph.add_node(name, kind=kind, shape=shape, **({"layer": None, "parameters": 0} | data))
        for source in sources:
            self.graph.add_edge(source, name)
        return name

    def table(
        self, *, batch: int | None = None, act_bits: npt.ArrayLike | None = None, wgt_bits: npt.ArrayLike | None = None
    ) -> LayerTable:
        """Lower the graph to the layers a machine runs, in the order they were added.

        Parameters
        ----------
        batch : int, optional
            Images processed together, one unless layers say otherwise. They share weights; of a product of two maps
            each has its own right-hand operand, so there images become groups.
        act_bits, wgt_bits : int or sequence of int, shape (n,)
            Operand widths [bits], one for all layers or one per layer; None keeps each layer's own.
        """
        layers = [node["layer"] for _, node in self.graph.nodes(data=True) if node["layer"] is not None]
        table = LayerTable.of(self.name, layers)
        if batch is not None:
            table = table.with_batch(batch)
        table = table.images_as_groups()
        return table.with_bits(
            table.values[:, ACT_BITS] if act_bits is None else act_bits,
            table.values[:, WGT_BITS] if wgt_bits is None else wgt_bits,
        )

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image."""
        return sum(node["layer"].macs for _, node in self.graph.nodes(data=True) if node["layer"] is not None)

    @property
    def parameters(self) -> int:
        """Trainable values: weights, biases, and two per channel of a batch normalisation."""
        return sum(node["parameters"] for _, node in self.graph.nodes(data=True))

    def _window(self, name: str, size: int, kernel: int, stride: int, padding: int) -> int:
        out = (size + 2 * padding - kernel) // stride + 1
        if out < 1:
            raise WorkloadError(f"{self.name}, {name}", "kernel", kernel, f"1..{size + 2 * padding} on a map of {size}")
        return out
