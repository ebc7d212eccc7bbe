"""BitFusion: a systolic array whose units compose 2-bit multipliers into products of 1 to 16 bits."""

from accel.bitfusion.arithmetic import multiply
from accel.bitfusion.config import PRESETS, Config
from accel.bitfusion.cycle_model import simulate
from accel.bitfusion.model import estimate, estimate_batch, peak_gops, roofline
from accel.bitfusion.plan import Plan

__all__ = ["PRESETS", "Config", "Plan", "estimate", "estimate_batch", "multiply", "peak_gops", "roofline", "simulate"]
