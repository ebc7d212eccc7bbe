"""Layer workloads as a command line names them: a file, or a built-in network."""

from __future__ import annotations

from pathlib import Path

from workloads.catalog import build_table
from workloads.errors import WorkloadError
from workloads.layer_csv import read_layers
from workloads.layers import LayerTable


def open_layers(source: str) -> LayerTable:
    """Return the layers a path or name stands for.

    Parameters
    ----------
    source : str
        Path of a layer table (``.csv``), or a network of ``workloads.catalog`` with options.

    Raises
    ------
    WorkloadError
        If there is no such file or network, or the file holds no possible layers.
    """
    if source.lower().endswith(".csv"):
        return read_layers(source)
    if Path(source).suffix and Path(source).exists():
        raise WorkloadError(
            source, "", f"a file of kind {Path(source).suffix}", "a layer table (.csv) or a network's name"
        )
    return build_table(source)
