"""The mapping search behind APQ's table of BitFusion."""

from mappers.bitfusion_apq.search import best_plan

__all__ = ["best_plan"]
