"""The bit-serial array's parameters and the point behind HAQ's published latency table.

Source: Umuroglu et al., "BISMO: A Scalable Bit-Serial Matrix Multiplication Overlay for Reconfigurable Computing",
FPL 2018, for the kind of machine; sizes fitted to the table that Wang et al., "HAQ: Hardware-Aware Automated
Quantization with Mixed Precision", CVPR 2019, ship with their code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accel.config import Number, OneOf, Whole, check_fields, limited
from accel.mapping import MAPPINGS, PUBLISHED
from workloads.layers import IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A tile of binary dot products, two operand streams and two operand buffers.

    Attributes
    ----------
    tile_rows, tile_columns : int
        Outputs computed together. 1..256.
    depth_bits : int
        Length of one binary dot product [bits]: what a word of a stream or buffer holds. 1..65536.
    stream_bits_per_cycle : int
        Rate of each of the two operand streams from DRAM [bits per clock cycle]. 1..65536.
    buffer_words : int
        Capacity of each operand's buffer [words of ``depth_bits``]; it has to hold one tile. 1..16777216.
    clock_hz : float
        Clock [Hz].
    mapping : str
        Which mappings layers may have: ``published`` (the chunks of HAQ's table, fetched for every pair) or ``all``
        (chunks of other sizes too, one operand's of which are kept; docs/mapping.md).
    """

    tile_rows: int = limited(Whole(1, 256))
    tile_columns: int = limited(Whole(1, 256))
    depth_bits: int = limited(Whole(1, 65536))
    stream_bits_per_cycle: int = limited(Whole(1, 65536))
    buffer_words: int = limited(Whole(1, 2**24))
    clock_hz: float = limited(Number(1e6, 1e10))
    mapping: str = limited(OneOf(MAPPINGS), PUBLISHED)

    def __post_init__(self) -> None:
        check_fields(self, "bitserial")

    def machine_row(self) -> IntArray:
        """Return what the kernels read, in the order of ``kernels.TILE_ROWS`` and so on."""
        sizes = (self.tile_rows, self.tile_columns, self.depth_bits, self.stream_bits_per_cycle, self.buffer_words)
        return np.array(sizes, dtype=np.int64)


PRESETS = {
    # HAQ's "cloud" table, batch 16. The table is in cycles and names no clock: 200 MHz is an assumption; with it 8-bit
    # MobileNetV1 takes 159 ms and 6-bit 106 ms, and HAQ's policies for this board take 99.7 to 117.4 ms.
    "paper": Config(
        tile_rows=16,
        tile_columns=16,
        depth_bits=256,
        stream_bits_per_cycle=256,
        buffer_words=16384,
        clock_hz=200e6,
    ),
    # The edge board, a Zynq-7020: the 8 x 256 x 8 instance its authors report for it at 200 MHz (recalled). Rate of the
    # streams and size of the buffers are nowhere: they are the powers of two with which three recalled latencies of
    # HAQ's edge experiment (MobileNetV1, 4 to 6 bits, batch 1) come out best, within 5 %.
    "haq-edge": Config(
        tile_rows=8,
        tile_columns=8,
        depth_bits=256,
        stream_bits_per_cycle=32,
        buffer_words=16384,
        clock_hz=200e6,
    ),
}
