"""What BitFusion is told to do: layers, and for each its tile sizes and loop order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from accel.bitfusion.config import Config
from accel.bitfusion.kernels import LOOPS, MAPPING_COLUMNS, ORDER, ORDERS, WBUF_HALF_BITS, WIDEST_BITS, oversize
from accel.mapping import SearchEffort
from workloads.errors import ConfigError
from workloads.layers import IntArray, LayerTable
from workloads.units import BITS_PER_BYTE

MACHINE = "bitfusion"
BUFFERS = ("wbuf_bytes", "ibuf_bytes", "obuf_bytes")


@dataclass(frozen=True, slots=True)
class Plan:
    """A network laid on the machine.

    Attributes
    ----------
    table : LayerTable
        Layers in the order they run.
    mappings : ndarray of int64, shape (n, 6)
        Per layer the tile sizes of the loops ``kernels.LOOPS`` (batch, width, height, input and output channels)
        and the index of the loop order in ``kernels.ORDERS``.
    effort : SearchEffort or None
        How large the search was, where there was one.
    """

    table: LayerTable
    mappings: IntArray
    effort: SearchEffort | None = None

    def __post_init__(self) -> None:
        if self.mappings.shape != (len(self.table), MAPPING_COLUMNS):
            raise ValueError(f"mappings of shape {self.mappings.shape} for {len(self.table)} layers")
        if self.mappings[:, :ORDER].min() < 1:
            row = int(np.argmin(self.mappings[:, :ORDER].min(axis=1)))
            raise ConfigError(self.where(row), "tiles", self.mappings[row, :ORDER].tolist(), "whole numbers from 1")
        orders = self.mappings[:, ORDER]
        if orders.min() < 0 or orders.max() >= len(ORDERS):
            row = int(np.argmax((orders < 0) | (orders >= len(ORDERS))))
            raise ConfigError(self.where(row), "loop order", int(orders[row]), f"0..{len(ORDERS) - 1}")

    def where(self, index: int) -> str:
        """Name a layer in an error."""
        return f"{MACHINE}, layer {self.table.layer_names[index]} of {self.table.name}"

    def describe(self, index: int) -> str:
        """Say how one layer is laid, loops from the outermost: ``ic/64 > oc/32 > b/2 > w/2 > h/2``."""
        row = self.mappings[index]
        return " > ".join(f"{LOOPS[loop]}/{row[loop]}" for loop in ORDERS[row[ORDER]])


@dataclass(frozen=True, slots=True)
class Stacked:
    """The layers of many plans, each on its own machine, as the kernels read them.

    Attributes
    ----------
    layers : ndarray of int64, shape (n, 16)
    machines : ndarray of int64, shape (plans, MACHINE_COLUMNS)
    machine_of : ndarray of int64, shape (n,)
        Row of ``machines`` a layer runs on.
    mappings : ndarray of int64, shape (n, 6)
    """

    layers: IntArray
    machines: IntArray
    machine_of: IntArray
    mappings: IntArray


def stacked(configs: Sequence[Config], plans: Sequence[Plan]) -> Stacked:
    """Put the layers of many plans into one table.

    Raises
    ------
    WorkloadError
        If an operand is wider than 16 bits.
    ConfigError
        If a tile does not fit half of its buffer.
    """
    for plan in plans:
        plan.table.check_widths(WIDEST_BITS, MACHINE)
    together = Stacked(
        np.concatenate([plan.table.values for plan in plans]),
        np.array([config.machine_row() for config in configs]),
        np.repeat(np.arange(len(plans)), [len(plan.table) for plan in plans]),
        np.concatenate([plan.mappings for plan in plans]),
    )
    excess: IntArray = np.zeros((len(together.layers), len(BUFFERS)), np.int64)
    oversize(together.layers, together.machines, together.machine_of, together.mappings, excess)
    for row in np.flatnonzero(excess.any(axis=1))[:1]:
        number = int(together.machine_of[row])
        first = int(np.searchsorted(together.machine_of, number))
        raise _does_not_fit(configs[number], plans[number], int(row) - first, excess[row])
    return together


def _does_not_fit(config: Config, plan: Plan, index: int, excess: IntArray) -> ConfigError:
    """Say which layer's tile does not fit, and how large its buffer has to be."""
    operand = int(np.argmax(excess > 0))
    half_bits = int(config.machine_row()[WBUF_HALF_BITS + operand])
    need = -(-2 * (half_bits + int(excess[operand])) // BITS_PER_BYTE)
    field, tile = BUFFERS[operand], plan.describe(index)
    return ConfigError(plan.where(index), field, getattr(config, field), f"at least {need} bytes for the tile {tile}")
