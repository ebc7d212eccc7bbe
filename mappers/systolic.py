"""Lowering networks to the matrix products of a systolic array."""

from __future__ import annotations

from accel.systolic.config import Config
from accel.systolic.plan import Plan
from mappers.products import lower
from workloads.layers import LayerTable


def best_plan(config: Config, table: LayerTable) -> Plan:
    """Lower every layer to its matrix products; see ``mappers.products.lower``."""
    return Plan(table, lower(table))
