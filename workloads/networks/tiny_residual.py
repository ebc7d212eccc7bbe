"""Inverted residuals for images of 8 x 8 grey pixels: a family so small that every network can really be trained.

It is Sextant's own, cut after MobileNetV2 and Once-for-All: two stages of one or two blocks, each with its kernel,
its expansion and the share of its middle channels that pruning keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from workloads.errors import WorkloadError
from workloads.network import Network
from workloads.networks.inverted_residual import Block, ChainFamily, Head, Part, Stem

NAME = "tiny-residual"
IMAGE_SIZE = 8
STAGES = 2
MOST_BLOCKS = 2
BLOCKS = STAGES * MOST_BLOCKS
DEPTHS = (1, 2)
KERNELS = (3, 5)
EXPANSIONS = (3, 4, 6)
KEEPS = (0.5, 0.75, 1.0)
BITS = (2, 3, 4, 6, 8)
END_BITS = 8  # of the first convolution and of what stands behind the blocks
STEM_WIDTH, STAGE_WIDTHS, STAGE_STRIDES, HEAD_WIDTH, CLASSES = 8, (8, 16), (2, 1), 32, 10
BLOCK_NAMES = tuple(f"stage{stage + 1}.block{block + 1}" for stage in range(STAGES) for block in range(MOST_BLOCKS))


@dataclass(frozen=True, slots=True)
class Architecture:
    """One network of the family.

    Attributes
    ----------
    depths : tuple of int, length 2
        Blocks of each stage, 1 or 2.
    kernels, expansions : tuple of int, length 4
        Kernel (3, 5) and expansion (3, 4, 6) of each block, two places a stage. The second place of a stage of one
        block is not used.
    keeps : tuple of float, length 4
        Share of the expanded channels that each block keeps (0.5, 0.75, 1).

    Raises
    ------
    WorkloadError
        If a value is not allowed.
    """

    depths: tuple[int, ...]
    kernels: tuple[int, ...]
    expansions: tuple[int, ...]
    keeps: tuple[float, ...]

    def __post_init__(self) -> None:
        for field, length, allowed in (
            ("depths", STAGES, DEPTHS),
            ("kernels", BLOCKS, KERNELS),
            ("expansions", BLOCKS, EXPANSIONS),
            ("keeps", BLOCKS, KEEPS),
        ):
            check_places(f"{NAME} architecture", field, getattr(self, field), length, allowed)
            object.__setattr__(self, field, tuple(getattr(self, field)))

    @property
    def image_size(self) -> int:
        """Height and width of the image [pixels]."""
        return IMAGE_SIZE

    @property
    def places(self) -> tuple[int, ...]:
        """Which of the four block places are used, in order."""
        return tuple(MOST_BLOCKS * stage + block for stage, depth in enumerate(self.depths) for block in range(depth))


def check_places(where: str, field: str, given: tuple[float, ...], length: int, allowed: tuple[float, ...]) -> None:
    """Check one value for each place.

    Raises
    ------
    WorkloadError
        Naming the first that is not allowed.
    """
    if len(given) != length:
        raise WorkloadError(where, field, f"{len(given)} values", f"{length}")
    if not set(given).issubset(allowed):
        place, value = next((i, value) for i, value in enumerate(given) if value not in allowed)
        raise WorkloadError(where, f"{field}[{place}]", value, "one of " + ", ".join(map(str, allowed)))


@dataclass(frozen=True, slots=True)
class TinyResidual(ChainFamily[Architecture]):
    """The family."""

    name: ClassVar[str] = NAME
    channels: ClassVar[int] = 1

    @property
    def largest(self) -> Architecture:
        """The network of the greatest depths, kernels and expansions, with nothing pruned."""
        most = (KERNELS[-1],) * BLOCKS, (EXPANSIONS[-1],) * BLOCKS, (KEEPS[-1],) * BLOCKS
        return Architecture((DEPTHS[-1],) * STAGES, *most)

    def _parts(self, architecture: Architecture) -> Iterator[Part]:
        yield Stem(STEM_WIDTH, 1)
        for place in architecture.places:
            stage, later = divmod(place, MOST_BLOCKS)
            stride = 1 if later else STAGE_STRIDES[stage]
            expansion = architecture.expansions[place] * architecture.keeps[place]
            yield Block(BLOCK_NAMES[place], architecture.kernels[place], stride, expansion, STAGE_WIDTHS[stage])
        yield Head("final_expand", HEAD_WIDTH, 0, CLASSES)


def layer_bits(architecture: Architecture, block_bits: tuple[int, ...]) -> tuple[int, ...]:
    """Return the width of each layer of a network's table from that of each of its four block places [bits].

    A block's three layers share it; the first convolution and the head have 8.
    """
    inside = tuple(block_bits[place] for place in architecture.places for _ in range(3))
    return (END_BITS, *inside, END_BITS, END_BITS)


def uniform(*, depth: int = 2, kernel: int = 5, expansion: int = 6, keep: float = 1.0) -> Network:
    """Build the network with all stages and blocks alike; the defaults make the largest one."""
    blocks = (kernel,) * BLOCKS, (expansion,) * BLOCKS, (keep,) * BLOCKS
    return TinyResidual().network(Architecture((depth,) * STAGES, *blocks))
