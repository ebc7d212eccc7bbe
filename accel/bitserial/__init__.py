"""A bit-serial matrix multiplier of the BISMO kind: time grows with every single bit of both operands."""

from accel.bitserial.config import PRESETS, Config
from accel.bitserial.model import estimate, roofline
from accel.bitserial.plan import Plan

__all__ = ["PRESETS", "Config", "Plan", "estimate", "roofline"]
