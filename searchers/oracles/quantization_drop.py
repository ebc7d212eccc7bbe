"""Points of ImageNet accuracy that quantization costs, from published pairs; wide error bars, and says so.

Rounding to b bits makes noise of power 4**-b. A layer's noise is that of its weights and of its activations, each times
a sensitivity that depends on how the widths were reached; the noise of dense layers is averaged over them, that of
depthwise ones too and counts ``depthwise`` times as much. A network of the accuracy A loses A (1 - exp(-noise/A)):
about the noise while that is small, never more than all. The seven numbers are fitted by ``training/fit_drop.py``; with
training, published pairs do not tell weights from activations. How a network was quantized moves its accuracy more than
the bits, and below 4 bits two methods of one regime differ by as much as the drop itself. Some networks lose points at
8 bits where others lose nothing, if ranges are taken as they are: so each regime has a least standard deviation, that
with which as many fitted pairs are inside two as of a normal distribution would be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from accel.config import read_toml
from searchers.oracles.accuracy import (
    PTQ_MINMAX,
    PTQ_RECONSTRUCTION,
    QAT,
    Bits,
    Estimates,
    Floats,
    Oracle,
    Policy,
    Subject,
)
from workloads.layers import KIND, KINDS, OUT_C, LayerTable

FITTED = Path(__file__).parent / "fitted" / "quantization_drop.toml"
QUANTIZED = (PTQ_MINMAX, PTQ_RECONSTRUCTION, QAT)
REFERENCE = 75.0  # accuracy before, where nobody says [%]
FEWEST_BITS, TRUSTED_BITS = 2, 4
DEPTHWISE = KINDS.index("depthwise")
CLASSES = (1000, 1001)  # some have one for the background
LEAST_SIGMA, SIGMA_SHARE, RANKING_SIGMA = 0.5, 0.6, 1.0  # points, of the drop, points


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The fitted numbers.

    Attributes
    ----------
    weights, activations : mapping of str to float
        By regime: points per unit of noise power.
    depthwise : float
        How much more the noise of depthwise layers counts than that of dense ones.
    least_sigma : mapping of str to float
        By regime: least standard deviation of what is lost [points].
    fewest_bits : mapping of str to (int, int)
        By regime: fewest of weights and of activations in any published pair.
    """

    weights: Mapping[str, float]
    activations: Mapping[str, float]
    depthwise: float
    least_sigma: Mapping[str, float]
    fewest_bits: Mapping[str, Sequence[int]]

    def noise(self, tables: Sequence[LayerTable], policies: Sequence[Bits], regime: str) -> Floats:
        """Return the weighted noise of networks whose layers have the widths of policies, shape (n,)."""
        power = self.weights[regime] * 4.0 ** -_joined([policy.weights for policy in policies])
        power += self.activations[regime] * 4.0 ** -_joined([policy.activations for policy in policies])
        kinds = np.concatenate([table.values[:, KIND] for table in tables])
        starts = np.cumsum([0, *(len(table) for table in tables[:-1])])
        total = np.zeros(len(tables))
        for weight, chosen in ((1.0, kinds != DEPTHWISE), (self.depthwise, kinds == DEPTHWISE)):
            count = np.add.reduceat(chosen.astype(float), starts)
            total += weight * np.add.reduceat(power * chosen, starts) / np.maximum(count, 1.0)
        return total


def _joined(widths: Sequence[tuple[int, ...]]) -> Floats:
    return np.fromiter(chain.from_iterable(widths), np.float64)


def points_lost(noise: Floats, reference: Floats) -> Floats:
    """Return how many points a noise costs networks of a certain accuracy [%], each of shape (networks,)."""
    lost: Floats = reference * -np.expm1(-noise / reference)
    return lost


def doubt(lost: Floats, least: Floats | float) -> Floats:
    """Return the standard deviation of points lost, shape (networks,)."""
    sigma: Floats = np.maximum(least, SIGMA_SHARE * lost)
    return sigma


def read_sensitivity() -> Sensitivity:
    """Return the fitted numbers that are shipped."""
    fitted = read_toml(FITTED)
    return Sensitivity(
        fitted["weights"], fitted["activations"], fitted["depthwise"], fitted["least_sigma"], fitted["fewest_bits"]
    )


class QuantizationDrop(Oracle):
    """Points lost; fewer are better."""

    name = "quantization-drop"
    quantity, unit = "ImageNet accuracy lost to quantization, top-1", "points"
    regimes = QUANTIZED
    provenance = "fitted to published quantized pairs"
    more_is_better = False
    monotone_in_bits = True

    def __init__(self, sensitivity: Sensitivity | None = None) -> None:
        self._sensitivity = sensitivity or read_sensitivity()

    def lost(
        self, networks: Sequence[Subject], policies: Sequence[Policy], regime: str, reference: Floats
    ) -> Estimates:
        """Return points lost by networks of a certain accuracy before, shape (n,) [%]."""
        noise, rank_only = np.zeros(len(networks)), np.zeros(len(networks), bool)
        outside: dict[int, str] = {}
        refused: dict[int, str] = {}
        known, tables, widths = [], [], []
        fewest_weights, fewest_activations = self._sensitivity.fewest_bits[regime]
        for index, (network, policy) in enumerate(zip(networks, policies, strict=True)):
            if reason := _reason(network, policy):
                refused[index] = reason
            elif network.table is not None and isinstance(policy, Bits):
                weights, activations = min(policy.weights), min(policy.activations)
                fewest = min(weights, activations)
                if fewest < FEWEST_BITS:
                    refused[index] = f"{fewest} bits: no published pair has fewer than {FEWEST_BITS}"
                    continue
                known.append(index)
                tables.append(network.table)
                widths.append(policy)
                rank_only[index] = fewest < TRUSTED_BITS
                if weights < fewest_weights or activations < fewest_activations:
                    outside[index] = f"fewer bits than in any published pair of {regime}"
        if known:
            noise[known] = self._sensitivity.noise(tables, widths, regime)
        lost = points_lost(noise, reference)
        sigma = doubt(lost, self._sensitivity.least_sigma[regime])
        return Estimates(lost, sigma, rank_only | (sigma > RANKING_SIGMA), outside, refused)

    def _estimate(self, networks: Sequence[Subject], policies: Sequence[Policy], regime: str) -> Estimates:
        return self.lost(networks, policies, regime, np.full(len(networks), REFERENCE))


def _reason(network: Subject, policy: Policy) -> str:
    """Say why nothing is known of a quantized network, whatever its widths; nothing if something is."""
    if network.table is None:
        return f"the layers of {network.name} are not given"
    if (classes := int(network.table.values[-1, OUT_C])) not in CLASSES:
        return f"the last layer of {network.name} tells {classes} classes apart, published pairs are of ImageNet's 1000"
    if not isinstance(policy, Bits):
        return "the policy gives no widths"
    layers = len(network.table)
    if len(policy.weights) != layers or len(policy.activations) != layers:
        return f"{len(policy.weights)} and {len(policy.activations)} widths for {layers} layers"
    return ""
