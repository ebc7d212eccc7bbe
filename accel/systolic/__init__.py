"""A dense systolic array with outputs, weights or inputs stationary: it multiplies, cycle by cycle."""

from accel.systolic.config import PRESETS, Config
from accel.systolic.model import estimate, multiply, operands, roofline, simulate
from accel.systolic.plan import Plan

__all__ = ["PRESETS", "Config", "Plan", "estimate", "multiply", "operands", "roofline", "simulate"]
