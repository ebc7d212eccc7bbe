"""The table of trained digits networks holds the networks its script draws. Needs the extra ``train``."""

from __future__ import annotations

import numpy as np
import pytest

from searchers.oracles.digits import measured
from searchers.oracles.integer_network import held_out_images, shipped

pytest.importorskip("torch")
pytest.importorskip("sklearn")


def test_the_table_holds_the_networks_that_are_drawn() -> None:
    from searchers.oracles.training.train_digits import draw_network

    networks = measured()
    assert len(networks) >= 60
    assert [(network.architecture, network.bits) for network in networks] == [
        draw_network(network.index) for network in networks
    ]


def test_shipped_images_are_the_corrupted_test_digits() -> None:
    from searchers.oracles.training.corrupted_digits import CORRUPTIONS, TEST_SEED, corrupt, load

    pixels, labels = corrupt(load()[1], CORRUPTIONS, TEST_SEED)
    np.testing.assert_array_equal(held_out_images()[0], pixels)
    np.testing.assert_array_equal(held_out_images()[1], labels)


def test_a_training_step_goes_down_and_shipped_networks_are_of_the_table() -> None:
    import torch

    from searchers.oracles.training.residual_network import ResidualNetwork

    trained = shipped()[0]
    assert (trained.architecture, trained.bits) in [(network.architecture, network.bits) for network in measured()]
    network = ResidualNetwork(trained.architecture, trained.bits)
    names = {name for name, value in network.state_dict().items() if value.ndim}
    assert names == {name for name in trained.values if not name.startswith("tested.")}
    loss = network(torch.zeros(8, 1, 8, 8)).square().mean()
    loss.backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_a_network_that_is_trained_again_reaches_what_the_table_says() -> None:
    from searchers.oracles.training import train_digits

    train_digits.train_the_same_everywhere()
    first = measured()[0]
    correct, tested = train_digits.measure(first.architecture, first.bits, 0, train_digits.load_images())
    assert 100 * correct / tested == pytest.approx(first.percent[0], abs=3.0)  # processors round differently
