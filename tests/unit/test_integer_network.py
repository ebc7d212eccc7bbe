"""Trained networks in whole numbers see what PyTorch saw in every test image."""

from __future__ import annotations

import numpy as np
import pytest

from searchers.oracles.accuracy import Bits
from searchers.oracles.integer_network import IntegerNetwork, convolve, held_out_images, shipped
from workloads.errors import WorkloadError

TRAINED = range(len(shipped()))


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.drill)])
@pytest.mark.parametrize("index", TRAINED)
def test_classes_of_images_and_every_policy_equal_pytorchs(index: int, every: int) -> None:
    trained = shipped()[index]
    pixels, labels = held_out_images()
    told = trained.values
    policies = list(zip(told["tested.activations"], told["tested.weights"], told["tested.classes"], strict=True))
    assert len(policies) == 4
    for activations, weights, classes in policies:
        bits = Bits(tuple(map(int, activations)), tuple(map(int, weights)))
        seen = IntegerNetwork(trained, bits).classes(pixels[::every])
        np.testing.assert_array_equal(seen, classes[::every])
    own = IntegerNetwork(trained)
    assert own.bits == Bits(tuple(map(int, policies[0][0])), tuple(map(int, policies[0][1])))
    assert np.mean(policies[0][2] == labels) > 0.3


def test_a_convolution_equals_its_definition() -> None:
    random = np.random.default_rng(1)
    for kernel, stride, depthwise in ((1, 1, False), (3, 1, False), (3, 2, True), (5, 1, True), (5, 2, False)):
        x = random.integers(-9, 9, (2, 3, 8, 8))
        weight = random.integers(-9, 9, (3 if depthwise else 4, 1 if depthwise else 3, kernel, kernel))
        found = convolve(x, weight, stride)
        pad = kernel // 2
        for n, o, top, left in np.ndindex(found.shape):
            total = 0
            for i, dy, dx in np.ndindex(weight.shape[1:]):
                y, z = top * stride + dy - pad, left * stride + dx - pad
                if 0 <= y < 8 and 0 <= z < 8:
                    total += int(weight[o, i, dy, dx]) * int(x[n, o if depthwise else i, y, z])
            assert found[n, o, top, left] == total


def test_widths_that_are_not_the_familys_are_an_error() -> None:
    with pytest.raises(WorkloadError, match=r"integer network: weights\[3\] = 5, need one of 2, 3, 4, 6, 8"):
        IntegerNetwork(shipped()[0], Bits((8,) * 4, (8, 8, 8, 5)))
