"""What the closed form of SpArch has exactly: without the row prefetcher, traffic does not depend on timing."""

from __future__ import annotations

import numpy as np
import pytest

from accel.config import configure
from accel.sparch import PRESETS, estimate, simulate
from mappers.sparch import best_plan
from tests.property.test_sparch_laws import random_product


@pytest.mark.parametrize("seed", range(60))
def test_traffic_without_the_prefetcher_is_exact(seed: int) -> None:
    random = np.random.default_rng(seed)
    switches = {name: bool(random.random() < 0.5) for name in ("pipelined_merge", "condensing", "huffman")}
    changes = {"merge_layers": int(random.integers(1, 7)), "prefetcher": False, **switches}
    config = configure(PRESETS["paper"], changes, "test")
    plan = best_plan(config, random_product(random, 60))
    assert estimate(config, plan).dram_bytes == simulate(config, plan).dram_bytes
