"""The systolic array: simulated with values, cycle by cycle, or counted in closed form. Both give the same counts.

Energy and area are left out: no source that belongs to this array is at hand.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product as every

import numpy as np
import numpy.typing as npt

from accel.products import REPEATS, K, M, N
from accel.report import LawError, Report
from accel.roofline import Roofline
from accel.systolic import kernels
from accel.systolic import mapping_kernels as mapping
from accel.systolic.config import DATAFLOWS, Config
from accel.systolic.plan import Plan
from workloads.errors import ConfigError, WorkloadError
from workloads.layers import ACT_BITS, WGT_BITS, IntArray
from workloads.units import BITS_PER_BYTE, OPERATIONS_PER_MAC

MACHINE = "systolic"
WIDEST_BITS = 16  # products of two such operands, added over any depth a layer may have, are exact
MOST_OPERANDS = 2**27  # of one layer: 1 GiB as float64


def multiply(config: Config, a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[IntArray, int]:
    """Multiply two matrices on the array, cycle by cycle, with operands always there in time.

    Parameters
    ----------
    config : Config
    a : array of int, shape (m, k)
    b : array of int, shape (k, n)

    Returns
    -------
    product : ndarray of int64, shape (m, n)
    cycles : int

    Raises
    ------
    ConfigError
        If the configuration names no dataflow but ``best``.
    WorkloadError
        If the shapes do not agree or a value has more than 16 bits.
    """
    if config.dataflow not in DATAFLOWS:
        raise ConfigError(MACHINE, "dataflow", config.dataflow, "one of " + ", ".join(DATAFLOWS))
    left, right = (_operand(operand, name) for operand, name in ((a, "a"), (b, "b")))
    if left.shape[1] != right.shape[0]:
        raise WorkloadError("multiply", "shapes", f"{left.shape} and {right.shape}", "an inner dimension that agrees")
    if config.dataflow == "is":
        left, right = np.ascontiguousarray(right.T), np.ascontiguousarray(left.T)
    product = np.zeros((left.shape[0], right.shape[1]))
    run = kernels.multiply_outputs_stay if config.dataflow == "os" else kernels.multiply_weights_stay
    cycles, done = run(left, right, config.rows, config.columns, product)
    macs = left.shape[0] * left.shape[1] * right.shape[1]
    if done != macs:
        raise LawError(f"{MACHINE}: {done} multiplications done of {macs}")
    result: IntArray = (product.T if config.dataflow == "is" else product).astype(np.int64)
    return result, int(cycles)


def _operand(values: npt.ArrayLike, name: str) -> npt.NDArray[np.float64]:
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype.kind not in "iu" or 0 in array.shape:
        raise WorkloadError("multiply", name, f"{array.dtype} of shape {array.shape}", "a matrix of whole numbers")
    if np.abs(array.astype(np.int64)).max() > 2**WIDEST_BITS:
        raise WorkloadError("multiply", name, int(np.abs(array).max()), f"values of at most {WIDEST_BITS} bits")
    return np.ascontiguousarray(array, dtype=np.float64)


def simulate(config: Config, plan: Plan, *, seed: int = 0) -> Report:
    """Run a planned network with values: signed operands drawn for every layer, widths as the layer has them.

    Parameters
    ----------
    config : Config
    plan : Plan
        From ``mappers.systolic.best_plan``.
    seed : int
        Of the operands; ``operands`` draws them again.

    Returns
    -------
    Report
        ``layers[i].result`` is the layer's outputs, int64 of shape (repeats, m, n).
    """
    plan.table.check_widths(WIDEST_BITS, MACHINE)
    layers = []
    for index in range(len(plan.table)):
        results, computed = [], 0
        for a, b in zip(*operands(plan, index, seed), strict=True):
            product, cycles = _multiply_tiles(config, plan, index, a, b)
            results.append(product)
            computed += cycles
        report = _layer_report(config, plan, index, "simulate", np.stack(results))
        if report.counters["compute_cycles"] != computed:
            raise LawError(f"{MACHINE}, {report.name}: {computed} cycles, {report.counters['compute_cycles']} counted")
        layers.append(report)
    return Report.of_layers(tuple(layers), name=plan.table.name)


def estimate(config: Config, plan: Plan) -> Report:
    """Count a planned network in closed form; the counts equal those of ``simulate``."""
    plan.table.check_widths(WIDEST_BITS, MACHINE)
    layers = tuple(_layer_report(config, plan, index, "estimate", None) for index in range(len(plan.table)))
    return Report.of_layers(layers, name=plan.table.name)


def operands(plan: Plan, index: int, seed: int) -> tuple[IntArray, IntArray]:
    """Draw the operands of one layer: shapes (repeats, m, k) and (repeats, k, n)."""
    m, n, k, repeats = (int(plan.products[index, column]) for column in (M, N, K, REPEATS))
    if repeats * k * (m + n) > MOST_OPERANDS:
        where = f"{plan.table.name}, layer {plan.table.layer_names[index]}"
        raise WorkloadError(where, "operands", repeats * k * (m + n), f"at most {MOST_OPERANDS}, or fidelity=estimate")
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))
    drawn = []
    for shape, column in (((repeats, m, k), ACT_BITS), ((repeats, k, n), WGT_BITS)):
        half = 1 << (int(plan.table.values[index, column]) - 1)
        drawn.append(random.integers(-half, half, shape))
    return drawn[0], drawn[1]


def pose(config: Config, product: IntArray, layer: IntArray, dataflow: str) -> IntArray:
    """Return one product of a layer as ``mapping_kernels`` takes it; input stationary is the transposed product.

    ``product`` is a row (columns,) of a plan, ``layer`` one (columns,) of a layer table.
    """
    sizes, bits = [int(product[M]), int(product[N])], [int(layer[ACT_BITS]), int(layer[WGT_BITS])]
    if dataflow == "is":
        sizes.reverse()
        bits.reverse()
    machine = (config.rows, config.columns, config.sram_bytes * BITS_PER_BYTE // 2, config.dram_bits_per_cycle)
    return np.array([*sizes, product[K], *bits, dataflow != "os", *machine], dtype=np.int64)


def transposed(row: IntArray) -> IntArray:
    """Return the mapping (columns,) of a product as that of the transposed product, and the other way round."""
    m, n, k, order = (int(value) for value in row)
    swapped = [{M: N, N: M}.get(loop, loop) for loop in mapping.ORDERS[order].tolist()]
    return np.array([n, m, k, mapping.ORDERS.tolist().index(swapped)], dtype=np.int64)


def _multiply_tiles(config: Config, plan: Plan, index: int, a: IntArray, b: IntArray) -> tuple[IntArray, int]:
    """Multiply two matrices tile by tile; tiles that end where a fold ends anyway are run together."""
    dataflow, row = plan.dataflows[index], plan.mappings[index]
    sides = {"os": (config.rows, config.columns, 0), "ws": (0, config.columns, config.rows)}
    sides["is"] = (config.columns, 0, config.rows)
    (m, k), n = a.shape, b.shape[1]
    at_folds = (side > 0 and int(row[loop]) % side == 0 for loop, side in enumerate(sides[dataflow]))
    steps = [
        size if whole else int(row[loop]) for loop, (size, whole) in enumerate(zip((m, n, k), at_folds, strict=True))
    ]
    laid, product, cycles = replace(config, dataflow=dataflow), np.zeros((m, n), np.int64), 0
    for m0, n0, k0 in every(range(0, m, steps[M]), range(0, n, steps[N]), range(0, k, steps[K])):
        rows, columns, depth = slice(m0, m0 + steps[M]), slice(n0, n0 + steps[N]), slice(k0, k0 + steps[K])
        part, took = multiply(laid, a[rows, depth], b[depth, columns])
        product[rows, columns] += part
        cycles += took
    return product, cycles


def _count(config: Config, plan: Plan, index: int) -> dict[str, int]:
    """Count all products of one layer: ``mapping_kernels.COUNTERS`` by name.

    Raises
    ------
    ConfigError
        If its tile is no tile of the product, or does not fit the scratch memories.
    """
    dataflow, row = plan.dataflows[index], plan.mappings[index]
    where = f"{MACHINE}, layer {plan.table.layer_names[index]} of {plan.table.name}"
    if not all(1 <= tile <= size for tile, size in zip(row[: mapping.ORDER], plan.products[index], strict=False)):
        sizes = " x ".join(str(size) for size in plan.products[index][: mapping.ORDER])
        raise ConfigError(where, "tile", plan.tile(index), f"sizes from 1 to those of the product, {sizes}")
    problem = pose(config, plan.products[index], plan.table.values[index], dataflow)
    row = transposed(row) if dataflow == "is" else row
    need = -(-2 * int(mapping.tile_bits(problem, row)) // BITS_PER_BYTE)
    if need > config.sram_bytes and not mapping.is_one_fold(problem, row):
        raise ConfigError(
            where, "sram_bytes", config.sram_bytes, f"at least {need} bytes for the tile {plan.tile(index)}"
        )
    counted: IntArray = np.zeros(len(mapping.COUNTERS), np.int64)
    mapping.count_mapping(problem, row, counted)
    repeats = int(plan.products[index, REPEATS])
    return dict(zip(mapping.COUNTERS, (repeats * counted).tolist(), strict=True))


def _layer_report(config: Config, plan: Plan, index: int, fidelity: str, result: IntArray | None) -> Report:
    m, n, k, repeats = (int(plan.products[index, column]) for column in (M, N, K, REPEATS))
    count = _count(config, plan, index)
    macs = m * n * k * repeats
    traffic = count["read_bits"] + count["write_bits"]
    return Report(
        machine=MACHINE,
        name=plan.table.layer_names[index],
        fidelity=fidelity,
        cycles=count["compute_cycles"] + count["stall_cycles"],
        clock_hz=config.clock_hz,
        operations=OPERATIONS_PER_MAC * macs,
        compute_bound_cycles=-(-macs // (config.rows * config.columns)),
        bandwidth_bound_cycles=-(-traffic // config.dram_bits_per_cycle),
        dram_bytes={
            "read": -(-count["read_bits"] // BITS_PER_BYTE),
            "write": -(-count["write_bits"] // BITS_PER_BYTE),
        },
        cycle_stack={"compute": count["compute_cycles"], "dram_stall": count["stall_cycles"]},
        energy_pj={},
        area_mm2={},
        counters=count,
        result=result,
    )


def roofline(config: Config) -> Roofline:
    """Return the bounds of a configuration; its units take operands of any width in one cycle."""
    peak = OPERATIONS_PER_MAC * config.rows * config.columns * config.clock_hz / 1e9
    return Roofline({"any width": peak}, config.dram_bits_per_cycle / BITS_PER_BYTE * config.clock_hz)
