"""EIE cycle by cycle: it computes the product of the shared weights with every vector, one vector after another.

Source: Han et al., "EIE: Efficient Inference Engine on Compressed Deep Neural Network", ISCA 2016.
"""

from __future__ import annotations

import numpy as np

from accel.eie import kernels
from accel.eie.config import Config
from accel.eie.plan import Plan
from accel.eie.technology import area_mm2, energy_pj
from accel.report import LawError, Report
from workloads.units import OPERATIONS_PER_MAC

MACHINE = "eie"
# Stages of a processing element behind its queue: pointers, entries, multiply and add, write.
PIPELINE_CYCLES = 4
NODE_INPUTS = 4  # of the tree that finds the next activation that is not zero


def simulate(config: Config, plan: Plan) -> Report:
    """Run a planned product.

    Parameters
    ----------
    config : Config
    plan : Plan
        From ``mappers.eie.best_plan``.

    Returns
    -------
    Report
        ``result`` is A with shared weights times B, float64 of shape (rows, vectors), added up in ascending columns of
        A. ``quality`` says how far that is from A times B.
    """
    product = plan.product
    vectors = product.b.tocsc()
    result = np.zeros((product.a.shape[0], product.b.shape[1]), order="F")
    counted = np.zeros(len(kernels.COUNTERS), np.int64)
    elements = config.processing_elements
    scratch = [np.zeros(elements, np.int64) for _ in range(3)]
    taken = np.zeros((config.queue_depth, elements), np.int64)
    fill = 0
    for vector in range(result.shape[1]):
        used = slice(vectors.indptr[vector], vectors.indptr[vector + 1])
        columns, activations = vectors.indices[used].astype(np.int64), vectors.data[used]
        fill += fill_cycles(config) if len(columns) else 0
        free, last, entries = scratch
        kernels.run_vector(
            plan.column_start, plan.rows, plan.codes, plan.shared_weights, columns, activations,
            config.queue_depth, config.longest_zero_run, free, taken, last, entries, result[:, vector], counted,
        )  # fmt: skip
    count = dict(zip(kernels.COUNTERS, counted.tolist(), strict=True))
    if count["multiplies"] != product.multiplies:
        raise LawError(f"{MACHINE}, {product.name}: {count['multiplies']} products of {product.multiplies}")
    return _report(config, plan, count, fill, result)


def fill_cycles(config: Config) -> int:
    """Return the cycles from a vector's start to its first result: the tree that finds activations, then the stages."""
    levels, reach = 0, 1
    while reach < config.processing_elements:
        levels, reach = levels + 1, reach * NODE_INPUTS
    return levels + PIPELINE_CYCLES


def roofline(config: Config) -> None:
    """Return nothing: matrix and vectors lie in the machine's own memories, there is no DRAM to be bound by."""
    return


def _report(config: Config, plan: Plan, count: dict[str, int], fill: int, result: np.ndarray) -> Report:
    cycles = max(1, count.pop("cycles") + fill)  # there may be nothing to do, and a cycle to see it
    multiplies, elements = count["multiplies"], config.processing_elements
    useful = -(-multiplies // elements)
    with_fillers = -(-(multiplies + count["filler_entries"]) // elements)
    exact = plan.product.a @ plan.product.b.toarray()
    norm = float(np.linalg.norm(exact))
    return Report(
        machine=MACHINE,
        name=plan.product.name,
        fidelity="simulate",
        cycles=cycles,
        clock_hz=config.clock_hz,
        operations=OPERATIONS_PER_MAC * multiplies,
        compute_bound_cycles=useful,
        bandwidth_bound_cycles=0,
        dram_bytes={},
        # What an even share of the work takes; the rest is the unevenness of the shares, and the filling of pipelines.
        cycle_stack={
            "multiply": useful,
            "filler_entries": with_fillers - useful,
            "pipeline": min(fill, cycles - with_fillers),
            "imbalance": max(0, cycles - with_fillers - fill),
        },
        energy_pj=energy_pj(config, cycles),
        area_mm2=area_mm2(config),
        counters=count,
        quality={"output_error": float(np.linalg.norm(result - exact)) / norm if norm else 0.0},
        result=result,
    )
