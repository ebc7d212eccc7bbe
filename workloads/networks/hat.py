"""HAT: a family of Transformers that translate, cut out of one trained network.

Source: Wang et al., "HAT: Hardware-Aware Transformers for Efficient Natural Language Processing", ACL 2020, and the
released configurations. Six encoder layers and one to six decoder layers; every layer has a feed-forward width and
heads of its own, every decoder layer attends to the last one, two or three encoder layers ("arbitrary encoder-decoder
attention": their outputs stand one after another as keys). Queries, keys and values are 512 wide, whatever the heads.

Layers are those of one sentence, translated token by token, as HAT measures it: the encoder reads all tokens at once;
the decoder runs once a token, so that its weights are read anew in every step. Such a layer is a product with
``length`` groups. Queries of the decoder see a cache of ``length`` keys from the first step on, as HAT counts it.
Embeddings, normalisation and the projection onto the vocabulary are left out, in parameters too, as HAT leaves them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from workloads.errors import WorkloadError
from workloads.layers import Layer
from workloads.network import INPUT, Network, Shape
from workloads.sparse.limits import whole

NAME = "hat"
ATTENTION_WIDTH = 512
ENCODER_LAYERS, MOST_DECODER_LAYERS = 6, 6
DECODER_LAYERS = tuple(range(1, MOST_DECODER_LAYERS + 1))
EMBEDDINGS = (512, 640)
FEED_FORWARDS = (512, 1024, 2048, 3072)
HEADS = (2, 4, 8)
ATTENDED = (1, 2, 3)
LENGTH = 30  # tokens of a sentence: the average of the WMT tasks, as HAT measures; 23 for IWSLT
LARGEST_LENGTH = 128
MODEL_TYPE = "model_type"


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One network of the family ("SubTransformer").

    Attributes
    ----------
    encoder_embedding, decoder_embedding : int
        Numbers that stand for a token between layers, 512 or 640.
    encoder_feed_forward, encoder_heads : tuple of int, length 6
        Inner width (512, 1024, 2048, 3072) and heads (2, 4, 8) of each encoder layer.
    decoder_feed_forward, decoder_heads, cross_heads : tuple of int, one length, 1..6
        The same of each decoder layer; ``cross_heads`` are those of its attention to the encoder.
    attended : tuple of int
        Last encoder layers that each decoder layer attends to, 1..3.

    Raises
    ------
    WorkloadError
        If a value is not allowed, or the decoder's lists differ in length.
    """

    encoder_embedding: int
    decoder_embedding: int
    encoder_feed_forward: tuple[int, ...]
    encoder_heads: tuple[int, ...]
    decoder_feed_forward: tuple[int, ...]
    decoder_heads: tuple[int, ...]
    cross_heads: tuple[int, ...]
    attended: tuple[int, ...]

    def __post_init__(self) -> None:
        where = f"{NAME} architecture"
        for field in ("encoder_embedding", "decoder_embedding"):
            _check(where, field, getattr(self, field), EMBEDDINGS)
        decoders = len(self.decoder_feed_forward)
        if decoders not in DECODER_LAYERS:
            need = f"one for each of 1..{MOST_DECODER_LAYERS} decoder layers"
            raise WorkloadError(where, "decoder_feed_forward", f"{decoders} values", need)
        for field, length, allowed in (
            ("encoder_feed_forward", ENCODER_LAYERS, FEED_FORWARDS),
            ("encoder_heads", ENCODER_LAYERS, HEADS),
            ("decoder_feed_forward", decoders, FEED_FORWARDS),
            ("decoder_heads", decoders, HEADS),
            ("cross_heads", decoders, HEADS),
            ("attended", decoders, ATTENDED),
        ):
            given = getattr(self, field)
            if len(given) != length:
                raise WorkloadError(where, field, f"{len(given)} values", f"{length}")
            for place, value in enumerate(given):
                _check(where, f"{field}[{place}]", value, allowed)

    @property
    def decoder_layers(self) -> int:
        """Number of decoder layers."""
        return len(self.decoder_feed_forward)


def _check(where: str, field: str, value: object, allowed: tuple[int, ...]) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        raise WorkloadError(where, field, value, "one of " + ", ".join(map(str, allowed)))


def uniform(
    *,
    encoder_embedding: int = 512,
    decoder_embedding: int = 512,
    decoder_layers: int = 6,
    feed_forward: int = 3072,
    heads: int = 8,
    attended: int = 1,
    length: int = LENGTH,
) -> Network:
    """Build the network with all layers alike."""
    whole(NAME, "decoder_layers", decoder_layers, 1, MOST_DECODER_LAYERS)
    return build(
        alike(encoder_embedding, decoder_embedding, decoder_layers, feed_forward, heads, attended), length=length
    )


def alike(
    encoder_embedding: int, decoder_embedding: int, decoder_layers: int, feed_forward: int, heads: int, attended: int
) -> Architecture:
    """Return the architecture whose layers are all alike."""
    return Architecture(
        encoder_embedding=encoder_embedding,
        decoder_embedding=decoder_embedding,
        encoder_feed_forward=(feed_forward,) * ENCODER_LAYERS,
        encoder_heads=(heads,) * ENCODER_LAYERS,
        decoder_feed_forward=(feed_forward,) * decoder_layers,
        decoder_heads=(heads,) * decoder_layers,
        cross_heads=(heads,) * decoder_layers,
        attended=(attended,) * decoder_layers,
    )


def build(architecture: Architecture, *, length: int = LENGTH, name: str = NAME) -> Network:
    """Build the layers that translate one sentence.

    Parameters
    ----------
    architecture : Architecture
    length : int
        Tokens of the sentence, and of its translation, 1..128.

    Returns
    -------
    Network
        ``parameters`` and ``macs`` are HAT's; ``table`` has 8 rows for an encoder layer and 14 for a decoder layer.
    """
    whole(name, "length", length, 1, LARGEST_LENGTH)
    network = Network(name, (length, 1, architecture.encoder_embedding))
    source = INPUT
    outputs = []
    for index, (inner, heads) in enumerate(
        zip(architecture.encoder_feed_forward, architecture.encoder_heads, strict=True), start=1
    ):
        source = _encoder_layer(network, f"encoder{index}", source, inner, heads)
        outputs.append(source)
    decoded = network.operation("tokens", "elementwise", Shape(length, 1, architecture.decoder_embedding), INPUT)
    for index, (inner, heads, cross, attended) in enumerate(
        zip(
            architecture.decoder_feed_forward,
            architecture.decoder_heads,
            architecture.cross_heads,
            architecture.attended,
            strict=True,
        ),
        start=1,
    ):
        decoder = _Steps(network, f"decoder{index}", length)
        decoded = decoder.attention(decoded, heads)
        decoded = decoder.cross_attention(decoded, outputs[-attended:], cross)
        decoded = decoder.feed_forward(decoded, inner)
    return network


def _encoder_layer(network: Network, block: str, source: str, inner: int, heads: int) -> str:
    width = network.shape(source).c
    query, key, value = (
        network.linear(f"{block}.{part}", source, ATTENTION_WIDTH, each=True) for part in ("query", "key", "value")
    )
    scores = network.matmul(f"{block}.scores", query, key, heads=heads, transpose=True)
    context = network.matmul(f"{block}.context", scores, value, heads=heads)
    output = network.linear(f"{block}.output", context, width, each=True)
    source = _normalised(network, f"{block}.add", source, output)
    up = network.linear(f"{block}.up", source, inner, each=True)
    return _normalised(network, f"{block}.add2", source, network.linear(f"{block}.down", up, width, each=True))


def _normalised(network: Network, name: str, source: str, result: str) -> str:
    """Add what was computed to its source, and normalise: a scale and an offset for every number of a token."""
    shape = network.shape(source)
    return network.operation(name, "elementwise", shape, source, result, parameters=2 * shape.c)


class _Steps:
    """A decoder layer, which runs once for every token: each product has a group for each step."""

    def __init__(self, network: Network, block: str, length: int) -> None:
        self._network, self._block, self._length = network, block, length

    def attention(self, source: str, heads: int) -> str:
        """Add attention to the tokens so far, in a cache of all there will be."""
        query, key, value = (self._linear(part, source, ATTENTION_WIDTH) for part in ("query", "key", "value"))
        return self._attend("", source, query, key, value, heads)

    def cross_attention(self, source: str, attended: list[str], heads: int) -> str:
        """Add attention to outputs of the encoder, whose keys and values are made once a sentence."""
        network, block = self._network, self._block
        query = self._linear("cross_query", source, ATTENTION_WIDTH)
        shape = network.shape(attended[0])
        together = Shape(shape.h * len(attended), 1, shape.c)
        memory = network.operation(f"{block}.attended", "elementwise", together, *attended)
        key, value = (
            network.linear(f"{block}.cross_{part}", memory, ATTENTION_WIDTH, each=True) for part in ("key", "value")
        )
        return self._attend("cross_", source, query, key, value, heads)

    def feed_forward(self, source: str, inner: int) -> str:
        """Add the feed-forward network."""
        up = self._linear("up", source, inner)
        down = self._linear("down", up, self._network.shape(source).c)
        return _normalised(self._network, f"{self._block}.add3", source, down)

    def _linear(self, part: str, source: str, out_c: int) -> str:
        in_c = self._network.shape(source).c
        return self._product(part, (source,), in_c, out_c, 1, out_c, parameters=in_c * out_c + out_c)

    def _attend(self, prefix: str, source: str, query: str, key: str, value: str, heads: int) -> str:
        keys, head_dim = self._network.shape(key).h, ATTENTION_WIDTH // heads
        scores = self._product(f"{prefix}scores", (query, key), head_dim, keys, heads, heads * keys)
        context = self._product(f"{prefix}context", (scores, value), keys, head_dim, heads, ATTENTION_WIDTH)
        output = self._linear(f"{prefix}output", context, self._network.shape(source).c)
        return _normalised(self._network, f"{self._block}.{prefix}add", source, output)

    def _product(
        self, part: str, sources: tuple[str, ...], depth: int, columns: int, heads: int, width: int, parameters: int = 0
    ) -> str:
        groups = self._length * heads
        layer = Layer(
            name=f"{self._block}.{part}",
            kind="matmul",
            in_h=1,
            in_w=1,
            in_c=groups * depth,
            out_h=1,
            out_w=1,
            out_c=groups * columns,
            groups=groups,
        )
        return self._network.layer(layer, parameters, *sources, shape=Shape(self._length, 1, width))


@dataclass(frozen=True, slots=True)
class Translation:
    """A sentence and the network that translates it: what a machine with attention of its own is given.

    Attributes
    ----------
    name : str
    architecture : Architecture
    length : int
        Tokens of the sentence, and of its translation, 1..128.
    """

    name: str
    architecture: Architecture
    length: int = LENGTH

    def __post_init__(self) -> None:
        whole(self.name, "length", self.length, 1, LARGEST_LENGTH)

    @property
    def summarise(self) -> bool:
        """Whether something is read before generation: the sentence is."""
        return True


def to_json(architecture: Architecture) -> str:
    """Return the text of a file that ``from_json`` reads."""
    return json.dumps({MODEL_TYPE: NAME, **asdict(architecture)}, indent=1) + "\n"


def from_json(values: Mapping[str, Any], where: str) -> Architecture:
    """Return the architecture that a file's fields describe.

    Parameters
    ----------
    values : mapping
        ``model_type`` = ``hat`` and the fields of ``Architecture``, lists for tuples.
    where : str
        The file, for errors.

    Raises
    ------
    WorkloadError
        If a field is missing, not known or not allowed.
    """
    names = [field.name for field in fields(Architecture)]
    for name in values:
        if name not in (MODEL_TYPE, *names):
            raise WorkloadError(where, "field", name, "one of " + ", ".join(names))
    given: dict[str, Any] = {}
    for name in names:
        embedding = name.endswith("embedding")
        value = values.get(name)
        if value is None or isinstance(value, list) == embedding:
            need = "a whole number" if embedding else "a list of whole numbers"
            raise WorkloadError(where, name, value, need)
        given[name] = value if embedding else tuple(value)
    try:
        return Architecture(**given)
    except WorkloadError as error:
        raise error.at(where) from None
