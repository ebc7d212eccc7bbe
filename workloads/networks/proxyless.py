"""ProxylessNAS: a family of MobileNetV2-like networks whose blocks a search chooses.

Source: Cai et al., "ProxylessNAS", ICLR 2019. It has 21 blocks in six stages, each an inverted residual of
kernel 3, 5 or 7 and expansion 3 or 6, or skipped where its output has the shape of its input. The networks found for
a telephone, a CPU and a GPU are as in its authors' code; their widths are not those of the searched backbone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from operator import index
from typing import ClassVar

import numpy as np

from workloads.errors import WorkloadError
from workloads.layers import IntArray
from workloads.network import Network
from workloads.networks.inverted_residual import Block, ChainFamily, Head, Part, Stem, build_chain

NAME = "proxylessnas"
KERNELS = (3, 5, 7)
EXPANSIONS = (3, 6)
IMAGE_SIZES = tuple(range(128, 225, 4))
STAGE_DEPTHS = (4, 4, 4, 4, 4, 1)
STAGE_STRIDES = (2, 2, 2, 1, 2, 1)
BLOCKS = sum(STAGE_DEPTHS)
BLOCK_NAMES = tuple(
    f"stage{stage}.block{block + 1}" for stage, depth in enumerate(STAGE_DEPTHS, start=1) for block in range(depth)
)
# The first block of a stage changes the width or the size of the map, so it cannot be skipped.
ALWAYS_KEPT = frozenset(sum(STAGE_DEPTHS[:stage]) for stage in range(len(STAGE_DEPTHS)))


@dataclass(frozen=True, slots=True)
class Architecture:
    """One network of the family.

    Attributes
    ----------
    image_size : int
        Height and width of the image [pixels], 128..224 in steps of 4.
    blocks : tuple, length 21
        Kernel (3, 5, 7) and expansion (3, 6) of each block, or None where it is skipped. The first block of
        each stage cannot be skipped.

    Raises
    ------
    WorkloadError
        If a value is not allowed.
    """

    image_size: int
    blocks: tuple[tuple[int, int] | None, ...]

    def __post_init__(self) -> None:
        where = f"{NAME} architecture"
        if self.image_size not in IMAGE_SIZES:
            raise WorkloadError(where, "image_size", self.image_size, "128..224 in steps of 4")
        if len(self.blocks) != BLOCKS:
            raise WorkloadError(where, "blocks", f"{len(self.blocks)} blocks", f"{BLOCKS}")
        checked: list[tuple[int, int] | None] = []
        for position, choice in enumerate(self.blocks):
            if choice is None and position not in ALWAYS_KEPT:
                checked.append(None)
                continue
            try:
                kernel, expansion = map(index, choice or ())
            except (TypeError, ValueError):
                kernel = expansion = 0
            if kernel not in KERNELS or expansion not in EXPANSIONS:
                skip = "" if position in ALWAYS_KEPT else ", or None"
                need = f"(kernel, expansion) of kernel 3, 5, 7 and expansion 3, 6{skip}"
                raise WorkloadError(where, f"blocks[{position}]", choice or repr(choice), need)
            checked.append((kernel, expansion))
        object.__setattr__(self, "image_size", int(self.image_size))
        object.__setattr__(self, "blocks", tuple(checked))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxylessNAS(ChainFamily[Architecture]):
    """The family; the widths are those searched for mobile phones, others make its published relatives.

    Attributes
    ----------
    first_conv, first_block : int
        Channels after the first convolution and after the block of expansion 1 that follows it.
    stage_widths : tuple of int, length 6
        Output channels of the stages.
    feature_mix : int
        Channels of the last convolution.

    Raises
    ------
    WorkloadError
        If there is not one width per stage.
    """

    name: ClassVar[str] = NAME
    first_conv: int = 32
    first_block: int = 16
    stage_widths: tuple[int, ...] = (24, 40, 80, 96, 192, 320)
    feature_mix: int = 1280

    def __post_init__(self) -> None:
        if len(self.stage_widths) != len(STAGE_DEPTHS):
            raise WorkloadError(NAME, "stage_widths", f"{len(self.stage_widths)} values", f"{len(STAGE_DEPTHS)}")

    @property
    def largest(self) -> Architecture:
        """The network with every block, the largest kernels, expansions and images."""
        return Architecture(IMAGE_SIZES[-1], ((KERNELS[-1], EXPANSIONS[-1]),) * BLOCKS)

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the layers of the largest network, in order."""
        return _slots()

    def active_slots(self, architecture: Architecture) -> IntArray:
        """Return which of ``slots`` the layers of ``table(architecture)`` occupy, in order; read only."""
        return _active_slots(tuple(choice is not None for choice in architecture.blocks))

    def _parts(self, architecture: Architecture) -> Iterator[Part]:
        yield Stem(self.first_conv)
        yield Block("first_block", 3, 1, 1, self.first_block)
        choices = zip(BLOCK_NAMES, architecture.blocks, strict=True)
        for depth, stride, width in zip(STAGE_DEPTHS, STAGE_STRIDES, self.stage_widths, strict=True):
            for name, choice in islice(choices, depth):
                if choice is not None:
                    kernel, expansion = choice
                    yield Block(name, kernel, stride, expansion, width)
                stride = 1
        yield Head("feature_mix", self.feature_mix)


def uniform(*, image_size: int = 224, kernel: int = 7, expansion: int = 6) -> Network:
    """Build the network with all 21 blocks alike; the defaults make the largest one."""
    return ProxylessNAS().network(Architecture(image_size, ((kernel, expansion),) * BLOCKS))


# Family, and kernels and expansions of the blocks as digits; 0 is skipped.
_MOBILE = "530073557555555577777", "330033336333633366336"
PUBLISHED: Mapping[str, tuple[ProxylessNAS, str, str]] = {
    "proxylessnas-mobile": (ProxylessNAS(stage_widths=(32, 40, 80, 96, 192, 320)), *_MOBILE),
    "proxylessnas-mobile-1.4": (
        ProxylessNAS(first_conv=48, first_block=24, stage_widths=(40, 56, 112, 136, 256, 448), feature_mix=1792),
        *_MOBILE,
    ),
    "proxylessnas-cpu": (
        ProxylessNAS(first_conv=40, first_block=24, stage_widths=(32, 48, 88, 104, 216, 360), feature_mix=1432),
        "333333353003533355535",
        "633363336003633363336",
    ),
    "proxylessnas-gpu": (
        ProxylessNAS(first_conv=40, first_block=24, stage_widths=(32, 56, 112, 128, 256, 432), feature_mix=1728),
        "500070037005503577757",
        "300030036003603366666",
    ),
}


def published(*, name: str) -> Network:
    """Build one of the published networks, for images of 224 x 224."""
    family, kernels, expansions = PUBLISHED[name]
    choices = zip(map(int, kernels), map(int, expansions), strict=True)
    blocks = tuple((kernel, expansion) if kernel else None for kernel, expansion in choices)
    architecture = Architecture(IMAGE_SIZES[-1], blocks)
    return build_chain(name, architecture.image_size, family._parts(architecture))


@lru_cache(maxsize=1)
def _slots() -> tuple[str, ...]:
    family = ProxylessNAS()
    return family.table(family.largest).layer_names


@lru_cache(maxsize=2**15)
def _active_slots(kept: tuple[bool, ...]) -> IntArray:
    # Names depend on which blocks are kept, not on their kernels, expansions or widths.
    architecture = Architecture(IMAGE_SIZES[0], tuple((3, 3) if keep else None for keep in kept))
    slot_of = {name: slot for slot, name in enumerate(_slots())}
    slots = np.array([slot_of[name] for name in ProxylessNAS().table(architecture).layer_names], dtype=np.int64)
    slots.setflags(write=False)
    return slots
