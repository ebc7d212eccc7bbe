"""Laws of attention workloads on random sizes: what is stored is read again, what is generated is allowed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.attention.models import TransformerShape
from workloads.attention.npz import read_attention
from workloads.attention.requests import ADDED_BITS, BITS, COLUMNS, read_requests
from workloads.attention.synthetic import synthetic_attention
from workloads.errors import WorkloadError

SMALL = st.integers(1, 4)
SEEDS = st.integers(0, 2**63 - 1)


@st.composite
def sizes(draw: st.DrawFn) -> dict[str, Any]:
    """Draw how many tokens are read and generated, by a model that can."""
    tokens = draw(st.integers(1, 40))
    causal = draw(st.booleans())
    prompt = draw(st.integers(1, tokens)) if causal else tokens
    summarise = prompt == tokens or draw(st.booleans())
    return {"tokens": tokens, "causal": causal, "prompt": prompt, "summarise": summarise}


@st.composite
def shapes(draw: st.DrawFn, causal: bool) -> TransformerShape:
    groups, heads_of_each = draw(SMALL), draw(SMALL)
    return TransformerShape(
        name="m",
        layers=draw(SMALL),
        heads=groups * heads_of_each,
        head_dim=draw(st.integers(2, 20)),
        hidden=8,
        feed_forward=8,
        causal=causal,
        key_value_heads=groups,
    )


@settings(max_examples=60, deadline=None)
@given(st.data(), sizes(), SEEDS)
def test_what_is_generated_is_finite_and_the_same_every_time(
    data: st.DataObject, size: dict[str, Any], seed: int
) -> None:
    model = data.draw(shapes(size.pop("causal")))
    made, again = (synthetic_attention(model, name="m", seed=seed, **size) for _ in range(2))
    assert made.generated == size["tokens"] - size["prompt"]
    for index in reversed(range(model.layers)):
        for array, same in zip(made.layer(index), again.layer(index), strict=True):
            assert array.shape == (model.heads, size["tokens"], model.head_dim)
            assert array.dtype == np.float32
            assert array.flags.c_contiguous
            assert np.isfinite(array).all()
            assert array.tobytes() == same.tobytes()


@settings(max_examples=60, deadline=None)
@given(sizes(), SMALL, SMALL, SMALL, st.sampled_from([np.float16, np.float32, np.float64]), SEEDS)
def test_what_is_stored_is_read_again(
    size: dict[str, Any], layers: int, heads: int, head_dim: int, dtype: Any, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    q, k, v = generator.standard_normal((3, layers, heads, size["tokens"], head_dim)).astype(dtype)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "t.npz"
        np.savez(path, q=q, k=k, v=v, **{name: size[name] for name in ("causal", "prompt", "summarise")})
        attention = read_attention(path)
    assert {name: getattr(attention, name) for name in size} == size
    for index in range(layers):
        for array, stored in zip(attention.layer(index), (q, k, v), strict=True):
            np.testing.assert_array_equal(array, stored[index].astype(np.float32))


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 400))
def test_a_damaged_file_is_refused_and_nothing_else(damage: bytes, at: int) -> None:
    array = np.ones((1, 1, 2, 2), np.float16)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "t.npz"
        np.savez(path, q=array, k=array, v=array)
        whole = path.read_bytes()
        path.write_bytes(whole[:at] + damage + whole[at + len(damage) :])
        with suppress(WorkloadError):
            assert np.isfinite(read_attention(path).layer(0).q).all()


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, int]]:
    """Draw requests as a table holds them, -1 where bits are unset, those of a layer together."""
    found = []
    bits = st.sampled_from((-1, *BITS))
    for iteration in range(draw(SMALL)):
        for layer in range(draw(SMALL)):
            for head in range(draw(SMALL)):
                length = draw(st.integers(1, 2000))
                keys = draw(st.integers(1, length))
                found.append(
                    {
                        "iteration": iteration,
                        "layer": layer,
                        "head": head,
                        "head_dim": draw(st.integers(1, 512)),
                        "length": length,
                        "keys": keys,
                        "key_bits": draw(bits),
                        "requantised": int(draw(st.booleans())),
                        "requant_bits": draw(st.sampled_from(ADDED_BITS)),
                        "values": draw(st.integers(1, keys)),
                        "value_bits": draw(bits),
                    }
                )
    return found


@settings(max_examples=60, deadline=None)
@given(rows(), st.booleans(), st.permutations(list(COLUMNS)))
def test_a_table_of_requests_is_read_as_it_was_written(
    table: list[dict[str, int]], as_floats: bool, order: list[str]
) -> None:
    lines = [",".join(COLUMNS[name].published for name in order)]
    for row in table:
        cells = {
            name: f"{value}.0" if as_floats and name != "requantised" else str(value) for name, value in row.items()
        }
        lines.append(",".join(cells[name] for name in order))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "r.csv"
        path.write_text("\r\n".join(lines), encoding="utf-8")
        requests = read_requests(path)
    for name in COLUMNS:
        assert getattr(requests, name).tolist() == [max(row[name], 0) for row in table]
    assert (requests.keys <= requests.length).all()
    assert (requests.values <= requests.keys).all()
