"""What searching machine, mappings and network gains over Eyeriss's configuration, beside what NAAS says it gains.

Searches are not repeated here: these are the designs that ``examples/naas.py`` finds by CMA-ES with its first seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from accel.spatial import PRESETS, Config, estimate
from mappers.spatial import best_plan
from searchers.oracles.accuracy import FP32, Subject
from searchers.oracles.registry import find_oracle
from workloads.catalog import build_table
from workloads.layers import LayerTable
from workloads.networks.once_for_all import Architecture, OnceForAll

EYERISS = PRESETS["paper"]


def _design(unroll: str, sizes: tuple[int, int, int], element_bytes: int, buffer_kib: int) -> Config:
    return replace(
        EYERISS,
        unroll=unroll,
        size_1=sizes[0],
        size_2=sizes[1],
        size_3=sizes[2],
        element_bytes=element_bytes,
        buffer_bytes=buffer_kib * 1024,
    )


# Of each network: everything searched, and sizes only.
FOUND = {
    "mobilenet_v2": (_design("YCK", (8, 7, 3), 384, 100), _design("CRY", (16, 1, 10), 192, 92)),
    "resnet50": (_design("YKC", (7, 6, 4), 768, 48), _design("CRY", (32, 1, 5), 192, 112)),
}
WITH_NETWORK = _design("YXK", (8, 5, 4), 192, 92)
NETWORK = Architecture(
    image_size=192,
    depths=(2, 2, 2, 3, 2),
    kernels=(5, 5, 3, 3, 7, 5, 3, 3, 7, 3, 3, 3, 5, 3, 5, 3, 7, 3, 3, 3),
    expansions=(4, 4, 3, 3, 6, 3, 3, 3, 4, 3, 3, 3, 4, 6, 4, 3, 6, 6, 3, 3),
)
BASE, BASE_ACCURACY = "mobilenet_v2", "mobilenet_v2-haq-reference"  # what runs on Eyeriss's configuration


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/naas.toml``, by id."""
    base = {network: _edp(EYERISS, build_table(network)) for network in FOUND}
    every = {network: base[network] / _edp(designs[0], build_table(network)) for network, designs in FOUND.items()}
    sizing = {network: base[network] / _edp(designs[1], build_table(network)) for network, designs in FOUND.items()}
    over_sizing = [every[network] / sizing[network] for network in FOUND]
    family = OnceForAll()
    table = family.table(NETWORK)
    (accuracy,) = find_oracle("imagenet").evaluate([Subject(family.name, NETWORK, table)], [None], FP32)
    (before,) = find_oracle("published").evaluate([Subject(BASE_ACCURACY)], [None], FP32)
    return {
        "edp.with_network": base[BASE] / _edp(WITH_NETWORK, table),
        "accuracy.with_network": accuracy.value - before.value,
        "edp.over_sizing.least": min(over_sizing),
        "edp.over_sizing.most": max(over_sizing),
    }


def _edp(config: Config, table: LayerTable) -> float:
    return estimate(config, best_plan(config, table)).edp
