"""Laying networks on a general spatial array."""

from mappers.spatial.search import best_mapping, best_plan

__all__ = ["best_mapping", "best_plan"]
