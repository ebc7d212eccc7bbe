"""EIE: a pruned layer with shared weights times a sparse vector, cycle by cycle."""

from accel.eie.config import PRESETS, Config
from accel.eie.model import roofline, simulate
from accel.eie.plan import Plan

__all__ = ["PRESETS", "Config", "Plan", "roofline", "simulate"]
