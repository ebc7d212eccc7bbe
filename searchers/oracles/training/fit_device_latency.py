"""Fit latencies of HAT's Transformers on devices to its authors' measurements, and write what was fitted.

    python -m searchers.oracles.training.fit_device_latency LATENCIES.csv [--rival]

LATENCIES.csv has the release's columns behind one more, ``task_device``; it is not shipped. Every fifth row of a device
is held out. Large errors count linearly (soft L1): while some networks were measured, the device did something else.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from scipy.optimize import least_squares
from scipy.stats import spearmanr

from searchers.oracles.accuracy import Floats
from searchers.oracles.device_latency import FEATURES, FITTED, terms
from workloads.networks.hat import ATTENTION_WIDTH, ENCODER_LAYERS

HELD_OUT = 5  # of as many rows one
SPREAD = 1.4826  # from the median absolute error to a standard deviation
# HAT's own predictor: layers, learning rate, batch, steps; its features and latencies are divided by these.
LAYERS, RATE, BATCH, STEPS = (400,) * 4, 1e-5, 128, 5000
FEATURE_NORM = (640, 6, 2048, 6, 640, 6, 2048, 6, 6, 2)


class Measured(NamedTuple):
    """Measurements on one device.

    Attributes
    ----------
    features : ndarray, shape (n, 10)
    encoder, decoder : ndarray, shape (n,)
        Milliseconds.
    """

    features: Floats
    encoder: Floats
    decoder: Floats

    @property
    def total(self) -> Floats:
        """Latency of the sentence [ms]."""
        return self.encoder + self.decoder

    @property
    def held_out(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which rows are not fitted to."""
        held: np.ndarray[tuple[int], np.dtype[np.bool_]] = np.arange(len(self.encoder)) % HELD_OUT == HELD_OUT - 1
        return held


def read(path: Path) -> dict[str, Measured]:
    """Return measurements by task and device."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    sets = dict.fromkeys(row["task_device"] for row in rows)
    columns = (*FEATURES, "latency_mean_encoder", "latency_mean_decoder")
    found = {}
    for name in sets:
        numbers = np.array([[float(row[column]) for column in columns] for row in rows if row["task_device"] == name])
        found[name] = Measured(numbers[:, : len(FEATURES)], *numbers[:, len(FEATURES) :].T)
    return found


def fit(measured: Measured) -> tuple[Floats, Floats]:
    """Return the factors of the terms of encoder and decoder, fitted to what is not held out."""
    used = ~measured.held_out
    encoder, decoder = terms(measured.features[used])
    return _robust(encoder, measured.encoder[used]), _robust(decoder, measured.decoder[used])


def _robust(design: Floats, target: Floats) -> Floats:
    start = np.linalg.lstsq(design, target, rcond=None)[0]
    scale = SPREAD * float(np.median(np.abs(design @ start - target)))
    factors: Floats = least_squares(lambda found: (design @ found - target) / scale, start, loss="soft_l1").x
    return factors


def predict(factors: tuple[Floats, Floats], given: Floats) -> Floats:
    """Return latencies [ms], shape (n,)."""
    encoder, decoder = terms(given)
    found: Floats = encoder @ factors[0] + decoder @ factors[1]
    return found


def errors(predicted: Floats, measured: Floats) -> dict[str, float]:
    """Return how far predictions, shape (networks,), are off."""
    off = predicted - measured
    return {
        "rmse_ms": float(np.sqrt(np.mean(np.square(off)))),
        "median_error": float(np.median(np.abs(off / measured))),
        "spearman": float(spearmanr(predicted, measured).statistic),
    }


def macs(given: Floats) -> Floats:
    """Return the multiply-accumulates per token of networks (n, features), without those between tokens: the rival."""
    wide, _, inner, _, narrow, layers, decoder_inner, _, _, attended = given.T
    encoder = ENCODER_LAYERS * (4 * wide * ATTENTION_WIDTH + 2 * wide * inner)
    decoder = 6 * narrow * ATTENTION_WIDTH + 2 * narrow * decoder_inner + 2 * attended * wide * ATTENTION_WIDTH
    total: Floats = encoder + layers * decoder
    return total


def rival(measured: Measured) -> Floats:
    """Return what a network of HAT's size, trained as HAT trains it, says of the held-out rows (extra train)."""
    from sklearn.neural_network import MLPRegressor

    used, scale = ~measured.held_out, float(measured.total.mean())
    epochs = max(1, round(STEPS * BATCH / used.sum()))
    network = MLPRegressor(
        hidden_layer_sizes=LAYERS, learning_rate_init=RATE, batch_size=BATCH, alpha=0.0, max_iter=epochs,
        n_iter_no_change=epochs, random_state=0,
    )  # fmt: skip
    given = measured.features / FEATURE_NORM
    network.fit(given[used], measured.total[used] / scale)
    predicted: Floats = network.predict(given[measured.held_out]) * scale
    return predicted


@click.command()
@click.argument("latencies", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--rival", "with_rival", is_flag=True, help="Train HAT's own predictor beside it; minutes a device.")
def main(latencies: Path, with_rival: bool) -> None:
    """Write ``fitted/device_latency.toml``; print errors on what is held out."""
    lines = [f"# Fitted by training/fit_device_latency.py to HAT's measurements [ms]; 1 of {HELD_OUT} is held out."]
    for name, measured in sorted(read(latencies).items()):
        held, factors = measured.held_out, fit(measured)
        off = errors(predict(factors, measured.features[held]), measured.total[held])
        by_macs = spearmanr(macs(measured.features[held]), measured.total[held]).statistic
        click.echo(f"{name}: {_said(off)}; by multiply-accumulates {by_macs:.3f}; {held.sum()} held out")
        if with_rival:
            click.echo(f"{name}, HAT's predictor: {_said(errors(rival(measured), measured.total[held]))}")
        lines += ["", f"[{name}]", f"fitted_to = {int((~held).sum())}  # networks"]
        for part, found in zip(("encoder", "decoder"), factors, strict=True):
            lines.append(f"{part} = [{', '.join(f'{factor:.6g}' for factor in found)}]")
        lines += ["", f"[{name}.held_out]", *(f"{key} = {value:.4g}" for key, value in off.items())]
    FITTED.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _said(off: dict[str, float]) -> str:
    return f"RMSE {off['rmse_ms']:.4g} ms, median {off['median_error']:.1%}, Spearman {off['spearman']:.4f}"


if __name__ == "__main__":
    main()
