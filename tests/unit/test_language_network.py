"""Language models that generate on SpAtten's functional model do what the machine does, and are what the table says."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from accel.spatten import simulate
from mappers.spatten import DENSE_HEAD_LAYERS, best_plan, cascade
from searchers.oracles.accuracy import Keep
from searchers.oracles.attention_network import HEAD_DIM, HEADS, LAYERS, cascades, machine
from searchers.oracles.language import Language
from searchers.oracles.language_network import LENGTH, shipped
from searchers.oracles.policy_model import TERMS, terms
from workloads.attention.attention import LayerAttention, held_attention

SHOWN = 4
HEAD_TERMS = ("heads dropped in the second layer", "heads dropped in the third")
TOKENS = 20


@pytest.mark.parametrize(
    "keep", [Keep(), Keep(0.5, 0.5, 0.5, 4, 4), Keep(0.3, 0.75, 1.0, 3, 4), Keep(0.6, 1.0, 0.3, 6, 0)]
)
def test_it_generates_as_the_machine_does(keep: Keep) -> None:
    random = np.random.default_rng(1)
    values = random.standard_normal((3, LAYERS, HEADS, TOKENS, HEAD_DIM)).astype(np.float32)
    values[..., 0, :] *= 10  # of the first token, so that scales are the same whatever comes behind
    config = machine(keep)
    whole = held_attention("whole", *values, causal=True, prompt=0, summarise=False)
    steps = iter(simulate(config, best_plan(config, whole), compare=False).layers)
    running = next(cascades(keep, TOKENS))
    for token in range(TOKENS):
        running.begin(token + 1)
        for layer in range(LAYERS):
            running.choose(layer)
            so_far = LayerAttention(*values[:, layer, :, : token + 1])
            attended = running.attend(so_far, running.tokens[-1:], running.tokens)
            machines = next(steps).result
            np.testing.assert_array_equal(running.tokens, machines.alive)
            np.testing.assert_array_equal(running.heads, machines.heads)
            ours = attended.reshape(HEADS, HEAD_DIM)
            np.testing.assert_array_equal(ours[running.heads], machines.output[:, 0].astype(np.float32))
            assert not np.delete(ours, running.heads, axis=0).any()


def test_the_model_counts_the_heads_that_the_machine_drops() -> None:
    shares = [0.5, 0.6, 0.74, 0.75, 0.8, 0.9, 1.0]
    alive = [[HEADS * keep for keep in cascade(LAYERS, share, DENSE_HEAD_LAYERS)] for share in shares]
    counted = terms([Keep(head_keep=share) for share in shares])[:, [TERMS.index(name) for name in HEAD_TERMS]]
    assert (1 - counted).tolist() == [[max(1, int(heads)) / HEADS for heads in layers[1:]] for layers in alive]
    assert all(layers[0] == HEADS for layers in alive)


def test_a_row_of_the_table_is_measured_again() -> None:
    networks, texts = shipped()
    with Language.table().open(encoding="utf-8", newline="") as file:
        row = next(row for row in csv.DictReader(file) if float(row["token_keep"]) < 1 and float(row["head_keep"]) < 1)
    tokens, heads, values = (float(row[name]) for name in ("token_keep", "head_keep", "value_keep"))
    keep = Keep(tokens, heads, values, int(row["msb_bits"]), int(row["lsb_bits"]))
    # What is nearly halfway is rounded as the processor's sums of products have it.
    assert networks[int(row["network"])].surprises(texts, keep).mean() == pytest.approx(Language.value(row), abs=0.01)


def test_with_everything_kept_words_that_stood_before_are_known() -> None:
    networks, texts = shipped()
    for network in networks:
        surprises = network.surprises(texts[:SHOWN], Keep())
        assert surprises.shape == (SHOWN, LENGTH - 1)
        assert (surprises >= 0).all()
        assert surprises[:, 3::4].max() < 0.1  # of spaces
        assert surprises[:, 33::4].mean() < 0.5 < surprises[:, 1].mean()  # of vowels, at the end and in the first word


def test_what_is_pruned_is_missed_later() -> None:
    networks, texts = shipped()
    lost = [networks[0].surprises(texts[:SHOWN], Keep(share)).mean() for share in (1.0, 0.6, 0.25)]
    assert lost[0] < lost[1] < lost[2]


def test_nothing_is_known_of_what_comes() -> None:
    networks, texts = shipped()
    changed = texts[:1].copy()
    changed[:, 30:] = changed[:, 10 : LENGTH - 20]
    for keep in (Keep(), Keep(0.5, 0.5, 0.5, 4, 0)):
        before, after = (networks[1].surprises(text, keep)[0] for text in (texts[:1], changed))
        np.testing.assert_array_equal(before[:29], after[:29])
        assert (before[29:] != after[29:]).any()
