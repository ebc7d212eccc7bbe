"""ONNX models as layers: shapes, widths, products of every kind, and what is said of what cannot be run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.onnx_models import constant, model, node, onnx, quantized, save, two_convolutions, value
from workloads.errors import WorkloadError
from workloads.layers import Layer
from workloads.network import INPUT
from workloads.onnx_graph import read_onnx
from workloads.source import open_layers


def layers(folder: Path, made: Any, options: str = "") -> list[Layer]:
    return list(open_layers(f"{save(folder, made)}{options}").layers())


def one(folder: Path, *nodes: Any, inputs: list[Any], constants: list[Any]) -> Layer:
    (layer,) = layers(folder, model(list(nodes), inputs, constants))
    return layer


def refusal(folder: Path, made: Any, options: str = "", **how: bool) -> str:
    """Return what is said of a model, without the folder it is in."""
    path = save(folder, made)
    with pytest.raises(WorkloadError) as caught:
        open_layers(f"{path}{options}", **how)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{folder}/", "")


def test_a_quantized_network(tmp_path: Path) -> None:
    first, second, last = layers(tmp_path, two_convolutions(), ":batch=16")
    assert first == Layer(
        name="conv1", kind="conv", batch=16, in_h=32, in_w=32, in_c=3, out_h=16, out_w=16, out_c=8, kernel_h=3,
        kernel_w=3, stride=2, reads_input=1,
    )  # fmt: skip
    assert second == Layer(
        name="conv2", kind="depthwise", batch=16, in_h=16, in_w=16, in_c=8, out_h=16, out_w=16, out_c=8, kernel_h=3,
        kernel_w=3, groups=8, act_bits=4,
    )  # fmt: skip
    assert last == Layer(name="fc", kind="linear", batch=16, in_h=1, in_w=1, in_c=8, out_h=1, out_w=1, out_c=10)


def test_the_graph_holds_the_other_operators_and_the_parameters(tmp_path: Path) -> None:
    network = read_onnx(save(tmp_path, two_convolutions(1)))
    kinds = [kind for _, kind in network.graph.nodes(data="kind")]
    assert kinds == ["input", "conv", "elementwise", "depthwise", "pooling", "elementwise", "linear"]
    assert list(network.graph.predecessors("conv1")) == [INPUT]
    assert network.parameters == 8 * 27 + 8 + 8 * 9 + 80


def test_a_dimension_by_each_of_its_names(tmp_path: Path) -> None:
    made = two_convolutions("images")
    for options in (":batch=3,act_bits=2", ":images=3,act_bits=2", ":x.0=3,act_bits=2"):
        drawn = layers(tmp_path, made, options)
        assert [(layer.batch, layer.act_bits, layer.wgt_bits) for layer in drawn] == [(3, 2, 8)] * 3


def test_an_unnamed_dimension_has_a_name_too(tmp_path: Path) -> None:
    made = model([node("MatMul", "x w", "y")], [value("x", 2, None, 8)], [constant("w", 8, 4)])
    assert refusal(tmp_path, made) == ("model.onnx, input x: dimension 1 = open, need a size: model.onnx:x.1=1")
    (layer,) = layers(tmp_path, made, ":x.1=7")
    assert (layer.batch, layer.in_h, layer.in_c, layer.out_c) == (2, 7, 8, 4)


@pytest.mark.parametrize(
    ("operator", "inputs", "shape", "weights"),
    [
        ("ConvInteger", "x w", (1, 4, 9, 9), (6, 4, 2, 2)),
        ("QLinearConv", "x scale u8 w scale i8 scale u8", (1, 4, 9, 9), (6, 4, 2, 2)),
        ("MatMulInteger", "x w", (5, 8), (8, 3)),
        ("QLinearMatMul", "x scale u8 w scale i8 scale u8", (5, 8), (8, 3)),
    ],
)
def test_integer_operators(
    tmp_path: Path, operator: str, inputs: str, shape: tuple[int, ...], weights: tuple[int, ...]
) -> None:
    constants = [
        constant("scale", value=1),
        constant("u8", kind="UINT8"),
        constant("i8", kind="INT8"),
        constant("w", *weights, kind="INT8"),
    ]
    layer = one(tmp_path, node(operator, inputs, "y"), inputs=[value("x", *shape, kind="UINT8")], constants=constants)
    assert (layer.act_bits, layer.wgt_bits) == (8, 8)
    assert layer.macs == (8 * 8 * 6 * 16 if len(shape) == 4 else 5 * 8 * 3)


@pytest.mark.parametrize(
    ("act", "wgt", "bits"), [("UINT4", "INT4", (4, 4)), ("UINT16", "INT8", (16, 8)), ("INT8", "INT2", (8, 2))]
)
def test_widths_of_every_integer_type(tmp_path: Path, act: str, wgt: str, bits: tuple[int, int]) -> None:
    if not hasattr(onnx.TensorProto, wgt):
        pytest.skip(f"this onnx has no {wgt}")
    nodes = [
        *quantized("x", "za"),
        *quantized("w", "zw"),
        node("Transpose", "w_d", "wt"),
        node("MatMul", "x_d wt", "y"),
    ]
    constants = [constant("scale", value=1), constant("za", kind=act), constant("zw", kind=wgt), constant("w", 3, 8)]
    layer = one(tmp_path, *nodes, inputs=[value("x", 5, 8)], constants=constants)
    assert (layer.act_bits, layer.wgt_bits) == bits
    assert (layer.kind, layer.batch, layer.in_c, layer.out_c) == ("linear", 5, 8, 3)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ((6, 8), (8, 3), ("matmul", 1, 6, 1, 8, 3)),
        ((2, 4, 6, 8), (2, 4, 8, 3), ("matmul", 1, 6, 8, 64, 24)),
        ((2, 4, 6, 8), (2, 1, 8, 3), ("matmul", 1, 24, 2, 16, 6)),
        ((6, 8), (5, 8, 3), ("matmul", 1, 6, 5, 40, 15)),
        ((2, 6, 8), (8,), ("matmul", 1, 12, 1, 8, 1)),
        ((8,), (8, 3), ("matmul", 1, 1, 1, 8, 3)),
    ],
)
def test_products_of_two_maps(
    tmp_path: Path, left: tuple[int, ...], right: tuple[int, ...], expected: tuple[str, int, int, int, int, int]
) -> None:
    layer = one(tmp_path, node("MatMul", "a b", "y"), inputs=[value("a", *left), value("b", *right)], constants=[])
    assert (layer.kind, layer.batch, layer.in_h, layer.groups, layer.in_c, layer.out_c) == expected


def test_images_of_a_product_of_two_maps_have_an_operand_each(tmp_path: Path) -> None:
    made = model([node("MatMul", "a b", "y")], [value("a", 1, 4, 6, 8), value("b", 1, 4, 8, 3)], [])
    (layer,) = layers(tmp_path, made, ":batch=5")
    assert (layer.batch, layer.groups, layer.macs) == (1, 20, 5 * 4 * 6 * 8 * 3)


def test_weights_on_the_left_are_the_transposed_product(tmp_path: Path) -> None:
    nodes = (*quantized("w", "z"), node("MatMul", "w_d x", "y"))
    constants = [constant("w", 3, 8), constant("scale", value=1), constant("z", kind="INT4")]
    layer = one(tmp_path, *nodes, inputs=[value("x", 8, 6)], constants=constants)
    assert (layer.kind, layer.batch, layer.in_c, layer.out_c, layer.wgt_bits) == ("linear", 6, 8, 3, 4)


def test_one_dimension_and_transposed_and_grouped_convolutions(tmp_path: Path) -> None:
    line = one(
        tmp_path,
        node("Conv", "x w", "y", strides=[2], group=2),
        inputs=[value("x", 1, 4, 17)],
        constants=[constant("w", 6, 2, 3)],
    )
    assert (line.kind, line.in_h, line.in_w, line.out_h, line.groups, line.stride) == ("conv", 17, 1, 8, 2, 2)
    assert line.macs == 8 * 6 * 3 * 2
    up = one(
        tmp_path,
        node("ConvTranspose", "x w", "y", strides=[2, 2]),
        inputs=[value("x", 1, 4, 5, 5)],
        constants=[constant("w", 4, 3, 2, 2)],
    )
    assert (up.out_h, up.out_c, up.macs) == (5, 12, 25 * 4 * 12)


def test_a_dilated_window_covers_what_lies_between_its_taps(tmp_path: Path) -> None:
    inputs, constants = [value("x", 1, 4, 9, 9)], [constant("w", 6, 4, 3, 3)]
    layer = one(tmp_path, node("Conv", "x w", "y", dilations=[2, 2]), inputs=inputs, constants=constants)
    assert (layer.out_h, layer.dilation, layer.reach_h, layer.macs) == (5, 2, 5, 25 * 6 * 4 * 9)
    uneven = model([node("Conv", "x w", "y", dilations=[1, 2])], inputs, constants)
    assert "node y: operator = Conv of dilations [1, 2], need an operator" in refusal(tmp_path, uneven)


def test_constants_are_folded_and_local_functions_opened(tmp_path: Path) -> None:
    function = onnx.helper.make_function(
        "custom", "Twice", ["a", "b"], ["c"], [node("MatMul", "a b", "h"), node("Relu", "h", "c")],
        [onnx.helper.make_opsetid("", 21)],
    )  # fmt: skip
    twice = node("Twice", "x m", "y")
    twice.domain = "custom"
    nodes = [node("MatMul", "w w", "m"), twice]
    made = model(nodes, [value("x", 5, 8)], [constant("w", 8, 8)], functions=[function])
    (layer,) = layers(tmp_path, made)
    assert (layer.kind, layer.batch, layer.in_c, layer.out_c) == ("linear", 5, 8, 8)


def test_unsupported_operators_are_named_and_skipped_only_if_asked(tmp_path: Path) -> None:
    nodes = [node("MatMul", "x w", "h", "first"), node("Einsum", "h h", "e", "sum", equation="ij,ij->ij")]
    made = model([*nodes, node("MatMul", "e w", "y", "last")], [value("x", 5, 8)], [constant("w", 8, 8)])
    need = "need an operator that layers stand for (docs/networks.md), or --skip-unsupported"
    assert refusal(tmp_path, made) == f"model.onnx, node sum: operator = Einsum, {need}"
    table = open_layers(str(tmp_path / "model.onnx"), skip_unsupported=True)
    assert table.layer_names == ("first", "last")


def test_convolutions_no_layer_stands_for(tmp_path: Path) -> None:
    uneven = model([node("Conv", "x w", "y", strides=[1, 2])], [value("x", 1, 4, 9, 9)], [constant("w", 6, 4, 3, 3)])
    assert "node y: operator = Conv of strides [1, 2], need an operator" in refusal(tmp_path, uneven)
    deep = model([node("Conv", "x w", "y")], [value("x", 1, 4, 9, 9, 9)], [constant("w", 6, 4, 3, 3, 3)])
    assert "node y: operator = Conv in 3 dimensions, need an operator" in refusal(tmp_path, deep)
    assert "layers is missing, need at least one" in refusal(tmp_path, deep, skip_unsupported=True)


def external(location: str) -> Any:
    made = model([node("MatMul", "x w", "y")], [value("x", 5, 8)], [constant("w", 8, 4)])
    tensor = made.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return made


def test_external_data_are_not_read_and_must_lie_beside_the_model(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    assert layers(folder, external("weights.bin"))[0].out_c == 4
    (folder / "link").symlink_to("/etc")
    for location in ("../weights.bin", "/etc/passwd", "link/passwd", "a/../../b", "nul\0l"):
        message = refusal(folder, external(location))
        assert message.startswith("model.onnx: external data of w = "), message
        assert message.endswith("need a file in the model's own folder")


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, two_convolutions(1))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(WorkloadError, match=r"an ONNX file and no onnx, need pip install 'sextant\[onnx\]'"):
        open_layers(str(path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "model.onnx, input x: dimension 0 (batch) = open, need a size: model.onnx:batch=1"),
        (":batch=0", "model.onnx, model: batch = 0, need 1..1048576"),
        (":batch=many", "model.onnx: batch = many, need a whole number"),
        (":batch=1,height=3", "model.onnx: height = 3, need act_bits, wgt_bits, batch or an open dimension"),
        (":batch=1,batch=2", "model.onnx: batch = 2, need each key once"),
        (":batch=1,act_bits=64", "model.onnx, model: act_bits = 64, need 1..32"),
        (":batch=1,", "model.onnx: , need key=value"),
    ],
)
def test_options_that_cannot_be(tmp_path: Path, options: str, message: str) -> None:
    assert message in refusal(tmp_path, two_convolutions(), options)


def test_a_batch_the_file_fixes(tmp_path: Path) -> None:
    assert [layer.batch for layer in layers(tmp_path, two_convolutions(4))] == [4, 4, 4]
    assert refusal(tmp_path, two_convolutions(4), ":batch=2") == (
        "model.onnx: batch = given, need none, the file fixes 4 images"
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_network_exported_by_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs torch")
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 8, 3, groups=8),
        torch.nn.Flatten(),
        torch.nn.Linear(8 * 14 * 14, 10),
    ).eval()
    path = tmp_path / "model.onnx"
    torch.onnx.export(net, (torch.zeros(1, 3, 32, 32),), str(path), dynamo=False)
    table = open_layers(f"{path}:batch=2")
    assert [layer.kind for layer in table.layers()] == ["conv", "depthwise", "linear"]
    assert table.macs.tolist() == [2 * 256 * 8 * 27, 2 * 196 * 8 * 9, 2 * 1568 * 10]


@pytest.mark.filterwarnings("ignore")
def test_attention_exported_by_torch_with_open_dimensions(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs torch")

    class Attention(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key, self.value = (torch.nn.Linear(64, 64) for _ in range(3))

        def forward(self, x: Any) -> Any:
            batch, tokens, width = x.shape
            query, key, value = (
                project(x).view(batch, tokens, 4, 16).transpose(1, 2) for project in (self.query, self.key, self.value)
            )
            context = torch.softmax(query @ key.transpose(-1, -2), -1) @ value
            return context.transpose(1, 2).reshape(batch, tokens, width)

    path = tmp_path / "model.onnx"
    open_axes = {"x": {0: "batch", 1: "tokens"}}
    torch.onnx.export(
        Attention().eval(),
        (torch.zeros(2, 10, 64),),
        str(path),
        dynamo=False,
        input_names=["x"],
        dynamic_axes=open_axes,
    )
    table = open_layers(f"{path}:batch=3,tokens=12")
    assert [layer.kind for layer in table.layers()] == ["linear"] * 3 + ["matmul"] * 2
    assert [(layer.batch, layer.groups) for layer in table.layers()] == [(3, 1)] * 3 + [(1, 12)] * 2
    assert table.macs.tolist() == [3 * 12 * 64 * 64] * 3 + [3 * 12 * 12 * 64] * 2
