"""Small ONNX models, built for a test: nodes, inputs and constants as short as a test wants to write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")


def constant(name: str, *shape: int, kind: str = "FLOAT", value: int = 0) -> Any:
    """A constant of zeros, or of one value."""
    data_type = getattr(onnx.TensorProto, kind)
    return onnx.helper.make_tensor(name, data_type, shape, [value] * int(np.prod(shape, dtype=np.int64)))


def node(operator: str, inputs: str, outputs: str, name: str = "", **attributes: Any) -> Any:
    """A node; tensors separated by spaces."""
    return onnx.helper.make_node(operator, inputs.split(), outputs.split(), name=name, **attributes)


def value(name: str, *shape: int | str | None, kind: str = "FLOAT") -> Any:
    """An input or output."""
    return onnx.helper.make_tensor_value_info(name, getattr(onnx.TensorProto, kind), shape)


def model(nodes: list[Any], inputs: list[Any], constants: list[Any], output: str = "y", **extra: Any) -> Any:
    """A model of operator set 21."""
    graph = onnx.helper.make_graph(nodes, "graph", inputs, [onnx.ValueInfoProto(name=output)], constants)
    sets = [onnx.helper.make_opsetid("", 21), onnx.helper.make_opsetid("custom", 1)]
    return onnx.helper.make_model(graph, opset_imports=sets, **extra)


def save(folder: Path, made: Any, name: str = "model.onnx") -> Path:
    """Write a model; return its path."""
    path = folder / name
    path.write_bytes(made.SerializeToString())
    return path


def quantized(tensor: str, zero: str) -> list[Any]:
    """Nodes that quantize a tensor to the width of a zero point and back, as ``TENSOR_d``."""
    return [
        node("QuantizeLinear", f"{tensor} scale {zero}", f"{tensor}_q"),
        node("DequantizeLinear", f"{tensor}_q scale {zero}", f"{tensor}_d"),
    ]


def two_convolutions(batch: int | str | None = "batch") -> Any:
    """QDQ: a convolution of 8 x 8 bits that reads the input, one of 4 bits by 8, and a product without widths."""
    nodes = [
        *quantized("x", "u8"),
        node("DequantizeLinear", "w1 scale i8", "w1_d"),
        node("Conv", "x_d w1_d b1", "c1", "conv1", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Relu", "c1", "r1"),
        *quantized("r1", "u4"),
        node("DequantizeLinear", "w2 scale i8", "w2_d"),
        node("Conv", "r1_d w2_d", "c2", "conv2", pads=[1, 1, 1, 1], group=8),
        node("GlobalAveragePool", "c2", "p"),
        node("Flatten", "p", "f"),
        node("Gemm", "f w3", "y", "fc", transB=1),
    ]
    constants = [
        constant("scale", value=1),
        constant("u8", kind="UINT8"),
        constant("i8", kind="INT8"),
        constant("u4", kind="UINT4"),
        constant("w1", 8, 3, 3, 3, kind="INT8"),
        constant("b1", 8),
        constant("w2", 8, 1, 3, 3, kind="INT8"),
        constant("w3", 10, 8),
    ]
    return model(nodes, [value("x", batch, 3, 32, 32)], constants)
