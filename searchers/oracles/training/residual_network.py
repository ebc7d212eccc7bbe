"""The tiny-residual networks in PyTorch, trained as if their operands had the bits of a policy.

Source: straight-through rounding, Bengio et al., arXiv:1308.3432. A batch normalisation stands in front of every
quantizer of activations, so that their steps can be fixed and the network learns to fit them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from searchers.oracles.accuracy import Bits
from searchers.oracles.quantizers import HALFWAY, SIGNED_STEP, SMALLEST_STEP, UNSIGNED_STEP, most
from workloads.networks.tiny_residual import (
    CLASSES,
    END_BITS,
    HEAD_WIDTH,
    MOST_BLOCKS,
    STAGE_STRIDES,
    STAGE_WIDTHS,
    STEM_WIDTH,
    Architecture,
)

LARGE_KERNEL, PART_KERNEL = 5, 3


class _Rounded(torch.autograd.Function):
    """Round to steps within limits; gradients pass where nothing was cut off. Double precision is for the trained."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: float, low: int, high: int) -> Tensor:
        whole = (x * (1 / step)).round_() if x.dtype == torch.float32 else (x / step + HALFWAY).floor_()
        kept = whole.clamp(low, high)
        ctx.save_for_backward(kept == whole)
        return kept.mul_(step)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None, None, None


class _Depthwise(torch.autograd.Function):
    """Depthwise convolution, whose gradient for 5 x 5 windows is put together from those of 3 x 3: twice as fast."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return functional.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        (gradient,), stride, pad = gradients, [ctx.stride] * 2, weight.shape[-1] // 2

        def of(x: Tensor, weight: Tensor, pad: int, mask: list[bool]) -> Any:
            fixed = stride, [pad, pad], [1, 1], False, [0, 0], len(weight)
            return torch.ops.aten.convolution_backward(gradient, x, weight, None, *fixed, mask)

        if weight.shape[-1] < LARGE_KERNEL:
            return (*of(x, weight, pad, [True, True, False])[:2], None)
        if ctx.stride == 1:
            to_input = functional.conv2d(gradient, weight.flip(2, 3), None, 1, pad, 1, len(weight))
        else:
            to_input = of(x, weight, pad, [True, False, False])[0]
        to_weight = torch.empty_like(weight)
        framed, size = functional.pad(x, (pad,) * 4), x.shape[-1] + PART_KERNEL - 1
        part = weight[:, :, :PART_KERNEL, :PART_KERNEL].contiguous()
        for top in (0, 2):
            for left in (0, 2):
                seen = framed[:, :, top : top + size, left : left + size].contiguous()
                found = of(seen, part, 0, [False, True, False])[1]
                to_weight[:, :, top : top + PART_KERNEL, left : left + PART_KERNEL] = found
        return to_input, to_weight, None


def signed(x: Tensor, bits: int) -> Tensor:
    """Round what may be negative."""
    rounded: Tensor = _Rounded.apply(x, SIGNED_STEP[bits], -most(bits), most(bits))
    return rounded


def rectified(x: Tensor, bits: int) -> Tensor:
    """Round, and make zero what is negative."""
    rounded: Tensor = _Rounded.apply(x, UNSIGNED_STEP[bits], 0, 2**bits - 1)
    return rounded


def rounded_weight(weight: Tensor, bits: int) -> Tensor:
    """Round weights to steps that follow from each output channel's root mean square."""
    step = SIGNED_STEP[bits] * weight.detach().flatten(1).square().mean(1).sqrt() + SMALLEST_STEP
    high = most(bits)
    if weight.dtype == torch.float64:  # PyTorch's own rounding is for single precision
        step = step.view(-1, *(1,) * (weight.ndim - 1))
        return (weight / step).round().clamp(-high, high) * step
    return torch.fake_quantize_per_channel_affine(weight, step, torch.zeros_like(step), 0, -high, high)


class Convolution(nn.Module):
    """Rounded weights, and a batch normalisation behind them."""

    def __init__(self, in_c: int, out_c: int, kernel: int, stride: int, bits: int, *, depthwise: bool = False) -> None:
        super().__init__()
        inputs = 1 if depthwise else in_c
        spread = (2 / (kernel * kernel * inputs)) ** 0.5
        self.weight = nn.Parameter(torch.randn(out_c, inputs, kernel, kernel) * spread)
        self.norm = nn.BatchNorm2d(out_c)
        self.kernel, self.stride, self.bits, self.depthwise = kernel, stride, bits, depthwise

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and normalise."""
        weight = rounded_weight(self.weight, self.bits)
        if self.depthwise:
            x = _Depthwise.apply(x, weight, self.stride)
        elif self.kernel == 1:  # a matrix product is faster
            x = functional.linear(x.permute(0, 2, 3, 1), weight[:, :, 0, 0]).permute(0, 3, 1, 2)
        else:
            x = functional.conv2d(x, weight, None, self.stride, self.kernel // 2)
        normal: Tensor = self.norm(x)
        return normal


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; the sum with the input is not rounded."""

    def __init__(self, in_c: int, middle: int, out_c: int, kernel: int, stride: int, bits: tuple[int, int]) -> None:
        super().__init__()
        self.act_bits, weight_bits = bits
        self.expand = Convolution(in_c, middle, 1, 1, weight_bits)
        self.depthwise = Convolution(middle, middle, kernel, stride, weight_bits, depthwise=True)
        self.project = Convolution(middle, out_c, 1, 1, weight_bits)
        self.skips = in_c == out_c and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        y = rectified(self.expand(signed(x, self.act_bits)), self.act_bits)
        y = self.project(rectified(self.depthwise(y), self.act_bits))
        return x + y if self.skips else y


class ResidualNetwork(nn.Module):
    """A network of the family with the operand widths of a policy.

    Parameters
    ----------
    architecture : Architecture
    bits : Bits
        One for each block place.
    """

    def __init__(self, architecture: Architecture, bits: Bits) -> None:
        super().__init__()
        self.stem = Convolution(1, STEM_WIDTH, 3, 1, END_BITS)
        blocks, channels = [], STEM_WIDTH
        for place in architecture.places:
            stage, later = divmod(place, MOST_BLOCKS)
            middle = int(channels * architecture.expansions[place] * architecture.keeps[place])
            stride = 1 if later else STAGE_STRIDES[stage]
            widths = bits.activations[place], bits.weights[place]
            out_c = STAGE_WIDTHS[stage]
            blocks.append(InvertedResidual(channels, middle, out_c, architecture.kernels[place], stride, widths))
            channels = out_c
        self.blocks = nn.ModuleList(blocks)
        self.head = Convolution(channels, HEAD_WIDTH, 1, 1, END_BITS)
        self.classifier = nn.Parameter(torch.randn(CLASSES, HEAD_WIDTH) * 0.1)
        self.bias = nn.Parameter(torch.zeros(CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        """Return a score of every class, shape (n, 10), for images of shape (n, 1, 8, 8)."""
        x = rectified(self.stem(images), END_BITS)
        for block in self.blocks:
            x = block(x)
        x = rectified(self.head(signed(x, END_BITS)), END_BITS).mean((2, 3))
        return functional.linear(x, rounded_weight(self.classifier, END_BITS), self.bias)
