"""Matrices fetched from a collection that runs on this machine: whole, broken off, damaged, and not there."""

from __future__ import annotations

import gzip
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.command_line import sextant
from workloads.errors import WorkloadError
from workloads.sparse.collection import fetch_matrix, kept_matrix
from workloads.sparse.files import read_matrix

MATRIX = "%%MatrixMarket matrix coordinate real general\n3 3 3\n1 1 2\n2 3 4\n3 2 -1\n"


def archive(members: dict[str, str]) -> bytes:
    """Return a tar.gz of some text files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return stream.getvalue()


class Collection:
    """A server of archives; ``cut`` is how many bytes it sends before it hangs up."""

    def __init__(self) -> None:
        self.files = {"/G/small.tar.gz": archive({"small/small_coord.mtx": "no", "small/small.mtx": MATRIX})}
        self.cut: int | None = None
        self.ranges: list[str | None] = []
        collection = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = collection.files.get(self.path)
                asked = self.headers.get("Range")
                collection.ranges.append(asked)
                if body is None:
                    self.send_error(404)
                    return
                start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
                if start >= len(body):
                    self.send_error(416)
                    return
                self.send_response(206 if asked else 200)
                self.send_header("Content-Length", str(len(body) - start))
                self.end_headers()
                end = len(body) if collection.cut is None else start + collection.cut
                self.wfile.write(body[start:end])

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collection]:
    monkeypatch.setenv("SEXTANT_DATA", str(tmp_path))
    served = Collection()
    thread = threading.Thread(target=served.server.serve_forever, daemon=True)
    thread.start()
    yield served
    served.server.shutdown()
    served.server.server_close()
    thread.join()


def test_a_matrix_arrives_and_is_kept_with_its_checksum(collection: Collection) -> None:
    path = fetch_matrix("G/small", collection=collection.address)
    assert read_matrix(path).toarray().tolist() == [[2, 0, 0], [0, 0, 4], [0, -1, 0]]
    assert kept_matrix("small") == path
    assert sorted(file.name for file in path.parent.iterdir()) == ["small.npz", "small.sha256"]


def test_what_is_there_is_not_fetched_again(collection: Collection) -> None:
    fetch_matrix("G/small", collection=collection.address)
    fetch_matrix("G/small", collection=collection.address)
    assert len(collection.ranges) == 1


def test_a_transfer_that_broke_off_goes_on_where_it_ended(collection: Collection) -> None:
    collection.cut = 40
    for _ in range(2):
        with pytest.raises(WorkloadError, match="run it again to continue"):
            fetch_matrix("G/small", collection=collection.address)
    collection.cut = None
    assert read_matrix(fetch_matrix("G/small", collection=collection.address)).nnz == 3
    assert collection.ranges == [None, "bytes=40-", "bytes=80-"]


def test_an_archive_that_arrived_whole_before_a_stop_is_used(collection: Collection, tmp_path: Path) -> None:
    (tmp_path / "matrices").mkdir()
    (tmp_path / "matrices" / "small.tar.gz.part").write_bytes(collection.files["/G/small.tar.gz"])
    assert read_matrix(fetch_matrix("G/small", collection=collection.address)).nnz == 3


def test_a_changed_file_is_noticed(collection: Collection) -> None:
    path = fetch_matrix("G/small", collection=collection.address)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(WorkloadError, match="SHA-256"):
        kept_matrix("small")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("G/absent", "answer 404 Not Found, need a matrix of the collection"),
        ("unheard-of", "matrix = unheard-of, need GROUP/NAME, or one of"),
        ("../../etc/passwd", "matrix = ../../etc/passwd, need GROUP/NAME"),
        ("G/..", "matrix = G/.., need GROUP/NAME"),
    ],
)
def test_a_name_that_is_no_matrix_is_said_in_one_line(collection: Collection, name: str, said: str) -> None:
    ran = sextant("data", "get", name, "--from", collection.address)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert said in ran.err


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"not an archive at all, but long enough to look at", "damaged"),
        (gzip.compress(b"x" * 2000), "damaged"),
        (archive({"small/other.mtx": MATRIX}), "no small.mtx in it"),
        (archive({"small/small.mtx": MATRIX.replace("3 3 3", "3 3 9")}), "need"),
    ],
    ids=["text", "no archive in it", "another matrix", "too few elements"],
)
def test_an_archive_that_holds_no_matrix_is_refused(collection: Collection, body: bytes, said: str) -> None:
    collection.files["/G/small.tar.gz"] = body
    ran = sextant("data", "get", "G/small", "--from", collection.address)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert said in ran.err


def test_a_matrix_with_other_figures_than_the_published_is_refused(collection: Collection) -> None:
    collection.files["/FEMLAB/poisson3Da.tar.gz"] = archive({"poisson3Da/poisson3Da.mtx": MATRIX})
    ran = sextant("data", "get", "poisson3Da", "--from", collection.address)
    assert (ran.code, "the published 13514 rows and 352762 elements" in ran.err) == (2, True)


def test_no_server_is_said(tmp_path: Path) -> None:
    ran = sextant("data", "get", "wiki-Vote", "--from", "http://127.0.0.1:9", "--to", tmp_path)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "need a connection; run it again to continue" in ran.err


def test_the_list_says_what_is_there(collection: Collection) -> None:
    collection.files["/SNAP/wiki-Vote.tar.gz"] = archive({"wiki-Vote/wiki-Vote.mtx": MATRIX})
    assert sextant("data", "get", "wiki-Vote", "--from", collection.address).code == 0
    lines = sextant("data", "list").out.splitlines()
    assert [line for line in lines if not line.endswith("not fetched")] == [
        f"{'SNAP/wiki-Vote':<28}{kept_matrix('wiki-Vote')}"
    ]
