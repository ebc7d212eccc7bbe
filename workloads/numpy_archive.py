"""Numpy's ``.npz`` archives, of which nothing is believed: headers first, no Python objects, checksums to the end."""

from __future__ import annotations

import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from workloads.errors import WorkloadError

# What the zip and numpy readers raise on damaged bytes.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,
    EOFError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    TypeError,
    UserWarning,
    ValueError,
)


@contextmanager
def opened(path: Path, need: str) -> Iterator[zipfile.ZipFile]:
    """Open an archive; what is found wrong with it while it is open becomes one line.

    Raises
    ------
    WorkloadError
        If the file cannot be read or is damaged; ``need`` says what it should have been.
    """
    where = str(path)
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive, warnings.catch_warnings():
            warnings.simplefilter("error")
            yield archive
    except OSError as error:
        raise WorkloadError(where, "", error.strerror or "an unreadable file", need) from None
    except DAMAGE as error:
        raise WorkloadError(where, "", f"a damaged file ({str(error) or type(error).__name__})", need) from None


def names(archive: zipfile.ZipFile) -> set[str]:
    """Return the names of an archive's arrays."""
    return {name.removesuffix(".npy") for name in archive.namelist()}


def read_all(path: Path, need: str) -> dict[str, np.ndarray[Any, Any]]:
    """Read all arrays of an archive, by name in the order of names; see ``opened``."""
    with opened(path, need) as archive:
        return {name: read_array(archive, name) for name in sorted(names(archive))}


def announced(archive: zipfile.ZipFile, name: str, where: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and type that an array's header promises, without reading the array."""
    with archive.open(f"{name}.npy") as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        size, _, dtype = read(member)
    if dtype.hasobject:
        raise WorkloadError(where, name, "Python objects", "numbers")
    return size, dtype


def read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray[Any, Any]:
    """Read an array to the end of its entry, where the archive's checksum is compared."""
    with archive.open(f"{name}.npy") as member:
        array: np.ndarray[Any, Any] = np.lib.format.read_array(member, allow_pickle=False)
        if member.read(1):
            raise ValueError(f"{name} is longer than its header promises")
    return array
