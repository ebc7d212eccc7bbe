"""Figures look as they were looked at: each is drawn from a stored table and compared with the stored picture.

Make the pictures anew, and look at them, with: python -m tests.golden.test_figures
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.testing.compare import compare_images

from tests.command_line import sextant
from validation.figures import FIGURES

STORED = Path(__file__).parent / "figures"
DPI = 60
TOLERANCE = 12.0  # root mean square of 0..255: other releases of the plotter move letters by a pixel


def drawn(name: str, folder: Path) -> Path:
    """Draw a figure from its stored table."""
    figure = FIGURES[name].draw(pd.read_csv(STORED / f"{name}.csv"))
    figure.savefig(folder / f"{name}.png", dpi=DPI)
    plt.close(figure)
    return folder / f"{name}.png"


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_looks_as_stored(name: str, tmp_path: Path) -> None:
    assert compare_images(str(STORED / f"{name}.png"), str(drawn(name, tmp_path)), TOLERANCE) is None


@pytest.mark.parametrize("name", ["bitfusion-eyeriss", "haq-policy"])
def test_what_is_drawn_is_what_the_models_give(name: str) -> None:
    table, stored = FIGURES[name].measure(), pd.read_csv(STORED / f"{name}.csv")
    for column in stored.columns:
        if pd.api.types.is_numeric_dtype(stored[column]):
            np.testing.assert_allclose(
                table[column].to_numpy(dtype=float), stored[column].to_numpy(dtype=float), rtol=1e-9
            )
        else:
            assert table[column].tolist() == stored[column].tolist()


def test_the_command_writes_a_table_and_a_picture(tmp_path: Path) -> None:
    ran = sextant("figure", "bitfusion-eyeriss", "--out", tmp_path)
    assert ran.code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bitfusion-eyeriss.csv", "bitfusion-eyeriss.png"]


def test_a_figure_that_is_not_there_is_said_in_one_line() -> None:
    ran = sextant("figure", "mona-lisa")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "NAME = mona-lisa, need one of sparch-matrices" in ran.err


def test_every_figure_is_listed() -> None:
    listed = sextant("list", "figures").out
    assert [line.split()[0] for line in listed.splitlines()] == list(FIGURES)


if __name__ == "__main__":
    for figure_name in FIGURES:
        drawn(figure_name, STORED)
