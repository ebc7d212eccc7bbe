"""The best mapping of networks under the rules that explain APQ's table of BitFusion."""

from __future__ import annotations

import numpy as np

from accel.bitfusion.kernels import MAPPING_COLUMNS
from accel.bitfusion_apq.config import Config, unit_energies
from accel.bitfusion_apq.model import MACHINE, WIDEST_BITS
from accel.bitfusion_apq.plan import Plan
from mappers.bitfusion_apq import search_kernels as kernels
from workloads.errors import ConfigError
from workloads.layers import IntArray, LayerTable


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
        If an operand is wider than 8 bits.
    """
    table.check_widths(WIDEST_BITS, MACHINE)
    mappings: IntArray = np.zeros((len(table), MAPPING_COLUMNS), np.int64)
    failed = kernels.search(table.values, config.machine_row(), unit_energies(config), mappings)
    if failed >= 0:
        where = f"{MACHINE}, layer {table.layer_names[failed]} of {table.name}"
        sizes = f"{config.wbuf_bytes}, {config.ibuf_bytes}, {config.obuf_bytes}"
        raise ConfigError(where, "wbuf_bytes, ibuf_bytes, obuf_bytes", sizes, "half of each to hold the smallest tile")
    return Plan(table, mappings)
