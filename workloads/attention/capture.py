"""Record the queries, keys and values of a Hugging Face model that lies in a local folder.

Needs the extra ``traces`` (torch, transformers). Nothing is downloaded and no code of the model's folder is run.

A custom attention function is registered with transformers (``AttentionInterface``). It is handed the queries and keys
after rotary embedding and the values, keeps them, and lets the model's own function compute what the model goes on
with. From the two follows whether softmax(q k^T / sqrt(head_dim)) v describes the model: a window narrower than the
text, a position bias, a soft cap or attention sinks that are not tokens do not pass for plain attention.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workloads.attention.attention import LARGEST_LENGTH, Attention, LayerAttention, held_attention
from workloads.errors import WorkloadError
from workloads.sparse.limits import check_bytes, whole

NAME = "sextant_capture"
NEED_FOLDER = "a local folder with a Hugging Face model's config.json and weights"
NEED_PLAIN = "plain attention, softmax(q k^T / sqrt(head_dim)) v, causal or not, in every layer"
# How far the model's float32 output may be from the same in numpy, of the largest value in the layer.
TOLERANCE = 1e-3
BYTES_OF_SCORES = 4 * 4
# Without one of these transformers makes up a tokenizer that knows no words.
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.*", "*.model", "*.tiktoken")


def capture(
    folder: str | Path,
    text: str | Sequence[int],
    out: str | Path,
    *,
    max_tokens: int = 512,
    prompt: int | None = None,
    summarise: bool = True,
) -> Attention:
    """Run a model once and write the queries, keys and values of every head of every layer.

    Parameters
    ----------
    folder : str or Path
        A local folder as ``save_pretrained`` writes it: an encoder or a decoder whose attention is dense and plain.
    text : str or sequence of int
        What the model reads: text, for which the folder must hold a tokenizer, or token ids.
    out : str or Path
        File to write, ``.npz``: ``q, k, v`` of float16 and shape (layers, heads, tokens, head_dim), ``causal``,
        ``prompt``, ``summarise`` and ``input_ids``; read again by ``workloads.attention.npz.read_attention``. The
        keys and values of grouped-query attention are repeated for every query head, rotary embedding is applied, and
        where a model scales its scores by something else than 1 / sqrt(head_dim) the queries are scaled to match.
    max_tokens : int
        Tokens after which the input is cut off, 1..65536, unless the model reads fewer.
    prompt : int, optional
        Tokens that count as read at once; those after it count as generated. All, unless given.
    summarise : bool
        False where only the generation is to be run.

    Returns
    -------
    Attention
        What the file holds.

    Raises
    ------
    WorkloadError
        If torch or transformers is not installed, the folder holds no model or no tokenizer, a token id is not
        allowed, the model's attention is not plain (a window, a bias, a soft cap) or does not go through
        transformers' attention interface, float16 does not hold a value, or the file cannot be written.
    """
    where, out = str(folder), Path(out)
    if out.suffix.lower() != ".npz":
        raise WorkloadError(str(out), "", f"a file of kind {out.suffix or 'unknown'}", "a file to write, .npz")
    torch, transformers = _libraries()
    limit = whole("capture", "max_tokens", max_tokens, 1, LARGEST_LENGTH)
    if not (Path(folder) / "config.json").is_file():
        raise WorkloadError(where, "config.json", None, NEED_FOLDER)
    transformers.utils.logging.disable_progress_bar()  # it would stand before what else is said
    recorder = Recorder(where)
    _register(transformers, recorder)
    model = _loaded(transformers, "AutoModel", folder, attn_implementation=NAME).float().eval()
    ids = _token_ids(transformers, folder, text, limit, model.config)
    with torch.no_grad():
        model(input_ids=torch.tensor([ids]))
    attention = recorder.attention(out.stem, prompt=prompt, summarise=summarise)
    _write(out, attention, ids)
    return attention


@dataclass(slots=True)
class Recorder:
    """Keeps what a model's attention functions are called with and checks that their attention is plain.

    Attributes
    ----------
    where : str
        What errors call the model.
    layers : list of LayerAttention
        One of float16 arrays for each call so far.
    forms : set of bool
        The forms that every layer so far agrees with: False for all-to-all, True for causal.
    """

    where: str
    layers: list[LayerAttention] = field(default_factory=list)
    forms: set[bool] = field(default_factory=lambda: {False, True})

    def __call__(
        self, module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **options: Any
    ) -> tuple[Any, Any]:
        """Stand in for an attention function of transformers: record the operands, then call the model's own."""
        own = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
        if own is None:
            raise WorkloadError(self.where, "attention", type(module).__name__, "one with eager_attention_forward")
        if query.shape[-1] != value.shape[-1] or query.shape[2] != key.shape[2]:
            shapes = f"queries of shape {tuple(query.shape)}, values of {tuple(value.shape)}"
            raise WorkloadError(self.where, "", shapes, "self-attention with queries and values of one width")
        output, weights = own(module, query, key, value, attention_mask, **options)
        head_dim = query.shape[-1]
        scaling = options.get("scaling")
        factor = 1.0 if scaling is None else float(scaling) * sqrt(head_dim)
        groups = query.shape[1] // key.shape[1]
        layer = LayerAttention(
            q=query[0].numpy() * np.float32(factor),
            k=np.repeat(key[0].numpy(), groups, axis=0),
            v=np.repeat(value[0].numpy(), groups, axis=0),
        )
        heads, tokens, _ = layer.q.shape
        check_bytes(self.where, BYTES_OF_SCORES * heads * tokens * tokens)
        own_output = output[0].numpy().transpose(1, 0, 2)
        self.forms &= {causal for causal in (False, True) if _agree(plain_attention(layer, causal), own_output)}
        if not self.forms:
            raise WorkloadError(self.where, f"layer {len(self.layers)}", type(module).__name__, NEED_PLAIN)
        self.layers.append(LayerAttention(*(self._half(array) for array in layer)))
        return output, weights

    def attention(self, name: str, *, prompt: int | None, summarise: bool) -> Attention:
        """Return what was recorded.

        Raises
        ------
        WorkloadError
            If nothing was, the layers differ in shape, or the prompt is not allowed.
        """
        if not self.layers:
            raise WorkloadError(self.where, "", "a model without attention that transformers dispatches", NEED_PLAIN)
        if len({layer.q.shape for layer in self.layers}) > 1:
            raise WorkloadError(self.where, "", "layers of different shapes", "layers of one shape")
        q, k, v = (np.stack(arrays) for arrays in zip(*self.layers, strict=True))
        self.layers.clear()
        # One token sees itself either way; such a recording counts as all-to-all.
        return held_attention(name, q, k, v, causal=False not in self.forms, prompt=prompt, summarise=summarise)

    def _half(self, array: NDArray[np.float32]) -> NDArray[Any]:
        largest = np.abs(array).max()
        if not largest <= np.finfo(np.float16).max:
            raise WorkloadError(self.where, f"layer {len(self.layers)}", largest, "numbers that float16 holds")
        return array.astype(np.float16)


def plain_attention(layer: LayerAttention, causal: bool) -> NDArray[np.float32]:
    """Return softmax(q k^T / sqrt(head_dim)) v.

    Parameters
    ----------
    layer : LayerAttention
    causal : bool
        A query sees only the keys up to its own position.

    Returns
    -------
    ndarray of float32, shape (heads, tokens, head_dim)
    """
    scores: NDArray[np.float32] = layer.q @ layer.k.transpose(0, 2, 1) / np.float32(sqrt(layer.q.shape[-1]))
    if causal:
        scores[:, ~np.tri(scores.shape[1], dtype=np.bool_)] = -np.inf
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    output: NDArray[np.float32] = scores @ layer.v
    return output


def _agree(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> bool:
    return ours.shape == theirs.shape and bool(np.abs(ours - theirs).max() <= TOLERANCE * np.abs(theirs).max())


def _libraries() -> tuple[ModuleType, ModuleType]:
    """Return torch and transformers."""
    try:
        import torch
        import transformers
    except ImportError as error:
        need = "torch and transformers: pip install 'sextant[traces]'"
        raise WorkloadError("capture", error.name or "torch", None, need) from None
    return torch, transformers


def _register(transformers: ModuleType, recorder: Callable[..., tuple[Any, Any]]) -> None:
    """Make the recorder known to transformers, with the masks that a model's own function takes."""
    try:
        from transformers.masking_utils import AttentionMaskInterface, eager_mask
    except ImportError:
        got = f"transformers {transformers.__version__}"
        raise WorkloadError("capture", "", got, "a version with AttentionMaskInterface: 4.53 or later") from None
    transformers.AttentionInterface.register(NAME, recorder)
    AttentionMaskInterface.register(NAME, eager_mask)


def _loaded(transformers: ModuleType, kind: str, folder: str | Path, **options: Any) -> Any:
    """Return a model or tokenizer from a folder; its many kinds of failure say the same to the user."""
    try:
        return getattr(transformers, kind).from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, **options
        )
    except Exception as error:  # transformers documents none of what its loaders raise
        said = (str(error).splitlines() or [type(error).__name__])[0]
        what = "model" if kind == "AutoModel" else "tokenizer"
        raise WorkloadError(str(folder), what, said, f"a {what} that transformers loads") from None


def _token_ids(
    transformers: ModuleType, folder: str | Path, text: str | Sequence[int], limit: int, config: Any
) -> list[int]:
    """Return the token ids that the model reads."""
    where = str(folder)
    longest = min(limit, getattr(config, "max_position_embeddings", None) or limit)
    if isinstance(text, str):
        if not any(found for pattern in TOKENIZER_FILES for found in Path(folder).glob(pattern)):
            raise WorkloadError(where, "tokenizer", None, "a tokenizer's files beside the model, or token ids")
        tokenizer = _loaded(transformers, "AutoTokenizer", folder)
        ids = list(tokenizer(text, truncation=True, max_length=longest)["input_ids"])
    else:
        ids = list(text)[:longest]
    if not ids:
        raise WorkloadError(where, "text", "no tokens", "at least one token")
    largest = config.vocab_size - 1
    return [whole(where, f"token {at}", token, 0, largest) for at, token in enumerate(ids)]


def _write(out: Path, attention: Attention, ids: Sequence[int]) -> None:
    q, k, v = (np.stack(arrays) for arrays in zip(*(attention.read(at) for at in range(attention.layers)), strict=True))
    try:
        np.savez_compressed(
            out,
            q=q,
            k=k,
            v=v,
            causal=attention.causal,
            prompt=attention.prompt,
            summarise=attention.summarise,
            input_ids=np.asarray(ids, dtype=np.int32),
        )
    except OSError as error:
        raise WorkloadError(str(out), "", error.strerror or str(error), "a file that can be written") from None
