"""What EIE costs: power and area of a processing element's modules, as the paper has them at 45 nm.

The paper's power is an average at 800 MHz with its workloads' activity, so it is charged for every cycle that a
processing element is in use, busy or waiting. Memories are the published ones: with other sizes neither energy nor area
is known, and the report leaves them out.
"""

from __future__ import annotations

from accel.eie.config import PRESETS, Config
from accel.technology import tables

MODULES = ("activation_queue", "pointer_read", "weight_read", "arithmetic", "activation_access")
SIZED_FIELDS = ("queue_depth", "weight_bits", "zero_run_bits", "weight_bytes")
PJ_PER_MJ = 1e9


def energy_pj(config: Config, cycles: int) -> dict[str, float]:
    """Return the energy of all processing elements over so many cycles, by module [pJ]."""
    if not _as_published(config):
        return {}
    table, published_hz = _table(), PRESETS["paper"].clock_hz
    return {
        module: table[f"{module}_mw"] / published_hz * PJ_PER_MJ * cycles * config.processing_elements
        for module in MODULES
    }


def area_mm2(config: Config) -> dict[str, float]:
    """Return the area of all processing elements, by module [mm2]."""
    if not _as_published(config):
        return {}
    table = _table()
    return {module: table[f"{module}_um2"] * 1e-6 * config.processing_elements for module in (*MODULES, "filler_cells")}


def _table() -> dict[str, float]:
    return {quantity: value for quantity, value, _ in tables()["eie_45nm"]["rows"]}


def _as_published(config: Config) -> bool:
    return all(getattr(config, field) == getattr(PRESETS["paper"], field) for field in SIZED_FIELDS)
