"""BitFusion as the published latency and energy table of APQ has it: closed form, with its own mapping search."""

from accel.bitfusion_apq.config import PRESETS, Config
from accel.bitfusion_apq.model import estimate, roofline
from accel.bitfusion_apq.plan import Plan

__all__ = ["PRESETS", "Config", "Plan", "estimate", "roofline"]
