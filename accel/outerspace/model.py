"""OuterSPACE in closed form: two phases, each as fast as its memory traffic or its work allows.

Source: Pal et al., "OuterSPACE: An Outer Product based Sparse Matrix Multiplication Accelerator", HPCA 2018. The cycles
are a lower bound: see docs/outerspace.md for how far the published machine is from it.
"""

from __future__ import annotations

import math

import numpy as np

from accel.outerspace.config import Config
from accel.outerspace.plan import Plan
from accel.outerspace.technology import area_mm2, energy_pj
from accel.report import LawError, Report
from accel.roofline import Roofline
from workloads.units import OPERATIONS_PER_MAC

MACHINE = "outerspace"
PHASES = {"multiply": ("a_read", "b_read", "partial_write"), "merge": ("partial_read", "c_write")}


def estimate(config: Config, plan: Plan) -> Report:
    """Count a planned product in closed form.

    Parameters
    ----------
    config : Config
    plan : Plan
        From ``mappers.outerspace.best_plan``.

    Returns
    -------
    Report
        Its cycles are a lower bound. Each phase's cycles stand, all of them, under what bounds the phase.
    """
    product, multiplies = plan.product, int(plan.pair_products.sum())
    merged = int(plan.merge_elements.sum())
    if merged != multiplies:
        raise LawError(f"{MACHINE}, {product.name}: {multiplies} products written, {merged} read back")
    traffic = traffic_bytes(
        config, nnz_a=product.a.nnz, nnz_b=product.b.nnz, multiplies=multiplies, output_nnz=plan.output_nnz
    )
    work = {"multiply": _multiply_cycles(config, plan), "merge": _merge_cycles(config, plan)}
    memory = {
        phase: _dram_cycles(config, sum(traffic[stream] for stream in streams)) for phase, streams in PHASES.items()
    }
    stack = {}
    for phase in PHASES:
        waits = memory[phase] > work[phase]
        stack[f"{phase}_compute"] = 0 if waits else work[phase]
        stack[f"{phase}_dram"] = memory[phase] if waits else 0
    if not any(stack.values()):
        stack["multiply_compute"] = 1  # there is nothing to do, and a cycle to see it
    operations, total_bytes = OPERATIONS_PER_MAC * multiplies, sum(traffic.values())
    return Report(
        machine=MACHINE,
        name=product.name,
        fidelity="estimate",
        cycles=sum(stack.values()),
        clock_hz=config.clock_hz,
        operations=operations,
        compute_bound_cycles=sum(work.values()),
        bandwidth_bound_cycles=_dram_cycles(config, total_bytes),
        dram_bytes=traffic,
        cycle_stack=stack,
        energy_pj=energy_pj(operations=operations, dram_bytes=total_bytes),
        area_mm2=area_mm2(config),
        counters={
            "multiplies": multiplies,
            "output_nnz": plan.output_nnz,
            "partial_matrices": plan.partial_matrices,
            **{f"{phase}_compute_cycles": cycles for phase, cycles in work.items()},
            **{f"{phase}_dram_cycles": cycles for phase, cycles in memory.items()},
        },
    )


def traffic_bytes(config: Config, *, nnz_a: int, nnz_b: int, multiplies: int, output_nnz: int) -> dict[str, int]:
    """Return the bytes of every DRAM stream: operands once, every product out and in, the result once.

    Parameters
    ----------
    config : Config
    nnz_a, nnz_b, multiplies, output_nnz : int
        As ``workloads.sparse.statistics`` counts them.
    """
    return {
        "a_read": int(nnz_a) * config.element_bytes,
        "b_read": int(nnz_b) * config.element_bytes,
        "partial_write": multiplies * config.partial_element_bytes,
        "partial_read": multiplies * config.partial_element_bytes,
        "c_write": output_nnz * config.element_bytes,
    }


def roofline(config: Config) -> Roofline:
    """Return the bounds of a configuration: every product once through a multiplier, then once through a merge."""
    cycles_per_product = 1 / config.processing_elements + 1 / config.merge_processing_elements
    peak = OPERATIONS_PER_MAC * config.clock_hz / cycles_per_product / 1e9
    return Roofline({"multiply, then merge": peak}, config.hbm_bytes_per_second)


def _multiply_cycles(config: Config, plan: Plan) -> int:
    """Return the work of the multiply phase.

    A task is a column of A with its row of B. One tile does it: each processing element takes an element of the column
    through the whole row, one product a cycle.
    """
    shared = -(-int(plan.pair_products.sum()) // config.processing_elements)
    turns = -(-plan.column_elements // config.tile_processing_elements)
    return max(shared, int(np.max(turns * plan.row_elements, initial=0)))


def _merge_cycles(config: Config, plan: Plan) -> int:
    """Return the work of the merge phase.

    A task is a row of C. One processing element does it: it takes one element of the row's lists a cycle.
    """
    shared = -(-int(plan.merge_elements.sum()) // config.merge_processing_elements)
    return max(shared, int(plan.merge_elements.max(initial=0)))


def _dram_cycles(config: Config, size: int) -> int:
    """Return the cycles that so many bytes take, all channels busy; exact, so that parts never beat their sum."""
    return math.ceil(size / config.hbm_bytes_per_cycle)
