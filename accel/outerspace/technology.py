"""What OuterSPACE costs: energy by component from operations and bytes, area of the published chip.

The energies are averages over the published benchmarks, static power among them: they are per operation, whatever the
configuration, and nothing is known of how they are made up.
"""

from __future__ import annotations

from accel.outerspace.config import PRESETS, Config
from accel.technology import tables
from workloads.units import PJ_PER_NJ

# Zhang et al., SpArch, HPCA 2020, table of energy, column of OuterSPACE, 32 nm (recalled); an operation is a FLOP.
COMPUTATION_NJ_PER_OPERATION = 3.19
SRAM_NJ_PER_OPERATION = 0.35
CROSSBAR_NJ_PER_OPERATION = 0.21

CHIP_MM2 = 87.0  # Pal et al., OuterSPACE, HPCA 2018 (abstract)
CHIP_FIELDS = ("tiles", "processing_elements", "merge_processing_elements", "hbm_channels")

PJ_PER_J = 1e12


def energy_pj(*, operations: int, dram_bytes: int) -> dict[str, float]:
    """Return the energy of every component [pJ].

    Parameters
    ----------
    operations : int
        Two for every product.
    dram_bytes : int
        Bytes of all streams, at what OuterSPACE takes for its memory: 42.6 GB/s per watt (recalled).
    """
    published = {quantity: value for quantity, value, _ in tables()["sparch_40nm"]["rows"]}
    return {
        "computation": operations * COMPUTATION_NJ_PER_OPERATION * PJ_PER_NJ,
        "sram": operations * SRAM_NJ_PER_OPERATION * PJ_PER_NJ,
        "crossbar": operations * CROSSBAR_NJ_PER_OPERATION * PJ_PER_NJ,
        "dram": dram_bytes * PJ_PER_J / published["hbm_bytes_per_joule"],
    }


def area_mm2(config: Config) -> dict[str, float]:
    """Return the area of the chip [mm2], empty for another chip than the published one: its parts are not known."""
    paper = PRESETS["paper"]
    same = all(getattr(config, field) == getattr(paper, field) for field in CHIP_FIELDS)
    return {"chip": CHIP_MM2} if same else {}
