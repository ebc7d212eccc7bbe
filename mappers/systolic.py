"""Lowering networks to the matrix products of a systolic array, and choosing what stays in its units.

A mapping is a dataflow for every layer: the machine's folds, their order and what its memories keep follow from it.
Where the configuration leaves the choice, all three are counted, so the answer is the best there is.
"""

from __future__ import annotations

from accel.systolic.config import BEST, DATAFLOWS, Config
from accel.systolic.model import count_layer
from accel.systolic.plan import Plan
from mappers.products import lower
from workloads.layers import IntArray, LayerTable


def best_plan(config: Config, table: LayerTable) -> Plan:
    """Lower every layer to its matrix products; see ``mappers.products.lower``.

    With the dataflow ``best`` a layer gets the one of the fewest cycles, then of the least DRAM traffic.
    """
    products = lower(table)
    if config.dataflow != BEST:
        return Plan(table, products, (config.dataflow,) * len(table))
    chosen = (_fastest(config, product, layer) for product, layer in zip(products, table.values, strict=True))
    return Plan(table, products, tuple(chosen))


def _fastest(config: Config, product: IntArray, layer: IntArray) -> str:
    def cost(dataflow: str) -> tuple[int, int]:
        count = count_layer(config, product, layer, dataflow)
        return count["compute_cycles"] + count["stall_cycles"], count["read_bits"] + count["write_bits"]

    return min(DATAFLOWS, key=cost)
