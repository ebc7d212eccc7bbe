"""SpAtten: sparse attention with cascade pruning of tokens and heads, a top-k engine and progressive quantization."""

from accel.spatten.config import PRESETS, Config
from accel.spatten.model import roofline, simulate
from accel.spatten.plan import Plan, RequestPlan

__all__ = ["PRESETS", "Config", "Plan", "RequestPlan", "roofline", "simulate"]
