"""What the recipe of ProxylessNAS takes for accuracy, and its latency tables, beside what is published."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from accel.config import read_toml
from searchers.oracles.imagenet import FITTED, TRAINED_SIZES
from tests.recipes import proxylessnas
from workloads.networks.proxyless import EXPANSIONS, KERNELS, STAGE_DEPTHS, STAGE_STRIDES, ProxylessNAS


def test_the_stand_in_ranks_published_networks_of_the_family(shared_data: Path) -> None:
    # The published ones are wider and of several image sizes, and have expansions of 4, between 3 and 6.
    entries = json.loads((shared_data / "cosearch" / "ofa_specialized.json").read_text(encoding="utf-8"))
    published = [entry for entry in entries if entry["family"] == "ProxylessNASNets"]
    assert len(published) == 11
    worth = proxylessnas.stand_in()[:, :-1].reshape(-1, len(KERNELS), len(EXPANSIONS))
    sizes = read_toml(FITTED)["terms"]["sizes"]
    a_pixel = (sizes[-1] - sizes[0]) / (TRAINED_SIZES[-1] - TRAINED_SIZES[0])
    values = []
    for entry in published:
        stage, place, value = -1, 0, a_pixel * entry["image_size"]
        for block in entry["blocks"][1:]:
            new = block["s"] == 2 or block["cin"] != block["cout"]
            stage, place = (stage + 1, 0) if new else (stage, place + 1)
            three, six = worth[sum(STAGE_DEPTHS[:stage]) + place, KERNELS.index(block["k"])]
            value += three + (six - three) * (block["e"] - 3) / 3
        values.append(value)
    top1 = [entry["top1"] for entry in published]
    assert spearmanr(values, top1).statistic > 0.9
    # Multiply-accumulates alone rank them better still: it is no proof of the stand-in.
    assert spearmanr([entry["macs_m"] for entry in published], top1).statistic > 0.99


@pytest.mark.parametrize("machine", proxylessnas.HARDWARE)
def test_our_latency_tables_rank_blocks_as_a_telephone_does(shared_data: Path, machine: str) -> None:
    family, latency = ProxylessNAS(), proxylessnas.latency_table(machine)
    text = (shared_data / "cosearch" / "proxyless_pixel1_lut.csv").read_text(encoding="utf-8")
    measured = {
        (row["input"], row["output"], int(row["kernel"]), int(row["expand_ratio"])): float(row["latency_ms_mean"])
        for row in csv.DictReader(text.splitlines())
        if row["op"] == "expanded_conv"
    }
    size, width, pairs = 112, family.first_block, []
    for stage, (depth, stride) in enumerate(zip(STAGE_DEPTHS, STAGE_STRIDES, strict=True)):
        for block in range(depth):
            out_size, out_width = (size // stride if block == 0 else size), family.stage_widths[stage]
            for choice, (kernel, expansion) in enumerate(proxylessnas.KINDS):
                key = (f"{size}x{size}x{width}", f"{out_size}x{out_size}x{out_width}", kernel, expansion)
                if block < 2 and key in measured:
                    ours = latency.blocks[sum(STAGE_DEPTHS[:stage]) + block, choice]
                    pairs.append((measured[key], ours))
            size, width = out_size, out_width
    theirs, ours = np.array(pairs).T
    assert len(pairs) > 35
    assert spearmanr(theirs, ours).statistic > 0.9
