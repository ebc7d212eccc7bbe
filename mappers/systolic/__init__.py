"""Laying networks on the systolic array: the usual folds, or the best of all dataflows, tiles and orders."""

from mappers.systolic.search import best_plan, search

__all__ = ["best_plan", "search"]
