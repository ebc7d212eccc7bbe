"""Generated queries, keys and values whose attention is distributed like that of real models.

A score q k^T / sqrt(head_dim) is the sum of four parts, in nats (e-folds of probability before the softmax):

- noise: queries and keys are normal vectors;
- matches: a query holds the directions of a few keys, near ones more often in the first layers than in the last, so
  that these keys win by an amount that varies from head to head and from query to query;
- popularity: every key of a head has a normal share of one direction that all queries hold, so column sums are
  log-normal, a heavy tail. Part of it is the same in all heads, and turns slowly from layer to layer: what mattered in
  one layer matters again in the next, which is what cascade pruning of tokens lives on;
- the sink: the first token is attended to by nearly all queries. How much is more the more keys a query sees.

The first 15 % of the layers, rounded up, attend broadly: their sinks and matches are weaker.

The defaults were set once, against traces of a 6-layer, 12-head, 384-wide sentence encoder (all-MiniLM-L6-v2) that
read text of 23, 128 and 256 tokens. Measured in them / generated with the same sizes and seed 1, mean of all layers;
the importance of a token is the sum of its column of probabilities over heads and queries:

=====================================================  ===========  ===========  ===========
.                                                        23 tokens   128 tokens   256 tokens
=====================================================  ===========  ===========  ===========
largest probability of a row, mean                     0.46 / 0.47  0.34 / 0.32  0.26 / 0.29
rows whose largest probability is below 0.1              2 % / 0 %  21 % / 21 %  34 % / 32 %
rows whose largest probability is above 0.5            41 % / 41 %  27 % / 23 %  17 % / 21 %
importance held by the first token                     0.39 / 0.38  0.26 / 0.26  0.18 / 0.25
importance held by the 25 % most important tokens      0.58 / 0.54  0.56 / 0.52  0.53 / 0.51
rank correlation of importance, consecutive layers     0.61 / 0.59  0.58 / 0.63  0.55 / 0.69
rank correlation of importance, first and last layer   0.57 / 0.45  0.20 / 0.14  -0.0 / 0.36
=====================================================  ===========  ===========  ===========

Not set but compared: in the requests published for GPT-2-small on WikiText-2, the first query, which sees all 993 keys,
is fetched again for having no probability of 0.05 in all 36 heads of the first three layers and in 15 of the 108
others. Generated with those sizes and seed 1 it has none in 21 of the 36 and in 27 of the 108.

Source: "sink" is Xiao et al., "Efficient Streaming Language Models with Attention Sinks" (ICLR 2024).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import ceil, cos, sin, sqrt

import numpy as np
from numpy.typing import NDArray

from workloads.attention.attention import Attention, LayerAttention, ModelShape
from workloads.attention.models import LARGEST_HEAD_DIM, TransformerShape
from workloads.sparse.limits import number, whole

Floats = NDArray[np.float32]
LARGEST_SEED = 2**63 - 1
LARGEST_NATS = 100.0
LARGEST = {
    **dict.fromkeys(("local_share", "popularity_shared", "broad_layers"), 1.0),
    **dict.fromkeys(("match_head_spread", "match_row_spread"), 5.0),  # of logarithms: more does not fit in float32
}
# The number of keys that a query sees at which a sink has the strength it is given by.
SINK_KEYS = 128
# Popularity and sink need a direction each.
SMALLEST_HEAD_DIM = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreStatistics:
    """How scores are distributed. Nats are e-folds of probability; every spread is a standard deviation.

    Attributes
    ----------
    noise_nats : float
        Spread of the scores of keys that nothing favours.
    match_nats : float
        What the best-matched key of a query wins by, median over heads and queries.
    match_head_spread, match_row_spread : float
        Spread of its logarithm over heads, and over the queries of a head.
    matches : int
        Keys that a query matches, the later ones less and less, 0..64.
    local_share : float
        Of the matches in the first layer, those near the query; falls to none in the last layer. 0..1.
    local_tokens : float
        Mean distance of near matches [tokens].
    sink_nats : float
        What the first key wins by where a query sees 128 keys.
    sink_growth : float
        What is added to that for every e-fold of keys [nats].
    sink_head_nats, sink_row_nats : float
        Its spread over heads, and over the queries of a head.
    popularity_first_nats, popularity_last_nats : float
        Spread of the keys' popularity in the first layer and in the last; in between it grows linearly.
    popularity_shared : float
        Share of the popularity's variance that is the same in all heads of a layer, 0..1.
    popularity_turn : float
        Angle by which that share has turned into another from the first to the last layer [radians].
    broad_layers : float
        Share of the layers, rounded up, that attend broadly, 0..1.
    broad_factor : float
        What sink and match are multiplied by there.

    Raises
    ------
    WorkloadError
        If a value is negative or larger than 100, a share larger than 1, or the spread of a logarithm than 5.
    """

    noise_nats: float = 0.95
    match_nats: float = 1.5
    match_head_spread: float = 0.4
    match_row_spread: float = 0.7
    matches: int = 3
    local_share: float = 0.6
    local_tokens: float = 2.0
    sink_nats: float = 4.4
    sink_growth: float = 0.7
    sink_head_nats: float = 0.9
    sink_row_nats: float = 1.1
    popularity_first_nats: float = 0.2
    popularity_last_nats: float = 0.8
    popularity_shared: float = 0.3
    popularity_turn: float = 1.2
    broad_layers: float = 0.15
    broad_factor: float = 0.6

    def __post_init__(self) -> None:
        where = "score statistics"
        whole(where, "matches", self.matches, 0, 64)
        for entry in fields(self):
            number(where, entry.name, getattr(self, entry.name), 0.0, LARGEST.get(entry.name, LARGEST_NATS))


DEFAULT_STATISTICS = ScoreStatistics()


def synthetic_attention(
    model: TransformerShape,
    *,
    name: str,
    tokens: int,
    prompt: int | None = None,
    summarise: bool = True,
    seed: int,
    statistics: ScoreStatistics = DEFAULT_STATISTICS,
) -> Attention:
    """Return generated attention of a model's size.

    Parameters
    ----------
    model : TransformerShape
        Heads of at least 2 numbers. Heads that share keys and values in the model share them here.
    name : str
        What reports and errors call it.
    tokens : int
        1..65536.
    prompt, summarise
        As in ``Attention``; without ``prompt`` nothing is generated.
    seed : int
        0..2**63 - 1. The same seed, size and statistics give the same bits; a layer depends on no other.
    statistics : ScoreStatistics

    Returns
    -------
    Attention
        Each layer is generated whenever it is asked for.

    Raises
    ------
    WorkloadError
        If a size is not allowed (see ``Attention``), or the seed or the heads' width.
    """
    whole(name, "seed", seed, 0, LARGEST_SEED)
    whole(name, "head_dim", model.head_dim, SMALLEST_HEAD_DIM, LARGEST_HEAD_DIM)
    return Attention(
        name=name,
        layers=model.layers,
        heads=model.heads,
        tokens=tokens,
        head_dim=model.head_dim,
        causal=model.causal,
        prompt=tokens if prompt is None else prompt,
        read=GeneratedLayers(model, tokens, seed, statistics),
        summarise=summarise,
        shape=ModelShape(model.hidden, model.feed_forward),
    )


@dataclass(frozen=True, slots=True)
class GeneratedLayers:
    """Layers that are generated when they are asked for; called with an index it returns one of them.

    Attributes
    ----------
    model : TransformerShape
    tokens, seed : int
    statistics : ScoreStatistics
    """

    model: TransformerShape
    tokens: int
    seed: int
    statistics: ScoreStatistics

    def __call__(self, index: int) -> LayerAttention:
        """Return a layer, float32 of shape (heads, tokens, head_dim)."""
        model = self.model
        generator = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(index,)))
        popular = self._popular(index)
        queries_per_key = model.heads // model.key_value_heads
        size = (model.heads, self.tokens, model.head_dim)
        q, k, v = (np.empty(size, np.float32) for _ in range(3))
        for first in range(0, model.heads, queries_per_key):
            shared = slice(first, first + queries_per_key)
            keys = self._keys(generator, index, popular)
            k[shared] = keys.vectors
            v[shared] = generator.standard_normal(size[1:], np.float32)
            for head in range(first, first + queries_per_key):
                q[head] = self._queries(generator, index, keys)
        return LayerAttention(q, k, v)

    def _depth(self, index: int) -> float:
        """Return where a layer stands between the first, 0, and the last, 1."""
        return index / max(self.model.layers - 1, 1)

    def _popular(self, index: int) -> Floats:
        """Return how popular the tokens are in all heads of a layer: normal, and turning from layer to layer."""
        # The same draw for every layer: the seed's own sequence, of which those of the layers are children.
        generator = np.random.default_rng(np.random.SeedSequence(self.seed))
        at_first, at_last = generator.standard_normal((2, self.tokens), np.float32)
        turned = self.statistics.popularity_turn * self._depth(index)
        popular: Floats = at_first * np.float32(cos(turned)) + at_last * np.float32(sin(turned))
        return popular

    def _keys(self, generator: np.random.Generator, index: int, popular: Floats) -> _Keys:
        """Return the keys of a head: normal, plus popularity along one direction and the sink along another."""
        statistics, width = self.statistics, self.model.head_dim
        towards_popular, towards_sink = _directions(generator, width)
        normal = _without(generator.standard_normal((self.tokens, width), np.float32), towards_popular, towards_sink)
        own = generator.standard_normal(self.tokens, np.float32)
        first, last = statistics.popularity_first_nats, statistics.popularity_last_nats
        spread, shared = first + (last - first) * self._depth(index), statistics.popularity_shared
        popularity = np.float32(spread) * (np.float32(sqrt(shared)) * popular + np.float32(sqrt(1 - shared)) * own)
        popularity[0] = 0  # the first token's part is the sink
        vectors = normal + np.float32(width**0.25) * popularity[:, np.newaxis] * towards_popular
        vectors[0] += np.float32(width**0.25) * towards_sink
        return _Keys(vectors, normal, towards_popular, towards_sink)

    def _queries(self, generator: np.random.Generator, index: int, keys: _Keys) -> Floats:
        """Return the queries of a head: noise, the popular direction, the sink's and those of the keys they match."""
        statistics, width, tokens = self.statistics, self.model.head_dim, self.tokens
        broad = index < ceil(statistics.broad_layers * self.model.layers)
        factor = statistics.broad_factor if broad else 1.0
        queries: Floats = np.float32(statistics.noise_nats) * _without(
            generator.standard_normal((tokens, width), np.float32), keys.towards_popular, keys.towards_sink
        )
        seen = np.arange(1, tokens + 1) if self.model.causal else np.full(tokens, tokens)
        sink = statistics.sink_nats + statistics.sink_growth * np.log(seen / SINK_KEYS)
        sink += statistics.sink_head_nats * generator.standard_normal()
        sink += statistics.sink_row_nats * generator.standard_normal(tokens)
        # Scores are divided by sqrt(width); its fourth root on either side undoes that and keeps both sides alike.
        balance = width**0.25
        queries += np.float32(balance) * keys.towards_popular
        queries += (balance * factor * sink).astype(np.float32)[:, np.newaxis] * keys.towards_sink
        strength = factor * statistics.match_nats * np.exp(statistics.match_head_spread * generator.standard_normal())
        strength = strength * np.exp(statistics.match_row_spread * generator.standard_normal(tokens)) / sqrt(width)
        for match in range(statistics.matches):
            weight = (strength * (1 - match / statistics.matches)).astype(np.float32)
            queries += weight[:, np.newaxis] * keys.normal[self._matched(generator, index)]
        return queries

    def _matched(self, generator: np.random.Generator, index: int) -> NDArray[np.int64]:
        """Return a key that each query matches: a near one or any, and of a causal model none that comes later."""
        statistics, tokens = self.statistics, self.tokens
        position = np.arange(tokens)
        seen = position + 1 if self.model.causal else np.full(tokens, tokens)
        anywhere = (generator.random(tokens) * seen).astype(np.int64)
        distance = np.ceil(generator.exponential(statistics.local_tokens, tokens)).astype(np.int64)
        later = generator.random(tokens) < 0.5
        near = position + np.where(later & (not self.model.causal), distance, -distance)
        is_near = generator.random(tokens) < statistics.local_share * (1 - self._depth(index))
        return np.where(is_near, np.clip(near, 0, tokens - 1), anywhere)


@dataclass(frozen=True, slots=True)
class _Keys:
    """Keys of a head, their normal part alone, and the unit directions of popularity and sink."""

    vectors: Floats
    normal: Floats
    towards_popular: Floats
    towards_sink: Floats


def _directions(generator: np.random.Generator, width: int) -> tuple[Floats, Floats]:
    """Return two random unit vectors at right angles."""
    first, second = generator.standard_normal((2, width), np.float32)
    first /= np.sqrt((first * first).sum())
    second -= (first * second).sum() * first
    second /= np.sqrt((second * second).sum())
    return first, second


def _without(vectors: Floats, *directions: Floats) -> Floats:
    """Take a few directions at right angles out of vectors, so that only what is put there shows along them."""
    for direction in directions:
        # No BLAS: how it splits a sum over its threads would show in the last bit.
        along: Floats = (vectors * direction).sum(axis=1, keepdims=True)
        vectors = vectors - along * direction
    return vectors
