"""The BitFusion machine's parameters and the published point.

Source: Sharma et al., "Bit Fusion: Bit-Level Dynamically Composable Architecture for Accelerating Deep Neural
Networks", ISCA 2018; sizes as in the authors' simulator (``bf_e_conf.ini``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from accel.config import Number, OneOf, Switch, Whole, check_fields, limited
from accel.mapping import MAPPINGS, PUBLISHED
from accel.technology import BANK_BYTES, MemoryBank, fusion_array, sram_bank
from workloads.errors import ConfigError
from workloads.layers import IntArray
from workloads.units import BITS_PER_BYTE

LARGEST_BUFFER_BYTES = 2**28
MODELS = ("published", "cycle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """BitFusion: a systolic array of fusion units with private weights, three buffers and one DRAM port.

    Attributes
    ----------
    rows, columns : int
        Fusion units along the input side (they share an input vector) and along the output side. 1..1024.
    wbuf_bytes, ibuf_bytes, obuf_bytes : int
        Weight, input and output buffer [bytes]. All are double buffered: a tile may use half.
    dram_bits_per_cycle : int
        Width of the DRAM port [bits per clock cycle].
    clock_hz : float
        Clock [Hz].
    dram_pj_per_bit : float
        Energy of DRAM traffic [pJ/bit]. The authors' code uses 15; a comment in it says 6.
    wide_outputs : bool
        Outputs always travel to DRAM as 32-bit partial sums. Off: finished outputs leave at the activation
        width and only spilled partial sums at 32 bits.
    output_preload : bool
        Every output tile is loaded from DRAM before its first accumulation. Off: only spilled ones are.
    full_edge_tiles : bool
        Tiles at the edge of a layer cost as many cycles as full ones. Off: cycles of their true size.
    unshared_input_reads : bool
        Every fusion unit's input is charged as a read of the input buffer. Off: one read serves a row of units.
    model : str
        What ``estimate`` counts: ``published``, by the authors' closed form, or ``cycle``, what ``simulate`` runs.
    dram_channels : int
        Channels that share the DRAM port's width; whole bursts take turns over them. 1..64.
    dram_burst_bytes : int
        What one channel moves at least [bytes]; every tile starts at a burst. 1..4096.
    mapping : str
        Which mappings layers may have: ``published`` (the authors' tiles, powers of two with one side for width and
        height) or ``all`` (also every divisor and rounded-up fraction of every loop; docs/mapping.md).

    Notes
    -----
    The four switches are properties of the authors' program rather than of the hardware; ``paper`` has them on, and
    only the published model reads them. Channels and bursts belong to the machine that is simulated; nothing is
    published of them, and the defaults are those of three 64-bit channels with bursts of eight.
    """

    rows: int = limited(Whole(1, 1024))
    columns: int = limited(Whole(1, 1024))
    wbuf_bytes: int = limited(Whole(1, LARGEST_BUFFER_BYTES))
    ibuf_bytes: int = limited(Whole(1, LARGEST_BUFFER_BYTES))
    obuf_bytes: int = limited(Whole(1, LARGEST_BUFFER_BYTES))
    dram_bits_per_cycle: int = limited(Whole(1, 65536))
    clock_hz: float = limited(Number(1e6, 1e10))
    dram_pj_per_bit: float = limited(Number(0.001, 1000.0))
    wide_outputs: bool = limited(Switch())
    output_preload: bool = limited(Switch())
    full_edge_tiles: bool = limited(Switch())
    unshared_input_reads: bool = limited(Switch())
    model: str = limited(OneOf(MODELS), "published")
    dram_channels: int = limited(Whole(1, 64), 3)
    dram_burst_bytes: int = limited(Whole(1, 4096), 64)
    mapping: str = limited(OneOf(MAPPINGS), PUBLISHED)

    def __post_init__(self) -> None:
        check_fields(self, "bitfusion")

    def machine_row(self) -> IntArray:
        """Return what the kernels read, in the order of ``kernels.MACHINE_COLUMNS``."""
        halves = (size * BITS_PER_BYTE // 2 for size in (self.wbuf_bytes, self.ibuf_bytes, self.obuf_bytes))
        switches = (self.wide_outputs, self.output_preload, self.full_edge_tiles, self.unshared_input_reads)
        bursts = (self.dram_channels, self.dram_burst_bytes * BITS_PER_BYTE)
        columns = [self.rows, self.columns, *halves, self.dram_bits_per_cycle, *switches, *bursts]
        return np.array(columns, dtype=np.int64)


PRESETS = {
    # The configuration behind the paper's 3.9x speed and 5.1x energy over Eyeriss: bf_e_conf.ini, 45 nm.
    "paper": Config(
        rows=16,
        columns=32,
        wbuf_bytes=65536,
        ibuf_bytes=32768,
        obuf_bytes=16384,
        dram_bits_per_cycle=192,
        clock_hz=500e6,
        dram_pj_per_bit=15.0,
        wide_outputs=True,
        output_preload=True,
        full_edge_tiles=True,
        unshared_input_reads=True,
    ),
}


@dataclass(frozen=True, slots=True)
class Costs:
    """Energies and areas of one configuration.

    Attributes
    ----------
    unit_pj : ndarray of float64, shape (9,)
        Energy of one unit of every counter [pJ], in the order of ``kernels.COUNTERS`` without the stalls.
    area_mm2 : dict of str to float
        By component [mm2].
    """

    unit_pj: np.ndarray
    area_mm2: dict[str, float]


@cache
def costs(config: Config) -> Costs:
    """Look up what a configuration's parts cost.

    Banks as in the paper: a weight bank per fusion unit, an input bank per row, an output bank per column.

    Raises
    ------
    ConfigError
        If a bank is of a size the technology tables cannot answer.
    """
    units = config.rows * config.columns
    core = fusion_array(config.rows, config.columns)
    wbuf = _bank(config, "wbuf_bytes", units, 0)
    ibuf = _bank(config, "ibuf_bytes", config.rows, 0)
    obuf = _bank(config, "obuf_bytes", config.columns, 1)
    buffers = [pj for bank in (wbuf, ibuf, obuf) for pj in (bank.read_pj_per_bit, bank.write_pj_per_bit)]
    dram = [config.dram_pj_per_bit] * 2
    area = {
        "core": core.area_mm2,
        "wbuf": wbuf.area_mm2 * units,
        "ibuf": ibuf.area_mm2 * config.rows,
        "obuf": obuf.area_mm2 * config.columns,
    }
    return Costs(np.array([core.pj_per_cycle, *buffers, *dram]), area)


def _bank(config: Config, field: str, banks: int, read_write_ports: int) -> MemoryBank:
    capacity = getattr(config, field)
    low, high = (size * banks for size in BANK_BYTES)
    if not low <= capacity <= high:
        raise ConfigError("bitfusion", field, capacity, f"{low}..{high} bytes for its {banks} banks")
    return sram_bank(capacity / banks, read_write_ports, field)
