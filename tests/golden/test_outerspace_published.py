"""OuterSPACE's traffic against the published machine's, as other modellers have it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from accel.outerspace import PRESETS, estimate, traffic_bytes
from mappers.outerspace import best_plan
from workloads.sparse.catalog import open_sparse

PAPER = PRESETS["paper"]

# Traffic of OuterSPACE over that of reading A and B and writing C once; TeAAL's artifact, digitised (third_party).
RATIOS = {"wiki-Vote": 5.60, "ca-CondMat": 4.00, "poisson3Da": 7.40}
TOLERANCE = 0.03


@pytest.mark.parametrize("name", ["wiki-Vote", "ca-CondMat"])
def test_traffic_is_as_published(shared_data: Path, name: str) -> None:
    product = open_sparse(str(shared_data / "matrices" / f"{name}.npz"))
    report = estimate(PAPER, best_plan(PAPER, product))
    once = sum(report.dram_bytes[stream] for stream in ("a_read", "b_read", "c_write"))
    assert report.total_dram_bytes / once == pytest.approx(RATIOS[name], rel=TOLERANCE)


def test_traffic_is_as_published_where_only_counts_are_known(shared_data: Path) -> None:
    with (shared_data / "spgemm_published_stats.csv").open(encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["name"] == "poisson3Da")
    nnz, multiplies, output = (int(row[column]) for column in ("nnz_A", "multiplies_AxA", "nnz_AxA"))
    traffic = traffic_bytes(PAPER, nnz_a=nnz, nnz_b=nnz, multiplies=multiplies, output_nnz=output)
    once = (2 * nnz + output) * PAPER.element_bytes
    assert sum(traffic.values()) / once == pytest.approx(RATIOS["poisson3Da"], rel=TOLERANCE)


def test_counts_are_those_of_the_matrices(shared_data: Path) -> None:
    with (shared_data / "matrices" / "MANIFEST.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 22
    for row in rows:
        product = open_sparse(str(shared_data / "matrices" / row["file"]))
        report = estimate(PAPER, best_plan(PAPER, product))
        assert report.counters["multiplies"] == int(row["multiplies_AxA"]), row["name"]
        assert report.counters["output_nnz"] == int(row["nnz_AxA"]), row["name"]
        assert report.cycle_stack["multiply_compute"] == report.cycle_stack["merge_compute"] == 0, row["name"]
