"""What a study can minimise, maximise or limit: quantities read from the report, and the oracles'."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from accel.report import Report

NOISE = "quantization_noise_db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number every candidate has.

    Attributes
    ----------
    label, unit : str
        For axes and headings.
    scale : float
        Factor from the stored value to the unit shown.
    read : callable
        From a report, or None for what an oracle provides.
    more_is_better : bool
    log : bool
        Whether it spans orders of magnitude; such quantities are compared on logarithms.
    note : str
        What a reader must know, e.g. that it only ranks.
    """

    label: str
    unit: str
    scale: float = 1.0
    read: Callable[[Report], float] | None = None
    more_is_better: bool = False
    log: bool = True
    note: str = ""

    @property
    def axis(self) -> str:
        """Label with unit, and with the note where there is one."""
        return f"{self.label} [{self.unit}]" + (f", {self.note}" if self.note else "")


QUANTITIES: Mapping[str, Quantity] = {
    "seconds": Quantity(label="latency", unit="ms", scale=1e3, read=lambda report: report.seconds),
    "cycles": Quantity(label="cycles", unit="cycles", read=lambda report: float(report.cycles)),
    "energy_pj": Quantity(label="energy", unit="mJ", scale=1e-9, read=lambda report: report.total_energy_pj),
    "edp": Quantity(label="energy-delay product", unit="µJ s", scale=1e6, read=lambda report: report.edp),
    "area_mm2": Quantity(label="area", unit="mm²", read=lambda report: report.total_area_mm2),
    "dram_bytes": Quantity(
        label="DRAM traffic", unit="MB", scale=1e-6, read=lambda report: float(report.total_dram_bytes)
    ),
    "operations": Quantity(
        label="operations", unit="G", scale=1e-9, read=lambda report: float(report.operations), more_is_better=True
    ),
    "gops": Quantity(label="throughput", unit="GOPS", read=lambda report: report.gops, more_is_better=True),
    NOISE: Quantity(label="quantization-noise proxy", unit="dB", log=False, note="rank only"),
}
