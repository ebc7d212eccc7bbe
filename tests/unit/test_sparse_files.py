"""Sparse matrices as files: what is read, and what is said of a file that cannot be."""

from __future__ import annotations

import gzip
import io
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from workloads.errors import WorkloadError
from workloads.sparse import limits
from workloads.sparse.files import matrix_name, read_matrix

BANNER = "%%MatrixMarket matrix "
REAL = BANNER + "coordinate real general\n"


def refusal(path: Path) -> str:
    """Return what is said of the file, without the folder it is in."""
    with pytest.raises(WorkloadError) as caught:
        read_matrix(path)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{path.parent}/", "")


def market(folder: Path, text: str) -> Path:
    path = folder / "m.mtx"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "dense"),
    [
        (REAL + "2 3 2\n1 1 1.5\n2 3 -.5e1\n", [[1.5, 0, 0], [0, 0, -5]]),
        (REAL + "% comment\n\n2 2 1\n\n1 2 4\n\n", [[0, 4], [0, 0]]),
        (REAL + "2 2 2\n1 2 4\n1 2 5", [[0, 9], [0, 0]]),
        (REAL.replace("\n", "\r\n") + "1 1 1\r\n1 1 7\r\n", [[7]]),
        (REAL + "0 0 0\n", []),
        (REAL.upper().replace("%%MATRIXMARKET", "%%MatrixMarket") + "1 1 1\n1 1 7\n", [[7]]),
        (BANNER + "coordinate double general\n1 1 1\n1 1 2.\n", [[2]]),
        (BANNER + "coordinate integer general\n1 2 1\n1 2 -3\n", [[0, -3]]),
        (BANNER + "coordinate unsigned-integer general\n1 1 1\n1 1 3\n", [[3]]),
        (BANNER + "coordinate pattern general\n2 2 1\n2 1\n", [[0, 0], [1, 0]]),
        (BANNER + "coordinate real symmetric\n2 2 2\n1 1 1\n2 1 3\n", [[1, 3], [3, 0]]),
        (BANNER + "coordinate real skew-symmetric\n2 2 1\n2 1 3\n", [[0, -3], [3, 0]]),
        (BANNER + "coordinate real hermitian\n2 2 1\n2 1 3\n", [[0, 3], [3, 0]]),
        (BANNER + "coordinate pattern symmetric\n2 2 1\n2 1\n", [[0, 1], [1, 0]]),
        (BANNER + "array real general\n2 2\n1\n2\n0\n4\n", [[1, 0], [2, 4]]),
        (BANNER + "array integer symmetric\n2 2\n1\n2\n4\n", [[1, 2], [2, 4]]),
        (BANNER + "array real skew-symmetric\n2 2\n5\n", [[0, -5], [5, 0]]),
    ],
)
def test_matrix_market_is_read_as_the_format_says(tmp_path: Path, text: str, dense: list[list[float]]) -> None:
    matrix = read_matrix(market(tmp_path, text))
    assert matrix.toarray().tolist() == dense
    assert (matrix.data.dtype, matrix.indices.dtype, matrix.indptr.dtype) == (np.float64, np.int32, np.int32)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "m.mtx: no first line %%MatrixMarket matrix ..., need a matrix in Matrix Market format"),
        ("hello\n", "m.mtx: no first line %%MatrixMarket matrix ..., need a matrix in Matrix Market format"),
        ("%%MatrixMarket vector coordinate real general\n", "m.mtx: no first line"),
        (BANNER + "sparse real general\n", "m.mtx: layout = sparse, need one of coordinate, array"),
        (BANNER + "coordinate complex general\n1 1 1\n1 1 1 2\n", "m.mtx: field = complex, need one of real, double,"),
        (BANNER + "coordinate real diagonal\n", "m.mtx: symmetry = diagonal, need one of general, symmetric,"),
        (BANNER + "array pattern general\n", "m.mtx: field = pattern, need a coordinate matrix"),
        (BANNER + "coordinate pattern skew-symmetric\n", "m.mtx: field = pattern, need a coordinate matrix"),
        (REAL, "m.mtx, line 2: sizes = , need whole numbers: rows, columns, entries"),
        (REAL + "% " + 5000 * "x", "m.mtx, line 2: a line of 4096 bytes or more, need a matrix in Matrix Market"),
        (REAL + "2 2\n", "m.mtx, line 2: sizes = 2 2, need whole numbers: rows, columns, entries"),
        (REAL + "-2 2 0\n", "m.mtx, line 2: sizes = -2 2 0, need whole numbers: rows, columns, entries"),
        (REAL + "%\n2 2.5 1\n", "m.mtx, line 3: sizes = 2 2.5 1, need whole numbers: rows, columns, entries"),
        (BANNER + "array real general\n2 2 4\n", "m.mtx, line 2: sizes = 2 2 4, need whole numbers: rows, columns"),
        (REAL + "2147483648 1 0\n", "m.mtx, line 2: rows = 2147483648, need 0..2147483647"),
        (REAL + "1 2147483648 0\n", "m.mtx, line 2: columns = 2147483648, need 0..2147483647"),
        (
            BANNER + "coordinate real symmetric\n2 3 0\n",
            "m.mtx, line 2: shape = 2 x 3, need a square matrix, because it is symmetric",
        ),
        (REAL + "2 2 3\n1 1 1.5\n", "m.mtx: entries = 1, need 3, as the header promises"),
        (REAL + "2 2 1\n1 1 1\n2 2 1\n", "m.mtx: entries = more than 1, need 1, as the header promises"),
        (REAL + "2 2 1\n1 1 x\n", "m.mtx, line 3: '1 1 x', need row, column and a finite number"),
        (REAL + "2 2 1\n\n1 1 nan\n", "m.mtx, line 4: '1 1 nan', need row, column and a finite number"),
        (REAL + "2 2 1\n1 1 1 7\n", "m.mtx, line 3: '1 1 1 7', need row, column and a finite number"),
        (REAL + "2 2 1\n1 1\n", "m.mtx, line 3: '1 1', need row, column and a finite number"),
        (REAL + "2 2 1\n1 1.7 1.5\n", "m.mtx, line 3: '1 1.7 1.5', need row, column and a finite number"),
        (REAL + "2 2 1\n\x00\n", "m.mtx, line 3: '\\x00', need row, column and a finite number"),
        (REAL + "2 2 1\n" + 5000 * "1", "m.mtx, line 3: '1111"),
        (REAL + "2 2 1\n1 1 1e999\n", "m.mtx: value = inf, need finite values"),
        (REAL + "2 2 1\n3 1 1\n", "m.mtx: Line 3: Row index out of bounds, need indices 1..2 and 1..2"),
        (REAL + "2 2 1\n1 0 1\n", "m.mtx: Line 3: Column index out of bounds, need indices 1..2 and 1..2"),
        (
            BANNER + "coordinate integer general\n2 2 1\n1 1 1.5\n",
            "m.mtx, line 3: '1 1 1.5', need row, column and a whole number",
        ),
        (
            BANNER + "coordinate integer general\n2 2 1\n1 1 99999999999999999999\n",
            "m.mtx: Line 3: Integer out of range, need indices 1..2 and 1..2 and values of at most 64 bits",
        ),
        (
            BANNER + "coordinate integer general\n2 2 1\n1 1 9007199254740993\n",
            "m.mtx: value = 9007199254740993, need whole numbers of at most 2**53, which float64 holds exactly",
        ),
        (BANNER + "coordinate pattern general\n2 2 1\n2 1 7\n", "m.mtx, line 3: '2 1 7', need row and column"),
        (BANNER + "array real general\n2 2\n1\nx\n", "m.mtx, line 4: 'x', need a finite number"),
        (BANNER + "array integer general\n1 1\n1.5\n", "m.mtx, line 3: '1.5', need a whole number"),
    ],
)
def test_matrix_market_that_cannot_be_read(tmp_path: Path, text: str, said: str) -> None:
    assert refusal(market(tmp_path, text)).startswith(said)


def test_line_numbers_hold_beyond_the_first_chunk(tmp_path: Path) -> None:
    lines = 200_000
    body = "1 1 1.25\n" * (lines - 1) + "1 1 oops\n"
    path = market(tmp_path, f"{REAL}1 1 {lines}\n{body}")
    assert refusal(path) == f"m.mtx, line {lines + 2}: '1 1 oops', need row, column and a finite number"


@pytest.mark.parametrize("name", ["m.mtx", "m.mtx.gz", "m.npz"])
def test_a_missing_file_and_a_folder(tmp_path: Path, name: str) -> None:
    assert refusal(tmp_path / name).startswith(f"{name}: No such file or directory, need a")
    (tmp_path / name).mkdir()
    assert refusal(tmp_path / name).startswith(f"{name}: Is a directory, need a")


def test_another_kind_of_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "m.csv") == "m.csv: a file of kind .csv, need a sparse matrix: .mtx, .mtx.gz or .npz"


def test_gzip(tmp_path: Path) -> None:
    path = tmp_path / "m.mtx.gz"
    whole = gzip.compress((REAL + "2 2 1\n2 1 4\n").encode())
    path.write_bytes(whole)
    assert read_matrix(path).toarray().tolist() == [[0, 0], [4, 0]]
    path.write_bytes(whole[:-12])
    assert refusal(path) == "m.mtx.gz: a gzip file that ends early, need a matrix in Matrix Market format"
    path.write_bytes(whole[:10] + bytes(8) + whole[18:])
    assert refusal(path).endswith("need a matrix in Matrix Market format")
    path.write_text(REAL + "2 2 1\n2 1 4\n", encoding="utf-8")
    assert refusal(path).startswith("m.mtx.gz: Not a gzipped file")


def test_a_matrix_too_large_for_memory_is_refused_from_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "available_bytes", lambda: 2**30)
    path = market(tmp_path, REAL + "1000 1000 1073741824\nnot read\n")
    assert refusal(path) == "m.mtx: memory = 64 GiB, need at most the 1 GiB that are free"
    assert "memory = " in refusal(market(tmp_path, BANNER + "array real general\n100000 100000\n"))
    assert "memory = " in refusal(market(tmp_path, BANNER + "coordinate real symmetric\n9 9 9000000\n"))
    monkeypatch.setattr(limits, "available_bytes", lambda: 1000)
    held = tmp_path / "m.npz"
    sparse.save_npz(held, sparse.eye_array(500, format="csr"))
    assert "need at most the 9.31e-07 GiB that are free" in refusal(held)


def test_memory_that_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MEMORY_REPORT", tmp_path / "meminfo")
    monkeypatch.setattr(limits, "CONTROL_GROUP", tmp_path)
    whole = limits.available_bytes()
    assert whole is not None
    assert whole > 2**20
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 7 kB\n", encoding="ascii")
    assert limits.available_bytes() == 7 * 1024
    (tmp_path / "memory.current").write_text("1000\n", encoding="ascii")
    (tmp_path / "memory.max").write_text("max\n", encoding="ascii")
    assert limits.available_bytes() == 7 * 1024
    (tmp_path / "memory.max").write_text("5000\n", encoding="ascii")
    assert limits.available_bytes() == 4000


def test_nothing_is_refused_where_the_system_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "available_bytes", lambda: None)
    limits.check_fits("anything", 1, 1, 10**18)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csr_matrix])
def test_npz_as_scipy_writes_it(tmp_path: Path, kind: str, compressed: bool, make: Any) -> None:
    dense = np.array([[0, 2, 0], [1, 0, 3]])
    sparse.save_npz(tmp_path / "m.npz", make(dense).asformat(kind), compressed=compressed)
    matrix = read_matrix(tmp_path / "m.npz")
    assert matrix.toarray().tolist() == dense.tolist()
    assert (matrix.data.dtype, matrix.indices.dtype, matrix.indptr.dtype) == (np.float64, np.int32, np.int32)


GOOD: dict[str, Any] = {
    "format": np.array(b"csr"),
    "shape": np.array([2, 2]),
    "data": np.array([1.0, 2.0]),
    "indices": np.array([0, 1]),
    "indptr": np.array([0, 1, 2]),
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": None}, "a file that holds data, indices, indptr, shape, need a CSR, CSC or COO matrix as scipy"),
        ({"indptr": None}, "indptr is missing, need data, indices, indptr of a csr matrix"),
        ({"format": np.array(b"coo")}, "row is missing, need data, row, col of a coo matrix"),
        ({"format": np.array(b"dia")}, "format = dia, need csr, csc or coo"),
        ({"format": np.array(3)}, "format = an array of int64, need csr, csc or coo"),
        ({"shape": np.array([2.0, 2.0])}, "shape = an array of float64 and shape (2,), need 2 whole numbers"),
        ({"shape": np.array([2, 2, 2])}, "shape = an array of int64 and shape (3,), need 2 whole numbers"),
        ({"shape": np.array([-2, 2])}, "rows = -2, need 0..2147483647"),
        ({"shape": np.array([2, 2**31])}, "columns = 2147483648, need 0..2147483647"),
        ({"shape": np.array([3, 2])}, "length of indptr = 3, need 4"),
        ({"data": np.array([1.0])}, "length of data = 1, need 2, as many as indices"),
        ({"data": np.array([[1.0], [2.0]])}, "data = an array of 2 dimensions, need one of 1"),
        ({"data": np.array([1.0, np.nan])}, "value = nan, need finite values"),
        ({"data": np.array([1j, 2])}, "type of the values = complex128, need real numbers of at most 64 bits"),
        ({"data": np.array(["a", "b"])}, "type of the values = <U1, need real numbers of at most 64 bits"),
        ({"data": np.array([1, "b"], object)}, "data = Python objects, need numbers"),
        ({"indices": np.array([0, 2])}, "index = 2, need 0..1"),
        ({"indices": np.array([0, -1])}, "index = -1, need 0..1"),
        ({"indices": np.array([0.0, 1.0])}, "indices = 1-dimensional float64, need 1-dimensional whole numbers"),
        ({"indptr": np.array([1, 1, 2])}, "indptr[0] = 1, need 0"),
        ({"indptr": np.array([0, 3, 2])}, "indptr[2] = 2, need at least indptr[1] = 3"),
        ({"indptr": np.array([0, 1, 3])}, "indptr[2] = 3, need at most 2, the indices there are"),
    ],
)
def test_npz_that_cannot_be_read(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    fields = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    np.savez(tmp_path / "m.npz", **fields)
    assert refusal(tmp_path / "m.npz").startswith(f"m.npz: {said}")


def test_npz_of_something_else(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", q=np.ones(1), k=np.ones(1))
    assert refusal(tmp_path / "m.npz").startswith("m.npz: a file that holds k, q, need a CSR, CSC or COO matrix")
    (tmp_path / "m.npz").write_bytes(b"\x93NUMPY\x01\x00")
    assert refusal(tmp_path / "m.npz").startswith("m.npz: a damaged file (File is not a zip file), need a CSR")


def test_npz_that_promises_more_than_it_holds(tmp_path: Path) -> None:
    np.savez(tmp_path / "good.npz", **GOOD)
    with zipfile.ZipFile(tmp_path / "good.npz") as good, zipfile.ZipFile(tmp_path / "m.npz", "w") as bad:
        for name in good.namelist():
            content = good.read(name)
            bad.writestr(name, content[:-8] if name == "data.npy" else content)
    assert refusal(tmp_path / "m.npz").startswith("m.npz: a damaged file (")
    longer = io.BytesIO()
    np.lib.format.write_array(longer, GOOD["data"])
    with zipfile.ZipFile(tmp_path / "good.npz") as good, zipfile.ZipFile(tmp_path / "m.npz", "w") as bad:
        for name in good.namelist():
            bad.writestr(name, longer.getvalue() + b"more" if name == "data.npy" else good.read(name))
    assert "data is longer than its header promises" in refusal(tmp_path / "m.npz")


@pytest.mark.parametrize("compressed", [True, False])
def test_npz_damaged_anywhere_is_refused_or_read_alike(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "m.npz"
    sparse.save_npz(path, sparse.random_array((20, 20), density=0.2, rng=1, format="csr"), compressed=compressed)
    whole, right = path.read_bytes(), read_matrix(path).toarray()
    rng = np.random.default_rng(3)
    for trial in range(300):
        damaged = bytearray(whole)
        if trial % 3:
            damaged[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
        else:
            damaged = damaged[: rng.integers(len(whole))]
        path.write_bytes(damaged)
        with suppress(WorkloadError):  # what is read all the same was damaged where nobody reads, in a date for one
            assert (read_matrix(path).toarray() == right).all()


def test_a_matrix_is_called_by_the_stem_of_its_file() -> None:
    names = [matrix_name(name) for name in ("a/wiki-Vote.npz", "b.MTX", "c.x.mtx.gz", "plain")]
    assert names == ["wiki-Vote", "b", "c.x", "plain"]
