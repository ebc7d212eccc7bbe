"""Laying a pruned layer on EIE: weights are clustered until an entry's code can name them.

Source: Han et al., "Deep Compression", ICLR 2016: k-means over a layer's weights from centres spread evenly between
the smallest and the largest. A matrix with few enough different values keeps them exactly.
"""

from __future__ import annotations

import numpy as np

from accel.eie.config import Config
from accel.eie.plan import Plan
from workloads.errors import ConfigError
from workloads.sparse.product import SparseProduct
from workloads.units import BITS_PER_BYTE

KMEANS_ROUNDS = 20


def best_plan(config: Config, product: SparseProduct) -> Plan:
    """Share the weights of A, and check that every processing element can hold its rows.

    Parameters
    ----------
    config : accel.eie.Config
    product : SparseProduct

    Raises
    ------
    ConfigError
        If the entries of a processing element are more than its memory holds.
    """
    by_column = product.a.tocsc()
    by_column.sort_indices()
    start, rows = by_column.indptr.astype(np.int64), by_column.indices.astype(np.int64)
    _check_memory(config, product.name, start, rows)
    codes, weights = _shared(by_column.data, config.shared_weights)
    return Plan(product, start, rows, codes, weights)


def _shared(values: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the code of every value and the weights that codes stand for, the first of which is zero."""
    weights, codes = np.unique(values, return_inverse=True)
    if len(weights) > most:
        weights = np.linspace(weights[0], weights[-1], most)
        for _ in range(KMEANS_ROUNDS):
            codes = np.searchsorted((weights[1:] + weights[:-1]) / 2, values)
            members = np.bincount(codes, minlength=most)
            # A centre that nobody is near stays where it is.
            weights = np.where(members, np.bincount(codes, values, most) / np.maximum(members, 1), weights)
    return codes.astype(np.int64) + 1, np.concatenate(([0.0], weights))


def _check_memory(config: Config, name: str, start: np.ndarray, rows: np.ndarray) -> None:
    elements = config.processing_elements
    entries = np.bincount(rows % elements, minlength=elements)
    column = np.repeat(np.arange(len(start) - 1), np.diff(start))
    order = np.lexsort((rows // elements, column, rows % elements))  # by processing element, column, local row
    local, element, column = rows[order] // elements, rows[order] % elements, column[order]
    same = np.append(False, (element[1:] == element[:-1]) & (column[1:] == column[:-1]))[: len(rows)]
    before = np.where(same, np.roll(local, 1), -1)
    fillers = (local - before - 1) // (config.longest_zero_run + 1)
    entries += np.bincount(element, weights=fillers, minlength=elements).astype(np.int64)
    need = -(-int(entries.max(initial=0)) * config.entry_bits // BITS_PER_BYTE)
    if need > config.weight_bytes:
        raise ConfigError(
            f"eie, {name}", "weight_bytes", config.weight_bytes, f"at least {need} for the fullest element"
        )
