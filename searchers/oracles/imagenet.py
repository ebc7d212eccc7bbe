"""ImageNet accuracy over the Once-for-All family: a surrogate of the published predictor, set right on published nets.

Source: Cai et al., "Once-for-All", ICLR 2020, and the accuracy predictor that the authors publish. Its outputs are of
the 1.2-wide network on a set of its own and some points too high; a straight line takes them to what was printed of
networks that were cut out and trained on. Sextant ships an additive model of a few thousand outputs: a term for each
block's kernel and expansion and one for the image size (``training/fit_imagenet.py``). The weights themselves may be
read from a file. Quantized networks lose what ``quantization_drop`` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from accel.config import read_toml
from searchers.oracles.accuracy import FP32, REGIMES, Estimates, Floats, Oracle, Policy, Subject
from searchers.oracles.quantization_drop import RANKING_SIGMA, QuantizationDrop
from workloads import numpy_archive
from workloads.errors import OracleError
from workloads.networks.once_for_all import EXPANSIONS, KERNELS, MOST_BLOCKS, NAME, STAGES, Architecture

FITTED = Path(__file__).parent / "fitted" / "imagenet.toml"
WIDE = f"{NAME}:width=1.2"
TRAINED_SIZES = (160, 176, 192, 208, 224)
BLOCKS = STAGES * MOST_BLOCKS
SIGMA, EDGE_SIGMA = 0.4, 1.0  # inside the range of the published networks, with what picking them hides; beyond it
EDGE = 0.5  # how far beyond it [points of the predictor]
FIRST_SIZE, SIZE_STEP, SIZE_PLACES = 112, 16, 8  # of the predictor's input

Integers = npt.NDArray[np.int64]


class Networks:
    """Architectures as arrays.

    Attributes
    ----------
    sizes : ndarray of float64, shape (n,)
    used : ndarray of bool, shape (n, 20)
        Blocks that there are.
    kernels, expansions : ndarray of int64, shape (n, 20)
        Places in ``KERNELS`` and ``EXPANSIONS``.
    """

    def __init__(self, architectures: Sequence[Architecture]) -> None:
        rows = [(a.image_size, *a.depths, *a.kernels, *a.expansions) for a in architectures]
        numbers = np.array(rows, np.int64).reshape(len(rows), 1 + STAGES + 2 * BLOCKS)
        self.sizes = numbers[:, 0].astype(float)
        depths = numbers[:, 1 : 1 + STAGES].repeat(MOST_BLOCKS, 1)
        self.used = np.arange(BLOCKS) % MOST_BLOCKS < depths
        kernels, expansions = np.split(numbers[:, 1 + STAGES :], 2, axis=1)
        self.kernels = np.searchsorted(KERNELS, kernels)
        self.expansions = np.searchsorted(EXPANSIONS, expansions)


class Predictor(Protocol):
    """What tells networks' top-1 on the authors' set."""

    def __call__(self, networks: Networks) -> Floats:
        """Return top-1, shape (n,) [%]."""
        ...


class Surrogate:
    """A term for each block's kernel and expansion, and one for the image size."""

    def __init__(self, kernels: Floats, expansions: Floats, sizes: Floats) -> None:
        self._blocks = (kernels[:, :, None] + expansions[:, None, :]).reshape(BLOCKS, -1)
        self._sizes = sizes

    def __call__(self, networks: Networks) -> Floats:
        """Return top-1, shape (n,) [%]."""
        cells = networks.kernels * len(EXPANSIONS) + networks.expansions
        terms = self._blocks[np.arange(BLOCKS), cells] * networks.used
        total: Floats = terms.sum(1) + np.interp(networks.sizes, TRAINED_SIZES, self._sizes)
        return total


class PublishedPredictor:
    """The authors' predictor, three hidden layers, from a file of its weights.

    Raises
    ------
    OracleError
        If the file does not hold arrays ``w0, b0 .. w3, b3`` that fit each other and the 128 inputs.
    """

    def __init__(self, path: Path) -> None:
        need = "a numpy archive of w0, b0 .. w3, b3, 128 inputs wide"
        with numpy_archive.opened(path, need) as archive:
            if not {f"{kind}{layer}" for kind in "wb" for layer in range(4)} <= numpy_archive.names(archive):
                raise OracleError(str(path), "", "an archive without these arrays", need)
            self._layers = [
                tuple(numpy_archive.read_array(archive, f"{kind}{layer}") for kind in "wb") for layer in range(4)
            ]
        width = 2 * 3 * BLOCKS + SIZE_PLACES
        for weight, bias in self._layers:
            if (
                weight.dtype.kind != "f"
                or weight.ndim != 2
                or weight.shape[1] != width
                or bias.shape != weight.shape[:1]
            ):
                raise OracleError(str(path), "shape", weight.shape, need)
            width = len(weight)
        if width != 1:
            raise OracleError(str(path), "outputs", width, "1")

    def __call__(self, networks: Networks) -> Floats:
        """Return top-1, shape (n,) [%]."""
        x = inputs(networks)
        for weight, bias in self._layers[:-1]:
            x = np.maximum(x @ weight.T + bias, 0)
        weight, bias = self._layers[-1]
        top1: Floats = 100.0 * (x @ weight.T + bias)[:, 0].astype(float)
        return top1


def inputs(networks: Networks) -> npt.NDArray[np.float32]:
    """Return the predictor's 128 inputs: kernels and expansions of blocks, and the size, between the two next to it."""
    count, rows = len(networks.sizes), np.arange(len(networks.sizes))
    blocks = [
        (chosen[:, :, None] == np.arange(3)) & networks.used[:, :, None]
        for chosen in (networks.kernels, networks.expansions)
    ]
    place, share = np.divmod((networks.sizes - FIRST_SIZE) / SIZE_STEP, 1)
    sizes = np.zeros((count, SIZE_PLACES + 1), np.float32)
    sizes[rows, place.astype(int)] = 1 - share
    sizes[rows, place.astype(int) + 1] += share.astype(np.float32)
    parts = [part.reshape(count, -1) for part in blocks]
    return np.concatenate([*parts, sizes[:, :-1]], axis=1, dtype=np.float32)


class ImageNet(Oracle):
    """The family's top-1, before and after quantization.

    Parameters
    ----------
    predictor : Predictor
    lines : mapping of str to (float, float)
        By the family's name: slope and offset from the predictor to what is printed.
    seen : mapping of str to (float, float)
        By the family's name: lowest and highest output of the predictor among the published networks.
    """

    name = "imagenet"
    quantity, unit = "ImageNet accuracy, top-1", "%"
    regimes = REGIMES
    monotone_in_bits = True

    def __init__(
        self,
        predictor: Predictor,
        lines: dict[str, tuple[float, float]],
        seen: dict[str, tuple[float, float]],
        provenance: str,
    ) -> None:
        self._predict, self._lines, self._seen, self.provenance = predictor, lines, seen, provenance
        self._drop = QuantizationDrop()

    def _estimate(self, networks: Sequence[Subject], policies: Sequence[Policy], regime: str) -> Estimates:
        refused = {i: reason for i, network in enumerate(networks) if (reason := self._reason(network))}
        known = [i for i in range(len(networks)) if i not in refused]
        values, sigmas = np.full(len(networks), np.nan), np.full(len(networks), np.inf)
        rank_only, outside = np.zeros(len(networks), bool), {}
        if known:
            found = self._predict(Networks([networks[i].architecture for i in known]))
            families = [networks[i].name for i in known]
            slope, offset = np.array([self._lines[family] for family in families]).T
            low, high = np.array([self._seen[family] for family in families]).T
            far = (found < low - EDGE) | (found > high + EDGE)
            values[known], sigmas[known] = slope * found + offset, np.where(far, EDGE_SIGMA, SIGMA)
            for i in np.array(known)[far].tolist():
                outside[i] = "beyond the published networks that it was set right on"
        if regime != FP32:
            drop = self._drop.lost(networks, policies, regime, np.nan_to_num(values, nan=1.0))
            refused, outside = {**drop.refused, **refused}, {**drop.outside, **outside}
            values, sigmas = values - drop.values, np.hypot(sigmas, drop.sigmas)
            rank_only = drop.rank_only | (sigmas > RANKING_SIGMA)
        return Estimates(values, sigmas, rank_only, outside, refused)

    def _reason(self, network: Subject) -> str:
        """Say why nothing is known of a network; nothing if something is."""
        architecture = network.architecture
        if network.name not in self._lines or not isinstance(architecture, Architecture):
            return f"{network.name} is not of the Once-for-All family of width 1.0 or 1.2"
        if architecture.image_size < TRAINED_SIZES[0]:
            return (
                f"images of {architecture.image_size} pixels, the predictor was trained on {TRAINED_SIZES[0]} and more"
            )
        return ""


def open_imagenet(file: Path | None = None) -> ImageNet:
    """Return the oracle on its shipped surrogate, or on the authors' predictor whose weights a file holds."""
    fitted = read_toml(FITTED)
    kind = "surrogate" if file is None else "predictor"
    lines = {NAME: tuple(fitted[kind]["line"]), WIDE: tuple(fitted[kind]["wide_line"])}
    seen = {NAME: tuple(fitted[kind]["seen"]), WIDE: tuple(fitted[kind]["wide_seen"])}
    if file is not None:
        return ImageNet(
            PublishedPredictor(file), lines, seen, "the Once-for-All predictor, set right on published networks"
        )
    terms = fitted["terms"]
    surrogate = Surrogate(*(np.array(terms[name], float) for name in ("kernels", "expansions", "sizes")))
    return ImageNet(surrogate, lines, seen, "surrogate of the Once-for-All predictor, set right on published networks")
