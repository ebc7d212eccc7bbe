"""Shapes of transformers: the published ones by name, and any other from its Hugging Face ``config.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workloads.errors import WorkloadError
from workloads.sparse.limits import whole

NEED = "a Hugging Face config.json"
LARGEST_BYTES = 2**24
LARGEST_COUNT = 1024
LARGEST_HEAD_DIM = 512
LARGEST_WIDTH = 2**20
FEED_FORWARD_PER_HIDDEN = 4
# What a field is called, by the families that call it so; the first name that a file holds counts.
NAMES: Mapping[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "heads": ("num_attention_heads", "n_head", "n_heads", "num_heads"),
    "hidden": ("hidden_size", "n_embd", "d_model", "dim"),
    "feed_forward": ("intermediate_size", "n_inner", "ffn_dim", "hidden_dim", "d_ff"),
}
DECODERS = frozenset({
    "bloom", "codegen", "cohere", "cohere2", "deepseek_v2", "deepseek_v3", "falcon", "gemma", "gemma2",
    "gemma3_text", "gpt2", "gpt_bigcode", "gpt_neo", "gpt_neox", "gpt_oss", "gptj", "llama", "mistral", "mixtral",
    "mpt", "olmo", "olmo2", "opt", "phi", "phi3", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "smollm3", "stablelm",
    "starcoder2",
})  # fmt: skip
# Families whose feed-forward network multiplies two projections; of a family that is not known, SiLU says so.
GATED = frozenset({
    "cohere", "cohere2", "gemma", "gemma2", "gemma3_text", "llama", "mistral", "modernbert", "olmo", "olmo2", "phi3",
    "qwen2", "qwen3", "smollm3", "stablelm",
})  # fmt: skip
GATED_ACTIVATION = "silu"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerShape:
    """Sizes of a transformer's attention and of the layers around it.

    Attributes
    ----------
    name : str
    layers, heads : int
        Heads are those of the queries, 1..1024.
    head_dim : int
        Numbers in a query, key or value, 1..512.
    hidden, feed_forward : int
        Numbers that stand for a token between layers, and inner width of the feed-forward network, 1..2**20.
    causal : bool
        A query sees only the keys up to its own position.
    key_value_heads : int
        Heads of the keys and values; each serves ``heads / key_value_heads`` query heads.
    gated : bool
        The feed-forward network has a third projection that gates the first.

    Raises
    ------
    WorkloadError
        If a count is not allowed, or the query heads do not share the key heads evenly.
    """

    name: str
    layers: int
    heads: int
    head_dim: int
    hidden: int
    feed_forward: int
    causal: bool
    key_value_heads: int
    gated: bool = False

    def __post_init__(self) -> None:
        for name, high in (
            ("layers", LARGEST_COUNT),
            ("heads", LARGEST_COUNT),
            ("head_dim", LARGEST_HEAD_DIM),
            ("hidden", LARGEST_WIDTH),
            ("feed_forward", LARGEST_WIDTH),
            ("key_value_heads", self.heads),
        ):
            whole(self.name, name, getattr(self, name), 1, high)
        if self.heads % self.key_value_heads:
            need = f"a divisor of the {self.heads} heads"
            raise WorkloadError(self.name, "key_value_heads", self.key_value_heads, need)


def _published(name: str, layers: int, heads: int, *, causal: bool) -> TransformerShape:
    """Return a model of the BERT and GPT-2 families: heads of 64, a feed-forward network of 4 times the width."""
    return TransformerShape(
        name=name,
        layers=layers,
        heads=heads,
        head_dim=64,
        hidden=64 * heads,
        feed_forward=FEED_FORWARD_PER_HIDDEN * 64 * heads,
        causal=causal,
        key_value_heads=heads,
    )


def _trained(name: str, *, causal: bool) -> TransformerShape:
    """Return a model of the sizes that Sextant trains itself."""
    return TransformerShape(
        name=name, layers=3, heads=4, head_dim=8, hidden=32, feed_forward=64, causal=causal, key_value_heads=4
    )


MODELS: Mapping[str, TransformerShape] = MappingProxyType(
    {
        shape.name: shape
        for shape in (
            _published("bert-base", 12, 12, causal=False),
            _published("bert-large", 24, 16, causal=False),
            _published("gpt2-small", 12, 12, causal=True),
            _published("gpt2-medium", 24, 16, causal=True),
            _trained("majority-transformer", causal=False),
            _trained("language-transformer", causal=True),
        )
    }
)
"""Published shapes, BERT of Devlin et al. (NAACL 2019), GPT-2 of Radford et al. (2019); and those that oracles know."""


def read_config(path: str | Path) -> TransformerShape:
    """Read a model's shape from its Hugging Face ``config.json``.

    Parameters
    ----------
    path : str or Path
        Layers, heads and width are read under the names of ``NAMES``. Without ``head_dim`` the width is divided
        among the heads; without ``num_key_value_heads`` every head has its own keys; without a feed-forward width it
        is 4 times the model's in the GPT families, and an error elsewhere. A model is causal where ``is_decoder`` is
        true, an architecture ends in ``ForCausalLM`` or ``LMHeadModel`` or ``model_type`` is one of ``DECODERS``.

    Returns
    -------
    TransformerShape
        Named after the folder where the file is called ``config.json``, else after the file.

    Raises
    ------
    WorkloadError
        If the file cannot be read, is no JSON object, or a field is missing or not allowed.
    """
    path, where = Path(path), str(path)
    values = load_config(path)
    model_type = family(values, where)
    name = path.resolve().parent.name if path.name == "config.json" else path.stem
    sizes = {field: _size(values, field, where) for field in ("layers", "heads", "hidden")}
    heads, hidden = sizes["heads"], sizes["hidden"]
    if values.get("head_dim") is not None:
        head_dim = whole(where, "head_dim", values["head_dim"], 1, LARGEST_HEAD_DIM)
    elif hidden % heads:
        raise WorkloadError(where, "hidden_size", hidden, f"a multiple of the {heads} heads, or head_dim")
    else:
        head_dim = hidden // heads
    try:
        return TransformerShape(
            name=name or where,
            **sizes,
            head_dim=head_dim,
            feed_forward=_feed_forward(values, hidden, model_type, where),
            causal=_causal(values, model_type, where),
            key_value_heads=_key_value_heads(values, heads, where),
            gated=model_type in GATED or values.get("hidden_act") == GATED_ACTIVATION,
        )
    except WorkloadError as error:
        raise error.at(where) from None


def _key_value_heads(values: Mapping[str, Any], heads: int, where: str) -> int:
    shared = values.get("num_key_value_heads")
    return heads if shared is None else whole(where, "num_key_value_heads", shared, 1, heads)


def family(values: Mapping[str, Any], where: str) -> str:
    """Return a configuration's ``model_type``, empty where it has none."""
    model_type = values.get("model_type", "")
    if not isinstance(model_type, str):
        raise WorkloadError(where, "model_type", model_type, "a name")
    return model_type


def load_config(path: str | Path) -> Mapping[str, Any]:
    """Return what a ``config.json`` holds.

    Raises
    ------
    WorkloadError
        If the file cannot be read or is no JSON object.
    """
    path, where = Path(path), str(path)
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise WorkloadError(where, "", "a file of more than 16 MiB", NEED)
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WorkloadError(where, "", error.strerror or "an unreadable file", NEED) from None
    except (ValueError, RecursionError) as error:
        raise WorkloadError(where, "", f"no JSON ({error})", NEED) from None
    if not isinstance(values, dict):
        raise WorkloadError(where, "", f"a JSON {type(values).__name__}", NEED)
    return values


def _size(values: Mapping[str, Any], field: str, where: str) -> int:
    """Return a count under whichever of its names the file has."""
    for name in NAMES[field]:
        if values.get(name) is not None:
            return whole(where, name, values[name], 1, LARGEST_WIDTH if field == "hidden" else LARGEST_COUNT)
    raise WorkloadError(where, NAMES[field][0], None, f"it, or {' or '.join(NAMES[field][1:])}")


def _feed_forward(values: Mapping[str, Any], hidden: int, model_type: str, where: str) -> int:
    for name in NAMES["feed_forward"]:
        if values.get(name) is not None:
            return whole(where, name, values[name], 1, LARGEST_WIDTH)
    if "n_inner" in values or model_type.startswith(("gpt", "codegen", "bloom")):
        return FEED_FORWARD_PER_HIDDEN * hidden
    names = NAMES["feed_forward"]
    raise WorkloadError(where, names[0], None, f"it, or {' or '.join(names[1:])}")


def _causal(values: Mapping[str, Any], model_type: str, where: str) -> bool:
    declared = values.get("is_decoder", False)
    if not isinstance(declared, bool):
        raise WorkloadError(where, "is_decoder", declared, "true or false")
    architectures = values.get("architectures") or []
    if not isinstance(architectures, list):
        raise WorkloadError(where, "architectures", architectures, "a list of names")
    generates = any(str(name).endswith(("ForCausalLM", "LMHeadModel")) for name in architectures)
    return declared or generates or model_type in DECODERS
