"""Best mappings of networks on a spatial array."""

from __future__ import annotations

import numpy as np

from accel.spatial.config import Config
from accel.spatial.kernels import MAPPING_COLUMNS
from accel.spatial.model import MACHINE
from accel.spatial.plan import Plan, problems
from accel.spatial.technology import costs
from mappers.spatial import search_kernels
from workloads.errors import ConfigError
from workloads.layers import IntArray, LayerTable


def best_plan(config: Config, table: LayerTable) -> Plan:
    """Give every layer the mapping with the least product of energy and cycles in ``search_kernels``' space.

    Raises
    ------
    ConfigError
        If one word of each operand does not fit an element's buffer, or no buffer tile the global buffer.
    """
    posed, which = np.unique(problems(table), axis=0, return_inverse=True)
    mappings: IntArray = np.zeros((len(posed), MAPPING_COLUMNS), np.int64)
    for index, problem in enumerate(posed):
        if not best_mapping(config, problem, mappings[index]):
            where = f"{MACHINE}, layer {table.layer_names[int(np.argmax(which == index))]} of {table.name}"
            given = f"{config.element_bytes}, {config.buffer_bytes}"
            raise ConfigError(where, "element_bytes, buffer_bytes", given, "half of each to hold the smallest tile")
    return Plan(table, mappings[which], config.machine_row()[:6])


def best_mapping(config: Config, problem: IntArray, mapping: IntArray) -> int:
    """Write the best mapping of a layer; return the tiles of elements that had to be expanded, 0 where none fits.

    Parameters
    ----------
    config : Config
    problem : ndarray of int64, shape (9,)
        As ``accel.spatial.plan.problems``.
    mapping : ndarray of int64, shape (24,)
        Written.
    """
    machine, unit_pj = config.machine_row(), costs(config).unit_pj
    sizes: IntArray = np.empty((6, search_kernels.MOST_SIZES), np.int64)
    counts: IntArray = np.empty(6, np.int64)
    tiles, bounds = search_kernels.bound_tiles(problem, machine, unit_pj, sizes, counts)
    expanded: int = search_kernels.best_first(problem, machine, unit_pj, sizes, counts, tiles, bounds, mapping)
    return expanded
