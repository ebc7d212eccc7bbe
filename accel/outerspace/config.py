"""OuterSPACE's parameters, and the published configuration."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from accel.config import Number, Whole, check_fields, limited
from workloads.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """OuterSPACE: tiles of processing elements that multiply, write every product to memory, and then merge.

    Attributes
    ----------
    tiles : int
        Groups of processing elements that share a cache, and so a row of B. 1..1024.
    processing_elements : int
        Of all tiles together, a multiple of ``tiles``; all multiply. 1..65536.
    merge_processing_elements : int
        How many of them merge. 1..65536, at most ``processing_elements``.
    hbm_channels : int
        Memory channels. 1..256.
    hbm_channel_bytes_per_second : float
        Of each channel [bytes per second].
    element_bytes, partial_element_bytes : int
        An element of A, B or C, and one of a list of products in memory [bytes]. 1..64.
    clock_hz : float
        Clock [Hz].
    """

    tiles: int = limited(Whole(1, 1024))
    processing_elements: int = limited(Whole(1, 65536))
    merge_processing_elements: int = limited(Whole(1, 65536))
    hbm_channels: int = limited(Whole(1, 256))
    hbm_channel_bytes_per_second: float = limited(Number(1e6, 1e13))
    element_bytes: int = limited(Whole(1, 64))
    partial_element_bytes: int = limited(Whole(1, 64))
    clock_hz: float = limited(Number(1e6, 1e10))

    def __post_init__(self) -> None:
        check_fields(self, "outerspace")
        if self.processing_elements % self.tiles:
            need = f"a multiple of tiles = {self.tiles}"
            raise ConfigError("outerspace", "processing_elements", self.processing_elements, need)
        if self.merge_processing_elements > self.processing_elements:
            need = f"at most processing_elements = {self.processing_elements}"
            raise ConfigError("outerspace", "merge_processing_elements", self.merge_processing_elements, need)

    @property
    def tile_processing_elements(self) -> int:
        """Processing elements of one tile."""
        return self.processing_elements // self.tiles

    @property
    def hbm_bytes_per_second(self) -> float:
        """Of all channels together [bytes per second]."""
        return self.hbm_channels * self.hbm_channel_bytes_per_second

    @property
    def hbm_bytes_per_cycle(self) -> Fraction:
        """Of all channels together, exactly [bytes per cycle]."""
        return self.hbm_channels * Fraction(self.hbm_channel_bytes_per_second) / Fraction(self.clock_hz)


PRESETS = {
    # Pal et al., "OuterSPACE", HPCA 2018, as TeAAL's description of the machine has it (third_party), but for the
    # bytes of an element (recalled): 4 of a column and 8 of a value. That the lists' elements take no more, and their
    # links nothing, is ours; the traffic it gives is compared with TeAAL's in docs/outerspace.md.
    "paper": Config(
        tiles=16,  # third_party
        processing_elements=256,  # third_party: 16 a tile
        merge_processing_elements=128,  # third_party: half of them, with scratchpads
        hbm_channels=16,  # third_party
        hbm_channel_bytes_per_second=8e9,  # third_party: 128 GB/s in all
        element_bytes=12,  # recalled
        partial_element_bytes=12,  # ours
        clock_hz=1.5e9,  # third_party
    ),
}
