"""EIE on nine pruned layers drawn with the published sizes and densities, beside the paper's times.

What is drawn is even: a pruned layer's elements and a rectifier's activations are not, so that the published machine
waits for its fullest processing element a little longer.
"""

from __future__ import annotations

from collections.abc import Mapping

from accel.eie import PRESETS, Config, simulate
from accel.eie.technology import area_mm2
from accel.report import Report
from mappers.eie import best_plan
from workloads.sparse.generators import pruned
from workloads.sparse.product import SparseProduct, sparse_product
from workloads.units import OPERATIONS_PER_MAC

PAPER = PRESETS["paper"]
# Outputs, inputs, share of weights kept, share of activations that are not zero: Han et al., EIE, ISCA 2016, table of
# benchmarks (recalled).
LAYERS = {
    "alexnet-fc6": (4096, 9216, 0.09, 0.351),
    "alexnet-fc7": (4096, 4096, 0.09, 0.353),
    "alexnet-fc8": (1000, 4096, 0.25, 0.375),
    "vgg16-fc6": (4096, 25088, 0.04, 0.183),
    "vgg16-fc7": (4096, 4096, 0.04, 0.375),
    "vgg16-fc8": (1000, 4096, 0.23, 0.411),
    "neuraltalk-we": (600, 4096, 0.10, 1.0),
    "neuraltalk-wd": (8791, 600, 0.11, 1.0),
    "neuraltalk-lstm": (2400, 1201, 0.10, 1.0),
}


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/eie.toml``, by id."""
    ours: dict[str, float] = {}
    watts = []
    for name in LAYERS:
        report = run(PAPER, layer_product(name))
        entries = report.cycle_stack["multiply"] + report.cycle_stack["filler_entries"]
        ours[f"work.{name}"] = entries / report.clock_hz * 1e6
        ours[f"time.{name}"] = report.seconds * 1e6
        watts.append(report.total_energy_pj * 1e-12 / report.seconds)
    peak = OPERATIONS_PER_MAC * PAPER.processing_elements * PAPER.clock_hz / 1e9
    return {**ours, "area": sum(area_mm2(PAPER).values()), "power": 1e3 * watts[0], "peak": peak}


def layer_product(name: str, seed: int = 1) -> SparseProduct:
    """Draw one of the nine layers and its activations."""
    rows, columns, weights_kept, activations_kept = LAYERS[name]
    matrix = pruned(rows, columns, weights_kept, seed)
    return sparse_product(name, matrix, pruned(columns, 1, activations_kept, seed + 1))


def run(config: Config, product: SparseProduct) -> Report:
    """Run a layer."""
    return simulate(config, best_plan(config, product))
