"""Timeloop's problem files: one convolution or matrix product as YAML.

Source: Parashar et al., "Timeloop: A Systematic Approach to DNN Accelerator Evaluation", ISPASS 2019, and the problem
shapes that come with it: C, M, R, S, N, P, Q with G for groups, without M for depthwise; or M, N, K.
Needs the extra ``timeloop`` (pyyaml); only plain data is read, no tags.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workloads.errors import WorkloadError
from workloads.layers import Layer, LayerTable

NEED = "a Timeloop problem as YAML"
LARGEST_FILE_BYTES = 2**16
CONV = frozenset("CRSNPQ")  # and M, G
GEMM = frozenset("MNK")
COEFFICIENTS = ("Wstride", "Hstride", "Wdilation", "Hdilation")


def read_problem(path: str | Path) -> LayerTable:
    """Read a problem as a table of one layer: operands of 8 bits.

    Parameters
    ----------
    path : str or Path
        ``problem`` with ``instance`` and ``shape``, or with the sizes themselves. The layer is named after the shape,
        the network after the file.

    Raises
    ------
    WorkloadError
        If the file cannot be read, its shape is none of those above, or a size is missing or not allowed.
    """
    path, where = Path(path), str(path)
    values = _loaded(path, where)
    problem = values.get("problem", values)
    if not isinstance(problem, dict):
        raise WorkloadError(where, "problem", _kind(problem), "a mapping")
    shape, instance = problem.get("shape", problem), problem.get("instance", problem)
    if not isinstance(instance, dict):
        raise WorkloadError(where, "problem.instance", _kind(instance), "a mapping of sizes")
    declared = shape if isinstance(shape, dict) else {}
    given = {key: value for key, value in instance.items() if key in COEFFICIENTS or len(str(key)) == 1}
    sizes = {**_defaults(declared, where), **given}
    names = frozenset(_dimensions(declared, sizes, where))
    name = shape if isinstance(shape, str) else declared.get("name", path.stem)
    try:
        layer = _layer(where, str(name) if isinstance(name, str) else path.stem, names, sizes)
    except WorkloadError as error:
        raise error.at(where) from None
    return LayerTable.of(path.stem, [layer])


def _layer(where: str, name: str, names: frozenset[str], sizes: Mapping[str, Any]) -> Layer:
    size = {key: _whole(where, key, sizes.get(key)) for key in sorted(names)}
    if names == GEMM:
        m, n, k = size["M"], size["N"], size["K"]
        return Layer(name=name, kind="linear", in_h=m, in_w=1, in_c=k, out_h=m, out_w=1, out_c=n)
    if names - {"M", "G"} != CONV:
        need = "C, M, R, S, N, P, Q (G for groups, no M for depthwise), or M, N, K"
        raise WorkloadError(where, "problem.shape.dimensions", ", ".join(sorted(names)) or None, need)
    w_step, h_step, w_dilation, h_dilation = (_whole(where, key, sizes.get(key, 1)) for key in COEFFICIENTS)
    if w_step != h_step and 1 not in (size["P"], size["Q"]):
        raise WorkloadError(where, "Hstride", h_step, f"Wstride = {w_step}")
    if w_dilation != h_dilation and 1 not in (size["R"], size["S"]):
        raise WorkloadError(where, "Hdilation", h_dilation, f"Wdilation = {w_dilation}")
    depthwise, groups = "M" not in names, size.get("G", 1)
    if depthwise:
        groups *= size["C"]
    return Layer(
        name=name,
        kind="depthwise" if depthwise and groups > 1 else "conv",
        batch=size["N"],
        in_h=(size["Q"] - 1) * h_step + (size["S"] - 1) * h_dilation + 1,
        in_w=(size["P"] - 1) * w_step + (size["R"] - 1) * w_dilation + 1,
        in_c=groups if depthwise else groups * size["C"],
        out_h=size["Q"],
        out_w=size["P"],
        out_c=groups if depthwise else groups * size["M"],
        kernel_h=size["S"],
        kernel_w=size["R"],
        stride=h_step if size["P"] == 1 else w_step,
        groups=groups,
        dilation=h_dilation if size["R"] == 1 else w_dilation,
    )


def _dimensions(declared: Mapping[str, Any], sizes: Mapping[str, Any], where: str) -> list[str]:
    """Return the declared dimensions, or those that sizes are given for; of groups G = 1 says nothing."""
    names = declared.get("dimensions", [key for key in sizes if key not in COEFFICIENTS])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise WorkloadError(where, "problem.shape.dimensions", _kind(names), "a list of names")
    return names


def _defaults(declared: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the strides and dilations a shape has unless its instance says otherwise."""
    coefficients = declared.get("coefficients", [])
    if not isinstance(coefficients, list) or not all(isinstance(entry, dict) for entry in coefficients):
        raise WorkloadError(where, "problem.shape.coefficients", _kind(coefficients), "a list of names with defaults")
    return {entry["name"]: entry.get("default", 1) for entry in coefficients if entry.get("name") in COEFFICIENTS}


def _loaded(path: Path, where: str) -> Mapping[str, Any]:
    try:
        import yaml
    except ImportError as error:
        raise WorkloadError(where, "", "a YAML file and no pyyaml", "pip install 'sextant[timeloop]'") from error
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise WorkloadError(where, "size", f"{path.stat().st_size} bytes", f"at most {LARGEST_FILE_BYTES}")
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WorkloadError(where, "", error.strerror or "an unreadable file", NEED) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"no YAML (line {mark.line + 1})" if mark else "no YAML"
        raise WorkloadError(where, "", place, NEED) from error
    if not isinstance(values, dict):
        raise WorkloadError(where, "", _kind(values), NEED)
    return values


def _whole(where: str, field: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        given = value if value is None or isinstance(value, int | float | str) else _kind(value)
        raise WorkloadError(where, field, given, "a whole number, at least 1")
    return value


def _kind(value: object) -> str:
    """Name a value's kind: aliases can make a short file's list very long to print."""
    names = {dict: "a mapping", list: "a list", type(None): "nothing"}
    return names.get(type(value), f"a {type(value).__name__}")
