"""The pictures that README shows are those that this code draws.

Draw them anew, and look at them, with: python -m tests.golden.test_readme_pictures
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.testing.compare import compare_images

from searchers.pictures.figures import draw_study
from searchers.run import run_study
from searchers.study import read_study
from tests.golden.test_figures import STORED, TOLERANCE
from validation.figures import FIGURES
from validation.figures.sparch import measure_matrix

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
DPI = 110
SMALL = "patents_main"  # a matrix that is multiplied in seconds


def draw_front(folder: Path) -> Path:
    """Do what ``make demo`` does, and draw its front."""
    study = read_study(ROOT / "examples" / "edge_vision.toml")
    (picture,) = draw_study(study, run_study(study, folder / "study"), folder)
    return picture


def draw_matrices(folder: Path) -> Path:
    """Draw SpArch's matrices from the stored table."""
    figure = FIGURES["sparch-matrices"].draw(pd.read_csv(STORED / "sparch-matrices.csv"))
    figure.savefig(folder / "sparch-matrices.png", dpi=DPI)
    plt.close(figure)
    return folder / "sparch-matrices.png"


SHOWN: Mapping[str, Callable[[Path], Path]] = {"front.png": draw_front, "sparch-matrices.png": draw_matrices}
MEASURED = ("search_quality.png",)  # on other pages: benchmarks.search_quality takes hours


def test_every_picture_that_is_shown_is_known() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"docs/pictures/([\w-]+\.png)\)", readme)) == sorted(SHOWN)
    assert sorted(path.name for path in PICTURES.glob("*.png")) == sorted((*SHOWN, *MEASURED))


@pytest.mark.parametrize("name", SHOWN)
def test_a_picture_is_what_is_drawn_now(name: str, tmp_path: Path) -> None:
    assert compare_images(str(PICTURES / name), str(SHOWN[name](tmp_path)), TOLERANCE) is None


def test_the_table_behind_it_is_what_the_models_give(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEXTANT_DATA", str(tmp_path))  # stand-ins, as stored, also where the matrices were fetched
    stored = pd.read_csv(STORED / "sparch-matrices.csv").set_index("matrix").loc[SMALL]
    now = measure_matrix(SMALL)
    assert now.pop("matrix") == SMALL
    assert pd.Series(now).astype(float).to_numpy() == pytest.approx(stored.astype(float).to_numpy(), rel=1e-9)


if __name__ == "__main__":
    for shown, draw in SHOWN.items():
        with tempfile.TemporaryDirectory() as scratch:
            (PICTURES / shown).write_bytes(draw(Path(scratch)).read_bytes())
