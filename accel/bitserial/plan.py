"""What the bit-serial array is told to do: activations are the rows of its products, weights the columns."""

from accel.products import ProductPlan as Plan

__all__ = ["Plan"]
