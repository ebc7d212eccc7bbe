"""The mapping of networks on BitFusion that takes the fewest cycles when it is simulated, inside the authors' space."""

from __future__ import annotations

import numpy as np

from accel.bitfusion.config import Config
from accel.bitfusion.cycle_model import output_bits
from accel.bitfusion.plan import Plan, stacked
from accel.mapping import SearchEffort
from mappers.bitfusion.fold_search_kernels import best_fold_mappings
from mappers.bitfusion.search import best_plan
from workloads.layers import LayerTable


def best_cycle_plan(config: Config, table: LayerTable) -> Plan:
    """Lay a network on the machine that ``simulate`` runs: per layer the mapping with the fewest cycles.

    The published model's best mapping is where the search starts; of equals the first is kept.

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
    plan = best_plan(config, table)
    together = stacked((config,), (plan,))
    mappings, tally = together.mappings.copy(), np.zeros(2, np.int64)
    where = (together.layers, together.machines, together.machine_of)
    best_fold_mappings(*where, output_bits(table), mappings, tally)
    # Every mapping was bounded twice, and a layer's first one and the one of the lowest bound were counted besides.
    return Plan(table, mappings, SearchEffort(int(tally[0]) // 2, int(tally[1]) + 2 * len(table)))
