"""Sparse products by name: what ``rmat:scale=14,edges=8,seed=1`` or ``poisson2d:400`` stands for.

Readers and generators are imported when one is asked for, so that listing the names is instant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workloads.errors import WorkloadError
from workloads.specification import one_of, read_options

if TYPE_CHECKING:
    from scipy import sparse

    from workloads.sparse.product import SparseProduct

WHERE = "sparse workload"


@dataclass(frozen=True, slots=True)
class Entry:
    """A matrix that can be asked for by name.

    Attributes
    ----------
    description : str
        One line for listings.
    builder : str
        Module below ``workloads.sparse`` and function in it that returns the matrix.
    defaults : mapping of str to int, float or str
        The function's arguments, in the order it takes them; a specification's values have the types of these.
    """

    description: str
    builder: str
    defaults: Mapping[str, int | float | str]

    def build(self, arguments: Mapping[str, Any]) -> sparse.csr_array:
        """Build the matrix."""
        module, function = self.builder.split(".")
        return getattr(import_module(f"workloads.sparse.{module}"), function)(**{**self.defaults, **arguments})


ENTRIES: Mapping[str, Entry] = {
    "rmat": Entry(
        "R-MAT graph of 2**scale nodes",
        "generators.rmat",
        {"scale": 14, "edges": 8, "seed": 1, "a": 0.57, "b": 0.19, "c": 0.19},
    ),
    "uniform": Entry(
        "per_row elements in every row, anywhere", "generators.uniform", {"rows": 10000, "per_row": 8, "seed": 1}
    ),
    "pruned": Entry(
        "every element kept with one probability, as pruning leaves it",
        "generators.pruned",
        {"rows": 4096, "columns": 4096, "density": 0.09, "seed": 1},
    ),
    "power_law": Entry(
        "graph with power-law degrees",
        "generators.power_law",
        {"rows": 10000, "per_row": 8, "exponent": 2.2, "seed": 1},
    ),
    "poisson2d": Entry("5-point stencil of an n x n grid", "generators.poisson2d", {"n": 100}),
    "poisson3d": Entry("7-point stencil of an n x n x n grid", "generators.poisson3d", {"n": 20}),
    "stencil27": Entry("27-point stencil of an n x n x n grid", "generators.stencil27", {"n": 16}),
    "banded": Entry("full up to bandwidth beside the diagonal", "generators.banded", {"rows": 10000, "bandwidth": 8}),
    "block_diagonal": Entry(
        "full blocks along the diagonal", "generators.block_diagonal", {"rows": 10000, "block": 16}
    ),
    "stand_in": Entry(
        "drawn like a published matrix, from its row lengths",
        "stand_in.published_stand_in",
        {"name": "poisson3Da", "seed": 1, "order": "natural"},
    ),
}

SPARSE_WORKLOADS: Mapping[str, str] = {
    name: f"{entry.description}: {', '.join(f'{key}={value}' for key, value in entry.defaults.items())}"
    for name, entry in ENTRIES.items()
}
"""One line for every name: what it is, its parameters and their defaults."""


def open_sparse(workload: str, workload_b: str | None = None) -> SparseProduct:
    """Return the product that one or two paths or names stand for.

    Parameters
    ----------
    workload : str
        Matrix A: a path (``.mtx``, ``.mtx.gz``, ``.npz``), or a name of ``SPARSE_WORKLOADS`` with options,
        ``name:key=value,key=value``; a value without a key is that of the first parameter.
    workload_b : str, optional
        Matrix B, likewise. Without it A is multiplied by itself.

    Returns
    -------
    SparseProduct
        Named after the file's stem or the text; ``A x B`` where there are two.

    Raises
    ------
    WorkloadError
        If there is no such file or name, an option is not known or not allowed, a file is damaged, or the shapes
        do not fit.
    """
    from workloads.sparse.product import sparse_product

    name, left = _opened(workload)
    if workload_b is None:
        return sparse_product(name, left)
    name_b, right = _opened(workload_b)
    return sparse_product(f"{name} x {name_b}", left, right)


def is_sparse_workload(workload: str) -> bool:
    """Tell whether a path or name is that of a sparse matrix, without opening it."""
    return workload.lower().endswith((".mtx", ".mtx.gz", ".npz")) or workload.partition(":")[0] in ENTRIES


def _opened(workload: str) -> tuple[str, sparse.csr_array]:
    """Return the name and the matrix that a path or name stands for."""
    from workloads.sparse.files import KINDS_ALLOWED, is_matrix_file, matrix_name, read_matrix

    if is_matrix_file(workload) or (Path(workload).suffix and Path(workload).exists()):
        return matrix_name(workload), read_matrix(workload)
    name, _, options = workload.partition(":")
    if name not in ENTRIES:
        raise WorkloadError(WHERE, "name", name, f"{KINDS_ALLOWED}, or {one_of(name, ENTRIES)}")
    return workload, ENTRIES[name].build(_arguments(name, options))


def _arguments(name: str, options: str) -> dict[str, Any]:
    """Return the values that ``value,key=value`` gives a generator's parameters."""
    kinds = {key: type(value) for key, value in ENTRIES[name].defaults.items()}
    return read_options(f"{WHERE} {name}", options, kinds)
