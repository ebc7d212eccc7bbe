"""A proxy that ranks bit widths; it is not an accuracy.

A uniform quantizer of b bits adds noise of power 4**-b relative to its full scale. The proxy adds the noise of
both operands of every layer, weighted by the layer's share of the multiply-accumulates, and divides by the
network's size relative to the largest: errors of many small contributions average out, which is why a wider
network tolerates fewer bits (Mishra et al., "WRPN: Wide Reduced-Precision Networks", ICLR 2018).

Use it to rank candidates of one family and nothing else: it knows no data, no training and no layer's
sensitivity.
"""

from __future__ import annotations

import math

import numpy as np

from workloads.layers import ACT_BITS, WGT_BITS, IntArray, LayerTable


def quantization_noise_db(table: LayerTable, largest_macs: float) -> float:
    """Return the noise proxy of a quantized network [dB]; smaller is better.

    Parameters
    ----------
    table : LayerTable
        The network with its operand widths.
    largest_macs : float
        Multiply-accumulates of the largest network of the family, same batch.
    """
    return noise_db(table.values, table.macs, largest_macs)


def noise_db(rows: IntArray, macs: IntArray, largest_macs: float) -> float:
    """Return the noise proxy of layers as rows, shape (n, 16), with the multiply-accumulates of each."""
    total = float(macs.sum())
    noise = 4.0 ** -rows[:, ACT_BITS].astype(float) + 4.0 ** -rows[:, WGT_BITS].astype(float)
    return 10.0 * math.log10(float(np.dot(noise, macs)) / total * largest_macs / total)
