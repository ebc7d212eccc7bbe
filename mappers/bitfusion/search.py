"""The best mapping of networks on BitFusion, inside the authors' search space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from accel.bitfusion import kernels as machine_kernels
from accel.bitfusion.config import Config, costs
from accel.bitfusion.model import check_widths
from accel.bitfusion.plan import Plan
from mappers.bitfusion import search_kernels as kernels
from workloads.errors import ConfigError
from workloads.layers import LayerTable
from workloads.units import BITS_PER_BYTE


@dataclass(frozen=True, slots=True)
class SearchEffort:
    """How large a search was.

    Attributes
    ----------
    space : int
        Mappings whose tiles fit the buffers: tilings times 120 loop orders, over all layers.
    evaluated : int
        Mappings whose cycles and energy were computed; the others were proven equal or worse.
    """

    space: int
    evaluated: int


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
    return search(configs, tables)[0]


def search(
    configs: Sequence[Config], tables: Sequence[LayerTable], *, bounded: bool = True
) -> tuple[list[Plan], SearchEffort]:
    """Find the best mapping of every layer, and say how many were looked at.

    Parameters
    ----------
    configs, tables : sequences of one length
    bounded : bool
        Skip tilings that provably cannot win. The answer is the same either way.
    """
    for table in tables:
        check_widths(table)
    layers = np.concatenate([table.values for table in tables])
    machines = np.array([config.machine_row() for config in configs])
    unit_pj = np.array([costs(config).unit_pj for config in configs])
    lengths = [len(table) for table in tables]
    machine_of = np.repeat(np.arange(len(tables)), lengths)
    mappings = np.zeros((len(layers), machine_kernels.MAPPING_COLUMNS), np.int64)
    status = np.zeros(len(layers), np.int64)
    tally = np.zeros(2, np.int64)
    kernels.best_mappings(layers, machines, machine_of, unit_pj, bounded, mappings, status, tally)
    ends = np.cumsum(lengths)
    if status.any():
        _explain(configs, tables, int(np.argmax(status)), ends)
    parts = np.split(mappings, ends[:-1])
    plans = [Plan(table, part) for table, part in zip(tables, parts, strict=True)]
    return plans, SearchEffort(int(tally[0]), int(tally[1]))


def _explain(configs: Sequence[Config], tables: Sequence[LayerTable], layer: int, ends: np.ndarray) -> None:
    """Say which buffer is too small for the smallest tile of a layer, and how large it has to be."""
    network = int(np.searchsorted(ends, layer, side="right"))
    table, config = tables[network], configs[network]
    index = layer - int(ends[network]) + len(table)
    needs = smallest_tile_bytes(config, table, index)
    for field, need in needs.items():
        if getattr(config, field) < need:
            where = f"bitfusion, layer {table.layer_names[index]} of {table.name}"
            raise ConfigError(where, field, getattr(config, field), f"at least {need} bytes for its smallest tile")
    raise AssertionError(f"every tile of layer {index} of {table.name} fits, yet none was found")


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
