"""OuterSPACE: sparse products by outer products, multiplied and then merged through memory; closed form."""

from accel.outerspace.config import PRESETS, Config
from accel.outerspace.model import estimate, roofline, traffic_bytes
from accel.outerspace.plan import Plan

__all__ = ["PRESETS", "Config", "Plan", "estimate", "roofline", "traffic_bytes"]
