"""Images of a product of two activations do not share its right-hand operand when a file is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from accel.systolic import PRESETS, estimate
from mappers.systolic import best_plan
from workloads.errors import WorkloadError
from workloads.layer_csv import read_layers, write_layers
from workloads.layers import Layer, LayerTable
from workloads.source import open_layers

SCORES = Layer(name="qk", kind="matmul", batch=3, in_h=4, in_w=1, in_c=10, out_h=4, out_w=1, out_c=8, groups=2)
FC = Layer(name="fc", kind="linear", batch=3, in_h=1, in_w=1, in_c=5, out_h=1, out_w=1, out_c=6)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "attention.csv"
    write_layers(LayerTable.of("attention", [SCORES, FC]), path)
    return path


def test_images_become_groups_when_a_table_is_opened(path: Path) -> None:
    scores, fc = open_layers(str(path)).layers()
    assert (scores.batch, scores.groups, scores.in_c, scores.out_c) == (1, 6, 30, 24)
    assert scores.macs == SCORES.macs
    assert fc == FC
    scores, fc = open_layers(f"{path}:batch=5").layers()
    assert (scores.batch, scores.groups, fc.batch) == (1, 10, 5)
    assert read_layers(path).layers() == (SCORES, FC)  # as it is written


def test_every_image_reads_an_operand_of_its_own(path: Path) -> None:
    one, five = (
        estimate(PRESETS["paper"], best_plan(PRESETS["paper"], open_layers(f"{path}:batch={batch}"))).layers[0]
        for batch in (1, 5)
    )
    assert five.cycles == 5 * one.cycles
    assert five.total_dram_bytes == 5 * one.total_dram_bytes


def test_too_many_images_are_told_in_a_line(path: Path) -> None:
    with pytest.raises(WorkloadError, match=r"attention.csv.*in_c = 2097150, need 1..1048576$"):
        open_layers(f"{path}:batch=209715")
