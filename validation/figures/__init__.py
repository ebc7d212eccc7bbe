"""Figures: what the models give, drawn as the papers draw it; each a table that is measured and its picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workloads.errors import ConfigError, OutputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Entry:
    """A figure that can be asked for by name.

    Attributes
    ----------
    description : str
        One line for listings.
    module : str
        Below ``validation.figures``; its ``measure_WHAT()`` returns a table, its ``draw_WHAT(table)`` the picture.
    what : str
    """

    description: str
    module: str
    what: str

    def measure(self) -> pd.DataFrame:
        """Compute the table."""
        measure: Callable[[], pd.DataFrame] = self._function("measure")
        return measure()

    def draw(self, table: pd.DataFrame) -> Figure:
        """Draw a table."""
        from matplotlib import pyplot as plt

        from searchers.pictures.figures import STYLE

        draw: Callable[[pd.DataFrame], Figure] = self._function("draw")
        with plt.rc_context(STYLE):
            return draw(table)

    def _function(self, verb: str) -> Callable[..., Any]:
        module = import_module(f"validation.figures.{self.module}")
        function: Callable[..., Any] = getattr(module, f"{verb}_{self.what}")
        return function


FIGURES: Mapping[str, Entry] = {
    "sparch-matrices": Entry("SpArch: rate and DRAM traffic per matrix, beside OuterSPACE", "sparch", "matrices"),
    "sparch-ablation": Entry("SpArch: traffic and rate as its techniques are added", "sparch", "ablation"),
    "sparch-sweeps": Entry("SpArch: look-ahead, prefetch lines and merger width", "sparch", "sweeps"),
    "spatten-ablation": Entry("SpAtten: GPT-2's time as its techniques are added", "spatten", "ablation"),
    "spatten-roofline": Entry("SpAtten: BERT and GPT-2 under its roofline", "spatten", "roofline"),
    "spatten-sweeps": Entry("SpAtten: comparators of the top-k engine, and SRAM", "spatten", "sweeps"),
    "spatten-importance": Entry(
        "SpAtten: what each token of a recorded sentence is given, layer by layer", "spatten", "importance"
    ),
    "bitfusion-eyeriss": Entry("BitFusion: speed and energy against Eyeriss per network", "bitfusion", "eyeriss"),
    "bitfusion-sweeps": Entry("BitFusion: DRAM bandwidth and batch per network", "bitfusion", "sweeps"),
    "haq-policy": Entry("HAQ: bits per layer, and the roofline before and after", "haq", "policy"),
    "apq-front": Entry("APQ: accuracy over latency and energy, network and bits together", "fronts", "apq"),
    "once-for-all-fronts": Entry(
        "Once-for-All: networks specialised for four machines, on each", "fronts", "once_for_all"
    ),
    "eie-queues": Entry("EIE: load balance by depth of the queues", "eie", "queues"),
}


def make_figure(name: str, folder: Path) -> list[Path]:
    """Measure and draw a figure; return the table (.csv) and the picture (.png).

    Raises
    ------
    ConfigError
        If there is no figure of that name.
    OutputError
        If the folder cannot be written.
    """
    if name not in FIGURES:
        raise ConfigError("command line", "NAME", name, "one of " + ", ".join(FIGURES))
    table = FIGURES[name].measure()
    figure = FIGURES[name].draw(table)
    paths = [folder / f"{name}.csv", folder / f"{name}.png"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        table.to_csv(paths[0], index=False, lineterminator="\n")
        figure.savefig(paths[1], dpi=160)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}, need a folder that can be written") from error
    return paths
