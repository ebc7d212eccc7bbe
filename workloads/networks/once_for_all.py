"""Once-for-All: a family of MobileNetV3 networks cut out of one trained network.

Source: Cai et al., "Once-for-All: Train One Network and Specialize it for Efficient Deployment", ICLR 2020.
It has five stages of two to four inverted residuals, each with its kernel and expansion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from workloads.errors import WorkloadError
from workloads.layers import IntArray
from workloads.network import Network
from workloads.networks.inverted_residual import (
    Block,
    ChainFamily,
    Head,
    Part,
    Stem,
    divisible_by_8,
)

NAME = "once-for-all"
STAGES = 5
MOST_BLOCKS = 4
IMAGE_SIZES = tuple(range(128, 225, 4))
WIDTHS = (1.0, 1.2)
DEPTHS = (2, 3, 4)
KERNELS = (3, 5, 7)
EXPANSIONS = (3, 4, 6)
STAGE_WIDTHS = (24, 40, 80, 112, 160)
STAGE_STRIDES = (2, 2, 2, 1, 2)
STAGE_SQUEEZE = (False, True, False, True, True)
# Layer names are made once: formatting them would take longer than all the rest of ``table``.
BLOCK_NAMES = tuple(f"stage{stage + 1}.block{block + 1}" for stage in range(STAGES) for block in range(MOST_BLOCKS))


@dataclass(frozen=True, slots=True)
class Architecture:
    """One network of the family.

    Attributes
    ----------
    image_size : int
        Height and width of the image [pixels], 128..224 in steps of 4.
    depths : tuple of int, length 5
        Blocks of each stage, 2..4.
    kernels, expansions : tuple of int, length 20
        Kernel (3, 5, 7) and expansion (3, 4, 6) of each block, four places a stage. Places at or beyond the
        depth of a stage are not used.

    Raises
    ------
    WorkloadError
        If a value is not allowed.
    """

    image_size: int
    depths: tuple[int, ...]
    kernels: tuple[int, ...]
    expansions: tuple[int, ...]

    def __post_init__(self) -> None:
        where = f"{NAME} architecture"
        if self.image_size not in IMAGE_SIZES:
            raise WorkloadError(where, "image_size", self.image_size, "128..224 in steps of 4")
        object.__setattr__(self, "image_size", int(self.image_size))
        for field, length, allowed in (
            ("depths", STAGES, DEPTHS),
            ("kernels", STAGES * MOST_BLOCKS, KERNELS),
            ("expansions", STAGES * MOST_BLOCKS, EXPANSIONS),
        ):
            given = getattr(self, field)
            if len(given) != length:
                raise WorkloadError(where, field, f"{len(given)} values", f"{length}")
            # Equality also takes numpy's integers; plain ones are kept, because layers are made of them.
            if not set(given).issubset(allowed):
                place, value = next((i, value) for i, value in enumerate(given) if value not in allowed)
                need = "one of " + ", ".join(map(str, allowed))
                raise WorkloadError(where, f"{field}[{place}]", value, need)
            object.__setattr__(self, field, tuple(map(int, given)))


@dataclass(frozen=True, slots=True)
class OnceForAll(ChainFamily[Architecture]):
    """The family at one width.

    Attributes
    ----------
    width : float
        Channel multiplier, 1.0 or 1.2.

    Raises
    ------
    WorkloadError
        If the width is another one.
    """

    name: ClassVar[str] = NAME
    width: float = 1.0

    def __post_init__(self) -> None:
        if self.width not in WIDTHS:
            raise WorkloadError(NAME, "width", self.width, "one of " + ", ".join(map(str, WIDTHS)))

    @property
    def largest(self) -> Architecture:
        """The network of the greatest depths, kernels, expansions and images."""
        blocks = STAGES * MOST_BLOCKS
        return Architecture(
            IMAGE_SIZES[-1], (DEPTHS[-1],) * STAGES, (KERNELS[-1],) * blocks, (EXPANSIONS[-1],) * blocks
        )

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the layers of the largest network, in order; the same for both widths."""
        return _slots()

    def active_slots(self, architecture: Architecture) -> IntArray:
        """Return which of ``slots`` the layers of ``table(architecture)`` occupy, in order; read only."""
        return _active_slots(architecture.depths)

    def _parts(self, architecture: Architecture) -> Iterator[Part]:
        first, *stage_widths, expand, mix = _widths(self.width)
        yield Stem(first)
        yield Block("first_block", 3, 1, 1, first)
        for stage, depth in enumerate(architecture.depths):
            width, squeeze, stride = stage_widths[stage], STAGE_SQUEEZE[stage], STAGE_STRIDES[stage]
            for place in range(MOST_BLOCKS * stage, MOST_BLOCKS * stage + depth):
                kernel, expansion = architecture.kernels[place], architecture.expansions[place]
                yield Block(BLOCK_NAMES[place], kernel, stride, expansion, width, squeeze)
                stride = 1
        yield Head("final_expand", expand, mix)


def uniform(
    *, image_size: int = 224, width: float = 1.0, depth: int = 4, kernel: int = 7, expansion: int = 6
) -> Network:
    """Build the network with all stages and blocks alike; the defaults make the largest one of width 1.0."""
    blocks = STAGES * MOST_BLOCKS
    architecture = Architecture(image_size, (depth,) * STAGES, (kernel,) * blocks, (expansion,) * blocks)
    return OnceForAll(width).network(architecture)


@lru_cache(maxsize=len(WIDTHS))
def _widths(width: float) -> tuple[int, ...]:
    """Return the channels of the first convolution, the stages, the last expansion and the feature mix."""
    return tuple(divisible_by_8(channels * width) for channels in (16, *STAGE_WIDTHS, 960, 1280))


@lru_cache(maxsize=1)
def _slots() -> tuple[str, ...]:
    family = OnceForAll()
    return family.table(family.largest).layer_names


@lru_cache(maxsize=3**5)
def _active_slots(depths: tuple[int, ...]) -> IntArray:
    # Names depend on the depths, not on kernels, expansions or width.
    blocks = STAGES * MOST_BLOCKS
    architecture = Architecture(IMAGE_SIZES[0], depths, (3,) * blocks, (3,) * blocks)
    slot_of = {name: slot for slot, name in enumerate(_slots())}
    slots = np.array([slot_of[name] for name in OnceForAll().table(architecture).layer_names], dtype=np.int64)
    slots.setflags(write=False)
    return slots
