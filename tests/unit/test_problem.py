"""Problems of every kind: the fast way to evaluate equals the report, and what is chosen is what is run."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from accel import bitfusion
from mappers.bitfusion import best_plan
from searchers.algorithms.algorithm import EXTRAS
from searchers.algorithms.random_search import random_shares
from searchers.problems.problem import Outcome, Problem
from searchers.quantities import NOISE, QUANTITIES
from searchers.study import Study, read_study
from workloads.errors import SextantError
from workloads.layers import ACT_BITS, IN_C, OUT_C, WGT_BITS
from workloads.networks import once_for_all, proxyless, tiny_residual

BITS = "[bits]\nactivations = [2, 4, 8]\nweights = [2, 4, 8]"
MACHINE = "[machine]\nrows = [8, 16]\ncolumns = [8, 32]\ndram_bits_per_cycle = { low = 64, high = 256, step = 64 }"
FAMILIES = {
    "once-for-all": '[network]\nfamily = "once-for-all"\nimage_size = [128, 160]',
    "proxylessnas": '[network]\nfamily = "proxylessnas"\nimage_size = [128]',
    "tiny-residual": '[network]\nfamily = "tiny-residual"',
    "hat": '[network]\nfamily = "hat"\nlength = 4\nfeed_forward = [512, 1024]\nheads = [2, 4]\nattended = [1, 2]',
    "pruned": '[network]\nname = "mobilenet_v1"\nkeep = [0.25, 0.5, 1.0]',
    "pruned family": '[network]\nfamily = "once-for-all"\nimage_size = [128]\nkeep = [0.5, 1.0]',
    "fixed": '[network]\nname = "lenet5-bitfusion"',
}


def study(tmp_path: Path, *sections: str, objectives: str = '["seconds"]') -> Study:
    path = tmp_path / "study.toml"
    path.write_text("\n".join([f"budget = 8\nobjectives = {objectives}", *sections]), encoding="utf-8")
    return read_study(path)


def genomes(problem: Problem, count: int = 6, seed: int = 1) -> np.ndarray:
    return problem.space.random(random_shares(seed, 0, count, len(problem.space)))


def reported(problem: Problem, genome: np.ndarray) -> dict[str, float]:
    """Return what the report of a candidate's first situation says."""
    report = problem.report(genome)
    return {name: read(report) for name in problem.quantities if (read := QUANTITIES[name].read) is not None}


def same(outcome: Outcome, expected: dict[str, float], *, exact: bool = True) -> None:
    assert outcome.quantities, outcome.reason
    for name, value in expected.items():
        found = outcome.quantities[name]
        assert found == value if exact else found == pytest.approx(value, rel=1e-12), name


@pytest.mark.parametrize("family", FAMILIES)
def test_quantities_on_bitfusion_are_those_of_a_batch_of_reports_to_the_last_bit(tmp_path: Path, family: str) -> None:
    problem = study(tmp_path, FAMILIES[family], BITS, MACHINE).problem
    asked = genomes(problem)
    for genome, outcome in zip(asked, problem.evaluate(asked), strict=True):
        ((config, table),) = problem.situations(genome)
        (report,) = bitfusion.estimate_batch([config], [best_plan(config, table)])
        same(outcome, {name: read(report) for name in problem.quantities if (read := QUANTITIES[name].read)})
        same(outcome, reported(problem, genome), exact=False)
        assert math.isfinite(outcome.quantities[NOISE])


@pytest.mark.parametrize("machine", ["bitserial", "systolic"])
def test_quantities_on_other_machines_are_those_of_the_report(tmp_path: Path, machine: str) -> None:
    fields = {"bitserial": "tile_rows = [8, 16]", "systolic": 'rows = [8, 16]\ndataflow = ["os", "ws", "is"]'}
    section = f'[machine]\nname = "{machine}"\n{fields[machine]}'
    problem = study(tmp_path, FAMILIES["tiny-residual"], BITS, section).problem
    asked = genomes(problem)
    for genome, outcome in zip(asked, problem.evaluate(asked), strict=True):
        same(outcome, reported(problem, genome), exact=False)
    assert "energy_pj" not in problem.quantities


def test_a_layer_seen_before_costs_the_same(tmp_path: Path) -> None:
    problem = study(tmp_path, FAMILIES["once-for-all"], BITS, MACHINE).problem
    asked = genomes(problem, 8)
    together = problem.evaluate(asked)
    assert [problem.evaluate(genome[None])[0] for genome in asked[::-1]] == together[::-1]


def test_families_build_what_their_architectures_say(tmp_path: Path) -> None:
    for name, family in (
        ("once-for-all", once_for_all.OnceForAll(1.0)),
        ("proxylessnas", proxyless.ProxylessNAS()),
        ("tiny-residual", tiny_residual.TinyResidual()),
    ):
        problem = study(tmp_path, FAMILIES[name], MACHINE).problem
        network = problem._network  # type: ignore[attr-defined]
        for genome in genomes(problem, 12):
            candidate = problem.space.candidate(genome)
            choice = {knob.removeprefix("network."): value for knob, value in candidate.items()}
            expected = family.table(network.architecture(choice))
            _, table = problem.situations(genome)[0]
            assert table.layer_names == expected.layer_names
            assert np.array_equal(table.values, expected.values)


def test_pruning_takes_the_same_channels_from_every_layer_that_holds_them(tmp_path: Path) -> None:
    problem = study(tmp_path, FAMILIES["pruned"], MACHINE).problem
    for genome in genomes(problem, 5):
        _, table = problem.situations(genome)[0]
        for layer, following in zip(table.layers()[:-1], table.layers()[1:], strict=True):
            assert layer.out_c == following.in_c  # MobileNetV1 is a chain; each layer is checked when it is made
        shares = problem.describe(genome)["network.keep"]
        depthwise = table.values[table.values[:, 0] == 1]
        assert (depthwise[:, IN_C] == depthwise[:, OUT_C]).all()
        assert len(depthwise) == len(shares)  # type: ignore[arg-type]


def test_widths_are_chosen_per_block_and_the_ends_are_kept(tmp_path: Path) -> None:
    bits = f'{BITS}\nper = "block"\nends = 8'
    problem = study(tmp_path, FAMILIES["tiny-residual"], bits, MACHINE).problem
    for genome in genomes(problem):
        _, table = problem.situations(genome)[0]
        for column in (ACT_BITS, WGT_BITS):
            widths: dict[str, set[int]] = {}
            for name, row in zip(table.layer_names, table.values, strict=True):
                widths.setdefault(name.rpartition(".")[0], set()).add(int(row[column]))
            assert widths.pop("") == {8}
            assert all(len(found) == 1 for found in widths.values())


@pytest.mark.parametrize("over", ["worst", "mean"])
def test_networks_and_corners_are_put_together(tmp_path: Path, over: str) -> None:
    names = '[network]\nnames = ["lenet5-bitfusion", "svhn-bitfusion"]'
    corners = f'[corners]\nover = "{over}"\nmachine = [{{ dram_bits_per_cycle = 32 }}, {{ dram_bits_per_cycle = 256 }}]'
    problem = study(tmp_path, names, "[machine]\nrows = [8, 16]", corners).problem
    for genome in ([0.0], [1.0]):
        (outcome,) = problem.evaluate(np.array([genome]))
        runs = [
            problem.searched.machine.run(config, table, "estimate").report.seconds
            for config, table in problem.situations(genome)
        ]
        assert len(runs) == 4
        expected = max(runs) if over == "worst" else math.exp(sum(map(math.log, runs)) / 4)
        assert outcome.quantities["seconds"] == pytest.approx(expected, rel=1e-12)


SPARCH = '[machine]\nname = "sparch"\nfidelity = "estimate"\nprefetch_lines = [256, 1024]\nmerge_layers = [4, 6]'


def test_sparse_products_are_sized_over_a_set_of_matrices(tmp_path: Path) -> None:
    workload = '[workload]\nnames = ["uniform:rows=300,per_row=4", "rmat:scale=8,edges=4"]'
    problem = study(tmp_path, workload, SPARCH, '[corners]\nover = "mean"', objectives='["gops", "energy_pj"]').problem
    asked = np.array([[0, 0], [1, 1], [0, 1]], dtype=float)
    for genome, outcome in zip(asked, problem.evaluate(asked), strict=True):
        rates = [
            problem.searched.machine.run(config, product, "estimate").report.gops
            for config, product in problem.situations(genome)
        ]
        assert outcome.quantities["gops"] == pytest.approx(math.sqrt(rates[0] * rates[1]))
        assert "output_error" not in outcome.quantities


def test_what_a_workload_is_generated_from_can_be_searched(tmp_path: Path) -> None:
    workload = '[workload]\nname = "rmat:scale=7"\nedges = [2, 8]'
    problem = study(tmp_path, workload, SPARCH).problem
    few, many = problem.evaluate(np.array([[0.0, 0, 0], [1.0, 0, 0]]))
    assert few.quantities["operations"] < many.quantities["operations"]
    assert problem.command([1, 1, 0], tmp_path).startswith("sparch rmat:scale=7,edges=8 --preset paper")


ATTENTION = (
    '[workload]\nfamily = "transformer"\nlayers = [1, 2]\nheads = 2\nhead_dim = 32\nfeed_forward = 128\nlength = 24',
    '[machine]\nname = "spatten"\npreset = "paper-1/8"\ntoken_keep = { low = 0.3, high = 1.0 }\nmsb_bits = [4, 8]',
)


def test_attention_is_searched_with_its_network_and_its_error(tmp_path: Path) -> None:
    problem = study(tmp_path, *ATTENTION, objectives='["seconds", "output_error"]').problem
    coarse, fine = problem.evaluate(np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]))
    assert coarse.quantities["output_error"] > fine.quantities["output_error"] > 0.0
    assert coarse.quantities["dram_bytes"] < fine.quantities["dram_bytes"]
    one, two = problem.evaluate(np.array([[0.0, 1.0, 1.0], [1.0, 1.0, 1.0]]))
    assert one.quantities["operations"] < two.quantities["operations"]
    assert f"{tmp_path}/chosen_model.json:length=24,seed=1" in problem.command([1, 1, 1], tmp_path)


BAD = [
    ((FAMILIES["fixed"], '[machine]\nname = "bitserial"\ntile_rows = [8, 16]'), '["energy_pj"]',
     "objectives = energy_pj, need what a study on bitserial knows: seconds, cycles, dram_bytes"),
    ((FAMILIES["fixed"], MACHINE), '["output_error"]',
     "objectives = output_error, need what a study on bitfusion knows"),
    ((FAMILIES["fixed"], SPARCH), '["seconds"]', "need [workload]: what sparch runs"),
    (('[workload]\nname = "rmat:scale=7"', "[machine]\nrows = [8]"), '["seconds"]',
     "need [network]: what bitfusion runs"),
    (('[workload]\nname = "rmatt"', SPARCH), '["seconds"]', "name = rmatt, need"),
    ((FAMILIES["fixed"], MACHINE, '[corners]\nover = "best"'), '["seconds"]', "corners.over = best, need one of worst"),
    ((FAMILIES["fixed"], MACHINE, "[corners]\nmachine = [{ rows = 4 }]"), '["seconds"]',
     "corners.machine.rows = 4, need a field of the machine that is not searched"),
    ((FAMILIES["fixed"], MACHINE, '[accuracy]\noracle = "delphi"'), '["seconds"]', "name = delphi, need"),
    ((FAMILIES["fixed"], '[machine]\nfidelity = "exact"\nrows = [8, 16]'), '["seconds"]',
     "machine.fidelity = exact, need"),
    (('[network]\nname = "resnet18"\nkeep = [0.5]', MACHINE), '["seconds"]', "depthwise layers = 0, need at least one"),
    (('[network]\nname = "mobilenet_v1"\nkeep = [0.0]', MACHINE), '["seconds"]', "network.keep = 0.0, need a number"),
]  # fmt: skip


@pytest.mark.parametrize(("sections", "objectives", "message"), BAD, ids=[message[:40] for *_, message in BAD])
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, sections: tuple[str, ...], objectives: str, message: str
) -> None:
    with pytest.raises(SextantError) as caught:
        study(tmp_path, *sections, objectives=objectives)
    assert message in str(caught.value)
    assert "study.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_algorithm_whose_extra_is_missing_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("searchers.algorithms.algorithm.find_spec", lambda package: None)
    for name, (package, extra) in EXTRAS.items():
        need = rf"algorithm.name = {name}, need {package}: pip install 'sextant\[{extra}\]'"
        with pytest.raises(SextantError, match=need):
            study(tmp_path, FAMILIES["fixed"], MACHINE, f'[algorithm]\nname = "{name}"')
