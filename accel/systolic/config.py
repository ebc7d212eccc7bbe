"""A dense systolic array's parameters: the baseline other machines are compared with."""

from __future__ import annotations

from dataclasses import dataclass

from accel.config import Number, OneOf, Whole, check_fields, limited
from accel.mapping import MAPPINGS, PUBLISHED

DATAFLOWS = ("os", "ws", "is")
BEST = "best"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A grid of multiply-accumulate units between a scratch memory for each operand.

    Attributes
    ----------
    rows, columns : int
        Units of the grid. 1..1024.
    dataflow : str
        What stays in the units: ``os`` outputs, ``ws`` weights, ``is`` inputs; or ``best``, for every layer the one
        that takes the fewest cycles.
    sram_bytes : int
        Scratch memory of each operand [bytes]; double buffered, half is usable. 1..268435456.
    dram_bits_per_cycle : int
        Width of the DRAM port [bits per clock cycle]. 1..65536.
    clock_hz : float
        Clock [Hz].
    mapping : str
        Which mappings layers may have: ``published`` (a fold after the other, in the usual order) or ``all`` (tiles of
        any number of folds in any order, as the dataflow allows; docs/mapping.md).
    """

    rows: int = limited(Whole(1, 1024))
    columns: int = limited(Whole(1, 1024))
    dataflow: str = limited(OneOf((*DATAFLOWS, BEST)))
    sram_bytes: int = limited(Whole(1, 2**28))
    dram_bits_per_cycle: int = limited(Whole(1, 65536))
    clock_hz: float = limited(Number(1e6, 1e10))
    mapping: str = limited(OneOf(MAPPINGS), PUBLISHED)

    def __post_init__(self) -> None:
        check_fields(self, "systolic")


PRESETS = {
    # The configuration peers were run at for comparison: 32 x 32, 64 KiB per operand. Bandwidth and clock are ours.
    "paper": Config(
        rows=32,
        columns=32,
        dataflow="os",
        sram_bytes=65536,
        dram_bits_per_cycle=128,
        clock_hz=500e6,
    ),
}
