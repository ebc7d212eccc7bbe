"""Train networks of the tiny-residual family on corrupted digits, and write one row for each.

    python -m searchers.oracles.training.train_digits TABLE.csv --networks 300 --seeds 2

Every network is trained by itself, from scratch, with the widths of its policy. Rows are appended as they are found, so
that the run can be stopped at any time and goes on where it stopped; the same network and seed give the same row. Needs
the extra ``train`` (torch, scikit-learn); takes about two seconds a row on one core.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click
import numpy as np
from numpy.typing import NDArray

from searchers.oracles.accuracy import Bits
from searchers.oracles.digits import COLUMNS, words_of
from searchers.oracles.quantizers import IMAGE_STEP
from searchers.oracles.training import corrupted_digits
from searchers.oracles.training.extra import need
from searchers.oracles.training.rows import finished_rows
from workloads.networks.tiny_residual import BITS, BLOCKS, DEPTHS, EXPANSIONS, KEEPS, KERNELS, STAGES, Architecture

if TYPE_CHECKING:
    from torch import Tensor

    from searchers.oracles.training.residual_network import ResidualNetwork

STEPS, BATCH, LEARNING_RATE, WEIGHT_DECAY, WARM_UP = 120, 64, 0.04, 0.01, 0.25
TRAIN_CORRUPTIONS, TRAIN_SEED = 12, 20240606
NETWORKS_SEED = 20240609
CHANGED = 0.25  # share of the blocks of a uniform policy that get other widths
TESTED_AT_ONCE = 512
MEASURED = ("correct", "tested")

Images: TypeAlias = "tuple[Tensor, Tensor]"


def draw_network(index: int) -> tuple[Architecture, Bits]:
    """Return a network of the table: all choices at random; the widths of every second one are nearly uniform."""
    random = np.random.default_rng(np.random.SeedSequence(NETWORKS_SEED, spawn_key=(index,)))

    def of(options: tuple[float, ...], count: int) -> tuple[int, ...]:
        return tuple(random.choice(options, count).tolist())

    architecture = Architecture(of(DEPTHS, STAGES), of(KERNELS, BLOCKS), of(EXPANSIONS, BLOCKS), of(KEEPS, BLOCKS))
    activations, weights = of(BITS, BLOCKS), of(BITS, BLOCKS)
    if index % 2:
        changed = random.random((2, BLOCKS)) < CHANGED
        activations = tuple(np.where(changed[0], activations, activations[0]).tolist())
        weights = tuple(np.where(changed[1], weights, weights[0]).tolist())
    return architecture, Bits(activations, weights)


def images_of(corrupted: tuple[NDArray[np.int8], NDArray[np.int64]]) -> Images:
    """Return pixels, shape (images, 1, height, width), and labels (images,) for the network."""
    import torch

    pixels, labels = corrupted
    return torch.from_numpy(pixels.astype(np.float32) * np.float32(IMAGE_STEP))[:, None], torch.from_numpy(labels)


def load_images() -> tuple[Images, Images]:
    """Return what to train on, and what to test on."""
    train, test = corrupted_digits.load()
    return (
        images_of(corrupted_digits.corrupt(train, TRAIN_CORRUPTIONS, TRAIN_SEED)),
        images_of(corrupted_digits.corrupt(test, corrupted_digits.CORRUPTIONS, corrupted_digits.TEST_SEED)),
    )


def train(architecture: Architecture, bits: Bits, seed: int, images: Images) -> ResidualNetwork:
    """Train one network from scratch."""
    import torch
    from torch.nn import functional

    from searchers.oracles.training.residual_network import ResidualNetwork

    torch.manual_seed(seed)
    pixels, labels = images
    network = ResidualNetwork(architecture, bits)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, STEPS, pct_start=WARM_UP)
    for _ in range(STEPS):
        chosen = torch.randint(len(pixels), (BATCH,))
        loss = functional.cross_entropy(network(pixels[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def classes(network: ResidualNetwork, pixels: Tensor) -> Tensor:
    """Return the class a trained network sees in every image."""
    import torch

    with torch.no_grad():
        return torch.cat([network(part).argmax(1) for part in pixels.split(TESTED_AT_ONCE)])


def measure(architecture: Architecture, bits: Bits, seed: int, images: tuple[Images, Images]) -> tuple[int, int]:
    """Train a network and return how many of the images to test on it sees right, and how many there are."""
    (pixels, labels), network = images[1], train(architecture, bits, seed, images[0])
    return int((classes(network, pixels) == labels).sum()), len(labels)


def train_the_same_everywhere() -> None:
    """Have PyTorch add in one order."""
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


@click.command()
@click.argument("table", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--networks", default=300, help="How many networks the table is to have.")
@click.option("--seeds", default=2, help="How often each is trained.")
def main(table: Path, networks: int, seeds: int) -> None:
    """Train what is missing in TABLE."""
    need("torch", "sklearn")
    train_the_same_everywhere()
    finished = set(finished_rows(table, "network", "seed"))
    images = load_images()
    with table.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            writer.writerow((*COLUMNS, *MEASURED))
        for index, seed in ((index, seed) for index in range(networks) for seed in range(seeds)):
            if (index, seed) in finished:
                continue
            architecture, bits = draw_network(index)
            writer.writerow((index, seed, *words_of(architecture, bits), *measure(architecture, bits, seed, images)))
            file.flush()
            os.fsync(file.fileno())


if __name__ == "__main__":
    main()
