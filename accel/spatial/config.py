"""Parameters of a general spatial array: its shape, what is unrolled along each dimension, its buffers and buses.

Source: the accelerators that NAAS describes and searches (Lin et al., DAC 2021), in the terms of Kwon et al.,
"MAESTRO", MICRO 2019, and Parashar et al., "Timeloop", ISPASS 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accel.config import Number, Order, Whole, check_fields, limited
from accel.spatial.kernels import (
    BUFFER_WORDS,
    DRAM_BITS,
    ELEMENT_WORDS,
    LOOPS,
    MACHINE_COLUMNS,
    NOC_BITS,
    WORD_BITS,
)
from workloads.layers import IntArray
from workloads.units import BITS_PER_BYTE

DIMENSIONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A grid of processing elements with a buffer each, a global buffer and a DRAM port.

    Attributes
    ----------
    size_1, size_2, size_3 : int
        Elements along each dimension of the array; a dimension of 1 is as good as not there. 1..1024.
    unroll : str
        Which loop of a layer is unrolled along each dimension, three letters: output channels K, input channels C,
        output rows Y and columns X, kernel rows R and columns S.
    element_bytes : int
        Buffer of each processing element [bytes]; double buffered, half is usable.
    buffer_bytes : int
        Global buffer [bytes]; double buffered, half is usable.
    operand_bits : int
        Width of inputs, weights and sums [bits]; layers' own widths do not matter. 8..32.
    noc_bits_per_cycle : int
        What the global buffer and the array exchange [bits per clock cycle]; one copy of a word reaches all elements
        that want it.
    dram_bits_per_cycle : int
        Width of the DRAM port [bits per clock cycle].
    clock_hz : float
        Clock [Hz].
    """

    size_1: int = limited(Whole(1, 1024))
    size_2: int = limited(Whole(1, 1024))
    size_3: int = limited(Whole(1, 1024))
    unroll: str = limited(Order(LOOPS, DIMENSIONS))
    element_bytes: int = limited(Whole(16, 2**18))
    buffer_bytes: int = limited(Whole(16, 2**28))
    operand_bits: int = limited(Whole(8, 32))
    noc_bits_per_cycle: int = limited(Whole(1, 65536))
    dram_bits_per_cycle: int = limited(Whole(1, 65536))
    clock_hz: float = limited(Number(1e6, 1e10))

    def __post_init__(self) -> None:
        check_fields(self, "spatial")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Elements along each dimension."""
        return self.size_1, self.size_2, self.size_3

    @property
    def elements(self) -> int:
        """Processing elements in all."""
        return self.size_1 * self.size_2 * self.size_3

    @property
    def on_chip_bytes(self) -> int:
        """Bytes of all buffers."""
        return self.elements * self.element_bytes + self.buffer_bytes

    def machine_row(self) -> IntArray:
        """Return the whole numbers the kernels read: unrolling of every loop, then ``ELEMENT_WORDS`` and so on."""
        row: IntArray = np.ones(MACHINE_COLUMNS, np.int64)
        for letter, size in zip(self.unroll, self.sizes, strict=True):
            row[LOOPS.index(letter)] = size
        for column, usable in ((ELEMENT_WORDS, self.element_bytes), (BUFFER_WORDS, self.buffer_bytes)):
            row[column] = usable * BITS_PER_BYTE // self.operand_bits // 2
        row[WORD_BITS] = self.operand_bits
        row[NOC_BITS], row[DRAM_BITS] = self.noc_bits_per_cycle, self.dram_bits_per_cycle
        return row


PRESETS = {
    # As Eyeriss lays 3 x 3 kernels on its 12 x 14 elements: kernel rows below each other, four times for four input
    # channels, output rows beside each other. Sizes, 108 KB and about 512 bytes an element, 64-bit DRAM port and buses
    # of 64 + 16 + 64 + 64 bits, 200 MHz: those of the chip (Chen et al., JSSC 2017), all recalled.
    "paper": Config(
        size_1=4,
        size_2=3,
        size_3=14,
        unroll="CRY",
        element_bytes=512,
        buffer_bytes=110592,
        operand_bits=16,
        noc_bits_per_cycle=208,
        dram_bits_per_cycle=64,
        clock_hz=200e6,
    ),
}
