"""Whole-number arithmetic that kernels of several machines share."""

from accel.jit import kernel


@kernel
def ceil_div(a, b):
    """Return a / b rounded up, for a >= 0 and b > 0."""
    return (a + b - 1) // b
