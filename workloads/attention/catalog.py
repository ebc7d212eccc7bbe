"""Attention by name: what ``bert-base:length=384,seed=1``, a recorded ``.npz`` or a table of requests stands for.

Readers and generators are imported when one is asked for, so that listing the names is instant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from workloads.attention.models import MODELS, TransformerShape, family, load_config, read_config
from workloads.errors import WorkloadError
from workloads.sparse.limits import whole
from workloads.specification import one_of, read_options

if TYPE_CHECKING:
    from workloads.attention.attention import Attention
    from workloads.attention.requests import RequestTable
    from workloads.networks.hat import Translation

WHERE = "attention workload"
KINDS_ALLOWED = "attention: .npz, .csv, .csv.gz or a config.json"
TRANSLATES = "hat"  # a model_type: an encoder and a decoder
CONFIG = re.compile(r"(?P<path>.*\.json)(:(?P<options>.*))?", re.IGNORECASE | re.DOTALL)
LARGEST_LENGTH = 65536
LARGEST_SEED = 2**63 - 1
# An encoder reads the longest input of its usual benchmarks; a decoder does what the published benchmarks do.
ENCODER_DEFAULTS = {"length": 384, "seed": 1}
DECODER_DEFAULTS = {"prompt": 992, "generate": 32, "seed": 1, "summarise": 0}
# What accuracy oracles know was measured on texts of these lengths.
TRAINED_DEFAULTS = {
    "majority-transformer": {"length": 24, "seed": 1},
    "language-transformer": {"prompt": 1, "generate": 47, "seed": 1, "summarise": 0},
}


def _defaults(model: TransformerShape) -> Mapping[str, int]:
    return TRAINED_DEFAULTS.get(model.name, DECODER_DEFAULTS if model.causal else ENCODER_DEFAULTS)


def _line(model: TransformerShape) -> str:
    """Describe a model and its options, for listings."""
    size = f"{model.layers} layers of {model.heads} heads of {model.head_dim}"
    options = ", ".join(f"{key}={value}" for key, value in _defaults(model).items())
    return f"{'decoder' if model.causal else 'encoder'}, {size}, generated numbers: {options}"


ATTENTION_WORKLOADS: Mapping[str, str] = {name: _line(model) for name, model in MODELS.items()}
"""One line for every name: what it is, its parameters and their defaults."""


def open_attention(workload: str) -> Attention | RequestTable | Translation:
    """Return the attention that a path or name stands for.

    Parameters
    ----------
    workload : str
        A path to recorded queries, keys and values (``.npz``) or to a table of requests (``.csv``, ``.csv.gz``); or
        a name of ``ATTENTION_WORKLOADS`` or a path to a Hugging Face ``config.json``, both with options,
        ``name:key=value,key=value``, whose queries, keys and values are generated
        (``workloads.attention.synthetic``); or the ``config.json`` of a HAT network. The options:

        ``length``
            Tokens that are read at once, 1..65536; nothing is generated. A value without a key is this one.
        ``prompt``, ``generate``, ``summarise``
            Of a decoder, instead of ``length``: tokens of the prompt, tokens that are generated after it, and
            whether the prompt's own queries are run too (1) or only generation is (0).
        ``seed``
            0..2**63 - 1.

    Returns
    -------
    Attention, RequestTable or Translation
        Named after the file's stem or the text.

    Raises
    ------
    WorkloadError
        If there is no such file or name, an option is not known or not allowed, or a file is damaged.
    """
    lowered = workload.lower()
    if lowered.endswith(".npz"):
        from workloads.attention.npz import read_attention

        return read_attention(workload)
    if lowered.endswith((".csv", ".csv.gz")):
        from workloads.attention.requests import read_requests

        return read_requests(workload)
    config = CONFIG.fullmatch(workload)
    if config is not None:
        if family(load_config(config["path"]), config["path"]) == TRANSLATES:
            return _translation(config["path"], config["options"] or "")
        return _generated(workload, read_config(config["path"]), config["options"] or "")
    name, _, options = workload.partition(":")
    if name not in MODELS:
        raise WorkloadError(WHERE, "name", name, f"{KINDS_ALLOWED}, or {one_of(name, MODELS)}")
    return _generated(workload, MODELS[name], options)


def is_attention_workload(workload: str) -> bool:
    """Tell whether a path or name is that of an attention workload, without opening it.

    An ``.npz`` may be a sparse matrix too and a ``.csv`` a layer table; which one is meant, the machine decides.
    """
    if workload.lower().endswith((".npz", ".csv", ".csv.gz")) or CONFIG.fullmatch(workload):
        return True
    return workload.partition(":")[0] in MODELS


def _translation(path: str, options: str) -> Translation:
    """Return a sentence of the length that the options ask for, and the HAT network of a file."""
    from workloads.networks import hat

    given = read_options(path, options, {"length": int})
    length = whole(path, "length", given.get("length", hat.LENGTH), 1, hat.LARGEST_LENGTH)
    return hat.Translation(path, hat.from_json(load_config(path), path), length)


def _generated(name: str, model: TransformerShape, options: str) -> Attention:
    """Return generated attention of a model, of the size that the options ask for."""
    from workloads.attention.synthetic import synthetic_attention

    where = f"{WHERE} {model.name}"
    defaults = _defaults(model)
    given = read_options(where, options, dict.fromkeys(("length", *defaults), int))
    if "length" in given or not model.causal:
        beside = sorted({*given} - {"length", "seed"})
        if beside:
            raise WorkloadError(where, beside[0], given[beside[0]], "either length, or prompt and generate")
        values = {**defaults, **given}
        prompt = tokens = whole(where, "length", values["length"], 1, LARGEST_LENGTH)
        summarise = True
    else:
        values = {**defaults, **given}
        prompt, tokens, summarise = _decoder_size(where, values)
    seed = whole(where, "seed", values["seed"], 0, LARGEST_SEED)
    return synthetic_attention(model, name=name, tokens=tokens, prompt=prompt, summarise=summarise, seed=seed)


def _decoder_size(where: str, values: Mapping[str, int]) -> tuple[int, int, bool]:
    """Return a decoder's prompt, all its tokens, and whether it reads the prompt."""
    prompt = whole(where, "prompt", values["prompt"], 1, LARGEST_LENGTH)
    generate = whole(where, "generate", values["generate"], 0, LARGEST_LENGTH - prompt)
    if generate == 0 and not values["summarise"]:
        raise WorkloadError(where, "generate", generate, "at least 1, or summarise=1")
    return prompt, prompt + generate, bool(whole(where, "summarise", values["summarise"], 0, 1))
