"""ONNX models as networks: operators that multiply become layers, the others nodes between them.

Widths come from integer tensors: what a DequantizeLinear or an integer operator reads. Operands that no quantization
describes count as 8 bits, as in the networks that are built in. A transposed convolution counts as the product it
is, input pixels by window times output channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workloads.errors import WorkloadError
from workloads.layers import Layer
from workloads.network import INPUT, Network, Shape
from workloads.onnx_model import Model, load_model

BITS = 8  # of an operand that is not quantized
NOT_KNOWN = Shape(0, 0, 0)
DOMAINS = ("", "ai.onnx")

# What only moves values: widths go through.
MOVING = frozenset({
    "Cast", "Concat", "DepthToSpace", "Dropout", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "Pad", "Reshape",
    "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
})  # fmt: skip
QUANTIZING = frozenset({"DequantizeLinear", "QuantizeLinear", "DynamicQuantizeLinear"})
POOLING = frozenset({
    "AveragePool", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "LpPool", "MaxPool", "ReduceL1", "ReduceL2",
    "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare",
})  # fmt: skip
ELEMENTWISE = frozenset({
    "Abs", "Add", "And", "ArgMax", "ArgMin", "BatchNormalization", "Ceil", "Celu", "Clip", "ConstantOfShape", "Cos",
    "CumSum", "Div", "Elu", "Equal", "Erf", "Exp", "EyeLike", "Floor", "GatherElements", "GatherND", "Gelu", "Greater",
    "GreaterOrEqual", "GroupNormalization", "HardSigmoid", "HardSwish", "InstanceNormalization", "IsInf", "IsNaN",
    "LRN", "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "LpNormalization", "Max",
    "Mean", "MeanVarianceNormalization", "Min", "Mish", "Mod", "Mul", "Neg", "NonMaxSuppression", "Not", "OneHot",
    "Or", "PRelu", "Pow", "RMSNormalization", "Range", "Reciprocal", "Relu", "Resize", "Round", "ScatterElements",
    "ScatterND", "Selu", "Shape", "Sigmoid", "Sign", "Sin", "Size", "Softmax", "Softplus", "Softsign", "Sqrt", "Sub",
    "Sum", "Swish", "Tanh", "ThresholdedRelu", "TopK", "Trilu", "Upsample", "Where", "Xor",
})  # fmt: skip


class _UnsupportedError(Exception):
    """An operator, or a use of one, that no layer stands for."""


def read_onnx(path: str | Path, sizes: Mapping[str, int] | None = None, *, skip_unsupported: bool = False) -> Network:
    """Read an ONNX model as a network.

    Parameters
    ----------
    path : str or Path
    sizes : mapping of str to int, optional
        Of open dimensions, see ``workloads.onnx_model.load_model``.
    skip_unsupported : bool
        Leave out operators that no layer stands for, instead of refusing them.

    Raises
    ------
    WorkloadError
        If the model cannot be loaded, an operator is not supported, or a layer's shapes are not known or not allowed.
    """
    return _Graph(load_model(path, sizes or {}), str(path), skip_unsupported).network


class _Graph:
    """A network in the making, and who makes each of the model's tensors."""

    def __init__(self, model: Model, where: str, skip_unsupported: bool) -> None:
        self._model, self._skip, self._where = model, skip_unsupported, where
        first, *others = [_map(model.shapes.get(name)) for name in model.inputs] or [NOT_KNOWN]
        self.network = Network(model.name, (first.h, first.w, first.c))
        self._maker = dict(zip(model.inputs, [INPUT, *model.inputs[1:]], strict=True))
        for name, shape in zip(model.inputs[1:], others, strict=True):
            self.network.operation(name, "input", shape)
        self._constants = set(model.constants)
        self._bits = dict(model.bits)
        self._given = set(model.inputs)  # tensors that hold the network's input, however it is laid out
        for node in model.nodes:
            self._add(node)

    def _add(self, node: Any) -> None:
        inputs = [name for name in node.input if name]
        made = [name for name in node.output if name]
        if not made:
            raise WorkloadError(self._at(node), "outputs", None, "at least one")
        for name in inputs:
            if name not in self._maker and name not in self._constants:
                raise WorkloadError(self._at(node), "input", name, "a tensor that was made before")
        operator = node.op_type if node.domain in DOMAINS else f"{node.domain}.{node.op_type}"
        if inputs and operator in MOVING | QUANTIZING:
            for name in made:
                self._bits.setdefault(name, self._bits.get(inputs[0], BITS))
            if inputs[0] in self._given:
                self._given.update(made)
        if self._constants.issuperset(inputs) and (inputs or operator == "Constant"):
            self._constants.update(made)
            return
        sources = [self._maker[name] for name in inputs if name in self._maker]
        if operator in QUANTIZING:
            self._maker.update(dict.fromkeys(made, sources[0]) if sources else {})
            self._constants.update(() if sources else made)
            return
        self._maker.update(dict.fromkeys(made, self._operation(node, operator, sources)))

    def _operation(self, node: Any, operator: str, sources: list[str]) -> str:
        """Add what a node does to the network; return its name there."""
        name = self._name(node)
        shape = _map(self._model.shapes.get(node.output[0]))
        try:
            if operator in LAYERS:
                layer, parameters = LAYERS[operator](self, node, name)
                return self.network.layer(layer, parameters, *sources, shape=shape)
            if operator not in POOLING | ELEMENTWISE | MOVING:
                raise _UnsupportedError(operator)
        except _UnsupportedError as error:
            if not self._skip:
                need = "an operator that layers stand for (docs/networks.md), or --skip-unsupported"
                raise WorkloadError(self._at(node), "operator", error, need) from None
        except WorkloadError as error:
            raise error.at(self._at(node)) from None
        kind = "pooling" if operator in POOLING else "elementwise"
        return self.network.operation(name, kind, shape, *sources)

    def _name(self, node: Any) -> str:
        names = (node.name, *node.output, f"{node.op_type}_{len(self.network.graph)}")
        return next(str(name) for name in names if name and name not in self.network.graph)

    def _at(self, node: Any) -> str:
        return f"{self._where}, node {node.name or ''.join(node.output[:1]) or node.op_type}"

    def _shape(self, node: Any, tensor: str) -> tuple[int, ...]:
        """Return a tensor's shape, which has to be known."""
        shape = self._model.shapes.get(tensor)
        if shape is None:
            need = "one that can be inferred: give open dimensions, or export the model with fixed shapes"
            raise WorkloadError(self._at(node), f"shape of {tensor}", "not known", need)
        return shape

    def _operands(self, node: Any, second: int) -> tuple[str, str]:
        """Return the two tensors a node multiplies: its first input and its ``second``."""
        if len(node.input) <= second or not node.input[0] or not node.input[second]:
            raise WorkloadError(self._at(node), "inputs", len(node.input), f"at least {second + 1}")
        return node.input[0], node.input[second]

    def _weights(self, *tensors: str) -> int:
        """Return how many values of some tensors the file holds."""
        return sum(math.prod(self._model.shapes.get(name, (0,))) for name in tensors if name in self._constants)

    def conv(self, node: Any, name: str) -> tuple[Layer, int]:
        """Lower Conv, ConvInteger or QLinearConv in one or two dimensions."""
        data, weight = self._operands(node, 3 if node.op_type == "QLinearConv" else 1)
        given, window, made = (self._shape(node, tensor) for tensor in (data, weight, node.output[0]))
        _check_maps(node, given, window, made)
        groups = _attribute(node, "group", 1)
        (in_h, in_w), (out_h, out_w), (kernel_h, kernel_w) = _area(given), _area(made), _area(window)
        layer = Layer(
            name=name,
            kind="depthwise" if 1 < groups == given[1] == made[1] else "conv",
            batch=given[0],
            in_h=in_h,
            in_w=in_w,
            in_c=given[1],
            out_h=out_h,
            out_w=out_w,
            out_c=made[1],
            kernel_h=kernel_h,
            kernel_w=kernel_w,
            stride=_stride(node, made[2:]),
            groups=groups,
            act_bits=self._bits.get(data, BITS),
            wgt_bits=self._bits.get(weight, BITS),
            reads_input=int(data in self._given),
            dilation=_dilation(node, window[2:]),
        )
        return layer, self._weights(weight, *node.input[2:3] if node.op_type == "Conv" else ())

    def transposed(self, node: Any, name: str) -> tuple[Layer, int]:
        """Lower ConvTranspose: every input pixel times the whole window, which is added up over the output."""
        data, weight = self._operands(node, 1)
        given, window = self._shape(node, data), self._shape(node, weight)
        _check_maps(node, given, window)
        groups = _attribute(node, "group", 1)
        height, width = _area(given)
        layer = Layer(
            name=name,
            kind="conv",
            batch=given[0],
            in_h=height,
            in_w=width,
            in_c=given[1],
            out_h=height,
            out_w=width,
            out_c=groups * math.prod(window[1:]),
            groups=groups,
            act_bits=self._bits.get(data, BITS),
            wgt_bits=self._bits.get(weight, BITS),
            reads_input=int(data in self._given),
        )
        return layer, self._weights(*node.input[1:3])

    def gemm(self, node: Any, name: str) -> tuple[Layer, int]:
        """Lower Gemm: a product of two matrices, either of which may be transposed."""
        shapes = [self._shape(node, tensor) for tensor in self._operands(node, 1)]
        if any(len(shape) != 2 for shape in shapes):
            raise WorkloadError(self._at(node), "shapes", shapes, "two matrices")
        left, right = (
            shape[::-1] if _attribute(node, attribute, 0) else shape
            for shape, attribute in zip(shapes, ("transA", "transB"), strict=True)
        )
        layer, parameters = self._product(name, node.input[0], node.input[1], left, right)
        return layer, parameters + self._weights(*node.input[2:3])

    def matmul(self, node: Any, name: str) -> tuple[Layer, int]:
        """Lower MatMul, MatMulInteger or QLinearMatMul, which broadcast as numpy's do."""
        left, right = self._operands(node, 3 if node.op_type == "QLinearMatMul" else 1)
        left_shape, right_shape = self._shape(node, left), self._shape(node, right)
        if not left_shape or not right_shape:
            raise WorkloadError(self._at(node), "shapes", [left_shape, right_shape], "at least one dimension each")
        left_shape = left_shape if len(left_shape) > 1 else (1, *left_shape)
        right_shape = right_shape if len(right_shape) > 1 else (*right_shape, 1)
        return self._product(name, left, right, left_shape, right_shape)

    def _product(
        self, name: str, left: str, right: str, left_shape: tuple[int, ...], right_shape: tuple[int, ...]
    ) -> tuple[Layer, int]:
        """Lower (..., R, K) x (..., K, C): linear where one side is a single matrix of weights."""
        if left in self._constants:  # weights on the left: the transposed product
            left, right = right, left
            left_shape, right_shape = _transposed(right_shape), _transposed(left_shape)
        *left_stack, rows, depth = left_shape
        *right_stack, right_depth, columns = right_shape
        if depth != right_depth:
            raise WorkloadError(name, "shapes", f"{left_shape} and {right_shape}", "an inner dimension that agrees")
        parameters = self._weights(right)
        widths = {"act_bits": self._bits.get(left, BITS), "wgt_bits": self._bits.get(right, BITS)}
        if right in self._constants and math.prod(right_stack) == 1:
            batch, *rest = (*left_stack, rows)
            size = {"in_h": math.prod(rest), "out_h": math.prod(rest), "in_c": depth, "out_c": columns}
            return Layer(name=name, kind="linear", batch=batch, in_w=1, out_w=1, **size, **widths), parameters
        groups, rows = math.prod(right_stack), rows * _sharing(left_stack, right_stack)
        size = {"in_h": rows, "out_h": rows, "in_c": groups * depth, "out_c": groups * columns}
        return Layer(name=name, kind="matmul", in_w=1, out_w=1, groups=groups, **size, **widths), parameters


LAYERS: Mapping[str, Callable[[_Graph, Any, str], tuple[Layer, int]]] = {
    "Conv": _Graph.conv,
    "ConvInteger": _Graph.conv,
    "QLinearConv": _Graph.conv,
    "ConvTranspose": _Graph.transposed,
    "Gemm": _Graph.gemm,
    "MatMul": _Graph.matmul,
    "MatMulInteger": _Graph.matmul,
    "QLinearMatMul": _Graph.matmul,
}


def _sharing(left: list[int], right: list[int]) -> int:
    """Return how many left-hand matrices meet each right-hand one, where leading dimensions broadcast."""
    right = [1] * (len(left) - len(right)) + right
    left = [1] * (len(right) - len(left)) + left
    return math.prod(a for a, b in zip(left, right, strict=True) if b == 1)


def _transposed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-2], shape[-1], shape[-2])


def _attribute(node: Any, name: str, default: int) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == name), default)


def _stride(node: Any, made: tuple[int, ...]) -> int:
    """Return the step of a window, which has to be one in all directions it moves."""
    return _in_all_directions(node, "strides", made)


def _dilation(node: Any, window: tuple[int, ...]) -> int:
    """Return the distance of a window's taps, which has to be one in all directions it has more than one."""
    return _in_all_directions(node, "dilations", window)


def _in_all_directions(node: Any, name: str, sizes: tuple[int, ...]) -> int:
    given = [list(attribute.ints) for attribute in node.attribute if attribute.name == name]
    values = given[0] if given and given[0] else [1] * len(sizes)
    told_apart = {value for value, size in zip(values, sizes, strict=False) if size > 1}
    if len(told_apart) > 1:
        raise _UnsupportedError(f"{node.op_type} of {name} {values}")
    return int(told_apart.pop() if told_apart else values[0])


def _check_maps(node: Any, *shapes: tuple[int, ...]) -> None:
    if any(len(shape) not in (3, 4) for shape in shapes) or len({len(shape) for shape in shapes}) > 1:
        dimensions = max(len(shape) for shape in shapes) - 2
        raise _UnsupportedError(f"{node.op_type} in {dimensions} dimensions")


def _area(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return height and width of a map or window; in one dimension the height is its length."""
    height, *width = shape[2:]
    return height, width[0] if width else 1


def _map(shape: tuple[int, ...] | None) -> Shape:
    """Read a tensor as a map of one image: (n, c, h, w), (n, tokens, c), (n, c), or of any other rank flattened."""
    if shape is None:
        return NOT_KNOWN
    if len(shape) == 4:
        return Shape(shape[2], shape[3], shape[1])
    if len(shape) == 3:
        return Shape(shape[1], 1, shape[2])
    return Shape(1, 1, math.prod(shape[1:]))
