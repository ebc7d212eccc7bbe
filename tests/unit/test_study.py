"""A study file is read whole and checked whole: what is wrong in it is said in one line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from accel.bitfusion import PRESETS, Config
from accel.config import limits
from searchers.algorithms.algorithm import ALGORITHMS
from searchers.machines import MACHINES
from searchers.problems.problem import Outcome
from searchers.quantities import QUANTITIES
from searchers.space import Choice, Integer, Real, Vector
from searchers.study import FAR, UNBUILDABLE, Constraint, Study, read_study
from workloads.errors import SextantError

StudyFile = Callable[..., Path]
EXAMPLE = Path(__file__).parents[2] / "examples" / "edge_vision.toml"
OBJECTIVES = "a list of different quantities out of " + ", ".join(QUANTITIES)
SIZES = ", ".join(map(str, range(128, 225, 4)))
ROWS = "a list of values, or a table of low, high and step or log, each a whole number, 1..1024"
FIELDS = ", ".join(limits(Config))

# What a good file means


def test_the_example_is_the_study_it_says() -> None:
    study = read_study(EXAMPLE)
    assert (study.name, study.seed, study.budget, study.population) == ("edge_vision", 1, 4000, 100)
    assert study.algorithm == "nsga2"
    assert study.objectives == ("seconds", "energy_pj", "quantization_noise_db")
    assert study.constraints == (Constraint("area_mm2", at_most=2.0),)
    knobs = study.problem.space.knobs
    layers = knobs["bits.weights"].length  # type: ignore[union-attr]
    assert knobs["network.depth"] == Vector(Choice((2, 3, 4)), 5)
    assert knobs["network.kernel"] == Vector(Choice((3, 5, 7)), 20)
    assert knobs["bits.activations"] == Vector(Choice((2, 4, 8)), layers)
    assert knobs["machine.rows"] == Choice((4, 8, 16, 32))
    assert knobs["machine.dram_bits_per_cycle"] == Integer(32, 512, 32)
    machine = [name.removeprefix("machine.") for name in knobs if name.startswith("machine.")]
    assert machine == ["rows", "columns", "wbuf_bytes", "ibuf_bytes", "obuf_bytes", "dram_bits_per_cycle"]


def test_options_take_the_place_of_the_file(study_file: StudyFile) -> None:
    study = read_study(study_file(), budget=7, seed=0, algorithm="random")
    assert (study.budget, study.seed, study.algorithm) == (7, 0, "random")


def test_what_may_be_left_out_has_a_default(study_file: StudyFile) -> None:
    study = read_study(study_file(seed="", algorithm="", constraints=""))
    assert (study.name, study.seed, study.algorithm, study.population) == ("study", 1, "nsga2", 100)
    assert study.constraints == ()


def test_fixed_fields_change_the_machine_and_are_not_searched(study_file: StudyFile) -> None:
    study = read_study(
        study_file(machine="[machine]\nrows = [4, 8]\ncolumns = 8\nclock_hz = { low = 1e8, high = 1e9 }")
    )
    assert study.problem.space.knobs["machine.clock_hz"] == Real(1e8, 1e9)
    assert "machine.columns" not in study.problem.space.knobs
    ((config, _),) = study.problem.situations([0] * len(study.problem.space))
    assert config == dataclasses.replace(PRESETS["paper"], rows=4, columns=8, clock_hz=1e8)


# What a bad file is told

BAD = [
    # sections and keys
    (
        {"seed": "sede = 3"},
        "sede = 3, need one of name, seed, budget, algorithm, network, bits, workload, machine, corners, accuracy, "
        "objectives, constraints, workers",
    ),
    ({"algorithm": "[algorithm]\npopulace = 16"}, "algorithm.populace = 16, need one of name, population"),
    ({"network": '[network]\nname = "resnet18"\nbatch = 2'}, "network.batch = 2, need one of keep, name"),
    (
        {"network": '[network]\nfamily = "once-for-all"\nkernels = [3]'},
        "network.kernels = [3], need one of batch, depth, expansion, family, image_size, keep, kernel, width",
    ),
    ({"bits": "[bits]\nweight = [2]"}, "bits.weight = [2], need one of activations, weights, per, ends"),
    ({"machine": "[machine]\nrow = [4]"}, f"machine.row = [4], need one of name, preset, {FIELDS}"),
    (
        {"constraints": '[[constraints]]\nquantity = "edp"\nbelow = 1'},
        "constraints.below = 1, need one of quantity, at_most, at_least",
    ),
    # whole numbers
    ({"seed": "seed = -1"}, "seed = -1, need a whole number from 0"),
    ({"seed": "seed = true"}, "seed = True, need a whole number from 0"),
    ({"budget": "budget = 0"}, "budget = 0, need a whole number from 1"),
    ({"budget": "budget = 1.5"}, "budget = 1.5, need a whole number from 1"),
    ({"budget": ""}, "budget is missing, need a whole number from 1"),
    ({"algorithm": "[algorithm]\npopulation = 1"}, "algorithm.population = 1, need a whole number, 2..100000"),
    ({"algorithm": '[algorithm]\npopulation = "9"'}, 'algorithm.population = "9", need a whole number, 2..100000'),
    # algorithm, network, machine
    ({"algorithm": '[algorithm]\nname = "luck"'}, "algorithm.name = luck, need one of " + ", ".join(ALGORITHMS)),
    ({"algorithm": "algorithm = 4"}, "algorithm = 4, need a table [algorithm]"),
    ({"algorithm": "network = 4", "network": ""}, "network = 4, need a table [network]"),
    ({"network": ""}, "network is missing, need a table [network]"),
    (
        {"network": "[network]"},
        "network.family is missing, need once-for-all, proxylessnas, tiny-residual, hat, or network.name",
    ),
    (
        {"network": '[network]\nfamily = "vgg"'},
        "network.family = vgg, need once-for-all, proxylessnas, tiny-residual, hat, or network.name",
    ),
    (
        {"network": '[network]\nfamily = "once-for-all"\nimage_size = [128, 130]'},
        f"network.image_size = [128, 130], need a list of values out of {SIZES}",
    ),
    (
        {"network": '[network]\nfamily = "once-for-all"\ndepth = []'},
        "network.depth = [], need a list of values out of 2, 3, 4",
    ),
    (
        {"network": '[network]\nfamily = "once-for-all"\nkernel = 3'},
        "network.kernel = 3, need a list of values out of 3, 5, 7",
    ),
    ({"network": '[network]\nfamily = "once-for-all"\nwidth = 2.0'}, "network.width = 2.0, need one of 1.0, 1.2"),
    ({"network": '[network]\nfamily = "once-for-all"\nbatch = 0'}, "network.batch = 0, need a whole number, 1..4096"),
    ({"machine": ""}, "machine is missing, need a table [machine]"),
    ({"machine": '[machine]\nname = "tpu"'}, "machine.name = tpu, need one of " + ", ".join(MACHINES)),
    ({"machine": '[machine]\npreset = "best"'}, "machine.preset = best, need one of paper"),
    # what may be chosen
    ({"bits": "[bits]\nweights = [2, 4]"}, "bits = weights, need both activations and weights, or neither"),
    ({"bits": "[bits]\nactivations = [0]\nweights = [2]"}, "bits.activations = 0, need a whole number, 1..16"),
    ({"bits": "[bits]\nactivations = [2]\nweights = [17]"}, "bits.weights = 17, need a whole number, 1..16"),
    ({"bits": "[bits]\nactivations = []\nweights = [2]"}, "bits.activations = [], need at least one value"),
    ({"bits": "[bits]\nactivations = [2.5]\nweights = [2]"}, "bits.activations = 2.5, need a whole number, 1..16"),
    (
        {"bits": "[bits]\nactivations = 4\nweights = [2]"},
        "bits.activations = 4, need a list of values, or a table of low, high and step or log, "
        "each a whole number, 1..16",
    ),
    ({"machine": "[machine]\nrows = []"}, "machine.rows = [], need at least one value"),
    ({"machine": "[machine]\nrows = [4, 0]"}, "machine.rows = 0, need a whole number, 1..1024"),
    ({"machine": "[machine]\nrows = [true]"}, "machine.rows = True, need a whole number, 1..1024"),
    ({"machine": '[machine]\nrows = ["4"]'}, "machine.rows = 4, need a whole number, 1..1024"),
    ({"machine": "[machine]\nrows = { low = 0, high = 8 }"}, "machine.rows = 0, need a whole number, 1..1024"),
    ({"machine": "[machine]\nrows = { low = 1, high = 2000 }"}, "machine.rows = 2000, need a whole number, 1..1024"),
    (
        {"machine": "[machine]\nrows = { low = 8, high = 4 }"},
        "machine.rows = {'low': 8, 'high': 4}, need at least one value",
    ),
    (
        {"machine": "[machine]\nclock_hz = { low = 2e8, high = 1e8 }"},
        "machine.clock_hz = {'low': 200000000.0, 'high': 100000000.0}, need at least one value",
    ),
    ({"machine": "[machine]\nclock_hz = [nan]"}, "machine.clock_hz = nan, need a number, 1e+06..1e+10"),
    ({"machine": "[machine]\nrows = { low = 4 }"}, f"machine.rows = {{'low': 4}}, need {ROWS}"),
    (
        {"machine": "[machine]\nrows = { low = 4, high = 8, step = 0 }"},
        f"machine.rows = {{'low': 4, 'high': 8, 'step': 0}}, need {ROWS}",
    ),
    (
        {"machine": "[machine]\nrows = { low = 4, high = 8, log = 1 }"},
        f"machine.rows = {{'low': 4, 'high': 8, 'log': 1}}, need {ROWS}",
    ),
    ({"machine": "[machine]\nwide_outputs = [1]"}, "machine.wide_outputs = 1, need true or false"),
    # objectives and constraints
    ({"objectives": ""}, f"objectives is missing, need {OBJECTIVES}"),
    ({"objectives": "objectives = []"}, f"objectives = [], need {OBJECTIVES}"),
    ({"objectives": 'objectives = "edp"'}, f"objectives = edp, need {OBJECTIVES}"),
    ({"objectives": 'objectives = ["speed"]'}, f"objectives = speed, need {OBJECTIVES}"),
    ({"objectives": 'objectives = ["edp", "edp"]'}, f"objectives = ['edp', 'edp'], need {OBJECTIVES}"),
    (
        {"constraints": '[constraints]\nquantity = "edp"'},
        "constraints = {'quantity': 'edp'}, need [[constraints]] tables of quantity, at_most, at_least",
    ),
    (
        {"constraints": '[[constraints]]\nquantity = "weight"\nat_most = 1'},
        "constraints.quantity = weight, need one of " + ", ".join(QUANTITIES),
    ),
    (
        {"constraints": "[[constraints]]\nat_most = 1"},
        "constraints.quantity is missing, need one of " + ", ".join(QUANTITIES),
    ),
    (
        {"constraints": '[[constraints]]\nquantity = "edp"'},
        "constraint on edp = {}, need at_most, at_least, or both in order",
    ),
    (
        {"constraints": '[[constraints]]\nquantity = "edp"\nat_most = "1"'},
        'constraints.at_most = "1", need a number',
    ),
    (
        {"constraints": '[[constraints]]\nquantity = "edp"\nat_least = true'},
        "constraints.at_least = True, need a number",
    ),
    (
        {"constraints": '[[constraints]]\nquantity = "edp"\nat_least = 2\nat_most = 1'},
        "constraint on edp = {'at_least': 2, 'at_most': 1}, need at_most, at_least, or both in order",
    ),
]


@pytest.mark.parametrize(("spoiled", "message"), BAD, ids=[message.split(",")[0] for _, message in BAD])
def test_what_is_wrong_is_said_in_one_line(study_file: StudyFile, spoiled: dict[str, str], message: str) -> None:
    path = study_file(**spoiled)
    with pytest.raises(SextantError) as caught:
        read_study(path)
    assert str(caught.value) == f"{path}: {message}"
    assert caught.value.exit_code == 2


SILENT = {
    "a list where a name belongs: quantity": {"constraints": '[[constraints]]\nquantity = ["edp"]\nat_most = 1'},
    "a list where a name belongs: algorithm": {"algorithm": '[algorithm]\nname = ["nsga2"]'},
    "a list where a name belongs: preset": {"machine": '[machine]\npreset = ["paper"]\nrows = [4, 8]'},
    "a list where a name belongs: objective": {"objectives": 'objectives = [["edp"]]'},
    "a list where a number belongs: depth": {"network": '[network]\nfamily = "once-for-all"\ndepth = [[2]]'},
    "a limit that is not a number": {"constraints": '[[constraints]]\nquantity = "edp"\nat_most = nan'},
    "a limit nothing can meet": {"constraints": '[[constraints]]\nquantity = "edp"\nat_least = inf'},
    "a truth value where a number belongs": {"network": '[network]\nfamily = "once-for-all"\nbatch = true'},
    "a truth value as a step": {"machine": "[machine]\nrows = { low = 4, high = 8, step = true }"},
    "a range of truth values": {"machine": "[machine]\nwide_outputs = { low = false, high = true }"},
    "a step of a real": {"machine": "[machine]\nclock_hz = { low = 1e8, high = 1e9, step = 1000 }"},
    "a logarithm of a whole number": {"machine": "[machine]\nrows = { low = 4, high = 8, log = true }"},
}


@pytest.mark.parametrize("spoiled", SILENT.values(), ids=SILENT.keys())
def test_what_would_be_ignored_or_crash_is_refused(study_file: StudyFile, spoiled: dict[str, str]) -> None:
    path = study_file(**spoiled)
    with pytest.raises(SextantError) as caught:
        read_study(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_field_out_of_range_names_the_file_once(study_file: StudyFile) -> None:
    path = study_file(machine="[machine]\nrows = 0\ncolumns = [4, 8]")
    with pytest.raises(SextantError) as caught:
        read_study(path)
    assert str(caught.value).count(str(path)) == 1
    assert "rows = 0, need a whole number, 1..1024" in str(caught.value)


def test_an_unknown_network_names_the_file_and_what_there_is(study_file: StudyFile) -> None:
    path = study_file(network='[network]\nname = "resnet81"')
    with pytest.raises(SextantError) as caught:
        read_study(path)
    assert str(caught.value).startswith(f"{path}, network: name = resnet81, need one of resnet18")


def test_an_empty_space_names_the_file(study_file: StudyFile) -> None:
    path = study_file(bits="", machine="[machine]\nrows = 4")
    with pytest.raises(SextantError, match="need at least one thing to choose") as caught:
        read_study(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_file_that_is_not_toml_are_named(tmp_path: Path) -> None:
    with pytest.raises(SextantError, match=r"none\.toml: No such file or directory, need a readable TOML file"):
        read_study(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe = ")
    with pytest.raises(SextantError, match=r"bad\.toml: not TOML"):
        read_study(tmp_path / "bad.toml")


# The key

CHANGES = {
    "seed": {"seed": "seed = 4"},
    "population": {"algorithm": "[algorithm]\npopulation = 18"},
    "algorithm": {"algorithm": '[algorithm]\nname = "random"\npopulation = 16'},
    "objectives": {"objectives": 'objectives = ["energy_pj", "seconds", "quantization_noise_db"]'},
    "constraint": {"constraints": '[[constraints]]\nquantity = "area_mm2"\nat_most = 2'},
    "network": {"network": '[network]\nname = "lenet5-bitfusion:batch=1"'},
    "bits": {"bits": "[bits]\nactivations = [2, 4, 8]\nweights = [2, 4]"},
    "order of options": {"bits": "[bits]\nactivations = [2, 4, 8]\nweights = [8, 4, 2]"},
    "knob": {"machine": "[machine]\nrows = [4, 16]\ncolumns = [4, 8, 16]"},
    "fixed field": {"machine": "[machine]\nrows = [4, 8]\ncolumns = [4, 8, 16]\nclock_hz = 1e8"},
    "order of knobs": {"machine": "[machine]\ncolumns = [4, 8, 16]\nrows = [4, 8]"},
}


def read(study_file: StudyFile, **sections: str) -> Study:
    return read_study(study_file(**sections))


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES.keys())
def test_the_key_changes_with_what_decides_the_results(study_file: StudyFile, changed: dict[str, str]) -> None:
    assert read(study_file, **changed).key != read(study_file).key


def test_limits_of_different_height_or_side_have_different_keys(study_file: StudyFile) -> None:
    limits = ("at_most = 2", "at_most = 3", "at_least = 2")
    limited = [f'[[constraints]]\nquantity = "edp"\n{limit}' for limit in limits]
    assert len({read(study_file, constraints=text).key for text in limited}) == 3


def test_the_key_does_not_change_with_name_budget_or_layout(study_file: StudyFile) -> None:
    key = read(study_file).key
    assert read(study_file, budget="budget = 4000").key == key
    assert read(study_file, seed='name = "other"\nseed = 3').key == key
    assert read(study_file, seed="# the same\nseed    =   3").key == key
    assert read_study(study_file(), budget=9, seed=3, algorithm="nsga2").key == key


def test_an_option_and_the_file_saying_it_have_one_key(study_file: StudyFile) -> None:
    assert read_study(study_file(), seed=4).key == read(study_file, seed="seed = 4").key


# What an algorithm is told


@pytest.mark.parametrize(
    ("limit", "value", "violation"),
    [
        (Constraint("edp", at_most=2.0), 2.0, 0.0),
        (Constraint("edp", at_most=2.0), 3.0, 0.5),
        (Constraint("edp", at_least=4.0), 4.0, 0.0),
        (Constraint("edp", at_least=4.0), 1.0, 0.75),
        (Constraint("edp", at_least=1.0, at_most=2.0), 1.5, 0.0),
        (Constraint("edp", at_most=0.0), 0.25, 0.25),
        (Constraint("edp", at_most=-2.0), -1.0, 0.5),
    ],
)
def test_a_violation_is_the_distance_relative_to_the_limit(limit: Constraint, value: float, violation: float) -> None:
    assert limit.violation(value) == violation


def test_scores_are_costs_with_violations_added_and_a_wall_for_the_unbuildable(study_file: StudyFile) -> None:
    limits = '[[constraints]]\nquantity = "edp"\nat_most = 1\n[[constraints]]\nquantity = "gops"\nat_least = 4'
    study = read(study_file, objectives='objectives = ["edp", "gops"]', constraints=limits)
    outcomes = [Outcome({"edp": 3.0, "gops": 2.0}), Outcome({}, "too large"), Outcome({"edp": 1.0, "gops": 8.0})]
    objectives, violations = study.scores(outcomes)
    assert objectives.tolist() == [[3.0, -2.0], [FAR, FAR], [1.0, -8.0]]
    assert violations.tolist() == [2.5, UNBUILDABLE, 0.0]
