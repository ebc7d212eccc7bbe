"""Parameters of attention without a cascade, and three machines of that kind."""

from __future__ import annotations

from dataclasses import dataclass, replace

from accel.config import Number, Switch, Whole, check_fields, limited
from workloads.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Attention head by head: two arrays of multipliers with a softmax between them, and what a machine skips.

    Attributes
    ----------
    multipliers : int
        For query x key, and as many for probability x value. 64..16384.
    operand_bits : int
        Of queries, keys, values and outputs in memory. 2..16.
    hbm_bytes_per_cycle : int
        Of all memory channels together. 1..65536.
    searched_share : float
        Steps of the search for candidates, by a query's keys; one a cycle. 0: every key is a candidate. 0..4.
    least_of_largest : float
        A value is skipped whose probability is below this share of its row's largest. 0..1.
    least_probability : float
        A value is skipped whose probability is below. 0..1.
    fetch_first : bool
        Whether a head's keys and values are on the chip before its first query, and the next head's come after its
        last; otherwise fetching and computing overlap.
    clock_hz : float
        Clock [Hz].
    """

    multipliers: int = limited(Whole(64, 16384))
    operand_bits: int = limited(Whole(2, 16))
    hbm_bytes_per_cycle: int = limited(Whole(1, 65536))
    searched_share: float = limited(Number(0, 4))
    least_of_largest: float = limited(Number(0, 1))
    least_probability: float = limited(Number(0, 1))
    fetch_first: bool = limited(Switch())
    clock_hz: float = limited(Number(1e6, 1e10))

    def __post_init__(self) -> None:
        check_fields(self, "attention_peers")

    @property
    def looks_at_values(self) -> bool:
        """Whether what is skipped depends on the numbers."""
        return max(self.searched_share, self.least_of_largest, self.least_probability) > 0

    def keys_per_cycle(self, head_dim: int) -> int:
        """Keys, or values, a cycle.

        Raises
        ------
        ConfigError
            If a vector is wider than the multipliers.
        """
        if head_dim > self.multipliers:
            need = f"at least the head dimension, {head_dim}"
            raise ConfigError("attention_peers", "multipliers", self.multipliers, need)
        return self.multipliers // head_dim


_DENSE = Config(
    multipliers=512,
    operand_bits=12,
    hbm_bytes_per_cycle=512,
    searched_share=0.0,
    least_of_largest=0.0,
    least_probability=0.0,
    fetch_first=False,
    clock_hz=1e9,
)
_SMALL = replace(_DENSE, multipliers=64, hbm_bytes_per_cycle=64)

PRESETS = {
    "dense_attention": {"paper": _DENSE, "paper-1/8": _SMALL},
    # Ham et al., "A3", HPCA 2020: everything is fetched first (third party); half as many steps of search as keys, and
    # a twentieth of the largest probability, its conservative setting (recalled). Size, bits and memory are those of
    # the comparison in the SpAtten paper.
    "a3": {"paper": replace(_SMALL, searched_share=0.5, least_of_largest=0.05, fetch_first=True)},
    # Jang et al., "MnnFast", ISCA 2019: streams columns, skips small probabilities (third party), below 0.1 (recalled).
    "mnnfast": {"paper": replace(_SMALL, least_probability=0.1)},
}
"""Configurations by machine, then by name."""
