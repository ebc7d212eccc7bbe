"""The best mapping of networks on BitFusion, inside the authors' search space or a wider one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from accel.bitfusion import kernels as machine_kernels
from accel.bitfusion.config import Config, costs
from accel.bitfusion.model import MACHINE
from accel.bitfusion.plan import Plan
from accel.mapping import ALL, SearchEffort
from mappers.bitfusion import search_kernels as kernels
from workloads.errors import ConfigError
from workloads.layers import IntArray, LayerTable
from workloads.units import BITS_PER_BYTE


def best_plan(config: Config, table: LayerTable) -> Plan:
    """Lay a network on the machine: per layer the mapping with the fewest cycles, then the least energy.

    Parameters
    ----------
    config : Config
    table : LayerTable

    Raises
    ------
    ConfigError
        If a buffer is too small for the smallest tile of a layer.
    WorkloadError
        If an operand is wider than the machine multiplies.
    """
    return best_plans((config,), (table,))[0]


def best_plans(configs: Sequence[Config], tables: Sequence[LayerTable]) -> list[Plan]:
    """Lay many networks, each on its own machine; see ``best_plan``."""
    plans, _ = search(configs, tables)
    for plan in plans:
        if isinstance(plan, ConfigError):
            raise plan
    return [plan for plan in plans if isinstance(plan, Plan)]


def search(
    configs: Sequence[Config], tables: Sequence[LayerTable], *, bounded: bool = True
) -> tuple[list[Plan | ConfigError], SearchEffort]:
    """Find the best mapping of every layer of many networks, and say how many were looked at.

    Parameters
    ----------
    configs, tables : sequences of one length
    bounded : bool
        Skip tilings that provably cannot win. The answer is the same either way.

    Returns
    -------
    plans : list
        Per network its plan, or why the machine cannot run it.
    effort : SearchEffort
        Its space are tilings times 120 loop orders: of the published space those whose tiles fit the buffers (with
        bounds, less those that were left out unseen), of the wide one all.
    """
    for table in tables:
        table.check_widths(machine_kernels.WIDEST_BITS, MACHINE)
    layers = np.concatenate([table.values for table in tables])
    machines = np.array([config.machine_row() for config in configs])
    unit_pj = np.array([costs(config).unit_pj for config in configs])
    lengths = [len(table) for table in tables]
    machine_of = np.repeat(np.arange(len(tables)), lengths)
    tally: IntArray = np.zeros((len(layers), 2), np.int64)
    space = np.array([space_of(config) for config in configs], np.int64)
    mappings, status = map_layers(layers, machines, machine_of, unit_pj, space, bounded=bounded, tally=tally)
    plans: list[Plan | ConfigError] = []
    ends = np.cumsum(lengths)
    for config, table, start, end in zip(configs, tables, ends - lengths, ends, strict=True):
        unlaid = np.flatnonzero(status[start:end])
        if unlaid.size:
            plans.append(_buffer_too_small(config, table, int(unlaid[0])))
        else:
            effort = SearchEffort(*tally[start:end].sum(axis=0).tolist())
            plans.append(Plan(table, mappings[start:end], effort))
    return plans, SearchEffort(*tally.sum(axis=0).tolist())


def space_of(config: Config) -> int:
    """Return which mappings a configuration's layers may have, as the kernel names it."""
    return kernels.ALL if config.mapping == ALL else kernels.PUBLISHED


def map_layers(
    layers: IntArray,
    machines: IntArray,
    machine_of: IntArray,
    unit_pj: npt.NDArray[np.float64],
    space: IntArray,
    *,
    bounded: bool = True,
    tally: IntArray | None = None,
) -> tuple[IntArray, IntArray]:
    """Find the best mapping of layers that may run on different machines; arrays as the kernel takes them.

    Returns
    -------
    mappings : ndarray of int64, shape (n, 6)
    status : ndarray of int64, shape (n,)
        0 where a mapping was found, otherwise no tile of the layer fits.
    """
    mappings = np.zeros((len(layers), machine_kernels.MAPPING_COLUMNS), np.int64)
    status = np.zeros(len(layers), np.int64)
    counted = np.zeros((len(layers), 2), np.int64) if tally is None else tally
    kernels.best_mappings(layers, machines, machine_of, unit_pj, space, bounded, mappings, status, counted)
    return mappings, status


def _buffer_too_small(config: Config, table: LayerTable, index: int) -> ConfigError:
    """Say which buffer is too small for the smallest tile of a layer, and how large it has to be."""
    where = f"bitfusion, layer {table.layer_names[index]} of {table.name}"
    for field, need in smallest_tile_bytes(config, table, index).items():
        if getattr(config, field) < need:
            return ConfigError(where, field, getattr(config, field), f"at least {need} bytes for its smallest tile")
    raise AssertionError(f"{where}: every buffer holds the smallest tile, yet no tiling was found")


def smallest_tile_bytes(config: Config, table: LayerTable, index: int) -> dict[str, int]:
    """Return the capacity each buffer needs for one layer to run at all [bytes].

    A tile may use half of a buffer, and the smallest tile has one image, one output pixel, one input channel
    and one pass over the array's columns.
    """
    machine = config.machine_row()
    problem = np.zeros(machine_kernels.PROBLEM_COLUMNS, np.int64)
    machine_kernels.pose(table.values[index], machine, problem)
    outputs = problem[machine_kernels.P_OC]
    smallest = (
        1 if problem[machine_kernels.P_IM2COL] else min(int(machine[machine_kernels.UNITS_COLUMNS]), int(outputs))
    )
    bits = machine_kernels.footprints(problem, machine, 1, 1, 1, 1, smallest)
    fields = ("wbuf_bytes", "ibuf_bytes", "obuf_bytes")
    return {field: -(-2 * int(need) // BITS_PER_BYTE) for field, need in zip(fields, bits, strict=True)}
