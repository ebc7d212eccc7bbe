"""Sparse matrices that ``scipy.sparse.save_npz`` wrote, checked field by field."""

from __future__ import annotations

import struct
import tokenize
import warnings
import zipfile
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from workloads.errors import WorkloadError
from workloads.sparse.canonical import from_compressed, from_coordinates
from workloads.sparse.limits import LARGEST_DIMENSION, check_bytes, check_fits

ARRAYS = {"csr": ("data", "indices", "indptr"), "csc": ("data", "indices", "indptr"), "coo": ("data", "row", "col")}
NEED = "a CSR, CSC or COO matrix as scipy.sparse.save_npz writes it"
LARGEST_LABEL = 64
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


def read_npz(path: Path) -> sparse.csr_array:
    """Read a matrix that ``scipy.sparse.save_npz`` wrote; see ``workloads.sparse.files.read_matrix``."""
    where = str(path)
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive, warnings.catch_warnings():
            warnings.simplefilter("error")
            return _read(archive, where)
    except OSError as error:
        raise WorkloadError(where, "", error.strerror or "an unreadable file", NEED) from None
    except DAMAGE as error:
        raise WorkloadError(where, "", f"a damaged file ({str(error) or type(error).__name__})", NEED) from None


def _read(archive: zipfile.ZipFile, where: str) -> sparse.csr_array:
    held = {name.removesuffix(".npy") for name in archive.namelist()}
    if not {"format", "shape", "data"} <= held:
        raise WorkloadError(where, "", f"a file that holds {', '.join(sorted(held)) or 'nothing'}", NEED)
    kind, shape = _kind(archive, where), _shape(archive, where)
    for name in ARRAYS[kind]:
        if name not in held:
            raise WorkloadError(where, name, None, f"{', '.join(ARRAYS[kind])} of a {kind} matrix")
    sizes = {name: _announced(archive, name, where) for name in ARRAYS[kind]}
    elements = prod(sizes["data"][0])
    check_bytes(where, sum(prod(size) * dtype.itemsize for size, dtype in sizes.values()))
    check_fits(where, *shape, elements)
    arrays = [_array(archive, name) for name in ARRAYS[kind]]
    for name, array in zip(ARRAYS[kind], arrays, strict=True):
        if array.ndim != 1:
            raise WorkloadError(where, name, f"an array of {array.ndim} dimensions", "one of 1")
    if kind == "coo":
        data, row, column = arrays
        return from_coordinates(data, row, column, shape, where)
    data, indices, indptr = arrays
    return from_compressed(data, indices, indptr, shape, where, by_row=kind == "csr")


def _kind(archive: zipfile.ZipFile, where: str) -> str:
    """Return the matrix's format; old files hold it as text, newer ones as bytes."""
    size, dtype = _announced(archive, "format", where)
    if size != () or dtype.kind not in "SU" or dtype.itemsize > LARGEST_LABEL:
        raise WorkloadError(where, "format", f"an array of {dtype}", "csr, csc or coo")
    label = _array(archive, "format").item()
    kind = label.decode("ascii", "replace") if isinstance(label, bytes) else str(label)
    if kind not in ARRAYS:
        raise WorkloadError(where, "format", kind, "csr, csc or coo")
    return kind


def _shape(archive: zipfile.ZipFile, where: str) -> tuple[int, int]:
    size, dtype = _announced(archive, "shape", where)
    if size != (2,) or dtype.kind not in "iu":
        raise WorkloadError(where, "shape", f"an array of {dtype} and shape {size}", "2 whole numbers")
    shape = _array(archive, "shape")
    for name, value in zip(("rows", "columns"), shape, strict=True):
        if not 0 <= value <= LARGEST_DIMENSION:
            raise WorkloadError(where, name, value, f"0..{LARGEST_DIMENSION}")
    return int(shape[0]), int(shape[1])


def _announced(archive: zipfile.ZipFile, name: str, where: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and type that an array's header promises, without reading the array."""
    with archive.open(f"{name}.npy") as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        size, _, dtype = read(member)
    if dtype.hasobject:
        raise WorkloadError(where, name, "Python objects", "numbers")
    return size, dtype


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray[Any, Any]:
    """Read an array to the end of its entry, where the archive's checksum is compared."""
    with archive.open(f"{name}.npy") as member:
        array: np.ndarray[Any, Any] = np.lib.format.read_array(member, allow_pickle=False)
        if member.read(1):
            raise ValueError(f"{name} is longer than its header promises")
    return array
