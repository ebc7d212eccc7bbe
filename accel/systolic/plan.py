"""What the systolic array is told to do."""

from accel.products import ProductPlan as Plan

__all__ = ["Plan"]
