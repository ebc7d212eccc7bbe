"""SpArch: products of sparse matrices, cycle by cycle; counted; or a sample of one, cycle by cycle."""

from __future__ import annotations

from accel.report import LawError, Report
from accel.roofline import Roofline
from accel.sparch.config import GROUPS, PRESETS, Config
from accel.sparch.plan import Plan, SamplePlan
from accel.sparch.run import MACHINE, CountedRun, Run
from accel.sparch.sampling import SampledRun
from accel.sparch.technology import area_mm2, energy_pj
from accel.sparch.trace import Trace, merge, multiply
from workloads.errors import ConfigError
from workloads.units import OPERATIONS_PER_MAC

# How far cycles lie from those of ``simulate``: the lowest and the highest that benchmarks/sparch_fast_modes.py found,
# rounded outwards, at the published configuration and at others around it, of which 2,195 further ones count, too; a
# sample's for shares from the one named on.
PUBLISHED = PRESETS["paper"]
ESTIMATE_ERROR_BAND, ESTIMATE_ERROR_BAND_ELSEWHERE = (-0.34, 0.07), (-0.72, 0.52)
SAMPLE_ERROR_BANDS = {
    0.05: (-0.30, 0.15),
    0.1: (-0.30, 0.13),
    0.25: (-0.28, 0.13),
    0.5: (-0.29, 0.07),
    1.0: (0.0, 0.0),
}
SAMPLE_ERROR_BANDS_ELSEWHERE = {
    0.05: (-0.44, 0.45),
    0.1: (-0.42, 0.30),
    0.25: (-0.37, 0.21),
    0.5: (-0.40, 0.13),
    1.0: (0.0, 0.0),
}


def simulate(config: Config, plan: Plan) -> Report:
    """Multiply the plan's matrices on the machine, cycle by cycle.

    Parameters
    ----------
    config : Config
    plan : Plan
        From ``mappers.sparch.best_plan``, for a configuration with as many leaves and the same techniques. A plan that
        was run before is not merged again: another hardware point costs its timing only.

    Returns
    -------
    Report
        ``result`` is the product, a ``csr_array`` in canonical form. Its values are added up in the order of A's
        elements.

    Raises
    ------
    ConfigError
        If the plan was made for another number of leaves, or other techniques.
    """
    run = Run(config, plan, _checked_trace(config, plan))
    return _report(run, plan, fidelity="simulate", band=None, result=multiply(plan))


def estimate(config: Config, plan: Plan) -> Report:
    """Count every round instead of running it: the longest of what multipliers, tree, fetchers and memory take.

    What the rounds merge and what the buffer finds is exact, so traffic is that of ``simulate`` but for bypasses;
    cycles add up each round's longest part, as if the others hid behind it. docs/sparch.md says how far that is from
    ``simulate``. Parameters and errors are those of ``simulate``.

    Returns
    -------
    Report
        Without a result, and without counters that only cycles tell.
    """
    run = CountedRun(config, plan, _checked_trace(config, plan))
    band = ESTIMATE_ERROR_BAND if config == PUBLISHED else ESTIMATE_ERROR_BAND_ELSEWHERE
    return _report(run, plan, fidelity="estimate", band=band)


def sample(config: Config, plan: SamplePlan) -> Report:
    """Run slabs of A's rows cycle by cycle, and scale what they count to the whole product.

    Parameters
    ----------
    config : Config
    plan : SamplePlan
        From ``mappers.sparch.sample_plan``, for a configuration with as many leaves and the same techniques.

    Returns
    -------
    Report
        Without a result. ``multiplies``, ``merge_rounds`` and ``partial_matrices`` are exact, all else is scaled,
        ``output_nnz`` too; ``sampled_multiplies`` were run. A sample of everything counts what ``simulate`` counts.
        The error band is None for a share too small to have been measured.

    Raises
    ------
    ConfigError
        If the plan was made for another number of leaves, or other techniques.
    """
    run = SampledRun(config, plan, _checked_trace(config, plan.slabs))
    bands = SAMPLE_ERROR_BANDS if config == PUBLISHED else SAMPLE_ERROR_BANDS_ELSEWHERE
    measured = max((share for share in bands if share <= plan.share), default=None)
    return _report(run, plan, fidelity="sample", band=None if measured is None else bands[measured])


def _checked_trace(config: Config, plan: Plan) -> Trace:
    if plan.leaves_per_round != config.leaves:
        need = f"a plan made for it, not for {plan.leaves_per_round} leaves"
        raise ConfigError(MACHINE, "merge_layers", config.merge_layers, need)
    for technique in ("pipelined_merge", "condensing", "huffman"):
        if getattr(plan, technique) != getattr(config, technique):
            raise ConfigError(MACHINE, technique, getattr(config, technique), "a plan made for it")
    return merge(plan)


def _report(
    run: Run, plan: Plan | SamplePlan, *, fidelity: str, band: tuple[float, float] | None, result: object = None
) -> Report:
    """Run all rounds, and return what was counted."""
    config, multiplies = run.config, plan.multiplies
    run.follow()
    stack, events = run.counted()
    if events["found"] + events["missed"] != multiplies:
        asked = events["found"] + events["missed"]
        raise LawError(f"{MACHINE}, {plan.product.name}: {asked} elements of B for {multiplies} products")
    traffic = {
        "a_read": (events["looked_ahead"] + events["refetched_a_elements"]) * config.element_bytes,
        "b_read": (events["missed"] + events["bypassed_elements"]) * config.element_bytes,
        "partial_write": events["spilled"] * config.spill_element_bytes,
        "partial_read": events["reloaded"] * config.spill_element_bytes,
        "c_write": events["outputs"] * config.element_bytes,
    }
    compute_bound = max(-(-events["beats"] // GROUPS), events["merge_bound"])
    bandwidth_bound = -(-sum(traffic.values()) // config.bandwidth)
    if isinstance(run, SampledRun):
        run.keep_bounds(stack, compute_bound, bandwidth_bound)
    if not any(stack.values()):
        stack["pipeline"] = 1  # there is nothing to do, and a cycle to see it
    bypassed_hits = events["bypassed_elements"] - events["refetched_elements"]
    return Report(
        machine=MACHINE,
        name=plan.product.name,
        fidelity=fidelity,
        cycles=sum(stack.values()),
        clock_hz=config.clock_hz,
        operations=OPERATIONS_PER_MAC * multiplies,
        compute_bound_cycles=compute_bound,
        bandwidth_bound_cycles=bandwidth_bound,
        dram_bytes=traffic,
        cycle_stack=stack,
        energy_pj=energy_pj(
            config,
            multiplies=multiplies,
            merged=events["merged"],
            pushed=events["pushed"],
            buffered=events["missed"],
            looked_ahead=events["looked_ahead"],
            dram_bytes=sum(traffic.values()),
        ),
        area_mm2=area_mm2(config),
        counters={
            "multiplies": multiplies,
            "output_nnz": events["outputs"],
            "prefetch_hits": events["found"] - bypassed_hits,
            "prefetch_misses": events["missed"] + bypassed_hits,
            "merge_rounds": len(plan.rounds),
            "partial_matrices": plan.leaves,
            **{name: events[name] for name in run.counters},
        },
        cycles_error_band=band,
        result=result,
    )


def roofline(config: Config) -> Roofline:
    """Return the bounds of a configuration: every multiplier busy, and every channel."""
    peak = OPERATIONS_PER_MAC * config.multipliers * config.clock_hz / 1e9
    return Roofline({"multiply and add": peak}, config.bandwidth * config.clock_hz)
