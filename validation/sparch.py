"""SpArch on thirteen of its twenty benchmark matrices, beside what the paper reports of the twenty.

A matrix that was fetched (``sextant data get``) is used as it is; for the others stand in matrices with the published
rows, elements and row lengths and nearly the products, where the elements lie being drawn. Averages over matrices are
geometric where the paper's are factors or rates, plain where they are shares.

Without the row prefetcher traffic does not depend on timing, so that the closed form has it exactly.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from accel.config import configure
from accel.outerspace import PRESETS as OUTERSPACE
from accel.outerspace import estimate as outerspace_estimate
from accel.report import Report
from accel.sparch import PRESETS, estimate, simulate
from accel.sparch.technology import area_mm2
from mappers.outerspace import best_plan as outerspace_plan
from mappers.sparch import best_plan
from workloads.sparse.catalog import open_sparse
from workloads.sparse.collection import kept_matrix
from workloads.sparse.product import SparseProduct
from workloads.sparse.stand_in import published_figures

PAPER = PRESETS["paper"]
UNBUFFERED = replace(PAPER, prefetcher=False)
AT_ONCE = 4  # matrices; each takes up to a gigabyte
FEW_COLUMNS = 150_000  # beyond, a round for every 63 columns takes too long
COMPUTATION, SRAM = ("multiply", "merge"), ("merge_fifos", "row_buffer", "look_ahead_fifo")


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/sparch.toml``, by id."""
    figures: dict[str, list[float]] = {}
    names = list(published_figures())

    def named(count: int, name: str) -> dict[str, float]:
        kept = kept_matrix(name)
        drawn = "" if kept else f": a stand-in; the matrix itself: sextant data get {name}"
        print(f"sparch: {name}, {count} of {len(names)}{drawn}", file=sys.stderr)
        return matrix_figures(open_sparse(str(kept or f"stand_in:{name}")))

    with ThreadPoolExecutor(min(AT_ONCE, len(os.sched_getaffinity(0)))) as pool:  # kernels let others run
        for of_matrix in pool.map(named, range(1, len(names) + 1), names):
            for quantity, value in of_matrix.items():
                figures.setdefault(quantity, []).append(value)
    shares = ("bandwidth_utilisation", "prefetch_hit_rate")
    ours = {
        quantity: float(np.mean(values)) if quantity in shares else math.exp(float(np.mean(np.log(values))))
        for quantity, values in figures.items()
    }
    ours["partial_matrices"] = math.log10(ours["partial_matrices"])
    return {**ours, "area": sum(area_mm2(PAPER).values())}


def matrix_figures(product: SparseProduct) -> dict[str, float]:
    """Return what is averaged over matrices, for one."""
    plan = best_plan(PAPER, product)
    full, unbuffered = simulate(PAPER, plan), estimate(UNBUFFERED, plan).total_dram_bytes
    unsorted = traffic(product, huffman=False)
    outerspace = outerspace_estimate(OUTERSPACE["paper"], outerspace_plan(OUTERSPACE["paper"], product))
    columns = len(np.unique(product.a.indices))
    figures = {
        "gflops": full.gops,
        "bandwidth_utilisation": full.bandwidth_utilisation,
        "prefetch_hit_rate": full.counters["prefetch_hits"] / full.counters["multiplies"],
        "b_reads": full.counters["multiplies"] * PAPER.element_bytes / full.dram_bytes["b_read"],
        "outerspace_traffic": outerspace.total_dram_bytes / full.total_dram_bytes,
        "outerspace_speed": outerspace.seconds / full.seconds,
        "outerspace_energy": outerspace.total_energy_pj / full.total_energy_pj,
        "outerspace_gflops": outerspace.gops,
        "power": full.total_energy_pj * 1e-12 / full.seconds,
        "prefetcher_traffic": unbuffered / full.total_dram_bytes,
        "huffman_traffic": unsorted / unbuffered,
        "partial_matrices": columns / full.counters["partial_matrices"],
        "energy.computation": nj_per_flop(full, COMPUTATION),
        "energy.sram": nj_per_flop(full, SRAM),
        "energy.dram": nj_per_flop(full, ("dram",)),
        "energy.overall": nj_per_flop(full, tuple(full.energy_pj)),
    }
    if columns <= FEW_COLUMNS:
        figures["condensing_traffic"] = traffic(product, huffman=False, condensing=False) / unsorted
    return figures


def run(product: SparseProduct, **techniques: bool) -> Report:
    """Run a product with some techniques switched."""
    config = configure(PAPER, techniques, "validation")
    return simulate(config, best_plan(config, product))


def traffic(product: SparseProduct, **techniques: bool) -> int:
    """Return the DRAM bytes of a product without the row prefetcher, some other techniques switched."""
    config = configure(UNBUFFERED, techniques, "validation")
    return estimate(config, best_plan(config, product)).total_dram_bytes


def nj_per_flop(report: Report, components: tuple[str, ...]) -> float:
    """Return the energy of some components for each operation."""
    return sum(report.energy_pj[component] for component in components) / report.operations / 1e3
