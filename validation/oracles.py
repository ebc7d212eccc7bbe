"""The accuracy oracles on what they were not fitted to: held-out networks, policies and published pairs.

Models of the digits are fitted to nine tenths of the networks and asked about the rest, ten times; those of attention
to nine tenths of the policies and all networks but one, and asked about that one under the rest. The quantization drop
is fitted again and again, each time without one published network. Of the ImageNet surrogate the errors that its fit
left are reported (``training/fit_imagenet.py``): what it is fitted to is not shipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata, spearmanr

from accel.config import read_toml
from searchers.oracles import digits, imagenet
from searchers.oracles.accuracy import Floats
from searchers.oracles.characters import Characters
from searchers.oracles.language import Language
from searchers.oracles.policy_model import PolicyModel
from searchers.oracles.proxies import PROXIES, attention_bit_operations
from searchers.oracles.published import quantized_pairs
from searchers.oracles.quantization_drop import QUANTIZED, doubt
from searchers.oracles.training import fit_digits, fit_drop, fit_policies
from workloads.networks.tiny_residual import TinyResidual, layer_bits

BOOTSTRAPS, SEED = 2000, 0
INTERVAL = (2.5, 97.5)  # percentiles


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/oracles.toml``, by id."""
    predicted, percent, proxies = held_out_digits()
    margin = margins(predicted, percent, proxies["bit_operations"])
    lost, true, sigma, regimes = held_out_drop()
    inside = np.abs(lost - true) <= 2 * sigma
    fitted = read_toml(imagenet.FITTED)
    return {
        "digits_spearman": _spearman(predicted, percent),
        "digits_coverage": _coverage(predicted - percent, others_sigma(predicted - percent)),
        "digits_margin": float(np.percentile(margin, INTERVAL[0])),
        **_attention(Characters),
        **_attention(Language),
        "imagenet_left_out_rmse": float(fitted["surrogate"]["left_out_rmse"]),
        "drop_coverage": float(inside.mean()),
        **{f"drop_{regime}_coverage": float(inside[regimes == regime].mean()) for regime in QUANTIZED},
    }


def details() -> list[dict[str, str]]:
    """Return a row for each tier and each baseline: how many, how far off, how well ranked, how many inside 2 sigma."""
    predicted, percent, proxies = held_out_digits()
    low, high = np.percentile(margins(predicted, percent, proxies["bit_operations"]), INTERVAL)
    rows = [
        _row("digits, held-out networks", predicted, percent, others_sigma(predicted - percent)),
        *(
            _row(f"digits by {name}, a proxy", proxy, percent, None)
            for name, proxy in proxies.items()
        ),
        {"tier": "digits, Spearman above bit-operations", "Spearman": f"{low:+.2f} to {high:+.2f} (95 %)"},
    ]  # fmt: skip
    first, second = (np.array([network.percent[seed] for network in digits.measured()]) for seed in (0, 1))
    rows.append(_row("digits, one seed by the other", first, second, None))
    rows += [row for kind in (Characters, Language) for row in _attention_rows(kind)]
    fitted = read_toml(imagenet.FITTED)
    for kind in ("surrogate", "predictor"):
        count, rmse = fitted[kind]["networks"], fitted[kind]["left_out_rmse"]
        rows.append({"tier": f"imagenet {kind}, left-out published networks", "n": str(count), "RMSE": f"{rmse:.2f}"})
    lost, true, sigma, regimes = held_out_drop()
    for regime in QUANTIZED:
        of = regimes == regime
        rows.append(_row(f"drop, {regime}, left-out networks", lost[of], true[of], sigma[of]))
    rows.append(_row("drop, all, left-out networks", lost, true, sigma))
    return rows


@lru_cache(maxsize=1)
def held_out_digits() -> tuple[Floats, Floats, dict[str, Floats]]:
    """Return what the model says of networks it was not fitted to, what they reached, and what proxies say."""
    networks = digits.measured()
    predicted, percent = fit_digits.cross_validated(networks)
    family = TinyResidual()
    tables = [
        family.table(network.architecture).with_bits(
            layer_bits(network.architecture, network.bits.activations),
            layer_bits(network.architecture, network.bits.weights),
        )
        for network in networks
    ]
    return predicted, percent, {name: np.array([proxy(table) for table in tables]) for name, proxy in PROXIES.items()}


def margins(predicted: Floats, percent: Floats, proxy: Floats) -> Floats:
    """Return by how much the model ranks networks (n,) better than the proxy, for networks drawn again and again."""
    draws = np.random.default_rng(SEED).integers(len(percent), size=(BOOTSTRAPS, len(percent)))
    found, by_proxy, true = (rankdata(part[draws], axis=1) for part in (predicted, proxy, percent))
    return _correlations(found, true) - _correlations(by_proxy, true)


def _correlations(a: Floats, b: Floats) -> Floats:
    """Return the correlation of every row of one table with that of the other."""
    a, b = (part - part.mean(axis=1, keepdims=True) for part in (a, b))
    correlations: Floats = (a * b).sum(1) / np.sqrt(np.square(a).sum(1) * np.square(b).sum(1))
    return correlations


def _attention(kind: type[PolicyModel]) -> dict[str, float]:
    """Return a measured attention oracle's numbers, on networks and policies that it was not fitted to."""
    seen, reached = fit_policies.cross_validated(kind)
    return {
        f"{kind.name}_spearman": _by_network(seen, reached),
        f"{kind.name}_coverage": _coverage((seen - reached).ravel(), others_sigma((seen - reached).ravel())),
    }


def _attention_rows(kind: type[PolicyModel]) -> list[dict[str, str]]:
    seen, reached = fit_policies.cross_validated(kind)
    errors = (seen - reached).ravel()
    ranked = {"Spearman": f"{_by_network(seen, reached):.3f}"}
    one_by_another = np.mean([_spearman(*pair) for pair in combinations(reached.T, 2)])
    better = 1.0 if kind.more_is_better else -1.0
    proxy = better * np.array([attention_bit_operations(found.policy) for found in kind.measured()])
    by_proxy = _by_network(np.tile(proxy[:, None], reached.shape[1]), reached)
    low, high = np.percentile(margins(seen.mean(1), reached.mean(1), proxy), INTERVAL)
    return [
        _row(f"{kind.name}, held-out networks and policies", seen.ravel(), reached.ravel(), others_sigma(errors))
        | ranked,
        {"tier": f"{kind.name} by bit_operations, a proxy", "n": str(reached.size), "Spearman": f"{by_proxy:.3f}"},
        {"tier": f"{kind.name}, Spearman above bit-operations", "Spearman": f"{low:+.2f} to {high:+.2f} (95 %)"},
        {"tier": f"{kind.name}, one network by another", "n": str(len(reached)), "Spearman": f"{one_by_another:.3f}"},
    ]


def _by_network(seen: Floats, reached: Floats) -> float:
    """Return how well policies of one network are ranked, averaged over networks."""
    return float(np.mean([_spearman(*pair) for pair in zip(seen.T, reached.T, strict=True)]))


@lru_cache(maxsize=1)
def held_out_drop() -> tuple[Floats, Floats, Floats, npt.NDArray[np.str_]]:
    """Return what each published pair loses, and with what doubt, by a model fitted without its network; what it lost.

    Returns
    -------
    lost, true, sigma : ndarray of float64
    regimes : ndarray of str
    """
    pairs = quantized_pairs()
    lost, sigma = np.zeros(len(pairs)), np.zeros(len(pairs))
    for network in {pair.network for pair in pairs}:
        held = [index for index, pair in enumerate(pairs) if pair.network == network]
        sensitivity = fit_drop.fit([pair for pair in pairs if pair.network != network])
        least = np.array([sensitivity.least_sigma[pairs[index].regime] for index in held])
        lost[held] = fit_drop.lost(sensitivity, [pairs[index] for index in held])
        sigma[held] = doubt(lost[held], least)
    true = np.array([pair.reference - pair.value for pair in pairs])
    return lost, true, sigma, np.array([pair.regime for pair in pairs])


def others_sigma(errors: Floats) -> Floats:
    """Return the root mean square of all errors (n,) but one's own, so that no error widens its own interval."""
    squares = np.square(errors)
    sigma: Floats = np.sqrt((squares.sum() - squares) / (len(errors) - 1))
    return sigma


def _row(tier: str, found: Floats, true: Floats, sigma: Floats | None) -> dict[str, str]:
    row = {"tier": tier, "n": str(len(true)), "Spearman": f"{_spearman(found, true):.3f}"}
    if sigma is not None:
        row |= {"RMSE": f"{_rmse(found - true):.2f}", "inside 2 sigma": f"{_coverage(found - true, sigma):.0%}"}
    return row


def _rmse(errors: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


def _spearman(a: Sequence[float] | Floats, b: Sequence[float] | Floats) -> float:
    return float(spearmanr(a, b).statistic)


def _coverage(errors: Floats, sigma: Floats) -> float:
    return float(np.mean(np.abs(errors) <= 2 * sigma))
