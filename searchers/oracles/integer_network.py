"""Trained tiny-residual networks in whole numbers: what an accelerator would compute; needs nothing to train with.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
CVPR 2018: sums of products of whole numbers, then a multiplication by a 31-bit constant and a shift for each channel,
which hold the steps and the batch normalisation. Sums over skipped blocks are kept in steps of 2**-24.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from searchers.oracles.accuracy import Bits, Floats
from searchers.oracles.quantizers import HALFWAY, IMAGE_STEP, SIGNED_STEP, SMALLEST_STEP, UNSIGNED_STEP, most
from workloads import numpy_archive
from workloads.networks.tiny_residual import (
    BITS,
    BLOCKS,
    END_BITS,
    MOST_BLOCKS,
    STAGE_STRIDES,
    STAGE_WIDTHS,
    STEM_WIDTH,
    Architecture,
    check_places,
)

SHIPPED = Path(__file__).parent / "measured" / "digits_networks.npz"
IMAGES = Path(__file__).parent / "measured" / "digits_images.npz"
CONSTANT_BITS, STREAM_BITS = 31, 24
NORM_EPSILON = 1e-5
SMALLEST_SCALE = 2.0**-30  # of a channel that training switched off
MOST_AT_ONCE = 512  # images, so that what is between layers stays in the caches

Integers = npt.NDArray[np.int64]
Values = Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A network as training left it.

    Attributes
    ----------
    architecture : Architecture
    bits : Bits
        It was trained with.
    values : mapping of str to ndarray
        Weights and batch normalisations by their names in training.
    """

    architecture: Architecture
    bits: Bits
    values: Values


@dataclass(frozen=True, slots=True)
class _Scaling:
    """By what each channel's sums are multiplied, what is added, and how far the result is shifted to the right."""

    multiplier: Integers
    offset: Integers
    shift: Integers

    @classmethod
    def of(cls, scale: Floats, offset: Floats) -> _Scaling:
        """Hold ``scale * x + offset`` for whole numbers x, rounded to the nearest, what is nearly halfway up."""
        shift = CONSTANT_BITS - np.frexp(scale)[1]
        multiplier, added = np.rint(np.ldexp(scale, shift)), np.rint(np.ldexp(offset + HALFWAY, shift))
        return cls(multiplier.astype(np.int64), added.astype(np.int64), shift.astype(np.int64))

    def __call__(self, sums: Integers) -> Integers:
        """Scale sums, channels second."""
        wide = tuple(
            part.reshape(1, -1, *(1,) * (sums.ndim - 2)) for part in (self.multiplier, self.offset, self.shift)
        )
        scaled: Integers = (sums * wide[0] + wide[1]) >> wide[2]
        return scaled


class IntegerNetwork:
    """A trained network with the widths of a policy; its own, or another.

    Parameters
    ----------
    trained : TrainedNetwork
    bits : Bits, optional
        One for each block place. Other widths than it was trained with are rounding after training: expect less.

    Raises
    ------
    WorkloadError
        If a width is not one of the family's.
    """

    def __init__(self, trained: TrainedNetwork, bits: Bits | None = None) -> None:
        self.architecture, self.bits, self._values = trained.architecture, bits or trained.bits, trained.values
        for field in ("activations", "weights"):
            check_places("integer network", field, getattr(self.bits, field), BLOCKS, BITS)

    def classes(self, pixels: npt.NDArray[np.int8]) -> Integers:
        """Return the class of every image, shape (n,), from pixels of shape (n, 8, 8) in steps of 1/32."""
        parts = np.array_split(pixels, max(1, -(-len(pixels) // MOST_AT_ONCE)))
        return np.concatenate([self.scores(part).argmax(1) for part in parts])

    def scores(self, pixels: npt.NDArray[np.int8]) -> Integers:
        """Return whole numbers that order the classes of each image, shape (n, 10)."""
        x = pixels.astype(np.int64)[:, None]
        x = self._rectified(x, "stem", END_BITS, IMAGE_STEP, END_BITS)
        x = _Scaling.of(np.array([UNSIGNED_STEP[END_BITS] * 2.0**STREAM_BITS]), np.zeros(1))(x)
        channels = STEM_WIDTH
        for number, place in enumerate(self.architecture.places):
            stage, later = divmod(place, MOST_BLOCKS)
            stride, out_c = 1 if later else STAGE_STRIDES[stage], STAGE_WIDTHS[stage]
            made = self._block(x, f"blocks.{number}", self.bits.activations[place], self.bits.weights[place], stride)
            x = x + made if channels == out_c and stride == 1 else made
            channels = out_c
        x = self._signed(x, END_BITS)
        x = self._rectified(x, "head", END_BITS, SIGNED_STEP[END_BITS], END_BITS)
        places = x.shape[2] * x.shape[3]
        weight, step = self._rounded("classifier", END_BITS)
        scale = step * UNSIGNED_STEP[END_BITS] / places
        finest = CONSTANT_BITS - int(np.frexp(scale)[1].max())
        sums = x.sum((2, 3)) @ weight.T
        multiplier, offset = (
            np.rint(np.ldexp(part, finest)).astype(np.int64) for part in (scale, self._values["bias"])
        )
        scores: Integers = sums * multiplier + offset
        return scores

    def _block(self, x: Integers, name: str, act_bits: int, weight_bits: int, stride: int) -> Integers:
        y = self._signed(x, act_bits)
        y = self._rectified(y, f"{name}.expand", weight_bits, SIGNED_STEP[act_bits], act_bits)
        y = self._rectified(y, f"{name}.depthwise", weight_bits, UNSIGNED_STEP[act_bits], act_bits, stride)
        sums, scale, offset = self._convolved(y, f"{name}.project", weight_bits, UNSIGNED_STEP[act_bits], 1)
        return _Scaling.of(scale * 2.0**STREAM_BITS, offset * 2.0**STREAM_BITS)(sums)

    def _signed(self, x: Integers, bits: int) -> Integers:
        """Round what is in steps of 2**-24."""
        scaling = _Scaling.of(np.array([2.0**-STREAM_BITS / SIGNED_STEP[bits]]), np.zeros(1))
        return scaling(x).clip(-most(bits), most(bits))

    def _rectified(
        self, x: Integers, name: str, weight_bits: int, in_step: float, out_bits: int, stride: int = 1
    ) -> Integers:
        """Convolve, normalise, round, and make zero what is negative."""
        sums, scale, offset = self._convolved(x, name, weight_bits, in_step, stride)
        step = UNSIGNED_STEP[out_bits]
        return _Scaling.of(scale / step, offset / step)(sums).clip(0, 2**out_bits - 1)

    def _convolved(
        self, x: Integers, name: str, bits: int, in_step: float, stride: int
    ) -> tuple[Integers, Floats, Floats]:
        """Return sums of products, and by what scale and offset they are normalised."""
        weight, step = self._rounded(f"{name}.weight", bits)
        gain, shift, mean, variance = (
            self._values[f"{name}.norm.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        gain = gain / np.sqrt(variance + NORM_EPSILON)
        negative = np.where(gain < 0, -1, 1)  # constants are above 0, so a sign goes to the weights
        weight = weight * negative.reshape(-1, *(1,) * (weight.ndim - 1))
        scale = np.maximum(np.abs(gain) * step * in_step, SMALLEST_SCALE)
        return convolve(x, weight, stride), scale, shift - gain * mean

    def _rounded(self, name: str, bits: int) -> tuple[Integers, Floats]:
        """Return weights as whole numbers, and what one stands for in each output channel."""
        weight = self._values[name]
        step = SIGNED_STEP[bits] * np.sqrt(np.square(weight.reshape(len(weight), -1)).mean(1)) + SMALLEST_STEP
        whole = np.rint(weight / step.reshape(-1, *(1,) * (weight.ndim - 1)))
        return whole.clip(-most(bits), most(bits)).astype(np.int64), step


def convolve(x: Integers, weight: Integers, stride: int) -> Integers:
    """Convolve maps of shape (n, channels, h, w) with odd windows, the size kept but for the stride.

    Parameters
    ----------
    weight : ndarray of int64, shape (out, in, k, k)
        ``in`` is 1 for a depthwise convolution of several channels.
    """
    kernel = weight.shape[-1]
    framed = np.pad(x, ((0, 0), (0, 0), (kernel // 2,) * 2, (kernel // 2,) * 2))
    size = x.shape[2]
    depthwise = weight.shape[1] < x.shape[1]
    out = -(-size // stride)
    total = np.zeros((len(x), len(weight), out, out), np.int64)
    whole = weight.astype(np.float64)  # in double precision whole numbers are exact, and products of matrices fast
    for top in range(kernel):
        for left in range(kernel):
            seen = framed[:, :, top : top + size : stride, left : left + size : stride]
            if depthwise:
                total += seen * weight[:, 0, top, left, None, None]
            else:
                flat = seen.reshape(*seen.shape[:2], -1).astype(np.float64)
                total += np.matmul(whole[:, :, top, left], flat).astype(np.int64).reshape(total.shape)
    return total


@lru_cache(maxsize=1)
def shipped() -> tuple[TrainedNetwork, ...]:
    """Return the trained networks that Sextant ships.

    Raises
    ------
    WorkloadError
        If the file is damaged.
    """
    arrays = numpy_archive.read_all(SHIPPED, "Sextant's trained networks")
    count = 1 + max(int(name.partition(".")[0]) for name in arrays)
    return tuple(_network(arrays, f"{index}.") for index in range(count))


def _network(arrays: Mapping[str, npt.NDArray[np.float64]], prefix: str) -> TrainedNetwork:
    own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    depths, kernels, expansions, keeps = (
        own.pop(name).tolist() for name in ("depths", "kernels", "expansions", "keeps")
    )
    activations, weights = (tuple(own.pop(name).tolist()) for name in ("activations", "weights"))
    architecture = Architecture(tuple(depths), tuple(kernels), tuple(expansions), tuple(keeps))
    values = {name: array.astype(np.float64) for name, array in own.items()}
    return TrainedNetwork(architecture, Bits(activations, weights), values)


@lru_cache(maxsize=1)
def held_out_images() -> tuple[npt.NDArray[np.int8], Integers]:
    """Return the images that accuracies were measured on, shape (n, 8, 8) in steps of 1/32, and what they show."""
    with numpy_archive.opened(IMAGES, "Sextant's test images") as archive:
        return numpy_archive.read_array(archive, "pixels"), numpy_archive.read_array(archive, "labels").astype(np.int64)
