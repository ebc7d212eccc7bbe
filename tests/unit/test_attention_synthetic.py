"""Generated attention: the same seed gives the same bits, and the probabilities are distributed like real ones."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from workloads.attention.attention import Attention
from workloads.attention.capture import plain_attention
from workloads.attention.models import MODELS, TransformerShape
from workloads.attention.npz import read_attention
from workloads.attention.synthetic import ScoreStatistics, synthetic_attention
from workloads.errors import WorkloadError


def shape(**sizes: Any) -> TransformerShape:
    """Return the shape of the recorded sentence encoder, or one that differs from it."""
    encoder = {"layers": 6, "heads": 12, "head_dim": 32, "hidden": 384, "feed_forward": 1536}
    return TransformerShape(**{"name": "m", **encoder, "causal": False, "key_value_heads": 12, **sizes})


def probabilities(attention: Attention, index: int) -> np.ndarray[Any, Any]:
    layer = attention.layer(index)
    one_hot = np.broadcast_to(np.eye(attention.tokens, dtype=np.float32), (attention.heads, *[attention.tokens] * 2))
    return plain_attention(layer._replace(v=one_hot), attention.causal)


def measured(attention: Attention) -> dict[str, float]:
    """Return what the table in the module's docstring compares."""
    layers = [probabilities(attention, index) for index in range(attention.layers)]
    largest = np.stack([layer.max(axis=-1) for layer in layers])
    importance = [layer.sum(axis=(0, 1)) for layer in layers]
    quarter = attention.tokens // 4
    ranks = [spearmanr(first, second).statistic for first, second in pairwise(importance)]
    return {
        "largest": float(largest.mean()),
        "flat": float((largest < 0.1).mean()),
        "sharp": float((largest > 0.5).mean()),
        "first": float(np.mean([column[0] / column.sum() for column in importance])),
        "quarter": float(np.mean([np.sort(column)[-quarter:].sum() / column.sum() for column in importance])),
        "rank": float(np.mean(ranks)),
    }


@pytest.mark.parametrize("length", [25, 128, 256])
@pytest.mark.parametrize("seed", [1, 2])
def test_attention_is_distributed_like_recorded_attention(shared_data: Path, length: int, seed: int) -> None:
    path = shared_data / "attention" / f"minilm_L{length}.npz"
    if not path.exists():
        pytest.skip(f"no {path}")
    recorded = read_attention(path)
    real = measured(recorded)
    made = measured(synthetic_attention(shape(), name="m", tokens=recorded.tokens, seed=seed))
    allowed = {"largest": 0.06, "flat": 0.08, "sharp": 0.08, "first": 0.1, "quarter": 0.08, "rank": 0.2}
    wrong = {name: (real[name], made[name]) for name, by in allowed.items() if abs(real[name] - made[name]) > by}
    assert wrong == {}


def test_layers_do_not_depend_on_each_other() -> None:
    made, again = (synthetic_attention(shape(), name="m", tokens=20, seed=4) for _ in range(2))
    backwards = [again.layer(index) for index in reversed(range(6))][::-1]
    for index in range(6):
        for array, same in zip(made.layer(index), backwards[index], strict=True):
            np.testing.assert_array_equal(array, same)


def test_the_bits_are_these() -> None:
    layer = synthetic_attention(shape(), name="m", tokens=20, seed=4).layer(2)
    found = [float(array[3, 5, 7]) for array in layer]
    np.testing.assert_allclose(found, [-3.196292, -0.990016, 1.121274], rtol=1e-5)


def test_heads_share_keys_as_the_model_does() -> None:
    layer = synthetic_attention(shape(heads=6, key_value_heads=2), name="m", tokens=9, seed=1).layer(0)
    for array in (layer.k, layer.v):
        for head in (1, 2, 4, 5):
            np.testing.assert_array_equal(array[head], array[head // 3 * 3])
        assert (array[0] != array[3]).any()
    assert (layer.q[0] != layer.q[1]).any()


def test_the_same_tokens_matter_in_all_heads_and_layers() -> None:
    shared = ScoreStatistics(popularity_shared=1.0, popularity_turn=0.0, popularity_first_nats=1.0)
    made = synthetic_attention(shape(), name="m", tokens=100, seed=1, statistics=shared)
    columns = [probabilities(made, index).sum(axis=1)[:, 1:] for index in (0, 5)]
    assert spearmanr(columns[0][0], columns[1][7]).statistic > 0.4
    alone = ScoreStatistics(popularity_shared=0.0, popularity_first_nats=1.0)
    made = synthetic_attention(shape(), name="m", tokens=100, seed=1, statistics=alone)
    columns = [probabilities(made, index).sum(axis=1)[:, 1:] for index in (0, 5)]
    assert abs(spearmanr(columns[0][0], columns[1][7]).statistic) < 0.3


def test_each_part_does_what_it_is_called() -> None:
    nothing = dict.fromkeys(
        ("noise_nats", "match_nats", "sink_nats", "sink_growth", "sink_head_nats", "sink_row_nats",
         "popularity_first_nats", "popularity_last_nats"), 0.0,
    )  # fmt: skip

    def made(**part: Any) -> np.ndarray[Any, Any]:
        statistics = ScoreStatistics(**{**nothing, "broad_layers": 0.0, **part})
        return probabilities(synthetic_attention(shape(), name="m", tokens=128, seed=1, statistics=statistics), 0)

    np.testing.assert_allclose(made(), 1 / 128, rtol=1e-4)
    sink = np.exp(3.0) / (np.exp(3.0) + 127)
    np.testing.assert_allclose(made(sink_nats=3.0)[..., 0], sink, rtol=1e-4)
    np.testing.assert_allclose(np.log(made(noise_nats=0.5)).std(axis=-1).mean(), 0.5, rtol=0.1)
    np.testing.assert_allclose(np.log(made(popularity_first_nats=0.7)).std(axis=-1).mean(), 0.7, rtol=0.1)
    matched = made(match_nats=4.0, match_head_spread=0.0, match_row_spread=0.0, matches=1, local_share=1.0)
    near = np.abs(matched.argmax(axis=-1) - np.arange(128))
    assert np.median(near) <= 2
    np.testing.assert_allclose(np.median(np.log(matched.max(-1) / np.median(matched, -1))), 4.0, rtol=0.15)


def test_generation_sees_a_sink_and_flat_rows_in_the_first_layers() -> None:
    made = synthetic_attention(MODELS["gpt2-small"], name="m", tokens=512, prompt=500, seed=1)
    flat = [float((probabilities(made, index)[:, 500:].max(axis=-1) < 0.05).mean()) for index in (0, 1, 6, 11)]
    assert min(flat[:2]) > max(flat[2:])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"noise_nats": -1.0}, "score statistics: noise_nats = -1.0, need a number, 0..100"),
        ({"sink_nats": float("nan")}, "score statistics: sink_nats = nan, need a number, 0..100"),
        ({"local_share": 1.5}, "score statistics: local_share = 1.5, need a number, 0..1"),
        ({"match_row_spread": 6.0}, "score statistics: match_row_spread = 6.0, need a number, 0..5"),
        ({"matches": 2.5}, "score statistics: matches = 2.5, need a whole number, 0..64"),
        ({"broad_factor": "x"}, "score statistics: broad_factor = x, need a number, 0..100"),
    ],
)
def test_statistics_that_are_not_allowed(given: dict[str, Any], said: str) -> None:
    with pytest.raises(WorkloadError) as caught:
        ScoreStatistics(**given)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("sizes", "given", "said"),
    [
        ({}, {"seed": -1}, "m: seed = -1, need a whole number, 0..9223372036854775807"),
        ({}, {"tokens": 0}, "m: tokens = 0, need a whole number, 1..65536"),
        ({"head_dim": 1}, {}, "m: head_dim = 1, need a whole number, 2..512"),
    ],
)
def test_what_cannot_be_generated(sizes: dict[str, int], given: dict[str, int], said: str) -> None:
    with pytest.raises(WorkloadError) as caught:
        synthetic_attention(shape(**sizes), **{"name": "m", "tokens": 4, "seed": 1, **given})
    assert str(caught.value) == said
