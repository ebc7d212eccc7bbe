"""HAT's family: counts by hand, what is refused, the fast rows of a study, and translations on SpAtten."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from accel import spatten
from mappers.spatten import best_plan
from searchers.algorithms.random_search import random_shares
from searchers.machines import MACHINES
from searchers.problems.problem import Problem
from searchers.problems.transformers import CHOSEN_TRANSFORMER, architecture_of
from searchers.sections import read_problem
from searchers.study import read_study
from sextant.__main__ import command
from workloads.attention.catalog import open_attention
from workloads.errors import SextantError, StudyError, WorkloadError
from workloads.networks import hat
from workloads.source import open_layers

HOUSE = Path(__file__).resolve().parents[2]
GIVEN = {
    "encoder_embedding": 640,
    "decoder_embedding": 512,
    "encoder_feed_forward": (1024, 2048, 3072, 512, 1024, 2048),
    "encoder_heads": (2, 4, 8, 8, 4, 2),
    "decoder_feed_forward": (3072, 1024),
    "decoder_heads": (8, 2),
    "cross_heads": (4, 8),
    "attended": (1, 3),
}
SPATTEN = replace(spatten.PRESETS["paper"], fc_bits=8)
STUDY = {"family": "hat", "feed_forward": [1024, 3072], "heads": [4, 8], "length": 6}


def network(**changes: Any) -> hat.Architecture:
    return hat.Architecture(**{**GIVEN, **changes})


def test_macs_and_parameters_by_hand() -> None:
    length, wide, narrow = 7, 640, 512
    built = hat.build(network(), length=length)
    macs = parameters = 0
    for inner in GIVEN["encoder_feed_forward"]:
        macs += length * (4 * wide * 512 + 2 * wide * inner) + 2 * length * length * 512
        parameters += 4 * wide * 512 + 3 * 512 + wide + 2 * wide * inner + inner + wide + 2 * 2 * wide
    for inner, attended in zip(GIVEN["decoder_feed_forward"], GIVEN["attended"], strict=True):
        keys = attended * length
        macs += length * (6 * narrow * 512 + 2 * narrow * inner) + 2 * length * (length + keys) * 512
        macs += keys * 2 * wide * 512
        projections = 6 * narrow * 512 + 2 * wide * 512 + 6 * 512 + 2 * narrow
        parameters += projections + 2 * narrow * inner + inner + narrow + 3 * 2 * narrow
    assert built.macs == built.table().macs.sum() == macs
    assert built.parameters == parameters


def test_heads_change_no_count_and_more_encoder_layers_attended_only_keys() -> None:
    few, many = (hat.build(hat.alike(512, 512, 3, 1024, heads, 1)) for heads in (2, 8))
    assert (few.macs, few.parameters) == (many.macs, many.parameters)
    one, three = (hat.build(hat.alike(512, 512, 3, 1024, 4, attended)) for attended in (1, 3))
    assert one.parameters == three.parameters
    assert three.macs - one.macs == 3 * 2 * hat.LENGTH * 2 * (512 * 512 + hat.LENGTH * 512)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder_embedding": 768}, "encoder_embedding = 768, need one of 512, 640"),
        ({"decoder_embedding": 512.0}, "decoder_embedding = 512.0, need one of 512, 640"),
        ({"encoder_heads": (4,) * 5}, "encoder_heads = 5 values, need 6"),
        ({"cross_heads": (4, 3)}, "cross_heads[1] = 3, need one of 2, 4, 8"),
        ({"attended": (1, 4)}, "attended[1] = 4, need one of 1, 2, 3"),
        ({"attended": (1, True)}, "attended[1] = True, need one of 1, 2, 3"),
        ({"decoder_feed_forward": ()}, "decoder_feed_forward = 0 values, need one for each of 1..6 decoder layers"),
        ({"decoder_feed_forward": (512,) * 7},
         "decoder_feed_forward = 7 values, need one for each of 1..6 decoder layers"),
    ],
)  # fmt: skip
def test_what_is_no_architecture(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(WorkloadError) as caught:
        network(**changes)
    assert str(caught.value) == f"hat architecture: {message}"


def test_a_file_holds_an_architecture(tmp_path: Path) -> None:
    path = tmp_path / "chosen.json"
    path.write_text(hat.to_json(network()), encoding="utf-8")
    assert open_attention(f"{path}:length=9") == hat.Translation(str(path), network(), 9)
    layers = open_layers(f"{path}:length=9,act_bits=4")
    assert np.array_equal(layers.values, hat.build(network(), length=9).table(act_bits=4).values)


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"heads": 8}, "", "field = heads, need one of encoder_embedding, "),
        ({"attended": None}, "", "attended is missing, need a list of whole numbers"),
        ({"attended": 3}, "", "attended = 3, need a list of whole numbers"),
        ({"encoder_embedding": [512]}, "", "encoder_embedding = [512], need a whole number"),
        ({"attended": [1, "2"]}, "", "attended[1] = 2, need one of 1, 2, 3"),
        ({}, ":length=129", "length = 129, need a whole number, 1..128"),
    ],
)
def test_what_is_no_file_of_an_architecture(
    tmp_path: Path, changes: dict[str, Any], options: str, message: str
) -> None:
    path = tmp_path / "chosen.json"
    path.write_text(json.dumps(json.loads(hat.to_json(network())) | changes), encoding="utf-8")
    for opened in (open_attention, open_layers):
        with pytest.raises(WorkloadError) as caught:
            opened(f"{path}{options}")
        assert str(caught.value).startswith(str(path))
        assert message in str(caught.value)


def test_rows_of_a_study_are_those_of_the_network() -> None:
    section = {
        "family": "hat",
        "feed_forward": [512, 3072],
        "heads": [2, 8],
        "attended": [1, 3],
        "decoder_layers": [1, 3],
    }
    problem = read_problem({"network": section, "machine": {"name": "systolic"}}, "study")
    genomes = problem.space.random(random_shares(1, 0, 12, len(problem.space)))
    for genome in genomes:
        choice = {name.removeprefix("network."): value for name, value in problem.space.candidate(genome).items()}
        ((_, table),) = problem.situations(genome)
        expected = hat.build(architecture_of(choice)).table()
        assert table.layer_names == expected.layer_names
        assert np.array_equal(table.values, expected.values)


@pytest.fixture(scope="module")
def on_spatten() -> Problem:
    return read_problem({"workload": STUDY, "machine": {"name": "spatten", "fc_bits": 8}}, "study")


def test_a_translation_on_spatten_is_the_sum_of_its_parts(on_spatten: Problem, tmp_path: Path) -> None:
    (genome,) = on_spatten.space.random(random_shares(3, 0, 1, len(on_spatten.space)))
    ((config, sentence),) = on_spatten.situations(genome)
    plan = best_plan(config, sentence)
    report = spatten.simulate(config, plan)
    alone = [
        part.times * spatten.simulate(replace(config, fc_bits=0), part.plan, compare=False).cycles
        for part in plan.parts
        if hasattr(part, "plan")
    ]
    around = [layer for layer in report.layers if "weight_read" in layer.dram_bytes]
    architecture, length = sentence.architecture, sentence.length
    assert report.cycles == sum(alone) + sum(layer.cycles for layer in around)
    assert len(report.layers) == len(plan.parts) == 2 * 6 + 4 * architecture.decoder_layers
    # Weights are read once for the encoder and for the encoder's keys and values, and in every step of the decoder.
    encoder, decoder = architecture.encoder_embedding, architecture.decoder_embedding
    read = sum(4 * encoder * 512 + 2 * encoder * inner for inner in architecture.encoder_feed_forward)
    read += architecture.decoder_layers * 2 * encoder * 512
    read += length * sum(6 * decoder * 512 + 2 * decoder * inner for inner in architecture.decoder_feed_forward)
    assert sum(layer.dram_bytes["weight_read"] for layer in around) == read
    (outcome,) = on_spatten.evaluate(genome[None])
    assert outcome.quantities["cycles"] == report.cycles
    assert "output_error" not in on_spatten.quantities
    chosen = on_spatten.command(genome, tmp_path)
    assert chosen == f"spatten {tmp_path / CHOSEN_TRANSFORMER}:length=6 --preset paper --set fc_bits=8"
    again = open_attention(f"{tmp_path / CHOSEN_TRANSFORMER}:length=6")
    assert spatten.simulate(config, best_plan(config, again)).cycles == report.cycles


def test_without_widths_of_weights_attention_runs_alone() -> None:
    config = spatten.PRESETS["paper"]
    plan = best_plan(config, hat.Translation("one", network(), 6))
    assert [part.name for part in plan.parts[-2:]] == ["decoder2", "decoder2, cross"]
    assert [plan.describe(len(plan.parts) - 1), plan.describe(0)] == ["6 times", ""]
    assert "weight_read" not in spatten.simulate(config, plan).dram_bytes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"token_keep": 0.5}, "one: token_keep = 0.5, need 1.0: a translation drops nothing"),
        ({"head_keep": 0.5}, "one: head_keep = 0.5, need 1.0: a translation drops nothing"),
        ({"schedule": "importance"}, "one: schedule = importance, need cascade: a translation drops nothing"),
    ],
)
def test_a_translation_drops_nothing(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SextantError) as caught:
        best_plan(replace(SPATTEN, **changes), hat.Translation("one", network(), 6))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ('[network]\nfamily = "hat"\nheads = [16]\n[machine]\nname = "systolic"',
         "network.heads = [16], need a list of values out of 2, 4, 8"),
        ('[network]\nfamily = "hat"\nbatch = 2\n[machine]\nname = "systolic"',
         "network.batch = 2, need one of attended"),
        ('[network]\nfamily = "hat"\nlength = 0\n[machine]\nname = "systolic"',
         "network.length = 0, need a whole number, 1..128"),
        ('[workload]\nfamily = "hat"\nkeep = [0.5]\n[machine]\nname = "spatten"',
         "workload.keep = [0.5], need one of family"),
        ('[workload]\nfamily = "hat"\nattended = 3\n[machine]\nname = "spatten"',
         "workload.attended = 3, need a list of values out of 1, 2, 3"),
        ('[workload]\nfamily = "hat"\n[machine]\nname = "a3"',
         "workload.family = hat, need a machine that runs it: spatten"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_study_is_said_in_one_line(tmp_path: Path, sections: str, message: str) -> None:
    path = tmp_path / "study.toml"
    path.write_text(f'budget = 8\nobjectives = ["seconds"]\n{sections}\n', encoding="utf-8")
    with pytest.raises(StudyError) as caught:
        read_study(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_a_study_is_searched_drawn_and_reported(tmp_path: Path) -> None:
    text = (HOUSE / "examples" / "hat.toml").read_text(encoding="utf-8")
    study = tmp_path / "study.toml"
    study.write_text(text.replace('family = "hat"', 'family = "hat"\nlength = 4'), encoding="utf-8")
    out = tmp_path / "out"
    for arguments in (
        ["cosearch", str(study), "--out", str(out), "--budget", "20"],
        ["report", str(out), "--no-validate"],
    ):
        ran = CliRunner().invoke(command, arguments)
        assert ran.exit_code == 0, ran.output
    chosen = f"{out / CHOSEN_TRANSFORMER}:length=4"
    assert open_attention(chosen).name == str(out / CHOSEN_TRANSFORMER)
    ran = CliRunner().invoke(command, ["simulate", "spatten", chosen, "--set", "fc_bits=8", "--json"])
    with (out / "front.csv").open(encoding="utf-8") as file:
        (best,) = csv.DictReader(file)
    assert json.loads(ran.output)["cycles"] == float(best["cycles"])


def test_machines_that_only_attend_refuse_a_translation(tmp_path: Path) -> None:
    machine = MACHINES["dense_attention"]
    with pytest.raises(WorkloadError) as caught:
        machine.run(machine.presets["paper"], hat.Translation("one", network(), 6), "estimate")
    assert str(caught.value).startswith("one: workload = a translation, need a trace or a model: dense_attention runs")
