"""Layer workloads as a command line names them: a file of any kind that holds layers, or a built-in network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from workloads.catalog import TABLE_KEYS, build_table
from workloads.errors import WorkloadError
from workloads.layer_csv import read_layers
from workloads.layers import ACT_BITS, WGT_BITS, LayerTable
from workloads.network import Network
from workloads.specification import read_options
from workloads.topology_csv import is_topology, read_topology

FILE = re.compile(r"(?P<path>.*\.(?P<kind>csv|onnx|yaml|yml|json))(:(?P<options>.*))?", re.IGNORECASE | re.DOTALL)
KINDS_ALLOWED = (
    "a layer table or SCALE-Sim topology (.csv), .onnx, a Timeloop problem (.yaml), a config.json or a network's name"
)


def open_layers(source: str, *, skip_unsupported: bool = False) -> LayerTable:
    """Return the layers a path or name stands for.

    Parameters
    ----------
    source : str
        A network of ``workloads.catalog`` with options, or a path: a layer table or SCALE-Sim topology (``.csv``), an
        ONNX model (``.onnx``), a Timeloop problem (``.yaml``, ``.yml``) or a Hugging Face ``config.json``. After a
        colon may follow ``batch``, ``act_bits`` and ``wgt_bits`` (all layers), for ``config.json`` also ``length``
        [tokens], for ``.onnx`` also the sizes of open dimensions: ``model.onnx:batch=16,act_bits=4``.
    skip_unsupported : bool
        Leave out operators of an ONNX model that no layer stands for, instead of refusing them.

    Raises
    ------
    WorkloadError
        If there is no such file or network, or the file holds no possible layers.
    """
    file = FILE.fullmatch(source)
    if file is None:
        if Path(source).suffix and Path(source).exists():
            raise WorkloadError(source, "", f"a file of kind {Path(source).suffix}", KINDS_ALLOWED)
        return build_table(source)
    path, options = file["path"], file["options"] or ""
    kind = file["kind"].lower()
    keys = [pair.partition("=")[0] for pair in options.split(",")] if kind == "onnx" else []
    kinds = {**({"length": int} if kind == "json" else {}), **dict.fromkeys((*TABLE_KEYS, *keys), int)}
    given = read_options(path, options, kinds)
    lowering = {key: given.pop(key) for key in TABLE_KEYS if key in given}
    try:
        return _table(_read(path, kind, given, lowering, skip_unsupported), lowering)
    except WorkloadError as error:
        raise error if error.where.startswith(path) else error.at(f"{path}, {error.where}") from None


def _read(
    path: str, kind: str, given: Mapping[str, int], lowering: Mapping[str, int], skip_unsupported: bool
) -> LayerTable | Network:
    """Read a file; its reader is imported when it is needed."""
    if kind == "onnx":
        from workloads.onnx_graph import read_onnx

        images = {"batch": 1} if "batch" in lowering else {}
        return read_onnx(path, {**given, **images}, skip_unsupported=skip_unsupported)
    if kind == "json":
        from workloads.networks.transformer import read_transformer

        return read_transformer(path, **given)
    if kind == "csv":
        return read_topology(path) if is_topology(path) else read_layers(path)
    from workloads.timeloop import read_problem

    return read_problem(path)


def _table(opened: LayerTable | Network, lowering: Mapping[str, int]) -> LayerTable:
    """Return the layers with the batch and the widths that were asked for."""
    if isinstance(opened, Network):
        return opened.table(**lowering)
    table = (opened.with_batch(lowering["batch"]) if "batch" in lowering else opened).images_as_groups()
    return table.with_bits(
        lowering.get("act_bits", table.values[:, ACT_BITS]), lowering.get("wgt_bits", table.values[:, WGT_BITS])
    )
