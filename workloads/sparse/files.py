"""Sparse matrices from files: Matrix Market text, plain or gzipped, and scipy's ``.npz``."""

from __future__ import annotations

from pathlib import Path

from scipy import sparse

from workloads.errors import WorkloadError
from workloads.sparse.matrix_market import read_matrix_market
from workloads.sparse.npz import read_npz

KINDS = (".mtx", ".mtx.gz", ".npz")
KINDS_ALLOWED = "a sparse matrix: .mtx, .mtx.gz or .npz"


def is_matrix_file(name: str) -> bool:
    """Tell whether a name is that of a matrix file, by its ending."""
    return name.lower().endswith(KINDS)


def matrix_name(path: str | Path) -> str:
    """Return a file's name without its folder and ending: ``wiki-Vote`` of ``data/wiki-Vote.mtx.gz``."""
    name = Path(path).name
    ending = next((kind for kind in sorted(KINDS, key=len, reverse=True) if name.lower().endswith(kind)), "")
    return name.removesuffix(name[len(name) - len(ending) :]) or name


def read_matrix(path: str | Path) -> sparse.csr_array:
    """Read a sparse matrix.

    Parameters
    ----------
    path : str or Path
        Matrix Market (``.mtx``, ``.mtx.gz``; real, integer or pattern, whose elements are ones; coordinate or array;
        symmetric halves are completed), or a CSR, CSC or COO matrix that ``scipy.sparse.save_npz`` wrote (``.npz``).

    Returns
    -------
    csr_array, shape (rows, columns)
        In the canonical form of ``workloads.sparse.canonical``.

    Raises
    ------
    WorkloadError
        If the file cannot be read, is damaged, holds no matrix of finite real numbers, or holds one that memory
        does not; the last is said from the header, before the elements are read.
    """
    name = str(path).lower()
    if name.endswith(".npz"):
        return read_npz(Path(path))
    if name.endswith((".mtx", ".mtx.gz")):
        return read_matrix_market(Path(path))
    raise WorkloadError(str(path), "", f"a file of kind {Path(path).suffix or 'unknown'}", KINDS_ALLOWED)
