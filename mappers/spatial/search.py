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
    machine = config.machine_row()
    mappings: IntArray = np.zeros((len(posed), MAPPING_COLUMNS), np.int64)
    refused = search_kernels.search(posed, machine, costs(config).unit_pj, mappings)
    if refused >= 0:
        where = f"{MACHINE}, layer {table.layer_names[int(np.argmax(which == refused))]} of {table.name}"
        given = f"{config.element_bytes}, {config.buffer_bytes}"
        raise ConfigError(where, "element_bytes, buffer_bytes", given, "half of each to hold the smallest tile")
    return Plan(table, mappings[which], machine[:6])
