"""Parameters of a row-stationary array: the Eyeriss chip, and the one BitFusion's authors compared with.

Source: Chen et al., "Eyeriss: A Spatial Architecture for Energy-Efficient Dataflow for Convolutional Neural Networks",
ISCA 2016; sizes of the chip as in Chen et al., JSSC 2017 (recalled).
"""

from __future__ import annotations

from dataclasses import dataclass

from accel.config import Number, Whole, check_fields, limited


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A grid of processing elements with a register file each, a global buffer and a DRAM port.

    Attributes
    ----------
    rows, columns : int
        Processing elements; a column holds the rows of a filter, a row the rows of an output map. 1..1024.
    buffer_bytes : int
        Global buffer [bytes].
    operand_bits : int
        Width of every operand [bits]; layers' own widths do not matter. 8..32.
    dram_bits_per_cycle : int
        Width of the DRAM port [bits per clock cycle].
    clock_hz : float
        Clock [Hz].
    mac_pj : float
        Energy of one multiply-accumulate [pJ]: the unit of the three below.
    register_macs, buffer_macs, dram_macs : float
        Energy of the register files for a step of an element, of a buffer access and of a DRAM access, in
        multiply-accumulates.
    """

    rows: int = limited(Whole(1, 1024))
    columns: int = limited(Whole(1, 1024))
    buffer_bytes: int = limited(Whole(1, 2**28))
    operand_bits: int = limited(Whole(8, 32))
    dram_bits_per_cycle: int = limited(Whole(1, 65536))
    clock_hz: float = limited(Number(1e6, 1e10))
    mac_pj: float = limited(Number(0.001, 1e4))
    register_macs: float = limited(Number(0, 1e4))
    buffer_macs: float = limited(Number(0, 1e4))
    dram_macs: float = limited(Number(0, 1e5))

    def __post_init__(self) -> None:
        check_fields(self, "eyeriss")


PRESETS = {
    # The chip: 12 x 14, 108 KB, 16 bits, 200 MHz, 64-bit port at the same clock (all recalled); energies per access
    # relative to a multiply-accumulate from the paper's analysis (recalled); of one, as below.
    "paper": Config(
        rows=12,
        columns=14,
        buffer_bytes=110592,
        operand_bits=16,
        dram_bits_per_cycle=64,
        clock_hz=200e6,
        mac_pj=3.2,
        register_macs=4.0,
        buffer_macs=6.0,
        dram_macs=200.0,
    ),
    # What BitFusion's authors compared with: their table is explained by 16 x 16 elements at 500 MHz; 16 x 0.2 pJ a
    # multiply-accumulate and DRAM at 0.15 of its 200 are their conversion (authors' code). Buffer as the chip's.
    "bitfusion-baseline": Config(
        rows=16,
        columns=16,
        buffer_bytes=110592,
        operand_bits=16,
        dram_bits_per_cycle=192,
        clock_hz=500e6,
        mac_pj=3.2,
        register_macs=4.0,
        buffer_macs=6.0,
        dram_macs=30.0,
    ),
}
