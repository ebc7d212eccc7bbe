"""Fit the additive surrogate to outputs of the published Once-for-All predictor, and both to published networks.

    python -m searchers.oracles.training.fit_imagenet PREDICTOR.npz NETWORKS.json

PREDICTOR.npz holds the authors' weights as w0, b0 .. w3, b3. NETWORKS.json lists published networks with ``family``,
``first_conv``, ``image_size``, ``top1`` and ``blocks`` of ``k``, ``e``, ``s``, ``cin``, ``cout``. Neither is shipped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from searchers.oracles.accuracy import Floats
from searchers.oracles.imagenet import BLOCKS, FITTED, TRAINED_SIZES, Networks, PublishedPredictor, Surrogate, inputs
from workloads.networks.once_for_all import DEPTHS, EXPANSIONS, KERNELS, MOST_BLOCKS, STAGES, Architecture

OUTPUTS, SEED, RIDGE = 4000, 1, 0.3
WIDTHS = {16: 1.0, 24: 1.2}  # by the channels of the first convolution


def draw(count: int, seed: int) -> list[Architecture]:
    """Return networks of the family; every second one leans to some kernels, expansions and depths."""
    random = np.random.default_rng(seed)
    drawn = []
    for index in range(count):
        leaning = random.dirichlet(np.ones(3), 3) if index % 2 else np.full((3, 3), 1 / 3)

        def of(options: tuple[int, ...], places: int, shares: Floats) -> tuple[int, ...]:
            return tuple(random.choice(options, places, p=shares).tolist())

        depths, kernels = of(DEPTHS, STAGES, leaning[0]), of(KERNELS, BLOCKS, leaning[1])
        expansions = of(EXPANSIONS, BLOCKS, leaning[2])
        drawn.append(Architecture(int(random.choice(TRAINED_SIZES)), depths, kernels, expansions))
    return drawn


def fit_surrogate(networks: Networks, top1: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the terms of kernels (20, 3), expansions (20, 3) and sizes (5,), by ridge regression."""
    x = inputs(networks)[:, : 2 * 3 * BLOCKS]
    sizes = (networks.sizes[:, None] == TRAINED_SIZES).astype(float)
    design = np.concatenate([x, sizes], axis=1, dtype=float)
    middle = top1.mean()
    terms = np.linalg.solve(design.T @ design + RIDGE * np.eye(design.shape[1]), design.T @ (top1 - middle))
    kernels, expansions, sizes = np.split(terms, (3 * BLOCKS, 2 * 3 * BLOCKS))
    return kernels.reshape(BLOCKS, 3), expansions.reshape(BLOCKS, 3), sizes + middle


def published(path: Path) -> dict[float, tuple[list[Architecture], Floats]]:
    """Return published networks and their printed top-1 by width, of the sizes that the predictor knows."""
    by_width: dict[float, list[tuple[Architecture, float]]] = {1.0: [], 1.2: []}
    for entry in json.loads(path.read_text(encoding="utf-8")):
        if entry["family"] == "MobileNetV3" and TRAINED_SIZES[0] <= entry["image_size"] <= TRAINED_SIZES[-1]:
            by_width[WIDTHS[entry["first_conv"]]].append((architecture_of(entry), entry["top1"]))
    return {
        width: ([architecture for architecture, _ in found], np.array([top1 for _, top1 in found]))
        for width, found in by_width.items()
    }


def architecture_of(entry: dict[str, Any]) -> Architecture:
    """Return a published network of the family from its list of blocks, of which the first is fixed."""
    depths: list[int] = []
    kernels, expansions = [KERNELS[0]] * BLOCKS, [EXPANSIONS[0]] * BLOCKS
    for block in entry["blocks"][1:]:
        if block["s"] == 2 or block["cin"] != block["cout"]:
            depths.append(0)
        place = MOST_BLOCKS * (len(depths) - 1) + depths[-1]
        kernels[place], expansions[place] = block["k"], block["e"]
        depths[-1] += 1
    return Architecture(entry["image_size"], tuple(depths), tuple(kernels), tuple(expansions))


def line(found: Floats, printed: Floats) -> tuple[float, float]:
    """Return slope and offset from accuracies found to those printed, shape (networks,)."""
    slope, offset = np.polyfit(found, printed, 1)
    return float(slope), float(offset)


def left_out(found: Floats, printed: Floats) -> Floats:
    """Return the error of each network, shape (networks,), by the line through all others."""
    others = [np.arange(len(found)) != place for place in range(len(found))]
    return np.array(
        [np.polyval(line(found[o], printed[o]), x) - y for o, x, y in zip(others, found, printed, strict=True)]
    )


@click.command()
@click.argument("predictor", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("networks", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def main(predictor: Path, networks: Path) -> None:
    """Write ``fitted/imagenet.toml``."""
    original = PublishedPredictor(predictor)
    drawn = Networks(draw(OUTPUTS, SEED))
    terms = fit_surrogate(drawn, original(drawn))
    surrogate = Surrogate(*terms)
    lines = [
        f"# Fitted by training/fit_imagenet.py to {OUTPUTS} outputs of the published predictor, and to printed top-1."
    ]
    by_width = published(networks)
    for name, predict in (("surrogate", surrogate), ("predictor", original)):
        (narrow, printed), (wide, wide_printed) = by_width[1.0], by_width[1.2]
        found, wide_found = predict(Networks(narrow)), predict(Networks(wide))
        slope, offset = line(found, printed)
        # Too few wide networks are published for a slope of their own; they were also trained longer.
        above = float(np.mean(wide_printed - slope * wide_found))
        rmse = float(np.sqrt(np.mean(np.square(left_out(found, printed)))))
        lines += ["", f"[{name}]", f"line = [{slope:.6g}, {offset:.6g}]", f"wide_line = [{slope:.6g}, {above:.6g}]"]
        lines += [f"seen = [{found.min():.6g}, {found.max():.6g}]"]
        lines += [f"wide_seen = [{wide_found.min():.6g}, {wide_found.max():.6g}]"]
        lines += [f"networks = {len(found)}", f"left_out_rmse = {rmse:.3g}"]
    fresh = Networks(draw(OUTPUTS, SEED + 1))
    error = float(np.sqrt(np.mean(np.square(surrogate(fresh) - original(fresh)))))
    lines += ["", "[terms]  # points", f"rmse = {error:.3g}  # against the predictor, on as many other networks"]
    for name, values in zip(("kernels", "expansions"), terms[:2], strict=True):
        lines += [f"{name} = [", *(f"    [{', '.join(f'{value:.4f}' for value in row)}]," for row in values), "]"]
    lines += [f"sizes = [{', '.join(f'{value:.4f}' for value in terms[2])}]"]
    FITTED.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
