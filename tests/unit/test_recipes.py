"""The recipes of AMC and ProxylessNAS: their tables are the machines', they run, and they say what is not installed."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

from searchers.algorithms import algorithm
from searchers.machines import MACHINES
from searchers.problems.networks import FixedNetworks, PrunedNetwork
from sextant.scripts import run_script
from tests.recipes import amc, haq, proxylessnas
from workloads.layers import LayerTable


@pytest.fixture(scope="module", params=["mobilenet_v1", "mobilenet_v2"])
def pruning(request: pytest.FixtureRequest) -> tuple[str, list[object]]:
    return request.param, amc.mobilenet_tasks(request.param)


def test_the_tables_of_amc_are_the_machines_costs_of_whole_networks(pruning: tuple[str, list[object]]) -> None:
    name, tasks = pruning
    network = PrunedNetwork(FixedNetworks([name]), amc.KEEP)
    genomes = np.random.default_rng(1).integers(len(amc.KEEP), size=(10, network.knobs["keep"].length))
    rows, _ = network.rows({"keep": genomes}, len(genomes))
    tables = [LayerTable(name, network.slots, layers) for layers in rows]
    machine = MACHINES[amc.MACHINE]
    whole = [
        [table.macs.sum() / 1e6 for table in tables],
        [1e3 * machine.run(machine.presets["paper"], table, "estimate").report.seconds for table in tables],
    ]
    for task, costs in zip(tasks, whole, strict=True):
        assert task.cost(genomes) == pytest.approx(np.array(costs), rel=1e-12)


def test_the_best_pruning_known_is_no_worse_than_any_found(pruning: tuple[str, list[object]]) -> None:
    for task in pruning[1]:
        assert task.bound <= task.best <= task.uniform
        assert task.best - task.bound < 0.02
        assert amc.searched(task, "evolution", 100, 1) >= task.bound


def test_amc_runs_in_a_small_budget(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amc, "SEEDS", 2)
    monkeypatch.setattr(amc, "NETWORKS", ("mobilenet_v1",))
    monkeypatch.setattr(sys, "argv", ["amc.py", "40", "random", "evolution"])
    amc.main()
    said = capsys.readouterr().out
    assert said.count("evolution better than uniform in ") == 4
    assert said.count(" points above uniform, both are known to 7.8: a tie") == 2
    assert "mobilenet_v1-amc-0.5-flops          294M     52%" in said


def test_a_sum_of_the_latency_table_is_the_machines_latency() -> None:
    for machine in proxylessnas.HARDWARE:
        latency = proxylessnas.latency_table(machine)
        assert proxylessnas.check_table(latency) < 1e-14
        assert (latency.blocks[:, :-1] > 0.0).all()
        assert (latency.blocks[:, -1] == 0.0).all()


def test_the_best_network_known_is_within_the_reference() -> None:
    latency = proxylessnas.latency_table("systolic")
    best, bound = proxylessnas.optimum(proxylessnas.stand_in(), latency)
    assert latency.of(best)[0] <= latency.reference
    value = proxylessnas.summed(proxylessnas.stand_in(), best)[0]
    assert 0.95 * bound < value <= bound
    assert proxylessnas.searched("evolution", latency, 200, 1)[0] <= bound


def test_a_larger_exponent_leads_to_faster_networks() -> None:
    pytest.importorskip("torch", reason="needs the extra rl")
    latency = proxylessnas.latency_table("systolic")
    times = [proxylessnas.searched("gradient", latency, 150, 1, beta)[1] for beta in (0.0, 1.0, 4.0)]
    assert times[0] > times[1] > times[2]
    assert times[2] < 1.0


def test_proxylessnas_runs_in_a_small_budget(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxylessnas, "SEEDS", 2)
    monkeypatch.setattr(sys, "argv", ["proxylessnas.py", "100", "random", "evolution"])
    proxylessnas.main()
    said = capsys.readouterr().out
    assert said.count("better than evolution in ") == 3
    diagonal = [
        float(next(line for line in said.splitlines() if line.startswith(f"best for {machine}")).split()[3 + place])
        for place, machine in enumerate(proxylessnas.HARDWARE)
    ]
    assert max(diagonal) <= 1.0


@pytest.mark.parametrize(
    ("recipe", "name"),
    [(amc, "ddpg"), (haq, "ddpg"), (proxylessnas, "gradient")],
    ids=["amc", "haq", "proxylessnas"],
)
def test_a_missing_extra_is_one_line(
    recipe: ModuleType, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(algorithm, "find_spec", lambda package: None)
    monkeypatch.setattr(sys, "argv", ["recipe.py", "40", "random", name])
    with pytest.raises(SystemExit) as left:
        run_script(recipe.main)
    assert left.value.code == 2
    package, _ = algorithm.EXTRAS[name]
    need = f"command line: algorithm.name = {name}, need {package}: pip install 'sextant[rl]'\n"
    assert capsys.readouterr() == ("", need)


@pytest.mark.parametrize("recipe", [amc, haq, proxylessnas], ids=["amc", "haq", "proxylessnas"])
@pytest.mark.parametrize("word", ["many", "0", "-3"])
def test_a_bad_number_of_evaluations_is_one_line(
    recipe: ModuleType, word: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["recipe.py", word])
    with pytest.raises(SystemExit):
        run_script(recipe.main)
    assert capsys.readouterr() == ("", f"command line: EVALUATIONS = {word}, need a whole number from 1\n")
