"""EIE's parameters, and the published configuration."""

from __future__ import annotations

from dataclasses import dataclass

from accel.config import Number, Whole, check_fields, limited


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """EIE: processing elements that each hold every n-th row of a pruned, weight-shared matrix.

    Attributes
    ----------
    processing_elements : int
        Row i of the matrix belongs to element ``i % processing_elements``. 1..4096.
    queue_depth : int
        Activations that wait before each processing element. 1..4096.
    weight_bits : int
        Width of an entry's index into the shared weights [bits]; code 0 is the weight zero. 1..8.
    zero_run_bits : int
        Width of an entry's count of zeros before it [bits]; longer runs cost filler entries. 1..16.
    weight_bytes : int
        Memory of each processing element for entries [bytes]. 1..268435456.
    clock_hz : float
        Clock [Hz].
    """

    processing_elements: int = limited(Whole(1, 4096))
    queue_depth: int = limited(Whole(1, 4096))
    weight_bits: int = limited(Whole(1, 8))
    zero_run_bits: int = limited(Whole(1, 16))
    weight_bytes: int = limited(Whole(1, 2**28))
    clock_hz: float = limited(Number(1e6, 1e10))

    def __post_init__(self) -> None:
        check_fields(self, "eie")

    @property
    def shared_weights(self) -> int:
        """How many weights other than zero a matrix may share."""
        return (1 << self.weight_bits) - 1

    @property
    def longest_zero_run(self) -> int:
        """Zeros that one entry can stand behind."""
        return (1 << self.zero_run_bits) - 1

    @property
    def entry_bits(self) -> int:
        """Width of an entry: a weight's code and the zeros before it [bits]."""
        return self.weight_bits + self.zero_run_bits


PRESETS = {
    # Han et al., "EIE: Efficient Inference Engine on Compressed Deep Neural Network", ISCA 2016 (all recalled).
    "paper": Config(
        processing_elements=64,
        queue_depth=8,
        weight_bits=4,
        zero_run_bits=4,
        weight_bytes=131072,
        clock_hz=800e6,
    ),
}
