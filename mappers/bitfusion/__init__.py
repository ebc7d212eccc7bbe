"""Laying networks on BitFusion: the authors' search space, searched exhaustively or with an exact bound."""

from mappers.bitfusion.fold_search import best_cycle_plan
from mappers.bitfusion.search import best_plan, best_plans, search

__all__ = ["best_cycle_plan", "best_plan", "best_plans", "search"]
