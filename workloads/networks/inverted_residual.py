"""Inverted residual blocks, and networks that are a chain of them.

Source: Sandler et al., "MobileNetV2", CVPR 2018; squeeze-and-excite as in Howard et al., "Searching for
MobileNetV3", ICCV 2019. A part of a chain says how it is added to a network. Its layer table is lowered from
a network that holds only that part, and remembered, so that a search joins tables and builds no graphs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import ClassVar, Generic, NamedTuple, Protocol, TypeVar

from workloads.layers import LayerTable
from workloads.network import INPUT, Network


def divisible_by_8(channels: float) -> int:
    """Round to a multiple of 8 as MobileNet does: to the nearest, and never down by more than a tenth."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


# Parts are tuples of different lengths, so that two of them never share an entry of the cache below.


class Stem(NamedTuple):
    """First convolution, 3 x 3, to ``width`` channels."""

    width: int
    stride: int = 2

    def add(self, network: Network, source: str) -> str:
        """Add the layer and return what it makes."""
        return network.conv("first_conv", source, self.width, 3, stride=self.stride)


class Block(NamedTuple):
    """Expand, filter each channel, weigh the channels, project.

    Attributes
    ----------
    name : str
        Prefix of the layers' names.
    kernel, stride : int
        Window and step of the depthwise convolution [elements].
    expansion : float
        Middle channels per input channel; 1 has no expanding layer, a fraction makes them a whole number.
    out_c : int
        Output channels.
    squeeze : bool
        Whether channels are weighed by squeeze-and-excite, with a quarter of the middle channels.
    """

    name: str
    kernel: int
    stride: int
    expansion: float
    out_c: int
    squeeze: bool = False

    def add(self, network: Network, source: str) -> str:
        """Add the block's layers and return what they make."""
        middle = int(network.shape(source).c * self.expansion)
        result = source
        if self.expansion > 1:
            result = network.conv(f"{self.name}.expand", result, middle, 1)
        result = network.depthwise(f"{self.name}.depthwise", result, self.kernel, stride=self.stride)
        if self.squeeze:
            weights = network.pool(f"{self.name}.pool", result)
            weights = network.linear(f"{self.name}.squeeze", weights, divisible_by_8(middle // 4))
            weights = network.linear(f"{self.name}.excite", weights, middle)
            result = network.elementwise(f"{self.name}.scale", result, weights)
        result = network.conv(f"{self.name}.project", result, self.out_c, 1)
        if network.shape(result) == network.shape(source):
            result = network.elementwise(f"{self.name}.add", result, source)
        return result


class Head(NamedTuple):
    """Last convolution, 1 x 1, then global pooling and the classifier.

    Attributes
    ----------
    name : str
        Name of the convolution.
    width : int
        Its output channels.
    mix : int
        Channels of a further layer ``feature_mix`` after the pooling; 0 has none.
    classes : int
        Outputs of the classifier.
    """

    name: str
    width: int
    mix: int = 0
    classes: int = 1000

    def add(self, network: Network, source: str) -> str:
        """Add the layers and return what they make."""
        result = network.pool("pool", network.conv(self.name, source, self.width, 1))
        if self.mix:
            result = network.linear("feature_mix", result, self.mix, bias=False)
        return network.linear("classifier", result, self.classes)


Part = Stem | Block | Head


def build_chain(name: str, image_size: int, parts: Iterable[Part], channels: int = 3) -> Network:
    """Build the network of parts one after another, for square images.

    Parameters
    ----------
    image_size : int
        Height and width of the image [pixels].
    channels : int
        Of the image.
    """
    network = Network(name, (image_size, image_size, channels))
    source = INPUT
    for part in parts:
        source = part.add(network, source)
    return network


def join_chain(name: str, image_size: int, parts: Iterable[Part], batch: int, channels: int = 3) -> LayerTable:
    """Join remembered tables of the parts to ``build_chain(name, image_size, parts, channels).table(batch=batch)``."""
    tables = []
    size = image_size
    for part in parts:
        table, size, channels = _lower(name, part, size, channels, batch)
        tables.append(table)
    return LayerTable.join(name, tables)


class HasImageSize(Protocol):
    """What every architecture of a family says."""

    @property
    def image_size(self) -> int:
        """Height and width of the image [pixels]."""
        ...


Architecture = TypeVar("Architecture", bound=HasImageSize)


class ChainFamily(ABC, Generic[Architecture]):
    """A family whose networks are chains of parts, built one by one or joined from remembered tables."""

    __slots__ = ()
    name: ClassVar[str]
    channels: ClassVar[int] = 3

    @abstractmethod
    def _parts(self, architecture: Architecture) -> Iterator[Part]:
        """Return the parts of one network in order."""

    def network(self, architecture: Architecture) -> Network:
        """Build the graph of one network."""
        return build_chain(self.name, architecture.image_size, self._parts(architecture), self.channels)

    def table(self, architecture: Architecture, *, batch: int = 1) -> LayerTable:
        """Return ``network(architecture).table(batch=batch)``, fast enough to be called for every candidate.

        Raises
        ------
        WorkloadError
            If ``batch`` is not in 1..1048576.
        """
        return join_chain(self.name, architecture.image_size, self._parts(architecture), batch, self.channels)


@lru_cache(maxsize=2**16)
def _lower(name: str, part: Part, size: int, channels: int, batch: int) -> tuple[LayerTable, int, int]:
    """Lower one part behind a map of ``size`` x ``size`` x ``channels``; return its table and output map."""
    network = Network(name, (size, size, channels))
    # Only the stem reads the image; any other part reads a map that some layer made.
    source = INPUT if isinstance(part, Stem) else network.elementwise("features", INPUT)
    made = network.shape(part.add(network, source))
    return network.table(batch=batch), made.h, made.c
