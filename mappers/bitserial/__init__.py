"""Laying networks on the bit-serial array: the published chunks, or the best of all chunks and orders."""

from mappers.bitserial.search import best_plan, search

__all__ = ["best_plan", "search"]
