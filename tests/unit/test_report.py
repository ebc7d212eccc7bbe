"""A report that breaks a law is never returned; one that keeps them answers in plain units."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from accel.report import LawError, Report, added


def report(**changes: Any) -> Report:
    """A layer of 1000 cycles at 500 MHz, 700 computing and 300 waiting."""
    fields: dict[str, Any] = {
        "machine": "bitfusion",
        "name": "conv1",
        "fidelity": "estimate",
        "cycles": 1000,
        "clock_hz": 500e6,
        "operations": 4000,
        "compute_bound_cycles": 600,
        "bandwidth_bound_cycles": 400,
        "dram_bytes": {"read": 75, "write": 25},
        "cycle_stack": {"compute": 700, "dram_stall": 300},
        "energy_pj": {"core": 8.0, "dram": 2.0},
        "area_mm2": {"core": 1.5, "wbuf": 0.25},
        "counters": {"compute_cycles": 700},
    }
    return Report(**(fields | changes))


def broken(**changes: Any) -> str:
    with pytest.raises(LawError) as caught:
        report(**changes)
    return str(caught.value)


@pytest.mark.parametrize(
    ("field", "counts", "message"),
    [
        ("dram_bytes", {"read": 1, "write": -1}, "write = -1 is not a count"),
        ("cycle_stack", {"compute": 1001, "dram_stall": -1}, "dram_stall = -1 is not a count"),
        ("energy_pj", {"core": -0.5}, "core = -0.5 is not a count"),
        ("area_mm2", {"core": -1.0}, "core = -1.0 is not a count"),
        ("counters", {"stall_cycles": -7}, "stall_cycles = -7 is not a count"),
        ("energy_pj", {"core": math.nan}, "core = nan"),
    ],
)
def test_no_count_is_negative(field: str, counts: Mapping[str, float], message: str) -> None:
    assert message in broken(**{field: counts})


def test_operations_are_not_negative() -> None:
    assert "operations" in broken(operations=-2)


@pytest.mark.parametrize(
    "changes",
    [{"cycles": 0, "cycle_stack": {}, "compute_bound_cycles": 0, "bandwidth_bound_cycles": 0}, {"clock_hz": 0.0}],
)
def test_a_run_takes_time(changes: dict[str, Any]) -> None:
    assert "cycles at" in broken(**changes)


@pytest.mark.parametrize("stalls", [299, 301])
def test_cycle_stack_sums_to_the_cycles_exactly(stalls: int) -> None:
    message = broken(cycle_stack={"compute": 700, "dram_stall": stalls})
    assert message == f"bitfusion, conv1: the cycle stack sums to {700 + stalls}, not 1000"


@pytest.mark.parametrize("bound", ["compute_bound_cycles", "bandwidth_bound_cycles"])
def test_no_run_beats_a_bound(bound: str) -> None:
    assert report(**{bound: 1000}).cycles == 1000
    assert broken(**{bound: 1001}) == "bitfusion, conv1: 1000 cycles beat the bound of 1001"


def network(**changes: Any) -> Report:
    """Two layers and their sums, unless changed."""
    layers = (report(name="conv1"), report(name="conv2"))
    sums: dict[str, Any] = {
        "name": "net",
        "cycles": 2000,
        "operations": 8000,
        "dram_bytes": {"read": 150, "write": 50},
        "cycle_stack": {"compute": 1400, "dram_stall": 600},
        "energy_pj": {"core": 16.0, "dram": 4.0},
        "counters": {"compute_cycles": 1400},
        "layers": layers,
    }
    return report(**(sums | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cycles": 1999, "cycle_stack": {"compute": 1399, "dram_stall": 600}}, "the layers' cycles sum to 2000"),
        ({"operations": 8002}, "the layers' operations sum to 8000"),
        ({"dram_bytes": {"read": 151, "write": 49}}, "the layers' dram_bytes do not add up"),
        ({"dram_bytes": {"read": 150}}, "the layers' dram_bytes do not add up"),
        ({"cycle_stack": {"compute": 1399, "dram_stall": 601}}, "the layers' cycle_stack do not add up"),
        ({"counters": {"compute_cycles": 1401}}, "the layers' counters do not add up"),
        ({"counters": {"compute_cycles": 1400, "rows": 1}}, "the layers' counters do not add up"),
        ({"energy_pj": {"core": 16.0, "dram": 4.001}}, "the layers' dram energy does not add up"),
    ],
)
def test_layers_add_up(changes: dict[str, Any], message: str) -> None:
    assert network().layers[1].name == "conv2"
    with pytest.raises(LawError) as caught:
        network(**changes)
    assert str(caught.value) == f"bitfusion, net: {message}"


def test_layers_energy_adds_up_by_component() -> None:
    with pytest.raises(LawError):
        network(energy_pj={"core": 4.0, "dram": 16.0})


def test_of_layers_adds_every_count_and_keeps_the_machines_area() -> None:
    first = report()
    second = report(
        name="conv2", cycles=10, cycle_stack={"compute": 10}, compute_bound_cycles=3, bandwidth_bound_cycles=2,
        operations=6, dram_bytes={"read": 1, "write": 2}, energy_pj={"core": 0.5, "dram": 0.25},
        counters={"compute_cycles": 10},
    )  # fmt: skip
    whole = Report.of_layers((first, second), name="net")
    assert (whole.machine, whole.name, whole.fidelity, whole.clock_hz) == ("bitfusion", "net", "estimate", 500e6)
    assert (whole.cycles, whole.operations) == (1010, 4006)
    assert (whole.compute_bound_cycles, whole.bandwidth_bound_cycles) == (603, 402)
    assert whole.dram_bytes == {"read": 76, "write": 27}
    assert whole.cycle_stack == {"compute": 710, "dram_stall": 300}
    assert whole.energy_pj == {"core": 8.5, "dram": 2.25}
    assert whole.counters == {"compute_cycles": 710}
    assert whole.area_mm2 == first.area_mm2
    assert whole.layers == (first, second)


def test_properties_in_their_units() -> None:
    done = report()
    assert done.seconds == pytest.approx(2e-6, rel=1e-15)
    assert done.gops == pytest.approx(2.0, rel=1e-15)
    assert done.total_dram_bytes == 100
    assert done.total_energy_pj == 10.0
    assert done.total_area_mm2 == 1.75
    assert done.bandwidth_utilisation == 0.4
    assert done.intensity == 40.0
    assert done.edp == pytest.approx(10e-12 * 2e-6, rel=1e-15)


def test_intensity_without_traffic_is_infinite() -> None:
    assert report(dram_bytes={"read": 0, "write": 0}).intensity == math.inf


def test_json_names_are_those_of_the_front_door() -> None:
    told = json.loads(json.dumps(network().as_dict(), allow_nan=False))
    front_door = {
        "machine", "cycles", "clock_hz", "seconds", "operations", "gops", "dram_bytes", "cycle_stack", "energy_pj",
        "area_mm2", "counters", "layers",
    }  # fmt: skip
    assert front_door <= set(told)
    assert told["dram_bytes"] == {"read": 150, "write": 50, "total": 200}
    assert told["energy_pj"] == {"core": 16.0, "dram": 4.0, "total": 20.0}
    assert told["area_mm2"] == {"core": 1.5, "wbuf": 0.25, "total": 1.75}
    assert told["cycle_stack"] == {"compute": 1400, "dram_stall": 600}
    assert told["seconds"] == network().seconds
    assert [layer["name"] for layer in told["layers"]] == ["conv1", "conv2"]
    assert set(told["layers"][0]) == set(told)
    assert told["layers"][0]["layers"] == []


def test_report_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        report().cycles = 1  # type: ignore[misc]


def test_result_takes_no_part_in_comparison() -> None:
    assert report(result=object()) == report()
    assert report(cycles=1001, cycle_stack={"compute": 1001}) != report()


def test_added_keeps_names_that_only_some_parts_have() -> None:
    assert added([{"a": 1}, {"b": 2, "a": 3}, {}]) == {"a": 4, "b": 2}
    assert added([]) == {}
