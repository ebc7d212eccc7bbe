"""ONNX files: loaded without their weights' values, open dimensions given, every tensor's shape and width inferred.

Needs the extra ``onnx``. External data are never read; they have to lie in the model's folder all the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workloads.errors import WorkloadError
from workloads.layers import LARGEST_DIMENSION
from workloads.sparse.limits import whole

NEED = "an ONNX model"
LARGEST_FILE_BYTES = 2**31 - 1  # of a protocol buffer
LARGEST_KEPT = 1024  # values of a constant that shapes may depend on; larger ones are weights
BATCH = "batch"  # the size that the first dimension of every input is called by, too
INTEGER = re.compile(r"U?INT(2|4|8|16)")
VALUES = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A model's graph, as far as shapes and widths need it.

    Attributes
    ----------
    name : str
        The file's stem.
    nodes : sequence of onnx.NodeProto
        In the order they run.
    inputs : tuple of str
        Tensors the model is given, without its constants.
    constants : frozenset of str
        Tensors the file holds.
    shapes : mapping of str to tuple of int
        Of every tensor whose shape is known.
    bits : mapping of str to int
        Width of every tensor of integers of 2 to 16 bits.
    """

    name: str
    nodes: Any
    inputs: tuple[str, ...]
    constants: frozenset[str]
    shapes: Mapping[str, Shape]
    bits: Mapping[str, int]


def load_model(path: str | Path, sizes: Mapping[str, int]) -> Model:
    """Load a model and infer its shapes.

    Parameters
    ----------
    path : str or Path
    sizes : mapping of str to int
        Of open dimensions, by their name in the file or as ``INPUT.AXIS``; ``batch`` = 1 is the first of every input.

    Raises
    ------
    WorkloadError
        If the extra is missing, the file cannot be read or is no model, its external data lie elsewhere, or a
        dimension is left open or unknown.
    """
    path, where = Path(path), str(path)
    try:
        import onnx
        import onnx.inliner
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise WorkloadError(where, "", "an ONNX file and no onnx", "pip install 'sextant[onnx]'") from error
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise WorkloadError(where, "size", f"{path.stat().st_size} bytes", f"at most {LARGEST_FILE_BYTES}")
        model = onnx.ModelProto.FromString(path.read_bytes())
    except OSError as error:
        raise WorkloadError(where, "", error.strerror or "an unreadable file", NEED) from error
    except (DecodeError, ValueError, RecursionError) as error:
        raise WorkloadError(where, "", "a damaged file", NEED) from error
    if not model.graph.node:
        raise WorkloadError(where, "nodes", None, "an ONNX model with at least one")
    for tensor in _tensors(model):
        _check_location(tensor, path)
        if math.prod(tensor.dims) > LARGEST_KEPT:
            for values in VALUES:
                tensor.ClearField(values)
    held = frozenset(tensor.name for tensor in model.graph.initializer)
    inputs = tuple(info.name for info in model.graph.input if info.name not in held)
    _give_sizes(model.graph, inputs, sizes, where)
    try:
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except (RuntimeError, ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise WorkloadError(where, "", f"a damaged graph ({error})", NEED) from error
    shapes, bits = _described(model.graph)
    return Model(path.stem, model.graph.node, inputs, held, shapes, bits)


def _tensors(model: Any) -> Iterator[Any]:
    """Return every constant of a model, those of its functions and branches too."""
    yield from model.graph.initializer
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    while nodes:
        for attribute in nodes.pop().attribute:
            yield from (attribute.t, *attribute.tensors)
            for graph in (attribute.g, *attribute.graphs):
                yield from graph.initializer
                nodes += graph.node


def _check_location(tensor: Any, path: Path) -> None:
    """Refuse values outside the model's folder, whether by path or by link."""
    for entry in tensor.external_data:
        if entry.key != "location":
            continue
        folder = path.parent.resolve()
        try:
            inside = not Path(entry.value).is_absolute() and (folder / entry.value).resolve().is_relative_to(folder)
        except (OSError, ValueError):
            inside = False
        if not inside:
            need = "a file in the model's own folder"
            raise WorkloadError(str(path), f"external data of {tensor.name}", entry.value, need)


def _give_sizes(graph: Any, inputs: tuple[str, ...], sizes: Mapping[str, int], where: str) -> None:
    """Replace open dimensions by their sizes; refuse a size that is nobody's, and a dimension without one."""
    used = set()
    for info in graph.input:
        for axis, dimension in enumerate(info.type.tensor_type.shape.dim if info.name in inputs else ()):
            keys = [key for key in (dimension.dim_param, f"{info.name}.{axis}", BATCH if axis == 0 else "") if key]
            known = [key for key in keys if key in sizes]
            if dimension.HasField("dim_value"):
                if axis == 0 and BATCH in sizes:
                    _check_fixed(dimension.dim_value, sizes[BATCH], where)
                    used.add(BATCH)
                continue
            if not known:
                name = f" ({dimension.dim_param})" if dimension.dim_param else ""
                place, shown = f"{where}, input {info.name}", BATCH if axis == 0 else keys[0]
                raise WorkloadError(place, f"dimension {axis}{name}", "open", f"a size: {where}:{shown}=1")
            used.update(known)
            dimension.dim_value = whole(where, known[0], sizes[known[0]], 1, LARGEST_DIMENSION)
    for key in sizes:
        if key not in used:
            raise WorkloadError(where, key, sizes[key], "act_bits, wgt_bits, batch or an open dimension of an input")
    for info in (*graph.value_info, *graph.output):
        for dimension in info.type.tensor_type.shape.dim:
            if dimension.dim_param in sizes:
                dimension.dim_value = sizes[dimension.dim_param]


def _check_fixed(size: int, images: int, where: str) -> None:
    """Refuse more than one image of a batch's model: ``images`` is 1, the table multiplies it."""
    if size != images:
        raise WorkloadError(where, BATCH, "given", f"none, the file fixes {size} images")


def _described(graph: Any) -> tuple[dict[str, Shape], dict[str, int]]:
    """Return the known shapes and integer widths of all tensors."""
    from onnx import TensorProto

    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    shapes: dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for info in (*graph.input, *graph.value_info, *graph.output):
        tensor = info.type.tensor_type
        types[info.name] = tensor.elem_type
        if tensor.HasField("shape") and all(dimension.HasField("dim_value") for dimension in tensor.shape.dim):
            shapes[info.name] = tuple(dimension.dim_value for dimension in tensor.shape.dim)
    names = {value: name for name, value in TensorProto.DataType.items()}
    integers = {tensor: INTEGER.fullmatch(names.get(kind, "")) for tensor, kind in types.items()}
    return shapes, {tensor: int(match[1]) for tensor, match in integers.items() if match}
