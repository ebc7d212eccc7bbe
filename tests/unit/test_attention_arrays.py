"""Attention that is held or generated layer by layer: what it gives, and what is said of one that cannot be."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from workloads.attention.attention import Attention, LayerAttention, ModelShape, held_attention
from workloads.errors import WorkloadError
from workloads.sparse import limits

SHAPE = (2, 3, 5, 4)


def numbers(shape: tuple[int, ...] = SHAPE, dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).standard_normal(shape).astype(dtype)


def said(build: Callable[[], object]) -> str:
    with pytest.raises(WorkloadError) as caught:
        build()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def attention(**fields: Any) -> Attention:
    sizes = {"layers": 2, "heads": 3, "tokens": 5, "head_dim": 4, "causal": True, "prompt": 5}
    empty = np.zeros(SHAPE[1:], np.float32)
    return Attention(**{"name": "a", **sizes, "read": lambda _: LayerAttention(empty, empty, empty), **fields})


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_layers_are_float32_and_contiguous(dtype: Any) -> None:
    held = numbers(dtype=dtype)
    made = held_attention("a", held, held[::-1], held * 2)
    assert (made.layers, made.heads, made.tokens, made.head_dim) == SHAPE
    assert (made.prompt, made.generated, made.causal, made.summarise, made.shape) == (5, 0, False, True, None)
    layer = made.layer(1)
    for array, expected in zip(layer, (held[1], held[0], held[1] * 2), strict=True):
        assert array.dtype == np.float32
        assert array.dtype.isnative
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, expected.astype(np.float32))


def test_workloads_travel_to_other_processes() -> None:
    made = pickle.loads(pickle.dumps(held_attention("a", numbers(), numbers(), numbers(), causal=True, prompt=2)))
    np.testing.assert_array_equal(made.layer(0).q, numbers()[0])
    assert made.generated == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layers": 0}, "a: layers = 0, need a whole number, 1..1024"),
        ({"heads": 1025}, "a: heads = 1025, need a whole number, 1..1024"),
        ({"tokens": 65537}, "a: tokens = 65537, need a whole number, 1..65536"),
        ({"head_dim": 513}, "a: head_dim = 513, need a whole number, 1..512"),
        ({"head_dim": 4.0}, "a: head_dim = 4.0, need a whole number, 1..512"),
        ({"causal": 1}, "a: causal = 1, need True or False"),
        ({"summarise": None}, "a: summarise is missing, need True or False"),
        ({"prompt": 0}, "a: prompt = 0, need a whole number, 1..5"),
        ({"prompt": 6}, "a: prompt = 6, need a whole number, 1..5"),
        ({"summarise": False}, "a: prompt = 5, need at most 4 of 5 tokens, because only generation is run"),
        ({"causal": False, "prompt": 4}, "a: prompt = 4, need all 5 tokens, because only a causal model generates"),
    ],
)
def test_sizes_that_are_not_allowed(fields: dict[str, Any], message: str) -> None:
    assert said(lambda: attention(**fields)) == message


def test_what_may_be_generated() -> None:
    assert attention(prompt=0, summarise=False).generated == 5
    assert attention(prompt=4, summarise=False).generated == 1
    assert attention(prompt=1).generated == 4


def test_a_layer_that_memory_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "available_bytes", lambda: 3 * 4 * 3 * 5 * 4 - 1)
    assert said(attention) == "a: memory = 6.71e-07 GiB, need at most the 6.7e-07 GiB that are free"
    monkeypatch.setattr(limits, "available_bytes", lambda: 3 * 4 * 3 * 5 * 4)
    attention()


@pytest.mark.parametrize("index", [-1, 2, 0.5])
def test_layers_there_are_not(index: Any) -> None:
    assert said(lambda: attention().layer(index)) == f"a: layer = {index}, need a whole number, 0..1"


def test_a_layer_of_another_shape() -> None:
    wrong = np.zeros((3, 5, 5), np.float32)
    message = "a: layer 0, q = an array of shape (3, 5, 5), need 3 heads x 5 tokens x 4"
    assert said(lambda: attention(read=lambda _: LayerAttention(wrong, wrong, wrong)).layer(0)) == message


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"q": np.zeros((2, 3, 5), np.float32)}, "a: q = an array of shape (2, 3, 5), need layers x heads x tokens x"),
        ({"k": np.zeros(SHAPE, np.int64)}, "a: k = an array of int64, need float16, float32 or float64"),
        ({"v": np.zeros(SHAPE, np.complex64)}, "a: v = an array of complex64, need float16, float32 or float64"),
        ({"q": np.zeros((2, 0, 5, 4))}, "a: q = an array of shape (2, 0, 5, 4), need at least 1 of each"),
        ({"k": numbers((2, 3, 5, 3))}, "a: shape of k = (2, 3, 5, 3), need that of q, (2, 3, 5, 4)"),
        ({"v": numbers((2, 3, 6, 4))}, "a: shape of v = (2, 3, 6, 4), need that of q, (2, 3, 5, 4)"),
    ],
)
def test_arrays_that_are_no_attention(arrays: dict[str, Any], message: str) -> None:
    given = {"q": numbers(), "k": numbers(), "v": numbers(), **arrays}
    assert said(lambda: held_attention("a", **given)).startswith(message)


@pytest.mark.parametrize(
    ("dtype", "value"), [(np.float16, np.nan), (np.float32, np.inf), (np.float64, -np.inf), (np.float64, 1e39)]
)
def test_numbers_that_float32_does_not_hold(dtype: Any, value: float) -> None:
    array = numbers(dtype=dtype)
    array[1, 2, 3, 0] = value
    message = f"a: layer 1, k = {dtype(value)}, need finite numbers that float32 holds"
    assert said(lambda: held_attention("a", numbers(), array, numbers())) == message


@pytest.mark.parametrize(
    ("hidden", "feed_forward", "message"),
    [
        (0, 4, "model shape: hidden = 0, need a whole number, 1..1048576"),
        (4, 2**20 + 1, "model shape: feed_forward = 1048577, need a whole number, 1..1048576"),
    ],
)
def test_widths_that_are_not_allowed(hidden: int, feed_forward: int, message: str) -> None:
    assert said(lambda: ModelShape(hidden, feed_forward)) == message
