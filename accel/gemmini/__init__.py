"""Gemmini, a systolic array behind a processor: cycles of a tiling in closed form, held against RTL simulation."""

from accel.gemmini.config import PRESETS, Config
from accel.gemmini.model import estimate, roofline
from accel.gemmini.plan import Plan

__all__ = ["PRESETS", "Config", "Plan", "estimate", "roofline"]
