"""What accesses, operations and modules cost: tables with a source per row, and the rule between rows.

Energies and areas of memory banks between two tabulated sizes follow the power law through them; beyond the
ends the nearest law is continued, but never further than ``BANK_BYTES``. Nothing defaults to zero: a size
outside raises.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from workloads.errors import ConfigError
from workloads.units import PJ_PER_NJ

BANK_BYTES = (16, 262144)
WORD_BITS = 32
UNIT_ARRAY = (4, 4)


@dataclass(frozen=True, slots=True)
class MemoryBank:
    """One SRAM bank: energy per access [pJ/bit] and area [mm2]."""

    read_pj_per_bit: float
    write_pj_per_bit: float
    area_mm2: float


@dataclass(frozen=True, slots=True)
class ComputeArray:
    """A whole array: dynamic energy per clock cycle [pJ], whatever it computes, and area [mm2]."""

    pj_per_cycle: float
    area_mm2: float


@cache
def tables() -> dict[str, Any]:
    """Return the technology tables as read."""
    with (Path(__file__).parent / "technology.toml").open("rb") as file:
        return tomllib.load(file)


@cache
def sram_bank(bank_bytes: float, read_write_ports: int, field: str) -> MemoryBank:
    """Return the cost of a 45 nm SRAM bank with 32-bit words.

    Parameters
    ----------
    bank_bytes : float
        Capacity of the bank [bytes].
    read_write_ports : int
        0 for separate read and write ports, 1 for one shared port.
    field : str
        The configuration field that asks, for the error message.

    Raises
    ------
    ConfigError
        If the size is beyond what the tables can answer.
    """
    low, high = BANK_BYTES
    if not low <= bank_bytes <= high:
        raise ConfigError("technology", f"bytes per bank of {field}", f"{bank_bytes:g}", f"{low}..{high}")
    rows = np.array([row[:-1] for row in tables()["sram_45nm"]["rows"] if row[1] == read_write_ports])
    read_nj, write_nj, area_mm2 = (_power_law(rows[:, 0], rows[:, column], bank_bytes) for column in (2, 3, 4))
    return MemoryBank(read_nj * PJ_PER_NJ / WORD_BITS, write_nj * PJ_PER_NJ / WORD_BITS, area_mm2)


def _power_law(sizes: Any, values: Any, size: float) -> float:
    """Interpolate on logarithms; tabulated sizes give the tabulated value, bit for bit."""
    exact = np.flatnonzero(sizes == size)
    if exact.size:
        return float(values[exact[0]])
    left = int(np.clip(np.searchsorted(sizes, size) - 1, 0, sizes.size - 2))
    exponent = math.log(values[left + 1] / values[left]) / math.log(sizes[left + 1] / sizes[left])
    return float(values[left] * (size / sizes[left]) ** exponent)


@cache
def fusion_array(rows: int, columns: int) -> ComputeArray:
    """Return the cost of an array of fusion units (2 to 8 bits) at 45 nm.

    Sizes that were not synthesised are multiples of the 4 x 4 array, as in the authors' simulator.
    """
    table = tables()["fusion_array_45nm"]
    synthesised = {(row[0], row[1]): row for row in table["rows"]}
    row, scale = synthesised.get((rows, columns)), 1.0
    if row is None:
        row, scale = synthesised[UNIT_ARRAY], rows * columns / math.prod(UNIT_ARRAY)
    pj_per_cycle = row[3] * scale * PJ_PER_NJ / table["clock_hz"]  # nW / Hz = nJ
    return ComputeArray(pj_per_cycle, row[2] * scale * 1e-6)
