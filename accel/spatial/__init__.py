"""A general spatial array: any loops unrolled along one to three dimensions, two buffer levels; closed form."""

from accel.spatial.config import PRESETS, Config
from accel.spatial.model import estimate, roofline
from accel.spatial.plan import Plan

__all__ = ["PRESETS", "Config", "Plan", "estimate", "roofline"]
