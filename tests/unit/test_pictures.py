"""Pictures say what they show: words and a colour for every cause, a legend beside the bars, no empty unit."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from searchers.machines import MACHINES, find_machine
from searchers.pictures import figures
from searchers.pictures.figures import CAUSES, draw_report
from searchers.quantities import QUANTITIES

RUNS = {
    "lenet5-bitfusion": ("bitfusion", "bitserial", "systolic", "eyeriss", "spatial", "gemmini"),
    "mobilenet_v2": ("bitfusion_apq",),
    "rmat:scale=6": ("sparch", "outerspace"),
    "bert-base:length=16": ("spatten", "dense_attention", "a3", "mnnfast"),
    "pruned:rows=64,columns=64": ("eie",),
}


def test_every_machine_is_asked() -> None:
    assert sorted(name for names in RUNS.values() for name in names) == sorted(MACHINES)


@pytest.mark.parametrize(("workload", "machine"), [(run, name) for run, names in RUNS.items() for name in names])
def test_every_cause_of_a_machine_has_words_and_a_colour_of_its_own(workload: str, machine: str) -> None:
    chosen = find_machine(machine)
    for fidelity in chosen.fidelities:
        run = chosen.run(chosen.presets["paper"], chosen.open(workload, None), fidelity)
        assert len({CAUSES[cause][0] for cause in run.report.cycle_stack}) == len(run.report.cycle_stack)


def test_the_legend_of_a_cycle_stack_lies_beside_the_bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(figures, "save", lambda figure, folder, name: drawn.append(figure) or folder / name)
    chosen = find_machine("spatten")
    run = chosen.run(chosen.presets["paper"], chosen.open("bert-base:length=16", None), "simulate")
    draw_report(run.roofline, run.report, tmp_path)
    (axes,) = drawn[-1].axes
    drawn[-1].draw_without_rendering()
    legend, shown = axes.get_legend(), drawn[-1].bbox
    assert legend is not None
    box = legend.get_window_extent()
    assert box.x0 >= axes.bbox.x1, "no bar lies under it"
    assert box.x1 <= shown.x1, "none of it is cut off"
    assert box.y0 >= shown.y0
    for figure in drawn:
        plt.close(figure)


def test_what_only_the_oracle_knows_has_no_empty_unit() -> None:
    assert QUANTITIES["loss"].axis == QUANTITIES["loss"].heading == "loss"
    assert QUANTITIES["seconds"].axis == "latency [ms]"
    assert QUANTITIES["seconds"].heading == "latency\n[ms]"
    assert QUANTITIES["quantization_noise_db"].axis == "quantization-noise proxy [dB], rank only"
