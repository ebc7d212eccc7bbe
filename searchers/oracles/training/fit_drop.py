"""Fit the sensitivities of the quantization drop to the published pairs, and write them.

    python -m searchers.oracles.training.fit_drop

Errors are relative and large ones count linearly (soft L1), because methods of one regime differ by factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from searchers.oracles.accuracy import Floats
from searchers.oracles.published import Pair, quantized_pairs
from searchers.oracles.quantization_drop import FITTED, LEAST_SIGMA, QUANTIZED, SIGMA_SHARE, Sensitivity, points_lost

START = (2000.0, 120.0, 400.0, 5000.0, 400.0, 400.0, 1.5)  # weights by regime, activations by regime, depthwise
BOUNDS = (0.1,) * 6 + (0.05,), (1e5,) * 6 + (8.0,)
SOFT = 0.3
INSIDE = 0.95  # share of a normal distribution within two standard deviations


def fit(pairs: Sequence[Pair]) -> Sensitivity:
    """Return the sensitivities that fit pairs best."""
    true = np.array([pair.reference - pair.value for pair in pairs])
    scale = np.maximum(true, 0.0) + 1.0

    def errors(logarithms: Floats) -> Floats:
        return (lost(_sensitivity(np.exp(logarithms)), pairs) - true) / scale

    found = least_squares(errors, np.log(START), loss="soft_l1", f_scale=SOFT, bounds=np.log(np.array(BOUNDS)))
    sensitivity = _sensitivity(np.exp(found.x))
    regimes = np.array([pair.regime for pair in pairs])
    least = _least_sigma(lost(sensitivity, pairs), true, regimes)
    fewest = {regime: _fewest_bits([pair for pair in pairs if pair.regime == regime]) for regime in QUANTIZED}
    return replace(sensitivity, least_sigma=least, fewest_bits=fewest)


def _fewest_bits(pairs: Sequence[Pair]) -> tuple[int, int]:
    """Return the fewest bits of weights, and of activations."""
    return min(pair.weight_bits for pair in pairs), min(pair.activation_bits for pair in pairs)


def _least_sigma(lost: Floats, true: Floats, regimes: npt.NDArray[np.str_]) -> dict[str, float]:
    """Return by regime the least standard deviation with which the due share of its pairs are inside two of them."""
    off = np.abs(lost - true)
    needed = np.where(off > 2 * SIGMA_SHARE * lost, off / 2, 0.0)
    return {
        regime: max(LEAST_SIGMA, float(np.quantile(needed[regimes == regime], INSIDE, method="higher")))
        for regime in QUANTIZED
    }


def lost(sensitivity: Sensitivity, pairs: Sequence[Pair]) -> Floats:
    """Return the points that pairs lose by the model."""
    noise = [
        (sensitivity.weights[pair.regime] * 4.0**-pair.weight_bits
         + sensitivity.activations[pair.regime] * 4.0**-pair.activation_bits)
        * (1.0 + sensitivity.depthwise * pair.depthwise)
        for pair in pairs
    ]  # fmt: skip
    return points_lost(np.array(noise), np.array([pair.reference for pair in pairs]))


def _sensitivity(numbers: Floats) -> Sensitivity:
    values = numbers.tolist()
    return Sensitivity(
        dict(zip(QUANTIZED, values[:3], strict=True)), dict(zip(QUANTIZED, values[3:6], strict=True)), values[6], {}, {}
    )


def main() -> None:
    """Write ``fitted/quantization_drop.toml``."""
    pairs = quantized_pairs()
    found = fit(pairs)
    lines = [f"# Fitted by training/fit_drop.py to {len(pairs)} published pairs.", f"depthwise = {found.depthwise:.6g}"]
    for name, numbers in (("weights", found.weights), ("activations", found.activations)):
        lines += ["", f"[{name}]  # points per unit of noise power", *(f"{k} = {v:.6g}" for k, v in numbers.items())]
    lines += ["", "[least_sigma]  # points", *(f"{k} = {v:.3g}" for k, v in found.least_sigma.items())]
    lines += [
        "",
        "[fewest_bits]  # of weights, activations",
        *(f"{k} = {list(v)}" for k, v in found.fewest_bits.items()),
    ]
    FITTED.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
