"""The images that the measured vision oracle is about: scikit-learn's digits, moved at random and buried in noise.

Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI repository, CC BY 4.0; as in scikit-learn.
Clean digits are too easy: every network would be near 98 %. A digit is moved by up to a pixel, and noise of a quarter
of its full scale is added. Pixels are stored as whole numbers of 1/32.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from searchers.oracles.quantizers import IMAGE_STEP
from workloads.networks.tiny_residual import IMAGE_SIZE

WHITE = 16
NOISE, SHIFT = 0.25, 1
MOST = 127  # steps of a pixel
TEST_SHARE = 0.4
CORRUPTIONS = 4  # of every test image
SPLIT_SEED, TEST_SEED = 20240607, 20240608


class Digits(NamedTuple):
    """Images and what they show.

    Attributes
    ----------
    images : ndarray of float32, shape (n, 8, 8)
        0..1.
    labels : ndarray of int64, shape (n,)
    """

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


def load() -> tuple[Digits, Digits]:
    """Return clean digits to train on and others to test on; always the same ones."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = (images / WHITE).reshape(-1, IMAGE_SIZE, IMAGE_SIZE).astype(np.float32)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(images))
    tested = int(len(images) * TEST_SHARE)
    test, train = order[:tested], order[tested:]
    return Digits(images[train], labels[train]), Digits(images[test], labels[test])


def corrupt(digits: Digits, times: int, seed: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int64]]:
    """Move digits and add noise.

    Returns
    -------
    pixels : ndarray of int8, shape (times * n, 8, 8)
        In steps of 1/32.
    labels : ndarray of int64, shape (times * n,)
    """
    random = np.random.default_rng(seed)
    which = np.tile(np.arange(len(digits.images)), times)
    framed = np.pad(digits.images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)))
    top, left = random.integers(0, 2 * SHIFT + 1, (2, len(which), 1, 1))
    inside = np.arange(IMAGE_SIZE)
    pixels = framed[which[:, None, None], top + inside[:, None], left + inside]
    pixels += NOISE * random.standard_normal(pixels.shape, dtype=np.float32)
    return np.rint(pixels / IMAGE_STEP).clip(-MOST, MOST).astype(np.int8), digits.labels[which]
