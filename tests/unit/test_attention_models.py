"""Shapes of transformers, by name and from their configurations, and the published benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workloads.attention.benchmarks import BENCHMARKS
from workloads.attention.models import MODELS, TransformerShape, read_config
from workloads.errors import WorkloadError

BERT = {
    "model_type": "bert",
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_size": 768,
    "intermediate_size": 3072,
}
GPT2 = {"model_type": "gpt2", "n_layer": 24, "n_head": 16, "n_embd": 1024, "n_inner": None}
LLAMA = {**BERT, "model_type": "llama", "num_key_value_heads": 4, "head_dim": 128}


def config(folder: Path, values: Any, name: str = "config.json") -> Path:
    path = folder / name
    path.write_text(values if isinstance(values, str) else json.dumps(values), encoding="utf-8")
    return path


def sizes(shape: TransformerShape) -> tuple[int | bool, ...]:
    return (
        shape.layers,
        shape.heads,
        shape.head_dim,
        shape.hidden,
        shape.feed_forward,
        shape.key_value_heads,
        shape.causal,
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bert-base", (12, 12, 64, 768, 3072, 12, False)),
        ("bert-large", (24, 16, 64, 1024, 4096, 16, False)),
        ("gpt2-small", (12, 12, 64, 768, 3072, 12, True)),
        ("gpt2-medium", (24, 16, 64, 1024, 4096, 16, True)),
    ],
)
def test_published_shapes(name: str, expected: tuple[int | bool, ...]) -> None:
    assert sizes(MODELS[name]) == expected
    assert MODELS[name].name == name


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (BERT, sizes(MODELS["bert-base"])),
        (GPT2, sizes(MODELS["gpt2-medium"])),
        ({**GPT2, "n_inner": 100}, (24, 16, 64, 1024, 100, 16, True)),
        ({key: value for key, value in GPT2.items() if key != "n_inner"}, sizes(MODELS["gpt2-medium"])),
        (LLAMA, (12, 12, 128, 768, 3072, 4, True)),
        ({**BERT, "is_decoder": True}, (12, 12, 64, 768, 3072, 12, True)),
        ({**BERT, "model_type": "new", "architectures": ["NewForCausalLM"]}, (12, 12, 64, 768, 3072, 12, True)),
        ({**BERT, "architectures": None, "num_key_value_heads": None}, sizes(MODELS["bert-base"])),
        ({"n_layers": 6, "n_heads": 12, "dim": 768, "hidden_dim": 3072}, (6, 12, 64, 768, 3072, 12, False)),
    ],
)
def test_configurations(tmp_path: Path, values: Any, expected: tuple[int | bool, ...]) -> None:
    assert sizes(read_config(config(tmp_path, values))) == expected


def test_a_configuration_is_named_after_its_folder_or_file(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert read_config(config(tmp_path / "mine", BERT)).name == "mine"
    assert read_config(str(config(tmp_path, BERT, "other.json"))).name == "other"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("{", "no JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))"),
        ("[" * 100_000, "no JSON ("),
        ('"\ud800'.encode("utf-8", "replace").decode(), "no JSON (Unterminated string"),
        ([1], "a JSON list, need a Hugging Face config.json"),
        ({**BERT, "num_hidden_layers": None}, "num_hidden_layers is missing, need it, or n_layer or n_layers or"),
        ({**BERT, "num_hidden_layers": 0}, "num_hidden_layers = 0, need a whole number, 1..1024"),
        ({**BERT, "num_hidden_layers": True}, "num_hidden_layers = True, need a whole number, 1..1024"),
        ({**BERT, "num_attention_heads": "12"}, "num_attention_heads = 12, need a whole number, 1..1024"),
        ({**BERT, "hidden_size": 2**21}, "hidden_size = 2097152, need a whole number, 1..1048576"),
        ({**BERT, "hidden_size": 770}, "hidden_size = 770, need a multiple of the 12 heads, or head_dim"),
        ({**BERT, "head_dim": 513}, "head_dim = 513, need a whole number, 1..512"),
        ({**BERT, "hidden_size": 12 * 513}, "head_dim = 513, need a whole number, 1..512"),
        ({**BERT, "intermediate_size": 1.5}, "intermediate_size = 1.5, need a whole number, 1..1048576"),
        ({**BERT, "intermediate_size": None}, "intermediate_size is missing, need it, or n_inner or ffn_dim or"),
        ({**LLAMA, "num_key_value_heads": 13}, "num_key_value_heads = 13, need a whole number, 1..12"),
        ({**LLAMA, "num_key_value_heads": 5}, "key_value_heads = 5, need a divisor of the 12 heads"),
        ({**BERT, "is_decoder": "no"}, "is_decoder = no, need true or false"),
        ({**BERT, "architectures": "BertModel"}, "architectures = BertModel, need a list of names"),
        ({**BERT, "model_type": 3}, "model_type = 3, need a name"),
    ],
)
def test_configurations_that_cannot_be_used(tmp_path: Path, values: Any, said: str) -> None:
    path = config(tmp_path, values)
    with pytest.raises(WorkloadError) as caught:
        read_config(path)
    assert str(caught.value).startswith(f"{path}: {said}")
    assert "\n" not in str(caught.value)


def test_files_that_are_no_configuration(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with pytest.raises(WorkloadError, match=r"config.json: No such file or directory, need a Hugging Face config.json"):
        read_config(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WorkloadError, match=r"config.json: no JSON \('utf-8' codec"):
        read_config(path)
    with path.open("wb") as file:
        file.truncate(2**24 + 1)
    with pytest.raises(WorkloadError, match=r"config.json: a file of more than 16 MiB"):
        read_config(path)


def test_the_published_benchmarks() -> None:
    assert len(BENCHMARKS) == len({(benchmark.model, benchmark.task) for benchmark in BENCHMARKS}) == 30
    generated = [benchmark for benchmark in BENCHMARKS if benchmark.generate]
    assert [sum(benchmark.model.startswith(family) for benchmark in BENCHMARKS) for family in ("bert", "gpt2")] == [
        22,
        8,
    ]
    assert {(benchmark.length, benchmark.generate) for benchmark in generated} == {(992, 32)}
    assert all(benchmark.model in MODELS and benchmark.known for benchmark in BENCHMARKS)
    assert generated[0].workload == "gpt2-small:prompt=992,generate=32,summarise=0"
    assert {benchmark.workload for benchmark in BENCHMARKS if benchmark.length is None} == {None}
