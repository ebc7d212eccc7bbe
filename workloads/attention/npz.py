"""Attention from ``.npz`` files: queries, keys and values as numpy stores arrays, checked before they are read."""

from __future__ import annotations

import zipfile
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from workloads.attention.attention import Attention, check_form, held_attention
from workloads.errors import WorkloadError
from workloads.numpy_archive import announced, names, opened, read_array
from workloads.sparse.limits import check_bytes

ARRAYS = ("q", "k", "v")
NEED = "an .npz with q, k and v of shape (layers, heads, tokens, head_dim)"
# What a layer takes while it is checked and converted, in float32 beside the stored array.
COPIES_OF_A_LAYER = 3


def read_attention(path: str | Path) -> Attention:
    """Read queries, keys and values that were recorded from a model.

    Parameters
    ----------
    path : str or Path
        An ``.npz`` as ``numpy.savez`` or ``workloads.attention.capture`` writes it: ``q``, ``k``, ``v`` of float16,
        float32 or float64 and shape (layers, heads, tokens, head_dim), after the linear projections and before
        scaling. Optional: ``causal`` and ``summarise`` (True or False), ``prompt`` (a whole number), with the meaning
        they have in ``Attention``. Other arrays are not looked at, and Python objects are never unpickled.

    Returns
    -------
    Attention
        Named after the file. The arrays are held as they are stored.

    Raises
    ------
    WorkloadError
        If the file cannot be read, is damaged, holds other arrays than these, or ones that memory does not; the
        last is said from the headers, before the numbers are read.
    """
    path, where = Path(path), str(path)
    with opened(path, NEED) as archive:
        arrays, options = _arrays(archive, where), _options(archive, where)
    try:
        return held_attention(path.stem, *arrays, **options)
    except WorkloadError as error:
        raise error.at(where) from None


def _arrays(archive: zipfile.ZipFile, where: str) -> list[np.ndarray[Any, Any]]:
    """Return q, k and v, once their headers promise what can be used."""
    held = names(archive)
    sizes = []
    for name in ARRAYS:
        if name not in held:
            need = f"{NEED}; the file holds {', '.join(sorted(held)) or 'nothing'}"
            raise WorkloadError(where, name, None, need)
        size, dtype = announced(archive, name, where)
        check_form(where, name, size, dtype)
        sizes.append((size, dtype.itemsize))
    stored = sum(prod(size) * itemsize for size, itemsize in sizes)
    converted = COPIES_OF_A_LAYER * sum(prod(size[1:]) * np.dtype(np.float32).itemsize for size, _ in sizes)
    check_bytes(where, stored + converted)
    return [read_array(archive, name) for name in ARRAYS]


def _options(archive: zipfile.ZipFile, where: str) -> dict[str, Any]:
    """Return what the file says of how the model ran, as ``held_attention`` takes it."""
    held = names(archive)
    kinds = {"causal": ("b", "True or False"), "prompt": ("iu", "a whole number"), "summarise": ("b", "True or False")}
    options = {}
    for name, (kind, need) in kinds.items():
        if name in held:
            size, dtype = announced(archive, name, where)
            if size != () or dtype.kind not in kind:
                raise WorkloadError(where, name, f"an array of {dtype} and shape {size}", need)
            options[name] = read_array(archive, name).item()
    return options
