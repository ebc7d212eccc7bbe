"""The ImageNet oracle beside the published predictor's outputs and the printed networks."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from searchers.oracles.accuracy import Subject
from searchers.oracles.imagenet import WIDE, Networks, PublishedPredictor, open_imagenet
from searchers.oracles.training.fit_imagenet import published
from workloads.networks.once_for_all import NAME, Architecture


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "cosearch"


@pytest.fixture(scope="module")
def golden(folder: Path) -> tuple[list[Architecture], np.ndarray]:
    def digits(word: str) -> tuple[int, ...]:
        return tuple(map(int, word))

    with (folder / "ofa_mbv3_golden.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    architectures = [
        Architecture(int(row["image_size"]), digits(row["depths"]), digits(row["kernels"]), digits(row["expands"]))
        for row in rows
    ]
    return architectures, np.array([100 * float(row["pred_top1"]) for row in rows])


def test_weights_from_a_file_give_the_golden_outputs(
    folder: Path, golden: tuple[list[Architecture], np.ndarray]
) -> None:
    architectures, outputs = golden
    found = PublishedPredictor(folder / "ofa_mbv3_w12_acc_predictor.npz")(Networks(architectures))
    np.testing.assert_allclose(found, outputs, atol=6e-4)  # the file has five digits


def test_the_surrogate_is_near_the_golden_outputs(golden: tuple[list[Architecture], np.ndarray]) -> None:
    architectures, outputs = golden
    errors = open_imagenet()._predict(Networks(architectures)) - outputs
    assert np.sqrt(np.mean(errors**2)) < 0.2
    assert np.abs(errors).max() < 1.0


@pytest.mark.parametrize("weights", [None, "ofa_mbv3_w12_acc_predictor.npz"])
@pytest.mark.parametrize(("width", "name"), [(1.0, NAME), (1.2, WIDE)])
def test_printed_networks_are_inside_two_sigma(folder: Path, weights: str | None, width: float, name: str) -> None:
    oracle = open_imagenet(folder / weights if weights else None)
    networks, printed = published(folder / "ofa_specialized.json")[width]
    answers = oracle.evaluate([Subject(name, network) for network in networks], [None] * len(networks), "fp32")
    assert len(answers) >= 5
    for answer, top1 in zip(answers, printed, strict=True):
        assert answer.domain == "inside"
        assert abs(answer.value - top1) <= 2 * answer.sigma
