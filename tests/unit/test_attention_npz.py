"""Attention as ``.npz`` files: what is read, and what is said of a file that cannot be."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workloads.attention import npz
from workloads.attention.npz import read_attention
from workloads.errors import WorkloadError
from workloads.sparse import limits

SHAPE = (2, 3, 5, 4)
NEED = "need an .npz with q, k and v of shape (layers, heads, tokens, head_dim)"


def numbers(dtype: Any = np.float16) -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).standard_normal(SHAPE).astype(dtype)


def stored(folder: Path, **arrays: Any) -> Path:
    path = folder / "t.npz"
    given = {"q": numbers(), "k": numbers(), "v": numbers(), **arrays}
    np.savez(path, **{name: array for name, array in given.items() if array is not None})
    return path


def refusal(path: Path) -> str:
    with pytest.raises(WorkloadError) as caught:
        read_attention(path)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{path.parent}/", "")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_is_written_is_read(tmp_path: Path, dtype: Any, save: Any) -> None:
    path = tmp_path / "trace.npz"
    q, k, v = numbers(dtype), numbers(dtype) + 1, numbers(dtype) * 2
    save(path, q=q, k=k, v=v, input_ids=np.arange(5))
    attention = read_attention(str(path))
    assert (attention.name, attention.causal, attention.prompt, attention.summarise) == ("trace", False, 5, True)
    for index in range(2):
        for array, expected in zip(attention.layer(index), (q, k, v), strict=True):
            np.testing.assert_array_equal(array, expected[index].astype(np.float32))


def test_how_the_model_ran(tmp_path: Path) -> None:
    attention = read_attention(stored(tmp_path, causal=True, prompt=3, summarise=False))
    assert (attention.causal, attention.prompt, attention.summarise, attention.generated) == (True, 3, False, 2)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"k": None}, f"t.npz: k is missing, {NEED}; the file holds q, v"),
        ({"q": np.zeros((3, 5, 4), np.float16)}, "t.npz: q = an array of shape (3, 5, 4), need layers x heads x"),
        ({"k": np.zeros((2, 3, 5, 3), np.float16)}, "t.npz: shape of k = (2, 3, 5, 3), need that of q, (2, 3, 5, 4)"),
        ({"v": np.array([[[[None]]]])}, "t.npz: v = Python objects, need numbers"),
        ({"v": np.zeros(SHAPE, complex)}, "t.npz: v = an array of complex128, need float16, float32 or float64"),
        ({"v": np.zeros(SHAPE, int)}, "t.npz: v = an array of int64, need float16, float32 or float64"),
        ({"v": np.full(SHAPE, "x")}, "t.npz: v = an array of <U1, need float16, float32 or float64"),
        ({"q": np.zeros((2, 3, 0, 4))}, "t.npz: q = an array of shape (2, 3, 0, 4), need at least 1 of each"),
        ({"q": np.full(SHAPE, np.nan)}, "t.npz: layer 0, q = nan, need finite numbers that float32 holds"),
        ({"k": np.full(SHAPE, np.inf)}, "t.npz: layer 0, k = inf, need finite numbers that float32 holds"),
        ({"v": np.full(SHAPE, -np.inf)}, "t.npz: layer 0, v = -inf, need finite numbers that float32 holds"),
        ({"v": np.full(SHAPE, 1e300)}, "t.npz: layer 0, v = 1e+300, need finite numbers that float32 holds"),
        (dict.fromkeys("qkv", np.zeros((1, 1, 2, 513))), "t.npz: head_dim = 513, need a whole number, 1..512"),
        ({"causal": 1}, "t.npz: causal = an array of int64 and shape (), need True or False"),
        ({"summarise": [True]}, "t.npz: summarise = an array of bool and shape (1,), need True or False"),
        ({"prompt": 2.5}, "t.npz: prompt = an array of float64 and shape (), need a whole number"),
        ({"prompt": 9}, "t.npz: prompt = 9, need a whole number, 1..5"),
        ({"prompt": 2}, "t.npz: prompt = 2, need all 5 tokens, because only a causal model generates"),
        ({"causal": True, "summarise": False}, "t.npz: prompt = 5, need at most 4 of 5 tokens, because only"),
    ],
)
def test_arrays_that_are_no_attention(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    assert refusal(stored(tmp_path, **arrays)).startswith(message)


def test_files_that_are_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    assert refusal(path) == f"t.npz: No such file or directory, {NEED}"
    path.write_bytes(b"no archive")
    assert refusal(path) == f"t.npz: a damaged file (File is not a zip file), {NEED}"
    np.savez(path, q=numbers())
    path.write_bytes(path.read_bytes()[:-30])
    assert refusal(path) == f"t.npz: a damaged file (File is not a zip file), {NEED}"
    path.unlink()
    path.mkdir()
    assert refusal(path) == f"t.npz: Is a directory, {NEED}"


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    path = stored(tmp_path)
    held = bytearray(path.read_bytes())
    held[300] ^= 4
    path.write_bytes(held)
    assert refusal(path).startswith("t.npz: a damaged file (Bad CRC-32 for file 'q.npy')")


def test_a_header_that_promises_other_than_the_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    for promised, said in (((2, 3, 4, 4), "q is longer than its header promises"), ((2, 3, 6, 4), "")):
        with zipfile.ZipFile(path, "w") as archive:
            for name in "qkv":
                file = io.BytesIO()
                header = {"descr": "<f2", "fortran_order": False, "shape": promised}
                np.lib.format.write_array_header_1_0(file, header)
                archive.writestr(f"{name}.npy", file.getvalue() + numbers().tobytes())
        message = refusal(path)
        assert message.startswith("t.npz: a damaged file (")
        assert said in message


def test_what_memory_does_not_hold_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name in "qkv":
            file = io.BytesIO()
            header = {"descr": "<f2", "fortran_order": False, "shape": (1024, 1024, 65536, 512)}
            np.lib.format.write_array_header_1_0(file, header)
            archive.writestr(f"{name}.npy", file.getvalue())
    monkeypatch.setattr(npz, "read_array", lambda *_: pytest.fail("read"))
    monkeypatch.setattr(limits, "available_bytes", lambda: 2**30)
    assert refusal(path) == "t.npz: memory = 1.98e+05 GiB, need at most the 1 GiB that are free"


@pytest.mark.parametrize(("length", "tokens", "largest"), [(25, 23, 0.46), (128, 128, 0.34), (256, 256, 0.26)])
def test_recorded_traces(shared_data: Path, length: int, tokens: int, largest: float) -> None:
    path = shared_data / "attention" / f"minilm_L{length}.npz"
    if not path.exists():
        pytest.skip(f"no {path}")
    attention = read_attention(path)
    assert (attention.layers, attention.heads, attention.tokens, attention.head_dim) == (6, 12, tokens, 32)
    found = []
    for index in range(attention.layers):
        q, k, _ = attention.layer(index)
        scores = np.exp(q @ k.transpose(0, 2, 1) / np.sqrt(np.float32(32)))
        found.append((scores / scores.sum(-1, keepdims=True)).max(-1).mean())
    assert round(float(np.mean(found)), 2) == largest
