"""What the machine is told to do: as BitFusion, layers with tile sizes and a loop order each."""

from accel.bitfusion.plan import Plan

__all__ = ["Plan"]
