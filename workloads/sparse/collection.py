"""Matrices of the SuiteSparse collection: fetched by name, checked, and kept in the data folder.

Source: T. A. Davis, Y. Hu, The University of Florida Sparse Matrix Collection, ACM TOMS 38(1), 2011; sparse.tamu.edu.

The collection publishes no checksums. What is known of a matrix, its rows and elements, is checked; the SHA-256 of what
was kept is written beside it and checked whenever the matrix is opened again.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from scipy import sparse

from workloads.data_folder import data_folder
from workloads.errors import OutputError, WorkloadError
from workloads.sparse.files import read_matrix
from workloads.sparse.stand_in import published_figures

COLLECTION = "https://sparse.tamu.edu/MM"
FOLDER = "matrices"
CHUNK_BYTES = 1 << 20
TIMEOUT_SECONDS = 60
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")

# Matrices by their name alone: those of SpArch's benchmark set that the collection has, and the group each is in.
GROUPS: Mapping[str, str] = {
    "2cubes_sphere": "Um",
    "amazon0312": "SNAP",
    "ca-CondMat": "SNAP",
    "cage12": "vanHeukelum",
    "cit-Patents": "SNAP",
    "cop20k_A": "Williams",
    "email-Enron": "SNAP",
    "filter3D": "Oberwolfach",
    "m133-b3": "JGD_Homology",
    "mario002": "GHS_indef",
    "offshore": "Um",
    "p2p-Gnutella31": "SNAP",
    "patents_main": "Pajek",
    "poisson3Da": "FEMLAB",
    "roadNet-CA": "SNAP",
    "scircuit": "Hamm",
    "web-Google": "SNAP",
    "webbase-1M": "Williams",
    "wiki-Vote": "SNAP",
}


def kept_matrix(name: str) -> Path | None:
    """Return where a matrix lies in the data folder, None if it was not fetched.

    Raises
    ------
    WorkloadError
        If it is not what was kept: its checksum differs.
    """
    path = data_folder() / FOLDER / f"{name}.npz"
    if not path.exists():
        return None
    checksum = path.with_suffix(".sha256")
    if checksum.exists() and checksum.read_text(encoding="ascii", errors="replace").strip() != _sha256(path):
        raise WorkloadError(
            str(path), "SHA-256", _sha256(path), f"that of {checksum.name}; remove both and fetch it again"
        )
    return path


def fetch_matrix(
    name: str,
    *,
    folder: Path | None = None,
    collection: str = COLLECTION,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Fetch a matrix, unless it is there already; return where it lies.

    A transfer that broke off is continued where it ended.

    Parameters
    ----------
    name : str
        A name of ``GROUPS``, or ``GROUP/NAME`` for any other of the collection.
    folder : Path, optional
        Data folder to keep it in.
    collection : str
        Address that ``GROUP/NAME.tar.gz`` stands below.
    progress : callable, optional
        Called with the bytes that are there and the bytes in all, 0 where the server does not say.

    Raises
    ------
    WorkloadError
        If there is no such matrix, the transfer breaks off, or what arrives is not the matrix.
    OutputError
        If the folder cannot be written.
    """
    group, name = _place(name)
    target = (folder or data_folder()) / FOLDER / f"{name}.npz"
    if target.exists():
        return target
    part = target.with_suffix(".tar.gz.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _transfer(f"{collection}/{group}/{name}.tar.gz", part, progress)
        matrix = _unpacked(part, name)
        _check_published(name, matrix)
        fresh = target.with_suffix(".new.npz")
        sparse.save_npz(fresh, matrix)
        target.with_suffix(".sha256").write_text(_sha256(fresh) + "\n", encoding="ascii")
        fresh.replace(target)
        part.unlink()
    except OSError as error:
        raise OutputError(f"{target.parent}: {error.strerror or error}, need a folder that can be written") from error
    return target


def _place(name: str) -> tuple[str, str]:
    """Return the group and the name, each of which can only be a file's name."""
    group, slash, short = name.partition("/")
    if not slash:
        group, short = GROUPS.get(name, ""), name
    if not NAME.fullmatch(group) or not NAME.fullmatch(short):
        raise WorkloadError("collection", "matrix", name, "GROUP/NAME, or one of " + ", ".join(GROUPS))
    return group, short


def _transfer(address: str, part: Path, progress: Callable[[int, int], None] | None) -> None:
    """Bring a file, from where an earlier transfer ended."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            if answer.status != http.client.PARTIAL_CONTENT:
                have = 0  # the server sends the whole file
            missing = int(answer.headers.get("Content-Length") or 0)
            with part.open("ab" if have else "wb") as file:
                got = _copy(answer, file, have, have + missing if missing else 0, progress)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # all of it is here
        raise WorkloadError(address, "", f"answer {error.code} {error.reason}", "a matrix of the collection") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise WorkloadError(address, "", f"no transfer ({reason})", "a connection; run it again to continue") from error
    if missing and got != have + missing:
        raise WorkloadError(address, "bytes", got, f"{have + missing}; run it again to continue")


def _copy(
    source: IO[bytes], file: IO[bytes], have: int, total: int, progress: Callable[[int, int], None] | None
) -> int:
    while chunk := source.read(CHUNK_BYTES):
        file.write(chunk)
        have += len(chunk)
        if progress is not None:
            progress(have, total)
    return have


def _unpacked(archive: Path, name: str) -> sparse.csr_array:
    """Read the one matrix that is asked for out of an archive; nothing of it is written where its names say."""
    try:
        with tarfile.open(archive, "r:gz") as tar, tempfile.TemporaryDirectory() as scratch:
            member = next((one for one in tar if one.isfile() and Path(one.name).name == f"{name}.mtx"), None)
            content = member and tar.extractfile(member)
            if not content:
                raise WorkloadError(str(archive), "", f"no {name}.mtx in it", "an archive of the collection")
            text = Path(scratch) / "matrix.mtx"
            with text.open("wb") as file:
                shutil.copyfileobj(content, file)
            return read_matrix(text)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        archive.unlink(missing_ok=True)
        raise WorkloadError(
            str(archive), "", f"damaged ({error})", "an archive of the collection; run it again"
        ) from error


def _check_published(name: str, matrix: sparse.csr_array) -> None:
    figures = published_figures().get(name)
    if figures is not None and (matrix.shape[0], matrix.nnz) != (figures.rows, figures.nnz):
        got = f"{matrix.shape[0]} rows and {matrix.nnz} elements"
        raise WorkloadError(name, "", got, f"the published {figures.rows} rows and {figures.nnz} elements")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
