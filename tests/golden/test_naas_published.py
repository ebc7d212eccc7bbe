"""NAAS's claims beside ours: none missed without a cause, and what is compared is within Eyeriss's envelope."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from validation.compare import compare
from validation.naas import EYERISS, FOUND, WITH_NETWORK

HOUSE = Path(__file__).resolve().parents[2]


def test_every_claim_is_met_or_explained() -> None:
    found = {entry.number.id: entry for entry in compare("naas")}
    assert {entry.verdict for entry in found.values()} <= {"pass", "explained"}
    assert found["accuracy.with_network"].verdict == "pass"
    assert found["edp.over_sizing.least"].ours > 1.0


def test_designs_have_no_more_than_eyeriss() -> None:
    for design in (WITH_NETWORK, *(design for pair in FOUND.values() for design in pair)):
        assert design.elements <= EYERISS.elements
        assert design.on_chip_bytes <= EYERISS.on_chip_bytes
        for field in ("operand_bits", "noc_bits_per_cycle", "dram_bits_per_cycle", "clock_hz"):
            assert getattr(design, field) == getattr(EYERISS, field)


@pytest.mark.drill
def test_the_recipe_runs(tmp_path: Path) -> None:
    script = HOUSE / "examples" / "naas.py"
    ran = subprocess.run([sys.executable, script, "4", "1"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "wrote build/naas.csv"
    assert len((tmp_path / "build/naas.csv").read_text(encoding="utf-8").splitlines()) == 12
