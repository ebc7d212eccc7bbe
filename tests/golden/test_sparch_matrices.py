"""SpArch on real matrices: the product, and what a study of the same mechanisms from first principles found."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from accel.report import Report
from accel.sparch import PRESETS, estimate, sample, simulate
from mappers.sparch import best_plan, sample_plan
from workloads.sparse.catalog import open_sparse

# Share of B's elements found in a buffer of 1024 lines of 48 elements with 8192 elements of look-ahead; traffic in
# multiples of reading A and B and writing C once, 12 bytes an element.
FIRST_PRINCIPLES = {
    "wiki-Vote": (0.964, 1.65),
    "ca-CondMat": (0.633, 1.56),
    "facebook_combined": (0.960, 1.58),
    "p2p-Gnutella24": (0.476, 1.16),
    "p2p-Gnutella08": (0.759, 1.01),
    "ca-HepTh": (0.746, 1.22),
    "soc-brightkite": (0.827, 1.39),
    "as-22july06": (0.991, 1.02),
    "memplus": (0.925, 1.12),
    "bcsstk18": (0.925, 1.04),
    "bcsstk29": (0.949, 1.30),
    "fe_body": (0.859, 1.02),
    "wing_nodal": (0.482, 1.94),
    "finan512": (0.867, 1.07),
    "delaunay_n16": (0.668, 1.20),
}
MATRICES = (
    "4elt",
    "add32",
    "as-22july06",
    "bcsstk13",
    "bcsstk18",
    "bcsstk29",
    "ca-CondMat",
    "ca-HepTh",
    "cryg2500",
    "cti",
    "delaunay_n16",
    "facebook_combined",
    "fe_body",
    "finan512",
    "memplus",
    "oregon1_010331",
    "p2p-Gnutella08",
    "p2p-Gnutella24",
    "soc-brightkite",
    "t60k",
    "wiki-Vote",
    "wing_nodal",
)


@pytest.mark.parametrize("name", MATRICES)
def test_a_real_matrix(name: str, shared_data: Path) -> None:
    product = open_sparse(str(shared_data / "matrices" / f"{name}.npz"))
    plan = best_plan(PRESETS["paper"], product)
    report = simulate(PRESETS["paper"], plan)
    check_product(report, product.a, published_row(shared_data, name))
    if name in FIRST_PRINCIPLES:
        found, traffic = FIRST_PRINCIPLES[name]
        once = 12 * (2 * product.a.nnz + report.counters["output_nnz"])
        assert report.counters["prefetch_hits"] / report.counters["multiplies"] == pytest.approx(found, abs=0.05)
        assert report.total_dram_bytes / once == pytest.approx(traffic, rel=0.08)
        highest = 2 * report.counters["multiplies"] / once * 128
        assert report.gops <= min(32.0, highest)
    for fast in (estimate(PRESETS["paper"], plan), sample(PRESETS["paper"], sample_plan(PRESETS["paper"], product))):
        assert fast.cycles_error_band is not None
        low, high = fast.cycles_error_band
        assert 1 + low <= fast.cycles / report.cycles <= 1 + high, fast.fidelity
        assert fast.total_dram_bytes == pytest.approx(report.total_dram_bytes, rel=0.2)


def check_product(report: Report, a: object, row: dict[str, str]) -> None:
    expected = a @ a  # type: ignore[operator]
    expected.sort_indices()
    result = report.result.copy()
    result.eliminate_zeros()  # what cancels is an element of the machine's product, and left out of scipy's
    assert report.counters["multiplies"] == int(row["multiplies_AxA"])
    assert report.counters["output_nnz"] == int(row["nnz_AxA"])
    assert np.array_equal(result.indptr, expected.indptr)
    assert np.array_equal(result.indices, expected.indices)
    assert np.array_equal(result.data, expected.data), "bit for bit, in the order of A's elements"


def published_row(shared_data: Path, name: str) -> dict[str, str]:
    with (shared_data / "matrices" / "MANIFEST.csv").open(encoding="utf-8", newline="") as file:
        return next(row for row in csv.DictReader(file) if row["name"] == name)
