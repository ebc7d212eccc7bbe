"""What an oracle cannot know of a study's candidates it does not answer, whatever leads there; the reason says why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from searchers.oracles.accuracy import FP32, PTQ_MINMAX, PTQ_RECONSTRUCTION, QAT, Accuracy, Bits, Subject
from searchers.oracles.registry import find_oracle
from searchers.problems.problem import Outcome
from searchers.sections import read_problem
from workloads.errors import StudyError
from workloads.networks.once_for_all import OnceForAll
from workloads.networks.resnet import resnet18
from workloads.networks.tiny_residual import NAME as TINY
from workloads.networks.tiny_residual import TinyResidual
from workloads.source import open_layers

DIGITS = {"oracle": "digits"}
BLOCK_BITS = {"per": "block", "activations": [4], "weights": [4]}
SMALLEST = {"depth": [1], "kernel": [3], "expansion": [3], "keep": [0.5]}
TRAINED = {"family": TINY, **SMALLEST}
LARGEST = {"image_size": [224], "depth": [4], "kernel": [7], "expansion": [6]}
ATTENTION = {"workload": {"name": "majority-transformer"}, "accuracy": {"oracle": "characters"}}


def first(**text: Any) -> Outcome:
    """Evaluate the first candidate of a study."""
    problem = read_problem({**text, "machine": {"clock_hz": [1e9], **text.get("machine", {})}}, "study.toml")
    return problem.evaluate(np.zeros((1, len(problem.space))))[0]


def on_spatten(name: str = "majority-transformer", oracle: str = "characters", **machine: Any) -> Outcome:
    return first(
        workload={"name": name}, accuracy={"oracle": oracle}, machine={"name": "spatten", "token_keep": 0.5, **machine}
    )


def test_attention_is_known_of_the_networks_that_were_run() -> None:
    encoder, decoder = on_spatten(), on_spatten("language-transformer", "language")
    assert 12.5 < encoder.quantities["accuracy"] < 100
    assert encoder.quantities["accuracy_bound"] < encoder.quantities["accuracy"]
    assert 0 < decoder.quantities["loss"] < decoder.quantities["loss_bound"]


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        ({"schedule": "importance"}, "characters: schedule = importance, known is only cascade"),
        ({"value_bits": 4}, "characters: value_bits = 4, known is only 0"),
        ({"requant_threshold": 0.5}, "characters: requant_threshold = 0.5, known is only 0.1"),
        ({"fc_bits": 8}, "characters: fc_bits = 8, known is only 0"),
        ({"token_keep": 0.1}, "characters: token_keep = 0.1, run were 0.25 to 1"),
        ({"msb_bits": 2}, "characters: 2 + 4 bits, run were at least 3 first ones"),
        ({"name": "a3"}, ""),
    ],
)
def test_machines_that_networks_were_not_run_on(machine: dict[str, Any], reason: str) -> None:
    if not reason:
        with pytest.raises(StudyError, match=r"accuracy.oracle = characters, need no .accuracy.: a3 prunes nothing"):
            first(**ATTENTION, machine=machine)
        return
    outcome = on_spatten(**machine)
    assert not outcome.quantities
    assert outcome.reason.startswith(reason)


def test_a_text_of_another_length_is_another_task() -> None:
    outcome = on_spatten("majority-transformer:length=48")
    assert outcome.reason == "characters: majority-transformer:length=48 was not run, only majority-transformer"


def test_the_worst_corner_counts() -> None:
    machine = {"name": "spatten", "msb_bits": 8}
    corners = [{"token_keep": share} for share in (1.0, 0.25, 0.5)]
    worst = first(**ATTENTION, machine=machine, corners={"machine": corners})
    alone = first(**ATTENTION, machine={**machine, "token_keep": 0.25})
    assert worst.quantities["accuracy"] == alone.quantities["accuracy"]
    text = {**ATTENTION, "machine": {**machine, "clock_hz": [1e9]}, "corners": {"machine": corners}}
    problem = read_problem(text, "study.toml")
    (second,) = problem.evaluate_in(np.zeros((1, len(problem.space))), 1)
    assert second.quantities["accuracy"] == alone.quantities["accuracy"]


@pytest.mark.parametrize(
    ("network", "bits", "reason"),
    [
        (TRAINED, {**BLOCK_BITS, "ends": 4}, "digits: the policy does not give one width for each of 4 block places"),
        (TRAINED, {**BLOCK_BITS, "per": "layer"}, "digits: the policy does not give one width for each of 4"),
        (TRAINED, {**BLOCK_BITS, "weights": [1]}, "digits: 1 to 4 bits, trained were 2 to 8"),
        ({"name": "lenet5-bitfusion"}, {}, "digits: lenet5-bitfusion is not of the tiny-residual family"),
    ],
)
def test_networks_that_were_not_trained(network: dict[str, Any], bits: dict[str, Any], reason: str) -> None:
    sections = {"bits": bits} if bits else {}
    outcome = first(network=network, accuracy=DIGITS, **sections)
    assert not outcome.quantities
    assert outcome.reason.startswith(reason)


def test_a_trained_network_with_its_own_widths_and_between_those_trained() -> None:
    whole = first(network=TRAINED, accuracy=DIGITS)  # without [bits] all have 8
    between = first(network=TRAINED, accuracy=DIGITS, bits={**BLOCK_BITS, "weights": [5], "activations": [7]})
    assert whole.quantities["accuracy"] > between.quantities["accuracy"]
    subject = Subject(TINY, TinyResidual().largest)
    answer = find_oracle("digits").evaluate([subject], [Bits((7,) * 4, (5,) * 4)], QAT)[0]
    assert answer.domain == "between the widths that were trained"


def test_a_wide_family_is_asked_for_as_what_it_is() -> None:
    accuracies = [
        first(network={"family": "once-for-all", "width": width, **LARGEST}, accuracy={"oracle": "imagenet"})
        for width in (1.0, 1.2)
    ]
    narrow, wide = (outcome.quantities["accuracy"] for outcome in accuracies)
    assert wide - narrow == pytest.approx(15.4695 - 13.2084)


def test_what_is_printed_of_a_network_is_not_of_a_pruned_one() -> None:
    network = {"name": "mobilenet_v2"}
    printed = {"oracle": "published", "regime": QAT}
    assert first(network=network, accuracy=printed).quantities["accuracy"] > 70
    pruned = first(network={**network, "keep": [0.5]}, accuracy=printed)
    assert pruned.reason == "published: nothing is printed of mobilenet_v2, pruned under qat at 8 and 8 bits"


def test_an_oracle_that_knows_one_network_or_no_widths() -> None:
    family = {"family": "once-for-all", **LARGEST}
    with pytest.raises(StudyError, match=r"network.names = .*, need one network beside .accuracy."):
        first(network={"names": ["resnet18", "mobilenet_v2"]}, accuracy={"oracle": "published"})
    with pytest.raises(StudyError, match=r"accuracy.regime = fp32, need how the widths of .bits. are reached"):
        first(network=family, accuracy={"oracle": "imagenet", "regime": FP32}, bits=BLOCK_BITS)


def drop_of(name: str, table: Any, weights: int, activations: int, regime: str) -> Accuracy:
    layers = len(table)
    policy = Bits((activations,) * layers, (weights,) * layers)
    return find_oracle("quantization-drop").evaluate([Subject(name, None, table)], [policy], regime)[0]


def test_points_of_imagenet_are_lost_by_classifiers_of_it() -> None:
    digits = drop_of(TINY, TinyResidual().table(TinyResidual().largest), 8, 8, QAT)
    assert (
        digits.domain
        == "the last layer of tiny-residual tells 10 classes apart, published pairs are of ImageNet's 1000"
    )
    assert drop_of("bert-base", open_layers("bert-base:length=64"), 8, 8, QAT).refused
    assert not drop_of("resnet18", resnet18().table(), 5, 7, QAT).refused


@pytest.mark.parametrize(
    ("weights", "activations", "regime"),
    [(3, 4, QAT), (4, 3, QAT), (4, 7, PTQ_MINMAX), (2, 2, PTQ_RECONSTRUCTION)],
)
def test_fewer_bits_than_any_published_pair(weights: int, activations: int, regime: str) -> None:
    said = f"fewer bits than in any published pair of {regime}"
    assert drop_of("resnet18", resnet18().table(), weights, activations, regime).domain == said
    assert drop_of("resnet18", resnet18().table(), 8, 8, regime).domain == "inside"
    family = OnceForAll()
    table = family.table(family.largest)
    policy = Bits((activations,) * len(table), (weights,) * len(table))
    answer = find_oracle("imagenet").evaluate([Subject(family.name, family.largest, table)], [policy], regime)[0]
    assert answer.domain != "inside"


def test_ranges_taken_as_they_are_only_rank() -> None:
    careless = drop_of("resnet18", resnet18().table(), 8, 8, PTQ_MINMAX)
    assert careless.rank_only
    assert careless.sigma == 1.74
