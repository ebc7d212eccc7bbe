"""Steps of the measured networks' quantizers, the same in training and in whole numbers.

Source: Max, "Quantizing for Minimum Distortion", IRE Transactions on Information Theory, 1960: uniform quantizers for
normally distributed values. A batch normalisation stands in front of every quantizer of activations.
"""

from __future__ import annotations

# Of a quantizer with an odd number of levels around zero, and of the positive half of one, in standard deviations.
SIGNED_STEP = {2: 1.224, 3: 0.651, 4: 0.352, 6: 0.105, 8: 0.0308}
UNSIGNED_STEP = {2: 0.586, 3: 0.3352, 4: 0.1881, 6: 0.0569, 8: 0.0165}
SMALLEST_STEP = 1e-12
IMAGE_STEP = 1 / 32  # of a pixel, where white is 1
# Some steps are simple multiples of others, so that a value can lie halfway between two whole numbers, and which way it
# goes would hang on the last bit of whatever computed it. Trained networks round what is nearly halfway up.
HALFWAY = 0.5 + 2.0**-16


def most(bits: int) -> int:
    """Return the largest signed whole number of so many bits."""
    return int(2 ** (bits - 1) - 1)
