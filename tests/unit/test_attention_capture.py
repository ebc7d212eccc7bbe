"""Recording a model: what is written is what the model attends with. Needs the extra ``traces``."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workloads.attention import capture as capture_module
from workloads.attention.capture import capture, plain_attention
from workloads.attention.npz import read_attention
from workloads.errors import WorkloadError

IDS = [int(token) for token in np.random.default_rng(7).integers(5, 50, 12)]
TINY: dict[str, dict[str, Any]] = {
    "Bert": {"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 32, "intermediate_size": 48},
    "DistilBert": {"n_layers": 2, "n_heads": 4, "dim": 32, "hidden_dim": 48},
    "GPT2": {"n_layer": 3, "n_head": 4, "n_embd": 32, "scale_attn_by_inverse_layer_idx": True},
    "Llama": {
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
    },
}
OUT_PROJECTIONS = ("attention.output.dense", "attention.out_lin", "attn.c_proj", "self_attn.o_proj")


def saved(folder: Path, family: str, **options: Any) -> Path:
    """Save a small random model and return its folder."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(11)
    config = getattr(transformers, f"{family}Config")(**{"vocab_size": 50, **TINY.get(family, {}), **options})
    model = getattr(transformers, f"{family}Model")(config)
    for parameter in model.parameters():  # larger than usual, so that some keys win and a mistake shows
        parameter.data.mul_(8 if parameter.ndim > 1 else 1)
    model.save_pretrained(folder)
    return folder


def own_outputs(folder: Path, ids: list[int]) -> list[np.ndarray[Any, Any]]:
    """Return what reaches the projection behind each layer's attention, in an untouched run of the model."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    model = transformers.AutoModel.from_pretrained(str(folder), local_files_only=True, attn_implementation="eager")
    found: list[np.ndarray[Any, Any]] = []
    for name, module in model.named_modules():
        if name.endswith(OUT_PROJECTIONS):
            module.register_forward_hook(lambda _, inputs, __: found.append(inputs[0][0].detach().numpy()))
    with torch.no_grad():
        model.eval()(input_ids=torch.tensor([ids]))
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("family", "causal"), [("Bert", False), ("DistilBert", False), ("GPT2", True), ("Llama", True)]
)
def test_what_is_recorded_is_what_the_model_attends_with(tmp_path: Path, family: str, causal: bool) -> None:
    folder = saved(tmp_path / "model", family)
    prompt = 9 if causal else None
    made = capture(folder, IDS, tmp_path / "trace.npz", prompt=prompt)
    attention = read_attention(tmp_path / "trace.npz")
    assert attention.causal is made.causal is causal
    assert (attention.prompt, attention.tokens) == (prompt or len(IDS), len(IDS))
    with np.load(tmp_path / "trace.npz") as stored:
        assert stored["q"].dtype == np.float16
        assert stored["input_ids"].tolist() == IDS
    expected = own_outputs(folder, IDS)
    assert len(expected) == attention.layers
    for index, own in enumerate(expected):
        output = plain_attention(attention.layer(index), causal).transpose(1, 0, 2).reshape(own.shape)
        np.testing.assert_allclose(output, own, atol=0.01 * np.abs(own).max())


@pytest.mark.filterwarnings("ignore")
def test_shared_keys_are_repeated_for_every_query_head(tmp_path: Path) -> None:
    layer = capture(saved(tmp_path / "model", "Llama"), IDS, tmp_path / "trace.npz").layer(1)
    assert layer.k.shape == layer.q.shape == (4, len(IDS), 8)
    np.testing.assert_array_equal(layer.k[0], layer.k[1])
    assert (layer.k[1] != layer.k[2]).any()


@pytest.mark.filterwarnings("ignore")
def test_text_needs_a_tokenizer_and_is_cut_off(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "Bert")
    need = "need a tokenizer's files beside the model, or token ids"
    with pytest.raises(WorkloadError, match=f"model: tokenizer is missing, {need}$"):
        capture(folder, "some words", tmp_path / "trace.npz")
    (folder / "tokenizer.json").write_text("no tokenizer", encoding="utf-8")
    with pytest.raises(WorkloadError, match=r"model: tokenizer = .*, need a tokenizer that transformers loads$"):
        capture(folder, "some words", tmp_path / "trace.npz")
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.models.WordLevel({"[UNK]": 0, "some": 1, "words": 2}, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    pytest.importorskip("transformers").PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    assert capture(folder, "some words or some", tmp_path / "trace.npz", max_tokens=3).tokens == 3
    with np.load(tmp_path / "trace.npz") as stored:
        assert stored["input_ids"].tolist() == [1, 2, 0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("family", "options", "ids", "said"),
    [
        ("Bert", {}, [1, 50], "model: token 1 = 50, need a whole number, 0..49"),
        ("Bert", {}, [], "model: text = no tokens, need at least one token"),
        (
            "Mistral",
            {**TINY["Llama"], "sliding_window": 4},
            IDS,
            "model: layer 0 = MistralAttention, need plain attention, softmax(q k^T / sqrt(head_dim)) v, causal or "
            "not, in every layer",
        ),
    ],
)
def test_what_cannot_be_recorded(
    tmp_path: Path, family: str, options: dict[str, Any], ids: list[int], said: str
) -> None:
    folder = saved(tmp_path / "model", family, **options)
    with pytest.raises(WorkloadError) as caught:
        capture(folder, ids, tmp_path / "trace.npz")
    assert str(caught.value).replace(f"{tmp_path}/", "") == said


@pytest.mark.filterwarnings("ignore")
def test_a_folder_that_holds_no_model(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    need = "need a local folder with a Hugging Face model's config.json and weights"
    with pytest.raises(WorkloadError) as caught:
        capture(tmp_path / "nowhere", IDS, tmp_path / "trace.npz")
    assert str(caught.value) == f"{tmp_path}/nowhere: config.json is missing, {need}"
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": 32}), encoding="utf-8")
    with pytest.raises(WorkloadError, match=r": model = Error no file named .*, need a model that transformers loads$"):
        capture(tmp_path, IDS, tmp_path / "trace.npz")


@pytest.mark.filterwarnings("ignore")
def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "Bert")
    with pytest.raises(WorkloadError) as caught:
        capture(folder, IDS, tmp_path / "no" / "trace.npz")
    assert str(caught.value) == f"{tmp_path}/no/trace.npz: No such file or directory, need a file that can be written"
    with pytest.raises(WorkloadError, match=r"a file of kind \.txt, need a file to write, \.npz"):
        capture(folder, IDS, tmp_path / "trace.txt")


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name == "torch":
            raise ImportError(name, name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(WorkloadError) as caught:
        capture_module.capture(tmp_path, IDS, tmp_path / "trace.npz")
    need = "torch and transformers: pip install 'sextant[traces]'"
    assert str(caught.value) == f"capture: torch is missing, need {need}"


def test_plain_attention() -> None:
    q = np.array([[[0.0], [0.0], [0.0]]], np.float32)
    v = np.array([[[1.0], [3.0], [8.0]]], np.float32)
    layer = capture_module.LayerAttention(q, q, v)
    np.testing.assert_allclose(plain_attention(layer, False)[0, :, 0], [4, 4, 4], rtol=1e-6)
    np.testing.assert_allclose(plain_attention(layer, True)[0, :, 0], [1, 2, 4], rtol=1e-6)
