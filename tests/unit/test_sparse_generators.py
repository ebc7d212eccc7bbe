"""Generated matrices: what they look like, that a seed settles them, and what is said of bad arguments."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from workloads.errors import WorkloadError
from workloads.sparse import catalog, generators, limits
from workloads.sparse.canonical import canonical
from workloads.sparse.catalog import ENTRIES, SPARSE_WORKLOADS, is_sparse_workload, open_sparse

SMALL = [
    "rmat:6,edges=4",
    "rmat:0,edges=1",
    "uniform:50,per_row=3",
    "uniform:20,per_row=19",
    "uniform:5,per_row=0",
    "power_law:200,per_row=5",
    "poisson2d:7",
    "poisson3d:4",
    "stencil27:4",
    "banded:30,bandwidth=3",
    "banded:3,bandwidth=2",
    "block_diagonal:31,block=4",
]


@pytest.mark.parametrize("spec", SMALL)
def test_a_generated_matrix_is_canonical_and_its_values_are_small_whole_numbers(spec: str) -> None:
    product = open_sparse(spec)
    assert product.name == spec
    name, _, options = spec.partition(":")
    built = ENTRIES[name].build(catalog._arguments(name, options))
    again = canonical(built, "again")
    for one, other in ((built.data, again.data), (built.indices, again.indices), (built.indptr, again.indptr)):
        assert one.dtype == other.dtype
        assert (one == other).all()
    assert (product.a.data == np.rint(product.a.data)).all()
    assert (product.a.data != 0).all()
    assert np.abs(product.a.data).max(initial=1) <= 26


@pytest.mark.parametrize("spec", ["rmat:7", "uniform:100", "power_law:100"])
def test_a_seed_settles_the_matrix_and_nothing_else_is_touched(spec: str) -> None:
    before = np.random.get_state()[1].tolist()  # noqa: NPY002 - it must not be used, which is what is tested
    first, same, other = (open_sparse(f"{spec},seed={seed}").a for seed in (5, 5, 6))
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    assert (first != same).nnz == 0
    assert (first != other).nnz > 0


def test_poisson_stencils_are_kronecker_sums() -> None:
    n = 5
    line = sparse.diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
    one = sparse.eye_array(n)
    plane = sparse.kron(line, one) + sparse.kron(one, line)
    assert (open_sparse(f"poisson2d:{n}").a.toarray() == plane.toarray()).all()
    space = sparse.kron(plane, one) + sparse.kron(sparse.eye_array(n * n), line)
    assert (open_sparse(f"poisson3d:{n}").a.toarray() == space.toarray()).all()


def test_stencil27_joins_the_whole_box() -> None:
    n = 4
    line = sparse.diags_array([np.ones(n - 1), np.ones(n), np.ones(n - 1)], offsets=[-1, 0, 1])
    box = sparse.kron(sparse.kron(line, line), line)
    matrix = open_sparse(f"stencil27:{n}").a.toarray()
    assert ((matrix != 0) == box.toarray()).all()
    assert (np.diag(matrix) == 26).all()
    assert set(matrix[matrix < 0]) == {-1.0}


def test_banded_and_block_diagonal_patterns() -> None:
    place = np.arange(11)
    assert ((open_sparse("banded:11,bandwidth=2").a.toarray() > 0) == (abs(place[:, None] - place) <= 2)).all()
    block = open_sparse("block_diagonal:11,block=4").a.toarray() > 0
    assert (block == (place[:, None] // 4 == place // 4)).all()


def test_uniform_rows_have_their_length_and_columns_are_alike() -> None:
    matrix = open_sparse("uniform:2000,per_row=16").a
    assert (np.diff(matrix.indptr) == 16).all()
    referenced = np.bincount(matrix.indices, minlength=2000)
    assert referenced.var() == pytest.approx(16, rel=0.2)  # a Poisson law's variance is its mean


def test_rmat_fills_its_quarters_as_asked() -> None:
    matrix = generators.rmat(12, 1, 3, a=0.4, b=0.3, c=0.2)
    half = 2**11
    quarters = [matrix[:half, :half], matrix[:half, half:], matrix[half:, :half], matrix[half:, half:]]
    shares = [quarter.nnz / matrix.nnz for quarter in quarters]
    assert shares == pytest.approx([0.4, 0.3, 0.2, 0.1], abs=0.03)


def test_a_power_law_has_a_heavy_tail() -> None:
    steep, flat = (np.diff(generators.power_law(5000, 8, exponent, 1).indptr).max() for exponent in (10, 2.1))
    assert flat > 5 * steep


def test_rows_that_take_most_columns_are_drawn_too() -> None:
    generator = np.random.default_rng(1)
    lengths = np.array([0, 10, 9, 1, 3])
    keys = generators.scattered(lengths, 10, generator, np.array([11, 20]))
    assert np.bincount(keys // 10, minlength=5).tolist() == lengths.tolist()
    assert {11, 20} <= set(keys.tolist())
    assert len(np.unique(keys)) == len(keys)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("rmat:scale=31", "rmat: scale = 31, need a whole number, 0..30"),
        ("rmat:3,edges=9", "rmat: edges = 9, need a whole number, 1..8"),
        ("rmat:3,a=1.5", "rmat: a = 1.5, need a number, 0..1"),
        ("rmat:3,a=nan", "rmat: a = nan, need a number, 0..1"),
        ("rmat:3,a=.6,b=.3,c=.2", "rmat: a + b + c = 1.1, need a number, 0..1"),
        ("rmat:3,edges=2,seed=-1", "rmat: seed = -1, need a whole number, 0..9223372036854775807"),
        ("uniform:0", "uniform: rows = 0, need a whole number, 1..2147483647"),
        ("uniform:4,per_row=5", "uniform: per_row = 5, need a whole number, 0..4"),
        ("uniform:4,per_row=2,seed=-1", "uniform: seed = -1, need a whole number, 0..9223372036854775807"),
        ("power_law:0", "power_law: rows = 0, need a whole number, 1..2147483647"),
        ("power_law:4,per_row=5", "power_law: per_row = 5, need a whole number, 0..4"),
        ("power_law:9,exponent=1", "power_law: exponent = 1.0, need a number, 1.5..10"),
        ("poisson2d:0", "poisson2d: n = 0, need a whole number, 1..46340"),
        ("poisson3d:1291", "poisson3d: n = 1291, need a whole number, 1..1290"),
        ("stencil27:-1", "stencil27: n = -1, need a whole number, 1..1290"),
        ("banded:0", "banded: rows = 0, need a whole number, 1..2147483647"),
        ("banded:4,bandwidth=4", "banded: bandwidth = 4, need a whole number, 0..3"),
        ("block_diagonal:0", "block_diagonal: rows = 0, need a whole number, 1..2147483647"),
        ("block_diagonal:4,block=0", "block_diagonal: block = 0, need a whole number, 1..4"),
        ("stand_in:nobody", "stand_in: name = nobody, need one of 2cubes_sphere, cage12"),
        ("stand_in:poisson3D", "stand_in: name = poisson3D, need one of poisson3Da, "),
        ("stand_in:poisson3Da,order=up", "stand_in: order = up, need one of natural, scattered"),
        ("rmat:x", "sparse workload rmat: scale = x, need a whole number"),
        ("rmat:3,a=x", "sparse workload rmat: a = x, need a number"),
        ("rmat:3,4", "sparse workload rmat: 4, need key=value"),
        ("rmat:3,", "sparse workload rmat: , need key=value"),
        ("rmat:scales=3", "sparse workload rmat: key = scales, need one of scale, edges, seed, a, b, c"),
        ("rmat:3,scale=4", "sparse workload rmat: scale = 4, need each key once"),
        ("poison2d:4", "sparse workload: name = poison2d, need a sparse matrix: .mtx, .mtx.gz or .npz, or one of poi"),
        ("", "sparse workload: name = , need a sparse matrix: .mtx, .mtx.gz or .npz, or one of rmat, uniform,"),
        ("none.npz", "none.npz: No such file or directory, need a CSR, CSC or COO matrix"),
        (__file__, f"{__file__}: a file of kind .py, need a sparse matrix: .mtx, .mtx.gz or .npz"),
    ],
)
def test_what_cannot_be_generated(spec: str, said: str) -> None:
    with pytest.raises(WorkloadError, match="^" + re.escape(said)):
        open_sparse(spec)


def test_arguments_of_the_wrong_type() -> None:
    wrong: Any
    for wrong in (True, 2.0, "3"):
        with pytest.raises(WorkloadError, match=f"^poisson2d: n = {wrong}, need a whole number"):
            generators.poisson2d(wrong)
    for wrong in (True, "3"):
        with pytest.raises(WorkloadError, match=f"^power_law: exponent = {wrong}, need a number"):
            generators.power_law(9, 2, wrong, 1)
    assert generators.poisson2d(np.int32(2)).shape == (4, 4)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ENTRIES)
def test_a_matrix_too_large_for_memory_is_not_drawn(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "available_bytes", lambda: 1000)
    with pytest.raises(WorkloadError, match=f"^{name}: memory = .* GiB, need at most the 9.31e-07 GiB that are free$"):
        ENTRIES[name].build({})


def test_two_workloads_are_one_product(tmp_path: Any) -> None:
    sparse.save_npz(tmp_path / "half.npz", 0.5 * sparse.eye_array(9, format="csr"))
    product = open_sparse("poisson2d:3", str(tmp_path / "half.npz"))
    assert product.name == "poisson2d:3 x half"
    assert ((product.a @ product.b).toarray() == 0.5 * product.a.toarray()).all()


def test_every_name_is_described_with_its_parameters() -> None:
    assert set(SPARSE_WORKLOADS) == set(ENTRIES)
    assert SPARSE_WORKLOADS["poisson2d"] == "5-point stencil of an n x n grid: n=100"
    assert SPARSE_WORKLOADS["rmat"].endswith(": scale=14, edges=8, seed=1, a=0.57, b=0.19, c=0.19")


def test_a_sparse_workload_is_known_by_its_name() -> None:
    assert all(is_sparse_workload(name) for name in ("a.mtx", "b.MTX.GZ", "c.npz", "rmat", "poisson2d:3"))
    assert not any(is_sparse_workload(name) for name in ("resnet18", "table.csv", "bert-base:length=384"))


def test_listing_the_names_imports_nothing_heavy() -> None:
    program = "import sys, workloads.sparse.catalog; print(sorted({'numpy', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
