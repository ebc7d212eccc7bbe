"""BitFusion's arithmetic: products of whole numbers from products of 2 bits, and layers as such products.

Source: Sharma et al., "Bit Fusion", ISCA 2018. A BitBrick multiplies two digits of 2 bits, each signed or not; a fusion
unit shifts and adds the products of 16 bricks, spread over the digits of both operands. Only an operand's top digit is
signed. Operands of 16 bits are taken a byte at a time, in as many passes.

A number is the sum of its shifted digits, and multiplication distributes over the sum; so what the bricks add up to is
the product, whichever way it is computed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from accel.bitfusion.kernels import BRICK_BITS, FUSION_UNIT_BITS, WIDEST_BITS
from workloads.errors import WorkloadError
from workloads.layers import IntArray, Layer

Values = npt.NDArray[np.integer[Any]]
MOST_VALUES = 2**28  # of one layer: operands and outputs together
# Whole numbers below 2 ** bits are exact in these types, in whatever order they are added; the fastest first.
EXACT_BITS: dict[type[np.number[Any]], int] = {np.float32: 24, np.float64: 53, np.int64: 63}
CHUNK_VALUES = 2**22  # held at a time as floating point


def operand_digits(bits: int) -> int:
    """Return how many digits of 2 bits the machine holds an operand in: 3 bits cost as 4, 5 to 7 as 8."""
    if bits > FUSION_UNIT_BITS:
        return WIDEST_BITS // BRICK_BITS
    fused = FUSION_UNIT_BITS // max(bits, BRICK_BITS)  # operands beside one another
    return FUSION_UNIT_BITS // (BRICK_BITS * fused)


def digits(values: npt.ArrayLike, bits: int, *, signed: bool = True) -> list[IntArray]:
    """Cut whole numbers into digits of 2 bits, each of their shape, lowest first; the top one is signed if they are.

    Raises
    ------
    WorkloadError
        If a value does not fit ``bits``.
    """
    array = np.asarray(values, dtype=np.int64)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if array.size and not (low <= array.min() and array.max() <= high):
        wrong = array.min() if array.min() < low else array.max()
        raise WorkloadError("multiply", f"operand of {bits} bits", int(wrong), f"{low}..{high}")
    count, base = operand_digits(bits), 1 << BRICK_BITS
    cut = [array >> BRICK_BITS * place & base - 1 for place in range(count)]
    if signed:
        cut[-1] = np.where(cut[-1] >= base // 2, cut[-1] - base, cut[-1])
    return cut


def multiply(
    activations: npt.ArrayLike,
    weights: npt.ArrayLike,
    act_bits: int,
    wgt_bits: int,
    *,
    act_signed: bool = True,
    wgt_signed: bool = True,
) -> IntArray:
    """Multiply two matrices of whole numbers as the bricks do: digit by digit, shifted and added.

    Parameters
    ----------
    activations : array of int, shape (m, k)
    weights : array of int, shape (k, n)
    act_bits, wgt_bits : int
        Widths of the operands [bits], 1..16.
    act_signed, wgt_signed : bool
        Whether the operands are signed.

    Returns
    -------
    ndarray of int64, shape (m, n)

    Raises
    ------
    WorkloadError
        If a width is not one of the machine's or a value does not fit its width.
    """
    for name, bits in (("act_bits", act_bits), ("wgt_bits", wgt_bits)):
        if not 1 <= bits <= WIDEST_BITS:
            raise WorkloadError("multiply", name, bits, f"1..{WIDEST_BITS}")
    left, right = digits(activations, act_bits, signed=act_signed), digits(weights, wgt_bits, signed=wgt_signed)
    if left[0].ndim != 2 or right[0].ndim != 2 or left[0].shape[1] != right[0].shape[0]:
        shapes = f"{left[0].shape} and {right[0].shape}"
        raise WorkloadError("multiply", "shapes", shapes, "two matrices whose inner dimension agrees")
    product: IntArray = np.zeros((left[0].shape[0], right[0].shape[1]), np.int64)
    for act_place, act_digit in enumerate(left):
        for wgt_place, wgt_digit in enumerate(right):
            product += (act_digit @ wgt_digit) << BRICK_BITS * (act_place + wgt_place)
    return product


def draw_operands(layer: Layer, seed: int, index: int) -> tuple[Values, Values]:
    """Draw signed operands for a layer of a table, at its widths.

    Returns
    -------
    activations : ndarray of int, shape (batch, in_h, in_w, in_c)
    weights : ndarray of int, shape (groups, kernel_h, kernel_w, in_c / groups, out_c / groups)

    Raises
    ------
    WorkloadError
        If the layer's operands and outputs are too many to hold.
    """
    activations = (layer.batch, layer.in_h, layer.in_w, layer.in_c)
    weights = (layer.groups, layer.kernel_h, layer.kernel_w, layer.in_c // layer.groups, layer.out_c // layer.groups)
    values = int(np.prod(activations)) + int(np.prod(weights)) + layer.batch * layer.out_h * layer.out_w * layer.out_c
    if values > MOST_VALUES:
        where = f"layer {layer.name}"
        raise WorkloadError(where, "operands and outputs", values, f"at most {MOST_VALUES}, or fidelity=estimate")
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))

    def drawn(shape: tuple[int, ...], bits: int) -> Values:
        half = 1 << bits - 1
        return random.integers(-half, half, shape, dtype=np.int8 if bits <= FUSION_UNIT_BITS else np.int16)

    return drawn(activations, layer.act_bits), drawn(weights, layer.wgt_bits)


def layer_outputs(layer: Layer, activations: Values, weights: Values) -> IntArray:
    """Compute a layer's outputs: windows as rows of a matrix, by the weights of their group.

    Whole numbers in a type wide enough to be exact, mostly floating point.

    Parameters
    ----------
    layer : Layer
        Its map is padded by zeros to what its windows cover, half on each side, the odd row or column at the end.
    activations, weights : ndarrays
        Shapes as ``draw_operands``.

    Returns
    -------
    ndarray of int64, shape (batch, out_h, out_w, out_c)
    """
    if layer.kind == "depthwise":
        return _depthwise_outputs(layer, activations, weights)
    depth = layer.kernel_h * layer.kernel_w * layer.in_c // layer.groups
    sum_bits = layer.act_bits + layer.wgt_bits - 2 + depth.bit_length()
    exact = next(kind for kind, bits in EXACT_BITS.items() if sum_bits <= bits)
    outputs: IntArray = np.empty((layer.batch, layer.out_h, layer.out_w, layer.out_c), np.int64)
    inputs, per_group = layer.in_c // layer.groups, layer.out_c // layer.groups
    windows = _windows(layer, activations)
    together = max(1, CHUNK_VALUES // (layer.out_h * layer.out_w * depth))
    images = [slice(start, start + together) for start in range(0, layer.batch, together)]
    chunk = max(1, CHUNK_VALUES // depth)
    for group in range(layer.groups):
        channels = slice(group * inputs, (group + 1) * inputs)
        matrix = weights[group].reshape(depth, per_group)
        for start in range(0, per_group, chunk):
            columns = matrix[:, start : start + chunk].astype(exact)
            made = slice(group * per_group + start, group * per_group + start + columns.shape[1])
            for chosen in images:
                rows = windows[chosen, :, :, channels].transpose(0, 1, 2, 4, 5, 3).reshape(-1, depth).astype(exact)
                outputs[chosen, :, :, made] = (rows @ columns).reshape(-1, layer.out_h, layer.out_w, columns.shape[1])
    return outputs


def _depthwise_outputs(layer: Layer, activations: Values, weights: Values) -> IntArray:
    """Add up the taps of the windows, all channels at once."""
    outputs: IntArray = np.zeros((layer.batch, layer.out_h, layer.out_w, layer.out_c), np.int64)
    windows = _windows(layer, activations)
    for row in range(layer.kernel_h):
        for column in range(layer.kernel_w):
            outputs += windows[..., row, column] * weights[:, row, column, 0, 0].astype(np.int64)
    return outputs


def _windows(layer: Layer, activations: Values) -> Values:
    """Return a view of every output's window, shape (batch, out_h, out_w, in_c, kernel_h, kernel_w)."""
    spans = []
    for axis in ("h", "w"):
        covered = (getattr(layer, f"out_{axis}") - 1) * layer.stride + getattr(layer, f"reach_{axis}")
        missing = max(0, covered - int(getattr(layer, f"in_{axis}")))
        spans.append((missing // 2, missing - missing // 2))
    padded = np.pad(activations, ((0, 0), *spans, (0, 0)))
    reach = (layer.reach_h, layer.reach_w)
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(1, 2))
    strided = windows[:, :: layer.stride, :: layer.stride][:, : layer.out_h, : layer.out_w]
    taps: Values = strided[..., :: layer.dilation, :: layer.dilation]
    return taps
