"""SpArch's parameters, and the published configuration."""

from __future__ import annotations

from dataclasses import dataclass

from accel.config import Number, OneOf, Switch, Whole, check_fields, limited
from workloads.errors import ConfigError

GROUPS = 2  # of multipliers; each works on one element of A at a time
NODE_CHOICES = ("round_robin", "lowest", "emptiest")
ISSUE_ORDERS = ("row_major", "round_robin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """SpArch: outer-product sparse multiplication with a merge tree on the chip.

    Attributes
    ----------
    merge_layers : int
        Depth of the merge tree; ``2 ** merge_layers`` sorted streams merge in one round. 1..10.
    merge_width : int
        Elements a merger takes in a cycle; there is one merger per layer. 1..64.
    merge_block : int
        Edge of the low-level comparator arrays a merger is made of; sets its area, not its speed. 1..64.
    merge_latency_cycles : int
        From a merger's inputs to its output FIFO: comparators, adders, zero eliminator. 1..64.
    node_choice : str
        Which node of a layer its merger serves: ``round_robin``, ``lowest`` index, or the ``emptiest`` output FIFO.
    fifo_depth : int
        Elements each FIFO of the tree holds. At least ``merge_width`` and the products of a
        multiplier group, or the tree could come to a stop. 1..32767.
    multipliers : int
        In two groups. An even number, 2..1024.
    multiply_latency_cycles : int
        Fill of the multiplier pipeline, once a round. 0..64.
    issue_order : str
        Which leaf the multipliers feed first: the first in ``row_major`` order, or leaves in turn (``round_robin``).
    look_ahead : int
        Elements of A that are fetched ahead. 1..1048576.
    prefetch_lines, prefetch_line_elements : int
        Lines of the row prefetch buffer, and elements of B on a line. 1..65536 and 1..4096.
    prefetch_distance : int
        Elements of A the prefetcher takes itself to be ahead of the multipliers: their rows are kept. 1..65536.
    prefetch_fetchers : int
        Lines of B that can be on their way at once. 1..1024.
    spill_fifo_elements : int
        Depth of the FIFO that results leave through, and of the one reloaded partial matrices come through. 1..32767.
    hbm_channels : int
        Memory channels. 1..256.
    hbm_bytes_per_cycle : int
        Of each channel. 1..1024.
    hbm_latency_cycles : int
        From the end of a transfer on the channel to the data's arrival on the chip. 0..10000.
    hbm_row_miss_cycles : int
        Precharge and activation before a bank can transfer from another row. 0..1000.
    hbm_banks, hbm_row_bytes : int
        Banks of a channel, and bytes of a row that stay open in one. 1..64 and 64..65536.
    hbm_interleave_bytes : int
        Bytes of consecutive addresses on one channel; also the largest single request. 64..65536.
    hbm_burst_bytes : int
        What a channel transfers at least. 8..256.
    element_bytes, spill_element_bytes : int
        An element of A, B or C, and one of a partial matrix in memory [bytes]. 1..64.
    clock_hz : float
        Clock [Hz].
    pipelined_merge, condensing, huffman, prefetcher : bool
        The four techniques. Without the first, products go to memory before they are merged; without the second,
        partial matrices are those of A's columns; without the third, partial matrices merge first come, first
        served; without the fourth, every element of A reads its row of B from memory.
    """

    merge_layers: int = limited(Whole(1, 10))
    merge_width: int = limited(Whole(1, 64))
    merge_block: int = limited(Whole(1, 64))
    merge_latency_cycles: int = limited(Whole(1, 64))
    node_choice: str = limited(OneOf(NODE_CHOICES))
    fifo_depth: int = limited(Whole(1, 32767))
    multipliers: int = limited(Whole(2, 1024))
    multiply_latency_cycles: int = limited(Whole(0, 64))
    issue_order: str = limited(OneOf(ISSUE_ORDERS))
    look_ahead: int = limited(Whole(1, 2**20))
    prefetch_lines: int = limited(Whole(1, 65536))
    prefetch_line_elements: int = limited(Whole(1, 4096))
    prefetch_distance: int = limited(Whole(1, 65536))
    prefetch_fetchers: int = limited(Whole(1, 1024))
    spill_fifo_elements: int = limited(Whole(1, 32767))
    hbm_channels: int = limited(Whole(1, 256))
    hbm_bytes_per_cycle: int = limited(Whole(1, 1024))
    hbm_latency_cycles: int = limited(Whole(0, 10000))
    hbm_row_miss_cycles: int = limited(Whole(0, 1000))
    hbm_banks: int = limited(Whole(1, 64))
    hbm_row_bytes: int = limited(Whole(64, 65536))
    hbm_interleave_bytes: int = limited(Whole(64, 65536))
    hbm_burst_bytes: int = limited(Whole(8, 256))
    element_bytes: int = limited(Whole(1, 64))
    spill_element_bytes: int = limited(Whole(1, 64))
    clock_hz: float = limited(Number(1e6, 1e10))
    pipelined_merge: bool = limited(Switch())
    condensing: bool = limited(Switch())
    huffman: bool = limited(Switch())
    prefetcher: bool = limited(Switch())

    def __post_init__(self) -> None:
        check_fields(self, "sparch")
        if self.multipliers % GROUPS:
            raise ConfigError("sparch", "multipliers", self.multipliers, f"a multiple of {GROUPS}, one group each")
        least = max(self.merge_width, self.group)
        if self.fifo_depth < least:
            need = f"at least {least} at merge_width = {self.merge_width} and multipliers = {self.multipliers}"
            raise ConfigError("sparch", "fifo_depth", self.fifo_depth, f"{need}, or the merge tree could stop")
        least = self.merge_width + max(self.block_elements(spilled) for spilled in (False, True)) - 1
        if self.spill_fifo_elements < least:
            need = (
                f"at least {least} at merge_width = {self.merge_width} and blocks of {self.hbm_interleave_bytes} bytes"
            )
            raise ConfigError(
                "sparch", "spill_fifo_elements", self.spill_fifo_elements, f"{need}, or results could stop"
            )
        for name, whole in (("hbm_interleave_bytes", "hbm_burst_bytes"), ("hbm_row_bytes", "hbm_interleave_bytes")):
            if getattr(self, name) % getattr(self, whole):
                need = f"a multiple of {whole} = {getattr(self, whole)}"
                raise ConfigError("sparch", name, getattr(self, name), need)

    @property
    def leaves(self) -> int:
        """Streams that merge in one round."""
        return int(2**self.merge_layers)

    @property
    def group(self) -> int:
        """Products of one group of multipliers in a cycle."""
        return self.multipliers // GROUPS

    @property
    def bandwidth(self) -> int:
        """Of all channels together [bytes per cycle]."""
        return self.hbm_channels * self.hbm_bytes_per_cycle

    def block_elements(self, spilled: bool) -> int:
        """Elements that fill a request, at least one: of a partial matrix, or of C."""
        return max(1, self.hbm_interleave_bytes // (self.spill_element_bytes if spilled else self.element_bytes))


PRESETS = {
    # Table I of the paper, as far as it is known; docs/sparch.md lists what each open field was set to, and why.
    "paper": Config(
        merge_layers=6,
        merge_width=16,
        merge_block=4,
        merge_latency_cycles=6,
        node_choice="round_robin",
        fifo_depth=128,
        multipliers=16,
        multiply_latency_cycles=4,
        issue_order="row_major",
        look_ahead=8192,
        prefetch_lines=1024,
        prefetch_line_elements=48,
        prefetch_distance=128,
        prefetch_fetchers=16,
        spill_fifo_elements=1024,
        hbm_channels=16,
        hbm_bytes_per_cycle=8,
        hbm_latency_cycles=52,
        hbm_row_miss_cycles=28,
        hbm_banks=16,
        hbm_row_bytes=1024,
        hbm_interleave_bytes=256,
        hbm_burst_bytes=32,
        element_bytes=12,
        spill_element_bytes=16,
        clock_hz=1e9,
        pipelined_merge=True,
        condensing=True,
        huffman=True,
        prefetcher=True,
    ),
}
