"""Transformer blocks as layers: multiply-accumulates by hand, shared keys, gates, patches, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workloads.errors import WorkloadError
from workloads.layers import LayerTable
from workloads.source import open_layers

BERT = {
    "model_type": "bert", "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64, "intermediate_size": 256,
}  # fmt: skip
LLAMA = {**BERT, "model_type": "llama", "num_key_value_heads": 2, "intermediate_size": 160, "hidden_act": "silu"}
VIT = {**BERT, "model_type": "vit", "image_size": 32, "patch_size": 8, "num_channels": 3}


def opened(folder: Path, values: dict[str, Any], options: str = "") -> LayerTable:
    path = folder / "config.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    return open_layers(f"{path}{options}")


def refusal(folder: Path, values: dict[str, Any], options: str = "") -> str:
    with pytest.raises(WorkloadError) as caught:
        opened(folder, values, options)
    return str(caught.value).replace(f"{folder}/", "")


def test_an_encoder(tmp_path: Path) -> None:
    table = opened(tmp_path, BERT, ":length=10,batch=3,act_bits=4")
    block = ["query", "key", "value", "scores", "context", "output", "up", "down"]
    assert list(table.layer_names) == [f"layer{index}.{name}" for index in range(2) for name in block]
    projection, products, forward = 10 * 64 * 64, 10 * 10 * 64, 10 * 64 * 256
    macs = [projection] * 3 + [products] * 2 + [projection] + [forward] * 2
    assert table.macs.tolist() == [3 * count for count in macs * 2]
    scores = table.layer(3)
    assert (scores.kind, scores.batch, scores.groups, scores.in_h, scores.act_bits) == ("matmul", 1, 12, 10, 4)


def test_published_shapes_are_networks_too() -> None:
    table = open_layers("bert-base")
    assert table.macs.sum() == 12 * 384 * (4 * 768 * 768 + 2 * 768 * 3072 + 2 * 384 * 768)
    assert open_layers("gpt2-small:length=128,batch=2").macs.sum() == 2 * 12 * 128 * (12 * 768 * 768 + 2 * 128 * 768)


def test_shared_keys_and_gates(tmp_path: Path) -> None:
    table = opened(tmp_path, LLAMA, ":length=10")
    layers = {layer.name: layer for layer in table.layers()}
    assert layers["layer1.key"].out_c == layers["layer1.value"].out_c == 32
    scores, context = layers["layer1.scores"], layers["layer1.context"]
    assert (scores.groups, scores.in_h, scores.in_c, scores.out_c) == (2, 20, 32, 20)
    assert (context.groups, context.in_h, context.in_c, context.out_c) == (2, 20, 20, 32)
    assert scores.macs == context.macs == 4 * 10 * 10 * 16
    assert layers["layer1.output"].in_c == 64
    assert layers["layer1.gate"].macs == layers["layer1.up"].macs == layers["layer1.down"].macs == 10 * 64 * 160


def test_a_family_that_is_not_known_is_gated_where_it_says_silu(tmp_path: Path) -> None:
    assert "layer0.gate" in opened(tmp_path, {**BERT, "model_type": "new", "hidden_act": "silu"}).layer_names
    assert "layer0.gate" not in opened(tmp_path, {**BERT, "model_type": "new"}).layer_names


def test_a_vision_transformer(tmp_path: Path) -> None:
    table = opened(tmp_path, VIT)
    patches, query = table.layer(0), table.layer(1)
    assert (patches.name, patches.kernel_h, patches.stride, patches.macs) == ("patches", 8, 8, 16 * 64 * 192)
    assert patches.reads_input == 1
    assert query.in_h == 17


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"num_local_experts": 8}, "", "num_local_experts = 8, need a model without experts"),
        ({"kv_lora_rank": 512}, "", "kv_lora_rank = 512, need a model without latent attention"),
        ({"is_encoder_decoder": True}, "", "is_encoder_decoder = True, need an encoder or a decoder by itself"),
        ({"hidden_size": None}, "", "hidden_size is missing, need it, or n_embd"),
        ({"num_key_value_heads": 3}, "", "key_value_heads = 3, need a divisor of the 4 heads"),
        ({}, ":length=0", "length = 0, need a whole number, 1..131072"),
        ({}, ":length=x", "length = x, need a whole number"),
        ({}, ":tokens=4", "key = tokens, need one of"),
        ({}, ":batch=0", "batch = 0, need 1..1048576"),
        ({}, ":length=131072,batch=8", "out_c = 4194304, need 1..1048576"),
        ({**VIT}, ":length=9", "length = 9, need none: image_size and patch_size say how many tokens there are"),
        ({**VIT, "patch_size": 64}, "", "patch_size = 64, need a whole number, 1..32"),
        ({**VIT, "image_size": None}, "", "image_size is missing, need a whole number"),
    ],
)
def test_what_is_refused(tmp_path: Path, changes: dict[str, Any], options: str, message: str) -> None:
    said = refusal(tmp_path, {**BERT, **changes}, options)
    assert said.startswith("config.json")
    assert message in said
