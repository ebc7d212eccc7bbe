"""The layer table: what every machine for dense layers is given to run.

One layer is one row of integers; a network is a table of rows. A table is what a file holds, what a
search changes the bits of, and what a kernel reads, so there is one form and no conversion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
import numpy.typing as npt

from workloads.errors import WorkloadError

KINDS = ("conv", "depthwise", "linear", "matmul")

# Columns of the integer table, in this order; kernels index rows with them.
KIND, BATCH, IN_H, IN_W, IN_C, OUT_H, OUT_W, OUT_C = range(8)
KERNEL_H, KERNEL_W, STRIDE, GROUPS, ACT_BITS, WGT_BITS, READS_INPUT, DILATION = range(8, 16)
COLUMNS = (
    "kind", "batch", "in_h", "in_w", "in_c", "out_h", "out_w", "out_c",
    "kernel_h", "kernel_w", "stride", "groups", "act_bits", "wgt_bits", "reads_input", "dilation",
)  # fmt: skip
DEFAULTS = {"reads_input": 0, "dilation": 1}  # of columns that a file may leave out

LARGEST_DIMENSION = 2**20
WIDEST_OPERAND_BITS = 32
MOST_MACS = 2**45  # of one layer: beyond, counts of bits would leave the exact range of the models

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One matrix-multiplying layer: shapes of one image, widths of its two operands.

    Attributes
    ----------
    kind : str
        ``conv``, ``depthwise``, ``linear`` or ``matmul`` (both operands are activations).
    batch : int
        Images processed together. They share weights, and so the right-hand operand of a matmul; where each has its
        own, images are groups (``LayerTable.images_as_groups``, which ``workloads.source.open_layers`` sees to).
    in_h, in_w, in_c, out_h, out_w, out_c : int
        Input and output feature map of one image [elements]. A linear layer maps in_c to out_c for every element
        of its map, 1 x 1 for a flattened image, tokens x 1 for a sequence; a matmul of
        R x K by K x C has ``out_h = in_h = R``, ``in_c = K`` and ``out_c = C`` (times ``groups``).
    kernel_h, kernel_w, stride, groups : int
        Filter window [elements], its step, and independent channel groups.
    act_bits, wgt_bits : int
        Width of the streamed operand and of the stationary one [bits], 1..32.
    reads_input : int
        1 when the layer reads the network's input directly.
    dilation : int
        Distance of a window's taps [elements]. The elements between them belong to the input it covers.

    Raises
    ------
    WorkloadError
        If a field is out of range or the shapes contradict each other.
    """

    name: str
    kind: str
    batch: int = 1
    in_h: int
    in_w: int
    in_c: int
    out_h: int
    out_w: int
    out_c: int
    kernel_h: int = 1
    kernel_w: int = 1
    stride: int = 1
    groups: int = 1
    act_bits: int = 8
    wgt_bits: int = 8
    reads_input: int = DEFAULTS["reads_input"]
    dilation: int = DEFAULTS["dilation"]

    def __post_init__(self) -> None:
        where = f"layer {self.name}"
        if self.kind not in KINDS:
            raise WorkloadError(where, "kind", self.kind, "one of " + ", ".join(KINDS))
        for field in COLUMNS[1:]:
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, Integral):
                raise WorkloadError(where, field, repr(value), "a whole number")
            object.__setattr__(self, field, int(value))
            low, high = _allowed(field)
            if not low <= int(value) <= high:
                raise WorkloadError(where, field, value, f"{low}..{high}")
        for field in ("in_c", "out_c"):
            if getattr(self, field) % self.groups:
                value = getattr(self, field)
                raise WorkloadError(where, field, value, f"a multiple of groups = {self.groups}")
        for field in ("groups", "out_c"):
            if self.kind == "depthwise" and getattr(self, field) != self.in_c:
                raise WorkloadError(where, field, getattr(self, field), f"in_c = {self.in_c} for a depthwise layer")
        for axis in ("h", "w"):
            self._check_window(where, axis)
        if self.macs > MOST_MACS:
            raise WorkloadError(where, "multiply-accumulates", self.macs, f"at most {MOST_MACS}")

    def _check_window(self, where: str, axis: str) -> None:
        """Check that the outputs fit the input, padded by less than a window on each side."""
        size, out, reach = (getattr(self, f"{part}_{axis}") for part in ("in", "out", "reach"))
        most = (size + reach - 2) // self.stride + 1
        if out > most:
            raise WorkloadError(where, f"out_{axis}", out, f"1..{most} for in_{axis} = {size}, stride = {self.stride}")

    @property
    def reach_h(self) -> int:
        """Height of what a window covers [elements]."""
        return (self.kernel_h - 1) * self.dilation + 1

    @property
    def reach_w(self) -> int:
        """Width of what a window covers [elements]."""
        return (self.kernel_w - 1) * self.dilation + 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the whole batch."""
        window = self.kernel_h * self.kernel_w * self.in_c // self.groups
        return self.batch * self.out_h * self.out_w * self.out_c * window

    def row(self) -> tuple[int, ...]:
        """Return the layer as integers, in the order of ``COLUMNS``."""
        return (KINDS.index(self.kind), *(getattr(self, column) for column in COLUMNS[1:]))


def _allowed(field: str) -> tuple[int, int]:
    if field.endswith("_bits"):
        return 1, WIDEST_OPERAND_BITS
    return (0, 1) if field == "reads_input" else (1, LARGEST_DIMENSION)


@dataclass(frozen=True, slots=True)
class LayerTable:
    """Layers of a network in the order they run.

    Attributes
    ----------
    name : str
        What reports and plots call the network.
    layer_names : tuple of str, length n
    values : ndarray of int64, shape (n, 16)
        One row a layer, columns as ``COLUMNS``; read only. ``LayerTable.of`` builds it from checked layers.
    """

    name: str
    layer_names: tuple[str, ...]
    values: IntArray

    @classmethod
    def of(cls, name: str, layers: Iterable[Layer]) -> LayerTable:
        """Build a table from layers.

        Raises
        ------
        WorkloadError
            If there is no layer.
        """
        layers = tuple(layers)
        if not layers:
            raise WorkloadError(name, "layers", None, "at least one conv, depthwise, linear or matmul layer")
        values = np.array([layer.row() for layer in layers], dtype=np.int64)
        values.setflags(write=False)
        return cls(name, tuple(layer.name for layer in layers), values)

    @classmethod
    def join(cls, name: str, tables: Sequence[LayerTable]) -> LayerTable:
        """Put tables one after another."""
        values = np.concatenate([table.values for table in tables])
        values.setflags(write=False)
        return cls(name, tuple(layer for table in tables for layer in table.layer_names), values)

    def __len__(self) -> int:
        return len(self.layer_names)

    def layer(self, index: int) -> Layer:
        """Return one row as a checked ``Layer``."""
        row = dict(zip(COLUMNS[1:], (int(value) for value in self.values[index, 1:]), strict=True))
        return Layer(name=self.layer_names[index], kind=KINDS[self.values[index, KIND]], **row)

    def layers(self) -> tuple[Layer, ...]:
        """Return all rows as checked layers."""
        return tuple(self.layer(index) for index in range(len(self)))

    def with_bits(self, act_bits: npt.ArrayLike, wgt_bits: npt.ArrayLike) -> LayerTable:
        """Return the same layers with other operand widths.

        Parameters
        ----------
        act_bits, wgt_bits : int or sequence of int, shape (n,)
            Widths [bits], 1..32; one number means every layer.

        Raises
        ------
        WorkloadError
            If a width is out of range.
        """
        values = self.values.copy()
        for column, bits in ((ACT_BITS, act_bits), (WGT_BITS, wgt_bits)):
            widths = np.asarray(bits)
            if widths.shape not in ((), (len(self),)) or widths.dtype.kind not in "iu":
                need = f"one whole number, or {len(self)} of them"
                raise WorkloadError(self.name, COLUMNS[column], widths.tolist(), need)
            wrong = np.flatnonzero((widths < 1) | (widths > WIDEST_OPERAND_BITS))
            if wrong.size:
                where = f"{self.name}, layer {self.layer_names[wrong[0]]}" if widths.shape else self.name
                raise WorkloadError(where, COLUMNS[column], widths.flat[wrong[0]], f"1..{WIDEST_OPERAND_BITS}")
            values[:, column] = widths
        values.setflags(write=False)
        return LayerTable(self.name, self.layer_names, values)

    def with_batch(self, batch: int) -> LayerTable:
        """Return the same layers for another number of images.

        Raises
        ------
        WorkloadError
            If ``batch`` is not in 1..1048576.
        """
        if not isinstance(batch, int) or not 1 <= batch <= LARGEST_DIMENSION:
            raise WorkloadError(self.name, "batch", batch, f"1..{LARGEST_DIMENSION}")
        values = self.values.copy()
        values[:, BATCH] = batch
        values.setflags(write=False)
        table = LayerTable(self.name, self.layer_names, values)
        if table.macs.max() > MOST_MACS:
            raise WorkloadError(self.name, "batch", batch, f"at most {MOST_MACS} multiply-accumulates a layer")
        return table

    def images_as_groups(self) -> LayerTable:
        """Return the same layers with the images of every matmul as groups: each has its own right-hand operand.

        Raises
        ------
        WorkloadError
            If a matmul then has more channels than a layer may have.
        """
        if not ((self.values[:, KIND] == KINDS.index("matmul")) & (self.values[:, BATCH] > 1)).any():
            return self
        return LayerTable.of(self.name, map(_images_as_groups, self.layers()))

    def check_widths(self, widest_bits: int, machine: str) -> None:
        """Check that a machine can multiply the operands.

        Raises
        ------
        WorkloadError
            Naming the first layer with an operand of more than ``widest_bits``.
        """
        for column in (ACT_BITS, WGT_BITS):
            self._check_most(column, widest_bits, f"1..{widest_bits} on {machine}")

    def check_undilated(self, machine: str) -> None:
        """Check that a machine whose windows have no gaps can run the layers.

        Raises
        ------
        WorkloadError
            Naming the first layer whose window is dilated.
        """
        self._check_most(DILATION, 1, f"1 on {machine}")

    def _check_most(self, column: int, most: int, need: str) -> None:
        """Check that no layer has more than so much in a column."""
        beyond = np.flatnonzero(self.values[:, column] > most)
        if beyond.size:
            where = f"{self.name}, layer {self.layer_names[beyond[0]]}"
            raise WorkloadError(where, COLUMNS[column], int(self.values[beyond[0], column]), need)

    @property
    def macs(self) -> IntArray:
        """Multiply-accumulates of each layer, whole batch, shape (n,)."""
        column = self.values.T
        window = column[KERNEL_H] * column[KERNEL_W] * (column[IN_C] // column[GROUPS])
        macs: IntArray = column[BATCH] * column[OUT_H] * column[OUT_W] * column[OUT_C] * window
        return macs


def _images_as_groups(layer: Layer) -> Layer:
    if layer.kind != "matmul":
        return layer
    batch = layer.batch
    return replace(layer, batch=1, groups=batch * layer.groups, in_c=batch * layer.in_c, out_c=batch * layer.out_c)
