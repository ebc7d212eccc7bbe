"""A study small enough to run in every test, written section by section so that a test can spoil one of them."""

from __future__ import annotations

from collections.abc import Callable
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


@pytest.fixture
def study_file(tmp_path: Path) -> Callable[..., Path]:
    """Return what writes ``study.toml``: the sections above, with those given in their place."""

    def write(**sections: str) -> Path:
        assert set(sections) <= set(SECTIONS)
        path = tmp_path / "study.toml"
        path.write_text("\n".join({**SECTIONS, **sections}.values()) + "\n", encoding="utf-8")
        return path

    return write
