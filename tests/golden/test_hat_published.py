"""HAT's released networks and measurements: sizes to the printed digits, latencies, and what was fitted, again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from searchers.oracles.device_latency import DeviceLatency, features, measured_sets
from searchers.oracles.published import translation
from searchers.oracles.training.fit_device_latency import Measured, errors, fit, macs, predict, read
from validation.compare import compare
from validation.hat import SETS
from workloads.errors import OracleError
from workloads.networks import hat
from workloads.networks.hat_published import PUBLISHED

LENGTHS = {"iwslt14deen": 23}
ATTENDED = {-1: 1, 1: 2, 2: 3}


@pytest.fixture(scope="module")
def released(shared_data: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((shared_data / "cosearch/hat_subtransformers.json").read_text("utf-8"))
    return entries


@pytest.fixture(scope="module")
def measured(shared_data: Path) -> dict[str, Measured]:
    return read(shared_data / "cosearch" / "hat_latency.csv")


def network(entry: dict[str, Any]) -> hat.Architecture:
    given = entry["arch"]
    return hat.Architecture(
        encoder_embedding=given["encoder-embed-dim"],
        decoder_embedding=given["decoder-embed-dim"],
        encoder_feed_forward=tuple(given["encoder-ffn-embed-dim"]),
        encoder_heads=tuple(given["encoder-self-attention-heads"]),
        decoder_feed_forward=tuple(given["decoder-ffn-embed-dim"]),
        decoder_heads=tuple(given["decoder-self-attention-heads"]),
        cross_heads=tuple(given["decoder-ende-attention-heads"]),
        attended=tuple(ATTENDED[last] for last in given["decoder-arbitrary-ende-attn"]),
    )


def test_sizes_are_the_printed_ones(released: list[dict[str, Any]]) -> None:
    assert len(released) >= 30
    for entry in released:
        built = hat.build(network(entry), length=LENGTHS.get(entry["task"], hat.LENGTH))
        assert abs(built.parameters / 1e6 - entry["params_m"]) <= 0.0051, entry["name"]
        # Theirs count normalisations too, and are rounded to 0.01.
        assert -0.0065 <= 2 * built.macs / 1e9 - entry["flops_g"] <= 0.005, entry["name"]


def test_networks_that_are_shipped_are_the_released_ones(released: list[dict[str, Any]]) -> None:
    known = {entry["name"]: network(entry) for entry in released}
    assert {name: known[name] for name in PUBLISHED} == dict(PUBLISHED)
    assert set(PUBLISHED) <= set(translation().names)


def measured_like(entry: dict[str, Any]) -> str:
    """Return what was fitted for a network's device: by its own task, or another of its length."""
    own = [name for name in measured_sets() if name.startswith(entry["task"]) and name.endswith(entry["device"])]
    return own[0] if own else SETS[entry["device"]]


def test_printed_latencies_are_near_what_was_fitted_to_other_networks(released: list[dict[str, Any]]) -> None:
    off: dict[str, list[float]] = {}
    for entry in released:
        name = measured_like(entry)
        found, again = (DeviceLatency(name).milliseconds(features([network(entry)]))[0] for _ in range(2))
        assert found == again
        off.setdefault(entry["device"], []).append(found / entry["latency_ms"] - 1)
    assert np.abs(off["raspberrypi"]).max() < 0.02
    assert np.abs(off["titanxp"]).max() < 0.13
    assert -0.2 < np.mean(off["xeon"]) < -0.08  # published/hat.toml says why


@pytest.mark.parametrize("name", ["wmt14ende_cpu_xeon", "wmt14enfr_cpu_raspberrypi"])
def test_the_fit_is_the_shipped_one(measured: dict[str, Measured], name: str) -> None:
    here, shipped = measured[name], DeviceLatency(name)
    held, factors = here.held_out, fit(here)
    np.testing.assert_allclose(predict(factors, here.features), shipped.milliseconds(here.features), rtol=1e-4)
    off = errors(shipped.milliseconds(here.features[held]), here.total[held])
    assert {key: float(f"{value:.3g}") for key, value in off.items()} == {
        key: float(f"{value:.3g}") for key, value in shipped.held_out.items()
    }
    assert off["spearman"] > spearmanr(macs(here.features[held]), here.total[held]).statistic + 0.05


def test_features_of_a_network_are_the_releases() -> None:
    found = features([PUBLISHED["HAT_wmt14ende_titanxp@208.1ms_bleu@28.5"]])[0]
    assert found == pytest.approx([512, 6, 3072, 40 / 6, 512, 5, 2662.4, 7.2, 7.2, 1.6])


def test_no_published_number_is_missed() -> None:
    verdicts = {entry.number.id: entry.verdict for entry in compare("hat")}
    assert [name for name, verdict in verdicts.items() if verdict == "explained"] == [
        "xeon@340.2ms.on_xeon", "xeon@450.9ms.on_xeon",
    ]  # fmt: skip
    assert "miss" not in verdicts.values()


def test_a_device_that_was_not_measured() -> None:
    with pytest.raises(OracleError) as caught:
        DeviceLatency("wmt14ende_cpu_m68k")
    assert str(caught.value).startswith(
        "device latency: name = wmt14ende_cpu_m68k, need one of iwslt14deen_gpu_titanxp"
    )
