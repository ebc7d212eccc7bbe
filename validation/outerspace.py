"""OuterSPACE's traffic beside that of the paper, as digitised by TeAAL's authors, from the counts of three matrices."""

from __future__ import annotations

from collections.abc import Mapping

from accel.outerspace import PRESETS, traffic_bytes

# Elements, products and elements of the result of A x A.
COUNTS = {
    "wiki-Vote": (103689, 4542805, 1831112),
    "ca-CondMat": (186936, 4127524, 2355437),
    "poisson3Da": (352762, 11768678, 2957530),
}


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/outerspace.toml``, by id."""
    config = PRESETS["paper"]
    ours = {}
    for name, (nnz, multiplies, output_nnz) in COUNTS.items():
        traffic = traffic_bytes(config, nnz_a=nnz, nnz_b=nnz, multiplies=multiplies, output_nnz=output_nnz)
        ours[f"traffic.{name}"] = sum(traffic.values()) / (config.element_bytes * (2 * nnz + output_nnz))
    return ours
