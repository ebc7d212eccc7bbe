"""Sparse matrices that ``scipy.sparse.save_npz`` wrote, checked field by field."""

from __future__ import annotations

import zipfile
from math import prod
from pathlib import Path

from scipy import sparse

from workloads.errors import WorkloadError
from workloads.numpy_archive import announced, names, opened, read_array
from workloads.sparse.canonical import from_compressed, from_coordinates
from workloads.sparse.limits import LARGEST_DIMENSION, check_bytes, check_fits

ARRAYS = {"csr": ("data", "indices", "indptr"), "csc": ("data", "indices", "indptr"), "coo": ("data", "row", "col")}
NEED = "a CSR, CSC or COO matrix as scipy.sparse.save_npz writes it"
LARGEST_LABEL = 64


def read_npz(path: Path) -> sparse.csr_array:
    """Read a matrix that ``scipy.sparse.save_npz`` wrote; see ``workloads.sparse.files.read_matrix``."""
    with opened(path, NEED) as archive:
        return _read(archive, str(path))


def _read(archive: zipfile.ZipFile, where: str) -> sparse.csr_array:
    held = names(archive)
    if not {"format", "shape", "data"} <= held:
        raise WorkloadError(where, "", f"a file that holds {', '.join(sorted(held)) or 'nothing'}", NEED)
    kind, shape = _kind(archive, where), _shape(archive, where)
    for name in ARRAYS[kind]:
        if name not in held:
            raise WorkloadError(where, name, None, f"{', '.join(ARRAYS[kind])} of a {kind} matrix")
    sizes = {name: announced(archive, name, where) for name in ARRAYS[kind]}
    elements = prod(sizes["data"][0])
    check_bytes(where, sum(prod(size) * dtype.itemsize for size, dtype in sizes.values()))
    check_fits(where, *shape, elements)
    arrays = [read_array(archive, name) for name in ARRAYS[kind]]
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
    size, dtype = announced(archive, "format", where)
    if size != () or dtype.kind not in "SU" or dtype.itemsize > LARGEST_LABEL:
        raise WorkloadError(where, "format", f"an array of {dtype}", "csr, csc or coo")
    label = read_array(archive, "format").item()
    kind = label.decode("ascii", "replace") if isinstance(label, bytes) else str(label)
    if kind not in ARRAYS:
        raise WorkloadError(where, "format", kind, "csr, csc or coo")
    return kind


def _shape(archive: zipfile.ZipFile, where: str) -> tuple[int, int]:
    size, dtype = announced(archive, "shape", where)
    if size != (2,) or dtype.kind not in "iu":
        raise WorkloadError(where, "shape", f"an array of {dtype} and shape {size}", "2 whole numbers")
    shape = read_array(archive, "shape")
    for name, value in zip(("rows", "columns"), shape, strict=True):
        if not 0 <= value <= LARGEST_DIMENSION:
            raise WorkloadError(where, name, value, f"0..{LARGEST_DIMENSION}")
    return int(shape[0]), int(shape[1])
