"""The parameters of the BitFusion model behind APQ's table, and the point that reproduces it.

Source: Wang et al., "APQ: Joint Search for Network Architecture, Pruning and Quantization Policy", CVPR 2020, which
publishes the table (mit-han-lab/apq, batch 1) but not the model; the machine is that of Sharma et al., "Bit Fusion",
ISCA 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from accel.config import Number, Whole, check_fields, limited
from accel.technology import MemoryBank, fusion_array, sram_bank
from workloads.layers import IntArray
from workloads.units import BITS_PER_BYTE

LARGEST_BUFFER_BYTES = 2**28


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A systolic array of fusion units with private weights, three double-buffered memories and one DRAM port.

    Attributes
    ----------
    rows, columns : int
        Fusion units along the input side and along the output side. 1..1024.
    wbuf_bytes, ibuf_bytes, obuf_bytes : int
        Weight, input and output buffer [bytes]; a tile may use half.
    dram_bits_per_cycle : int
        Width of the DRAM port [bits per clock cycle].
    clock_hz : float
        Clock [Hz].
    dram_pj_per_bit : float
        Energy of DRAM traffic [pJ/bit].
    core_pj_per_cycle : float
        Energy of the whole array in a cycle it computes [pJ].
    static_pj_per_cycle : float
        Energy of all parts in any cycle [pJ].
    """

    rows: int = limited(Whole(1, 1024))
    columns: int = limited(Whole(1, 1024))
    wbuf_bytes: int = limited(Whole(1, LARGEST_BUFFER_BYTES))
    ibuf_bytes: int = limited(Whole(1, LARGEST_BUFFER_BYTES))
    obuf_bytes: int = limited(Whole(1, LARGEST_BUFFER_BYTES))
    dram_bits_per_cycle: int = limited(Whole(1, 65536))
    clock_hz: float = limited(Number(1e6, 1e10))
    dram_pj_per_bit: float = limited(Number(0.001, 1000.0))
    core_pj_per_cycle: float = limited(Number(0.001, 1e6))
    static_pj_per_cycle: float = limited(Number(0.001, 1e6))

    def __post_init__(self) -> None:
        check_fields(self, "bitfusion_apq")

    def machine_row(self) -> IntArray:
        """Return what the kernels read, in the order of ``kernels.ROWS`` and so on."""
        halves = (size * BITS_PER_BYTE // 2 for size in (self.wbuf_bytes, self.ibuf_bytes, self.obuf_bytes))
        return np.array([self.rows, self.columns, *halves, self.dram_bits_per_cycle], dtype=np.int64)


PRESETS = {
    # Sizes, port and clock are those of the BitFusion authors' bf_e_conf.ini; with them every latency of the table
    # that was compared comes out to the cycle. The last two energies are estimated from half the table's shapes
    # (docs/bitfusion.md); the synthesised array takes 235 pJ a cycle, leakage of the banks and the array 486.
    "paper": Config(
        rows=16,
        columns=32,
        wbuf_bytes=65536,
        ibuf_bytes=32768,
        obuf_bytes=16384,
        dram_bits_per_cycle=192,
        clock_hz=500e6,
        dram_pj_per_bit=15.0,
        core_pj_per_cycle=476.5,
        static_pj_per_cycle=433.7,
    ),
}


def _banks(config: Config) -> tuple[MemoryBank, MemoryBank, MemoryBank]:
    """Look up the banks of the three memories, as in the paper: one per fusion unit, per row and per column."""
    return (
        sram_bank(config.wbuf_bytes / (config.rows * config.columns), 0, "wbuf_bytes"),
        sram_bank(config.ibuf_bytes / config.rows, 0, "ibuf_bytes"),
        sram_bank(config.obuf_bytes / config.columns, 1, "obuf_bytes"),
    )


@cache
def unit_energies(config: Config) -> npt.NDArray[np.float64]:
    """Look up the energy of one unit of every counter [pJ], in the order of ``kernels.COUNTERS``.

    Raises
    ------
    ConfigError
        If a bank is of a size the technology tables cannot answer.
    """
    buffers = [pj for bank in _banks(config) for pj in (bank.read_pj_per_bit, bank.write_pj_per_bit)]
    static = config.static_pj_per_cycle
    return np.array([config.core_pj_per_cycle + static, *buffers, *[config.dram_pj_per_bit] * 2, static])


@cache
def areas(config: Config) -> dict[str, float]:
    """Look up the area of every component [mm2], as of ``bitfusion``: the table is of the same chip."""
    wbuf, ibuf, obuf = _banks(config)
    return {
        "core": fusion_array(config.rows, config.columns).area_mm2,
        "wbuf": wbuf.area_mm2 * config.rows * config.columns,
        "ibuf": ibuf.area_mm2 * config.rows,
        "obuf": obuf.area_mm2 * config.columns,
    }
