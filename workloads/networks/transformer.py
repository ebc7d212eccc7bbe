"""Transformer blocks as layers: projections, the two products of attention and the feed-forward network.

Counted is what a machine multiplies in the blocks, and in the patch embedding of a vision transformer: per layer the
queries', keys' and values' projections, scores, context, output projection, and two feed-forward projections, three
where they are gated. Scores and context of causal models are whole products, as a machine without masks runs them.
Embeddings, norms and the model's head are left out: a configuration does not say which head there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workloads.attention.models import LARGEST_WIDTH, MODELS, TransformerShape, family, load_config, read_config
from workloads.errors import WorkloadError
from workloads.network import INPUT, Network, Shape
from workloads.networks import hat
from workloads.sparse.limits import whole

LENGTH = 384  # tokens, unless something else is asked for; the longest input of the usual benchmarks of encoders
LARGEST_LENGTH = 2**17
VISION = frozenset({"deit", "dinov2", "vit", "vit_mae"})
# Fields of models whose blocks are others than these, and what they have instead.
OTHER_BLOCKS: Mapping[str, str] = {
    "num_local_experts": "experts",
    "num_experts": "experts",
    "n_routed_experts": "experts",
    "kv_lora_rank": "latent attention",
}


def published(*, name: str, length: int = LENGTH) -> Network:
    """Build the blocks of a model of ``workloads.attention.models.MODELS`` for one sequence [tokens]."""
    network = Network(name, (whole(name, "length", length, 1, LARGEST_LENGTH), 1, MODELS[name].hidden))
    add_blocks(network, INPUT, MODELS[name])
    return network


def read_transformer(path: str | Path, length: int | None = None) -> Network:
    """Build the blocks of a model from its Hugging Face ``config.json``.

    Parameters
    ----------
    path : str or Path
        Read as ``workloads.attention.models.read_config`` does; a vision transformer also has ``image_size``,
        ``patch_size`` and ``num_channels`` (3). ``model_type`` = ``hat`` is read by ``workloads.networks.hat``.
    length : int, optional
        Tokens of one sequence, 384 if not given, of HAT 30. A vision transformer has one per patch and one for the
        class.

    Raises
    ------
    WorkloadError
        If the file cannot be read, a field is missing or not allowed, or the model has other blocks.
    """
    path, where = Path(path), str(path)
    values = load_config(path)
    if family(values, where) == hat.NAME:
        return hat.build(hat.from_json(values, where), length=hat.LENGTH if length is None else length)
    for field, instead in OTHER_BLOCKS.items():
        if values.get(field) not in (None, False, 0, 1):
            raise WorkloadError(where, field, values[field], f"a model without {instead}")
    if values.get("is_encoder_decoder"):
        raise WorkloadError(where, "is_encoder_decoder", True, "an encoder or a decoder by itself")
    shape = read_config(path)
    if family(values, where) in VISION:
        return _vision(shape, values, where, length)
    length = whole(where, "length", LENGTH if length is None else length, 1, LARGEST_LENGTH)
    network = Network(shape.name, (length, 1, shape.hidden))
    add_blocks(network, INPUT, shape)
    return network


def _vision(shape: TransformerShape, values: Mapping[str, Any], where: str, length: int | None) -> Network:
    """Build a vision transformer: an image in patches, each a token, and one token for the class."""
    if length is not None:
        raise WorkloadError(where, "length", length, "none: image_size and patch_size say how many tokens there are")
    image = whole(where, "image_size", values.get("image_size"), 1, LARGEST_WIDTH)
    patch = whole(where, "patch_size", values.get("patch_size"), 1, image)
    channels = whole(where, "num_channels", values.get("num_channels", 3), 1, LARGEST_WIDTH)
    tokens = whole(where, "tokens", (image // patch) ** 2 + 1, 1, LARGEST_LENGTH)
    network = Network(shape.name, (image, image, channels))
    patches = network.conv("patches", INPUT, shape.hidden, patch, stride=patch, padding=0, bias=True, batch_norm=False)
    source = network.operation("tokens", "elementwise", Shape(tokens, 1, shape.hidden), patches)
    add_blocks(network, source, shape)
    return network


def add_blocks(network: Network, source: str, shape: TransformerShape) -> str:
    """Add a model's blocks after a map of tokens x 1 x hidden; return the last map."""
    for index in range(shape.layers):
        block = f"layer{index}"
        source = network.elementwise(f"{block}.add", source, _attention(network, block, source, shape))
        source = network.elementwise(f"{block}.add2", source, _feed_forward(network, block, source, shape))
    return source


def _attention(network: Network, block: str, source: str, shape: TransformerShape) -> str:
    """Add attention; query heads that share keys are rows of one product."""
    tokens, shared = network.shape(source).h, shape.heads // shape.key_value_heads
    width = shape.key_value_heads * shape.head_dim
    query = network.linear(f"{block}.query", source, shape.heads * shape.head_dim, each=True)
    key = network.linear(f"{block}.key", source, width, each=True)
    value = network.linear(f"{block}.value", source, width, each=True)
    if shared > 1:
        query = network.reshape(f"{block}.shared", query, Shape(shared * tokens, 1, width))
    scores = network.matmul(f"{block}.scores", query, key, heads=shape.key_value_heads, transpose=True)
    context = network.matmul(f"{block}.context", scores, value, heads=shape.key_value_heads)
    if shared > 1:
        context = network.reshape(f"{block}.heads", context, Shape(tokens, 1, shared * width))
    return network.linear(f"{block}.output", context, shape.hidden, each=True)


def _feed_forward(network: Network, block: str, source: str, shape: TransformerShape) -> str:
    inner = network.linear(f"{block}.up", source, shape.feed_forward, each=True)
    if shape.gated:
        gate = network.linear(f"{block}.gate", source, shape.feed_forward, each=True)
        inner = network.elementwise(f"{block}.gated", gate, inner)
    return network.linear(f"{block}.down", inner, shape.hidden, each=True)
