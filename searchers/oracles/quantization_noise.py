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
    return noises_db(table.values, table.macs, np.array([len(table)]), largest_macs)[0]


def noises_db(rows: IntArray, macs: IntArray, counts: IntArray, largest_macs: float) -> list[float]:
    """Return the noise proxy of many networks [dB].

    Parameters
    ----------
    rows : ndarray of int64, shape (n, 16)
        Layers of all networks, one network after another, as ``LayerTable.values``.
    macs : ndarray of int64, shape (n,)
        Multiply-accumulates of each layer.
    counts : ndarray of int64, shape (networks,)
        How many layers each network has.
    largest_macs : float
        Multiply-accumulates of the largest network of the family, same batch.
    """
    noise = 4.0 ** -rows[:, ACT_BITS].astype(float) + 4.0 ** -rows[:, WGT_BITS].astype(float)
    weights, ends = macs.astype(float), np.cumsum(counts)
    totals = np.add.reduceat(macs, ends - counts).astype(float)
    return [
        10.0 * math.log10(float(np.dot(noise[start:end], weights[start:end])) / total * largest_macs / total)
        for start, end, total in zip((ends - counts).tolist(), ends.tolist(), totals.tolist(), strict=True)
    ]
