"""SpAtten's parameters, and the published configurations."""

from __future__ import annotations

from dataclasses import dataclass, replace

from accel.config import Number, OneOf, Share, Switch, Whole, check_fields, limited
from workloads.errors import ConfigError
from workloads.units import BITS_PER_BYTE

OPERAND_BITS = 12  # of the multipliers, and of what the SRAMs hold
PUBLISHED_HEAD_DIM = 64  # what the release derives the softmax's width from
LEAST_LINES = 4  # of an SRAM: banks are a word wide, and smaller ones are in no table
TOKEN_BLOCK = 8  # tokens are fetched in eights: a line of the published SRAMs
SCHEDULES = ("cascade", "importance")
SELECTIONS = ("none", "window", "heads", "pages", "top_p")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """SpAtten: attention with cascade pruning of tokens and heads, a top-k engine and progressive quantization.

    Attributes
    ----------
    token_keep, head_keep : float
        Tokens and heads that layers keep, on average over the layers that prune; with ``schedule`` = ``importance``
        the share of all importance that is kept. Above 0, at most 1.
    value_keep : float
        Share of a query's keys whose values are read: those of its largest probabilities. Above 0, at most 1.
    schedule : str
        ``cascade``: numbers kept fall from layer to layer; ``importance``: as many are kept as hold the share.
    selection : str
        What a generated token's query is shown of the keys alive: all (``none``), the first and the latest
        (``window``, StreamingLLM), those only in some heads (``heads``, DuoAttention), pages of keys chosen by their
        bounds (``pages``, Quest), or keys that hold a share of the probability as estimated from their first bits
        (``top_p``, Twilight).
    sink_tokens, recent_tokens : int
        First and latest tokens of a window. 0..65536 and 1..65536.
    retrieval_heads : float
        Share of a layer's heads that see everything where the others see a window. Above 0, at most 1.
    page_tokens, page_budget : int
        Tokens of a page, and tokens that chosen pages have together. 1..4096 and 1..65536.
    top_p : float
        Share of the estimated probability. Above 0, at most 1.
    dense_layers : int
        First layers that choose neither pages nor by probability. 0..1024.
    msb_bits, lsb_bits : int
        Bits of keys that are read first, and of the rest, read where no probability reaches ``requant_threshold``;
        12 together at most. 2..12 and 0..10; without ``lsb_bits`` nothing is read twice.
    value_bits : int
        Of values; 0: as many as keys have that are read first. 0..12.
    requant_threshold : float
        0..1.
    probability_bits : int
        Bits below the point that probabilities are rounded to. 4..12.
    topk_lanes : int
        Comparators of each of the top-k engine's arrays. 1..1024.
    topk_turn_cycles : int
        Between a pass over the candidates and the next. 0..64.
    multipliers : int
        12-bit multipliers for Q x K, and as many for probability x V. 64..16384.
    sram_bytes : int
        Of the key SRAM, and of the value SRAM. 768..2**30.
    fetch_lanes, fetch_queue : int
        Bursts requested in a cycle, and how many may wait for one channel. 1..1024 and 1..1024.
    requests_in_flight : int
        Heads whose keys are in the key SRAM, or on their way, at once. 1..1024.
    recompute_queue : int
        Queries that may wait for a second computation; at half of it no new query starts. 2..1024.
    hbm_channels : int
        Memory channels. 1..256.
    hbm_burst_bytes, hbm_burst_cycles : int
        What a channel transfers at once, and how long that takes. 8..256 and 1..64.
    hbm_latency_cycles : int
        From the end of a transfer on the channel to the data's arrival on the chip. 0..10000.
    fc_bits : int
        Bits of the weights of fully connected layers, which then run on the same multipliers; 0: attention only. 0..12.
    overlap : bool
        Whether fetching and computing overlap. Without, a layer is the plain sum of its parts, as in the authors'
        behaviour model.
    seed : int
        Of the top-k engine's pivots. 0..2**48 - 1.
    clock_hz : float
        Clock [Hz].
    """

    token_keep: float = limited(Share())
    head_keep: float = limited(Share())
    value_keep: float = limited(Share())
    schedule: str = limited(OneOf(SCHEDULES))
    selection: str = limited(OneOf(SELECTIONS))
    sink_tokens: int = limited(Whole(0, 65536))
    recent_tokens: int = limited(Whole(1, 65536))
    retrieval_heads: float = limited(Share())
    page_tokens: int = limited(Whole(1, 4096))
    page_budget: int = limited(Whole(1, 65536))
    top_p: float = limited(Share())
    dense_layers: int = limited(Whole(0, 1024))
    msb_bits: int = limited(Whole(2, OPERAND_BITS))
    lsb_bits: int = limited(Whole(0, OPERAND_BITS - 2))
    value_bits: int = limited(Whole(0, OPERAND_BITS))
    requant_threshold: float = limited(Number(0, 1))
    probability_bits: int = limited(Whole(4, OPERAND_BITS))
    topk_lanes: int = limited(Whole(1, 1024))
    topk_turn_cycles: int = limited(Whole(0, 64))
    multipliers: int = limited(Whole(PUBLISHED_HEAD_DIM, 16384))
    sram_bytes: int = limited(Whole(768, 2**30))
    fetch_lanes: int = limited(Whole(1, 1024))
    fetch_queue: int = limited(Whole(1, 1024))
    requests_in_flight: int = limited(Whole(1, 1024))
    recompute_queue: int = limited(Whole(2, 1024))
    hbm_channels: int = limited(Whole(1, 256))
    hbm_burst_bytes: int = limited(Whole(8, 256))
    hbm_burst_cycles: int = limited(Whole(1, 64))
    hbm_latency_cycles: int = limited(Whole(0, 10000))
    fc_bits: int = limited(Whole(0, OPERAND_BITS))
    overlap: bool = limited(Switch())
    seed: int = limited(Whole(0, 2**48 - 1))
    clock_hz: float = limited(Number(1e6, 1e10))

    def __post_init__(self) -> None:
        check_fields(self, "spatten")
        if self.msb_bits + self.lsb_bits > OPERAND_BITS:
            most = OPERAND_BITS - self.msb_bits
            need = f"at most {most} at msb_bits = {self.msb_bits}: operands have {OPERAND_BITS} bits"
            raise ConfigError("spatten", "lsb_bits", self.lsb_bits, need)
        line_bytes = OPERAND_BITS * self.multipliers // BITS_PER_BYTE
        if self.sram_lines < LEAST_LINES:
            need = f"at least {LEAST_LINES * line_bytes}: {LEAST_LINES} lines for {self.multipliers} multipliers"
            raise ConfigError("spatten", "sram_bytes", self.sram_bytes, need)
        if self.value_bits == 1:
            raise ConfigError("spatten", "value_bits", self.value_bits, f"0, or 2..{OPERAND_BITS}: one is the sign")
        if self.selection == "top_p" and self.lsb_bits == 0:
            need = "at least 1 at selection = top_p: the first bits only estimate"
            raise ConfigError("spatten", "lsb_bits", self.lsb_bits, need)

    @property
    def key_bits(self) -> int:
        """Of a key that was read in full."""
        return self.msb_bits + self.lsb_bits

    @property
    def stored_value_bits(self) -> int:
        """Of a value."""
        return self.value_bits or self.msb_bits

    @property
    def progressive(self) -> bool:
        """Whether queries may ask for the rest of the keys' bits."""
        return self.lsb_bits > 0 and self.requant_threshold > 0

    @property
    def softmax_lanes(self) -> int:
        """Scores a cycle of the softmax pipeline: the keys a cycle at the published head dimension."""
        return self.multipliers // PUBLISHED_HEAD_DIM

    @property
    def sram_lines(self) -> int:
        """Lines of each SRAM; a line feeds every multiplier once."""
        return self.sram_bytes * BITS_PER_BYTE // (OPERAND_BITS * self.multipliers)

    @property
    def bytes_per_cycle(self) -> float:
        """Of all memory channels together."""
        return self.hbm_channels * self.hbm_burst_bytes / self.hbm_burst_cycles

    def keys_per_cycle(self, head_dim: int) -> int:
        """Keys, or values, a cycle.

        Raises
        ------
        ConfigError
            If a vector is wider than the multipliers.
        """
        if head_dim > self.multipliers:
            need = f"at least the head dimension, {head_dim}"
            raise ConfigError("spatten", "multipliers", self.multipliers, need)
        return self.multipliers // head_dim

    def fused_heads(self, bits: int, head_dim: int) -> int:
        """Heads whose vectors of a token are stored together, so that they fill whole bursts."""
        fused = 1
        while fused * bits * head_dim % (BITS_PER_BYTE * self.hbm_burst_bytes):
            fused += 1
        return fused

    def bursts(self, bits: int, head_dim: int) -> int:
        """Bursts of the vectors of a token that are stored together."""
        vectors = self.fused_heads(bits, head_dim)
        return vectors * bits * head_dim // (BITS_PER_BYTE * self.hbm_burst_bytes)


_PAPER = Config(
    token_keep=1.0,
    head_keep=1.0,
    value_keep=1.0,
    schedule="cascade",
    selection="none",
    sink_tokens=4,
    recent_tokens=2000,
    retrieval_heads=0.5,
    page_tokens=16,
    page_budget=1024,
    top_p=0.85,
    dense_layers=2,
    msb_bits=8,
    lsb_bits=4,
    value_bits=0,
    requant_threshold=0.1,
    probability_bits=12,
    topk_lanes=16,
    topk_turn_cycles=3,
    multipliers=512,
    sram_bytes=196608,
    fetch_lanes=32,
    fetch_queue=16,
    requests_in_flight=16,
    recompute_queue=16,
    hbm_channels=16,
    hbm_burst_bytes=32,
    hbm_burst_cycles=1,
    hbm_latency_cycles=0,
    fc_bits=0,
    overlap=True,
    seed=1,
    clock_hz=1e9,
)

PRESETS = {
    # The paper, and the authors' release where the paper is silent; memory is limited by its rate alone, as in their
    # behaviour model. docs/spatten.md lists the source of every field.
    "paper": _PAPER,
    "paper-1/8": replace(_PAPER, multipliers=64, hbm_channels=2, fetch_lanes=4),
    # HBM2 as the release simulates it: 4 cycles a burst in each of a channel's two pseudo channels, rows opened anew.
    "hbm2": replace(_PAPER, hbm_burst_cycles=2, hbm_latency_cycles=16),
}
