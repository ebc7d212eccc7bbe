"""What a spatial array's accesses, operations and elements cost, at 45 nm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from accel.spatial import kernels
from accel.spatial.config import Config
from accel.technology import BANK_BYTES, sram_bank, tables

COMPONENTS = ("arithmetic", "element_buffers", "global_buffer", "array_network", "dram")
ARITHMETIC, ELEMENT, BUFFER, NETWORK, PORT = range(5)
BASE_BITS, WIDE_BITS = 8, 32  # widths of the multipliers in the table
ELEMENT_BITS = 16  # of the arithmetic whose area is in the table


@dataclass(frozen=True)
class Costs:
    """Prices of a configuration.

    Attributes
    ----------
    parts_pj : ndarray, shape (5, 16)
        Energy of one of each of ``kernels.COUNTERS``, by component.
    area_mm2 : dict of str to float
    """

    parts_pj: npt.NDArray[np.float64]
    area_mm2: dict[str, float]

    @property
    def unit_pj(self) -> npt.NDArray[np.float64]:
        """Energy of one of each counter, shape (16,)."""
        total: npt.NDArray[np.float64] = self.parts_pj.sum(axis=0)
        return total


def mac_pj(bits: int) -> float:
    """Return the energy of a multiply-accumulate: a multiplier by the power law through 8 and 32 bits, and an adder."""
    table = _table()
    narrow, wide = table["multiply_8_bit_pj"], table["multiply_32_bit_pj"]
    exponent = math.log(wide / narrow) / math.log(WIDE_BITS / BASE_BITS)
    return float(narrow * (bits / BASE_BITS) ** exponent + table["add_32_bit_pj"] * bits / WIDE_BITS)


@lru_cache(maxsize=4096)
def costs(config: Config) -> Costs:
    """Return the prices of a configuration.

    Raises
    ------
    ConfigError
        If a buffer's size is beyond what the tables can answer.
    """
    table, bits = _table(), config.operand_bits
    banks = max(1, -(-config.buffer_bytes // BANK_BYTES[1]))
    element = sram_bank(config.element_bytes, 0, "element_bytes")
    buffer = sram_bank(config.buffer_bytes / banks, 0, "buffer_bytes")
    mac = mac_pj(bits)
    reference = mac_pj(ELEMENT_BITS) / ELEMENT_BITS * bits  # wires and DRAM: in proportion to the bits that move
    hop, dram = table["array_network_macs"] * reference, table["dram_macs"] * reference
    element_read, element_write = element.read_pj_per_bit * bits, element.write_pj_per_bit * bits
    buffer_read, buffer_write = buffer.read_pj_per_bit * bits, buffer.write_pj_per_bit * bits
    parts: npt.NDArray[np.float64] = np.zeros((len(COMPONENTS), len(kernels.COUNTERS)))
    # A multiply-accumulate reads input, weight and sum, and writes the sum.
    parts[ARITHMETIC, kernels.MACS], parts[ELEMENT, kernels.MACS] = mac, 3 * element_read + element_write
    into, out = slice(0, kernels.SUMS_OUT), kernels.SUMS_OUT
    ports, buses, fills = (
        np.arange(first, first + 4) for first in (kernels.DRAM_WORDS, kernels.NOC_WORDS, kernels.FILLS)
    )
    parts[PORT, ports] = dram
    parts[BUFFER, ports[into]], parts[BUFFER, ports[out]] = buffer_write, buffer_read
    parts[BUFFER, buses[into]], parts[BUFFER, buses[out]] = buffer_read, buffer_write
    parts[NETWORK, fills] = hop
    parts[ELEMENT, fills[into]], parts[ELEMENT, fills[out]] = element_write, element_read
    area = {
        "arithmetic": config.elements * table["arithmetic_um2"] * 1e-6 * (bits / ELEMENT_BITS) ** 2,
        "element_buffers": config.elements * element.area_mm2,
        "global_buffer": banks * buffer.area_mm2,
    }
    return Costs(parts, area)


def _table() -> dict[str, float]:
    return {quantity: value for quantity, value, _ in tables()["spatial_45nm"]["rows"]}
