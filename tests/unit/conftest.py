"""A study small enough to run in every test, written section by section so that a test can spoil one of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

SECTIONS = {
    "seed": "seed = 3",
    "budget": "budget = 40",
    "objectives": 'objectives = ["seconds", "energy_pj", "quantization_noise_db"]',
    "algorithm": "[algorithm]\npopulation = 16",
    "network": '[network]\nname = "lenet5-bitfusion"',
    "bits": "[bits]\nactivations = [2, 4, 8]\nweights = [2, 4, 8]",
    "machine": "[machine]\nrows = [4, 8]\ncolumns = [4, 8, 16]",
    "constraints": "",
}


@pytest.fixture(scope="session")
def write_study() -> Callable[..., Path]:
    """Return what writes a study into a folder: the sections above, with those given in their place."""

    def write(folder: Path, **sections: str) -> Path:
        assert set(sections) <= set(SECTIONS)
        path = folder / "study.toml"
        path.write_text("\n".join({**SECTIONS, **sections}.values()) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def study_file(tmp_path: Path, write_study: Callable[..., Path]) -> Callable[..., Path]:
    """Return what writes the study into the test's own folder."""
    return partial(write_study, tmp_path)
