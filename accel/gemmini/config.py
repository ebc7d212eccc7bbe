"""Gemmini's parameters.

Source: Genc et al., "Gemmini: Enabling Systematic Deep-Learning Architecture Evaluation via Full-Stack Integration",
DAC 2021; times estimated from the FireSim measurements of Hong et al., "DOSA: Differentiable Model-Based One-Loop
Search for DNN Accelerators", MICRO 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accel.config import Number, Whole, check_fields, limited
from workloads.layers import IntArray

ARRAY_SIDES = (4, 8, 16, 32, 64, 128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A weight-stationary array, a scratchpad, an accumulator memory and a DMA engine.

    Attributes
    ----------
    array_side : int
        Rows and columns of the array. 1..128.
    scratchpad_bytes, accumulator_bytes : int
        On-chip memory for operands and for 32-bit sums [bytes]; a tile may use half of each.
    startup_cycles : float
        From the start of a layer to its first tile.
    matmul_call_cycles, conv_call_cycles : float
        Least time between two calls of the hardware's matrix or convolution loop, however small their tiles.
    step_cycles : float
        Cycles of the array for a step of one row of operands.
    request_cycles : float
        Cycles of the DMA engine for a request, which is a row of at most 64 bytes.
    dma_bytes_per_cycle : float
        Bytes the DMA engine moves in a cycle.
    clock_hz : float
        Clock [Hz].
    """

    array_side: int = limited(Whole(1, 128))
    scratchpad_bytes: int = limited(Whole(256, 2**28))
    accumulator_bytes: int = limited(Whole(256, 2**28))
    startup_cycles: float = limited(Number(0, 1e6))
    matmul_call_cycles: float = limited(Number(0, 1e6))
    conv_call_cycles: float = limited(Number(0, 1e6))
    step_cycles: float = limited(Number(1, 100))
    request_cycles: float = limited(Number(0, 1000))
    dma_bytes_per_cycle: float = limited(Number(0.01, 1e4))
    clock_hz: float = limited(Number(1e6, 1e10))

    def __post_init__(self) -> None:
        check_fields(self, "gemmini")

    def machine_row(self) -> IntArray:
        """Return the whole numbers the kernels read, in the order of ``kernels.SIDE`` and so on."""
        half_sums = self.accumulator_bytes // 2 // 4
        return np.array([self.array_side, self.scratchpad_bytes // 2, half_sums], dtype=np.int64)


PRESETS = {
    # The default of the generator: 16 x 16, 256 KiB and 64 KiB (recalled). The times are estimated from half of the
    # layers measured in RTL simulation (docs/gemmini.md); the clock is that of the paper's chip (recalled).
    "paper": Config(
        array_side=16,
        scratchpad_bytes=262144,
        accumulator_bytes=65536,
        startup_cycles=700.0,
        matmul_call_cycles=127.0,
        conv_call_cycles=269.0,
        step_cycles=1.07,
        request_cycles=1.18,
        dma_bytes_per_cycle=8.0,
        clock_hz=1e9,
    ),
}
