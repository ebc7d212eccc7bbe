"""What a study can minimise, maximise or limit: quantities read from the report, and the oracles'."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from accel.report import Report

NOISE = "quantization_noise_db"
ACCURACY, LOSS, SIGMA = "accuracy", "loss", "oracle_sigma"
ACCURACY_BOUND, LOSS_BOUND = "accuracy_bound", "loss_bound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number every candidate has.

    Attributes
    ----------
    label, unit : str
        For axes and headings; without a unit where only the oracle knows it.
    scale : float
        Factor from the stored value to the unit shown.
    read : callable
        From a report, not a number where it has none; None for what an oracle provides.
    of_every_machine : bool
        Whether reports of any machine can have it.
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
    of_every_machine: bool = True
    more_is_better: bool = False
    log: bool = True
    note: str = ""

    @property
    def axis(self) -> str:
        """Label, with unit and note where there are such."""
        return " ".join(filter(None, (self.label, self._bracketed))) + (f", {self.note}" if self.note else "")

    @property
    def heading(self) -> str:
        """Label, and below it the unit."""
        return "\n".join(filter(None, (self.label, self._bracketed)))

    @property
    def _bracketed(self) -> str:
        """The unit, or nothing where only the oracle knows it, as a loss's."""
        return f"[{self.unit}]" if self.unit else ""


def _quality(name: str) -> Callable[[Report], float]:
    return lambda report: report.quality.get(name, math.nan)


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
    # What attention computed with fewer bits, tokens and heads is worth, beside attention that is exact.
    "output_error": Quantity(
        label="output error", unit="%", scale=100.0, read=_quality("output_error"), of_every_machine=False, log=False
    ),
    "kept_importance": Quantity(
        label="importance kept", unit="%", scale=100.0, read=_quality("kept_importance"), of_every_machine=False,
        more_is_better=True, log=False,
    ),
    NOISE: Quantity(
        label="quantization-noise proxy", unit="dB", of_every_machine=False, log=False, note="rank only"
    ),
    # Of an oracle; the bound is what a search should be told, so that it does not win by the oracle's errors.
    ACCURACY: Quantity(label="accuracy", unit="%", of_every_machine=False, more_is_better=True, log=False),
    LOSS: Quantity(label="loss", unit="", of_every_machine=False, log=False),
    SIGMA: Quantity(label="standard deviation of the oracle", unit="", of_every_machine=False, log=False),
    ACCURACY_BOUND: Quantity(
        label="accuracy less its standard deviation", unit="%", of_every_machine=False, more_is_better=True, log=False
    ),
    LOSS_BOUND: Quantity(label="loss and its standard deviation", unit="", of_every_machine=False, log=False),
}  # fmt: skip
