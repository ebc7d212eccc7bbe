"""An Eyeriss-like array with rows stationary: closed form, the baseline BitFusion was compared with."""

from accel.eyeriss.config import PRESETS, Config
from accel.eyeriss.model import estimate, roofline
from accel.eyeriss.plan import Plan

__all__ = ["PRESETS", "Config", "Plan", "estimate", "roofline"]
