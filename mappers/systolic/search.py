"""Lowering networks to the matrix products of a systolic array, and choosing dataflow, tiles and their order.

A mapping is what stays in the units, a tile size for each dimension of the product and the order of the loops over
tiles; which memory holds what, and for how long, follows. ``published`` is a fold after the other, in the order of the
simulators this array is compared with, and leaves at most the dataflow to choose.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from accel.mapping import PUBLISHED, SearchEffort
from accel.products import K, M, N
from accel.systolic import mapping_kernels as kernels
from accel.systolic.config import BEST, DATAFLOWS, Config
from accel.systolic.model import MACHINE, WIDEST_BITS, pose, transposed
from accel.systolic.plan import Plan
from mappers.products import lower
from mappers.search import IMPOSSIBLE, Found, best_mapping, tile_sizes
from mappers.systolic.bound_kernels import bound_mappings
from workloads.layers import ACT_BITS, WGT_BITS, IntArray, LayerTable

M_N_K, K_N_M = (kernels.ORDERS.tolist().index(list(order)) for order in ((M, N, K), (K, N, M)))


def best_plan(config: Config, table: LayerTable) -> Plan:
    """Lower every layer to its matrix products, and lay each with the fewest cycles, then the least DRAM traffic.

    See ``mappers.products.lower``; the configuration's ``dataflow`` and ``mapping`` say what there is to choose from.

    Raises
    ------
    WorkloadError
        If an operand is wider than the machine multiplies.
    """
    return search((config,), (table,))[0][0]


def search(
    configs: Sequence[Config], tables: Sequence[LayerTable], *, bounded: bool = True
) -> tuple[list[Plan], SearchEffort]:
    """Find the best mapping of every layer of many networks, and say how many were looked at.

    Parameters
    ----------
    configs, tables : sequences of one length
    bounded : bool
        Leave out what provably cannot win. The answer is the same either way.
    """
    plans = [_search_one(config, table, bounded) for config, table in zip(configs, tables, strict=True)]
    return plans, sum((plan.effort for plan in plans if plan.effort), SearchEffort(0, 0))


def _search_one(config: Config, table: LayerTable, bounded: bool) -> Plan:
    table.check_widths(WIDEST_BITS, MACHINE)
    products = lower(table)
    rows = np.column_stack((products[:, :3], table.values[:, [ACT_BITS, WGT_BITS]]))
    distinct, which = np.unique(rows, axis=0, return_inverse=True)  # equal layers are searched once
    flows = DATAFLOWS if config.dataflow == BEST else (config.dataflow,)
    first = {int(place): index for index, place in reversed(list(enumerate(which)))}
    found = [
        _best(config, products[first[place]], table.values[first[place]], flows, bounded)
        for place in range(len(distinct))
    ]
    dataflows = tuple(found[place][0] for place in which)
    mappings = np.array([found[place][1] for place in which], dtype=np.int64)
    if config.mapping == PUBLISHED and config.dataflow != BEST:
        return Plan(table, products, dataflows, mappings)
    space, evaluated = sum(found[place][2].space for place in which), sum(effort.evaluated for _, _, effort in found)
    return Plan(table, products, dataflows, mappings, SearchEffort(space, evaluated))


def _best(
    config: Config, product: IntArray, layer: IntArray, dataflows: tuple[str, ...], bounded: bool
) -> tuple[str, IntArray, SearchEffort]:
    """Return the best dataflow of one product, its mapping, and how many mappings were looked at."""
    spaces = {dataflow: Products(pose(config, product, layer, dataflow)) for dataflow in dataflows}
    starts = {dataflow: space.published() for dataflow, space in spaces.items()}
    best_flow = min(dataflows, key=lambda flow: (starts[flow].cycles, starts[flow].traffic))
    best, effort = starts[best_flow], SearchEffort(len(starts), len(starts))
    if config.mapping != PUBLISHED:
        effort = SearchEffort(0, 0)
        for dataflow, space in spaces.items():
            found, looked_at = best_mapping(space, best, bounded=bounded)
            effort += looked_at
            if found is not None and found is not best:
                best_flow, best = dataflow, found
    mapping = np.array(best.mapping, dtype=np.int64)
    return best_flow, transposed(mapping) if best_flow == "is" else mapping, effort


class Products:
    """The mappings of one product with one dataflow: a ``mappers.search.Space``.

    Decisions are the columns of ``mapping_kernels``: tile sizes of M, N and K, and the order of the loops over tiles.
    """

    def __init__(self, problem: IntArray) -> None:
        self._problem = problem
        self._sizes = [int(size) for size in problem[[kernels.P_M, kernels.P_N, kernels.P_K]]]
        rows, columns = int(problem[kernels.P_ROWS]), int(problem[kernels.P_COLUMNS])
        # What a fold holds of M, N and K; of the dimension that passes by it takes all there is.
        self._fold = (None, columns, rows) if problem[kernels.P_STAY] else (rows, columns, None)

    @cached_property
    def axes(self) -> tuple[IntArray, ...]:
        """Tile sizes of the three dimensions, and the orders."""
        sizes = (tile_sizes(size, side or 1) for size, side in zip(self._sizes, self._fold, strict=True))
        return (*sizes, np.arange(len(kernels.ORDERS)))

    def bound(self, begun: IntArray) -> IntArray:
        """Return cycles and bits that no mapping beats that begins so."""
        bounds = np.full((len(begun), 2), IMPOSSIBLE, np.int64)
        bound_mappings(self._problem, np.ascontiguousarray(begun), bounds)
        return bounds

    def cost(self, mappings: IntArray) -> IntArray:
        """Return cycles and bits."""
        costs = np.empty((len(mappings), 2), np.int64)
        kernels.count_mappings(self._problem, np.ascontiguousarray(mappings), costs)
        return costs

    def published(self) -> Found:
        """Return the usual mapping: a fold after the other."""
        fold = (min(size, side or size) for size, side in zip(self._sizes, self._fold, strict=True))
        mapping = (*fold, K_N_M if self._problem[kernels.P_STAY] else M_N_K)
        (cost,) = self.cost(np.array([mapping], dtype=np.int64)).tolist()
        return Found(mapping, *cost)
