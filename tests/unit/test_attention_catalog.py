"""Attention by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from workloads.attention.attention import Attention, ModelShape
from workloads.attention.benchmarks import BENCHMARKS
from workloads.attention.catalog import ATTENTION_WORKLOADS, is_attention_workload, open_attention
from workloads.attention.models import MODELS
from workloads.attention.requests import COLUMNS, RequestTable
from workloads.errors import WorkloadError

CONFIG = {"model_type": "gpt2", "n_layer": 2, "n_head": 2, "n_embd": 16}


def opened(workload: str) -> Attention:
    attention = open_attention(workload)
    assert isinstance(attention, Attention)
    return attention


def run(attention: Attention) -> tuple[int, int, bool]:
    return attention.tokens, attention.prompt, attention.summarise


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        ("bert-base", (384, 384, True)),
        ("bert-base:64", (64, 64, True)),
        ("bert-large:length=16,seed=5", (16, 16, True)),
        ("gpt2-small", (1024, 992, False)),
        ("gpt2-medium:prompt=20,generate=3", (23, 20, False)),
        ("majority-transformer", (24, 24, True)),
        ("language-transformer", (48, 1, False)),
        ("gpt2-small:prompt=20,generate=3,summarise=1", (23, 20, True)),
        ("gpt2-small:prompt=20,generate=0,summarise=1", (20, 20, True)),
        ("gpt2-small:100", (100, 100, True)),
        ("gpt2-small:length=100,seed=0", (100, 100, True)),
    ],
)
def test_names_and_their_options(workload: str, expected: tuple[int, int, bool]) -> None:
    attention = opened(workload)
    model = MODELS[workload.partition(":")[0]]
    assert run(attention) == expected
    assert (attention.name, attention.causal) == (workload, model.causal)
    assert (attention.layers, attention.heads, attention.head_dim) == (model.layers, model.heads, model.head_dim)
    assert attention.shape == ModelShape(model.hidden, model.feed_forward)


def test_the_seed_decides() -> None:
    first, same, other = (opened(f"bert-base:length=8,seed={seed}").layer(3) for seed in (1, 1, 2))
    for array, again, different in zip(first, same, other, strict=True):
        np.testing.assert_array_equal(array, again)
        assert (array != different).any()


@pytest.mark.parametrize("options", ["", ":length=9", ":9", ":prompt=7,generate=2"])
def test_a_configuration(tmp_path: Path, options: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG), encoding="utf-8")
    attention = opened(f"{path}{options}")
    assert (attention.layers, attention.heads, attention.head_dim, attention.causal) == (2, 2, 8, True)
    assert attention.tokens == (9 if options else 1024)
    assert attention.shape == ModelShape(16, 64)


def test_files(tmp_path: Path) -> None:
    array = np.ones((1, 1, 2, 3), np.float16)
    np.savez(tmp_path / "recorded.npz", q=array, k=array, v=array)
    assert opened(str(tmp_path / "recorded.npz")).name == "recorded"
    row = {"embedding_length_D": "64", "sentence_length_L": "9", "key_fetch_num": "9", "value_fetch_num": "9"}
    names = [column.published for column in COLUMNS.values()]
    path = tmp_path / "requests.csv"
    path.write_text("\n".join([",".join(names), ",".join(row.get(name, "0") for name in names)]), encoding="utf-8")
    table = open_attention(str(path))
    assert isinstance(table, RequestTable)
    assert (table.name, len(table)) == ("requests", 1)


@pytest.mark.parametrize(
    ("workload", "said"),
    [
        ("bert", "attention workload: name = bert, need attention: .npz, .csv, .csv.gz or a config.json, or one of"),
        ("gpt2-smal", "attention workload: name = gpt2-smal, need attention: .npz, .csv, .csv.gz or a config.json, or "
                      "one of gpt2-small, gpt2-medium, bert-base, bert-large"),
        ("bert-base:lenght=3", "attention workload bert-base: key = lenght, need one of length, seed"),
        ("bert-base:generate=3", "attention workload bert-base: key = generate, need one of length, seed"),
        ("gpt2-small:promt=3", "attention workload gpt2-small: key = promt, need one of prompt, length, generate,"),
        ("bert-base:length=3,4", "attention workload bert-base: 4, need key=value"),
        ("bert-base:3,length=4", "attention workload bert-base: length = 4, need each key once"),
        ("bert-base:length=3.5", "attention workload bert-base: length = 3.5, need a whole number"),
        ("bert-base:length=0", "attention workload bert-base: length = 0, need a whole number, 1..65536"),
        ("bert-base:length=65537", "attention workload bert-base: length = 65537, need a whole number, 1..65536"),
        ("bert-base:length=8,seed=-1", "attention workload bert-base: seed = -1, need a whole number, 0..92233"),
        ("gpt2-small:prompt=0", "attention workload gpt2-small: prompt = 0, need a whole number, 1..65536"),
        ("gpt2-small:prompt=65000,generate=537",
         "attention workload gpt2-small: generate = 537, need a whole number, 0..536"),
        ("gpt2-small:generate=0", "attention workload gpt2-small: generate = 0, need at least 1, or summarise=1"),
        ("gpt2-small:summarise=2", "attention workload gpt2-small: summarise = 2, need a whole number, 0..1"),
        ("gpt2-small:length=9,prompt=3",
         "attention workload gpt2-small: prompt = 3, need either length, or prompt and generate"),
        ("nowhere/config.json:length=9", "nowhere/config.json: No such file or directory, need a Hugging Face"),
        ("nowhere.npz", "nowhere.npz: No such file or directory, need an .npz with q, k and v"),
        ("nowhere.csv.gz", "nowhere.csv.gz: No such file or directory, need a table of requests, .csv or .csv.gz"),
    ],
)  # fmt: skip
def test_what_cannot_be_opened(workload: str, said: str) -> None:
    with pytest.raises(WorkloadError) as caught:
        open_attention(workload)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_names_are_listed_with_what_they_take() -> None:
    published = ["bert-base", "bert-large", "gpt2-small", "gpt2-medium"]
    assert list(ATTENTION_WORKLOADS) == [*published, "majority-transformer", "language-transformer"]
    assert ATTENTION_WORKLOADS["gpt2-small"] == (
        "decoder, 12 layers of 12 heads of 64, generated numbers: prompt=992, generate=32, seed=1, summarise=0"
    )
    assert all("\n" not in line for line in ATTENTION_WORKLOADS.values())


@pytest.mark.parametrize(
    ("workload", "attention"),
    [
        ("bert-base:length=3", True),
        ("gpt2-medium", True),
        ("a/b.npz", True),
        ("a/B.CSV", True),
        ("a/b.csv.gz", True),
        ("a/config.json", True),
        ("a/config.json:length=9", True),
        ("resnet18", False),
        ("rmat:scale=4", False),
        ("a/b.mtx", False),
        ("bert", False),
    ],
)
def test_which_are_attention(workload: str, attention: bool) -> None:
    assert is_attention_workload(workload) is attention


def test_the_benchmarks_whose_length_is_known_can_be_opened() -> None:
    for benchmark in BENCHMARKS:
        if benchmark.workload is not None:
            assert run(opened(benchmark.workload)) == (1024, 992, False)


def test_listing_imports_nothing_heavy() -> None:
    script = (
        "import sys, workloads.attention.catalog, workloads.attention.benchmarks; "
        "print([m for m in ('numpy', 'scipy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
