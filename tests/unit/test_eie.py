"""EIE on the command line: what it says of a layer, and of one that does not fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from accel.eie import PRESETS
from accel.eie.technology import area_mm2, energy_pj
from mappers.eie import best_plan
from tests.command_line import sextant
from workloads.errors import ConfigError
from workloads.sparse.catalog import open_sparse

PAPER = PRESETS["paper"]
LAYER = ("pruned:rows=256,columns=512,density=0.1", "pruned:rows=512,columns=1,density=0.4,seed=2")
SIMULATE = ("simulate", "eie", *LAYER)


def test_a_layer_in_json() -> None:
    report = json.loads(sextant(*SIMULATE, "--json").out)
    assert report["dram_bytes"] == {"total": 0}
    assert sum(report["cycle_stack"].values()) == report["cycles"]
    assert report["area_mm2"]["total"] == pytest.approx(40.83, abs=0.01)


def test_a_layer_on_the_terminal_has_no_dram() -> None:
    assert "DRAM [MB]    │ none" in sextant(*SIMULATE).out


def test_a_machine_with_other_memories_has_no_energy_that_is_known() -> None:
    report = json.loads(sextant(*SIMULATE, "--set", "queue_depth=4", "--json").out)
    assert report["energy_pj"] == {"total": None}
    assert report["area_mm2"] == {"total": None}


def test_fewer_processing_elements_cost_in_proportion() -> None:
    half = replace(PAPER, processing_elements=32)
    assert sum(area_mm2(half).values()) == pytest.approx(sum(area_mm2(PAPER).values()) / 2)
    assert sum(energy_pj(half, 100).values()) == pytest.approx(sum(energy_pj(PAPER, 50).values()))


def test_the_pictures_of_a_machine_without_dram_have_no_roofline(tmp_path: Path) -> None:
    assert sextant(*SIMULATE, "--plot", tmp_path).code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cycle_stack.png", "matrix.png"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("weight_bytes=16", "weight_bytes = 16, need at least"),
        ("queue_depth=0", "queue_depth = 0, need a whole number, 1..4096"),
        ("processing_elements=0", "processing_elements = 0, need a whole number, 1..4096"),
        ("weight_bits=9", "weight_bits = 9, need a whole number, 1..8"),
        ("fidelity=estimate", "fidelity = estimate, need one of simulate"),
    ],
)
def test_what_is_not_allowed_is_said_in_one_line(change: str, said: str) -> None:
    ran = sextant(*SIMULATE, "--set", change)
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_the_memory_that_is_asked_for_suffices_exactly() -> None:
    product = open_sparse(*LAYER)
    with pytest.raises(ConfigError, match="at least") as refused:
        best_plan(replace(PAPER, weight_bytes=16), product)
    need = int(str(refused.value).partition("at least ")[2].split()[0])
    best_plan(replace(PAPER, weight_bytes=need), product)
    with pytest.raises(ConfigError):
        best_plan(replace(PAPER, weight_bytes=need - 1), product)
