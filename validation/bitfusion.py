"""What Sextant's BitFusion gives for every published number of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from accel.bitfusion import PRESETS, Config, estimate_batch
from accel.report import Report
from mappers.bitfusion import best_plans
from workloads.catalog import build_table
from workloads.layers import LayerTable

PAPER = PRESETS["paper"]
EIGHT = (
    "alexnet-bitfusion-2x", "cifar10-bitfusion", "lstm-bitfusion", "lenet5-bitfusion",
    "resnet18-bitfusion-2x", "rnn-bitfusion", "svhn-bitfusion", "vgg7-bitfusion",
)  # fmt: skip
# Eyeriss for 16 images, as the authors compare with it: cycles at 500 MHz, and energy [pJ] of 16-bit operations of
# 0.2 pJ a bit with its DRAM part scaled by 0.15. Source: the table shipped with their simulator.
EYERISS = {
    "alexnet-bitfusion-2x": (70286336, 205352719360.0),
    "cifar10-bitfusion": (44153856, 171223328972.8),
    "lstm-bitfusion": (820800, 5165506560.0),
    "lenet5-bitfusion": (1117696, 4905475686.4),
    "resnet18-bitfusion-2x": (95485952, 314328247091.2),
}
REGULAR = {"alexnet": "alexnet-bitfusion", "resnet18": "resnet18-bitfusion"}


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/bitfusion.toml``, by id."""
    ours = {f"cycles.{name}": float(_run(PAPER, build_table(name)).cycles) for name in (*EIGHT, *REGULAR.values())}
    narrow = _cycles(replace(PAPER, dram_bits_per_cycle=128))
    for width in (32, 64, 128, 192, 256, 512, 1024):
        reports = _eight(replace(PAPER, dram_bits_per_cycle=width))
        ours[f"bandwidth.{width}"] = _mean_ratio(narrow, [report.cycles for report in reports])
        ours[f"stalled.{width}"] = float(
            np.mean([report.cycle_stack["dram_stall"] / report.cycles for report in reports])
        )
    single = _cycles(PAPER, batch=1)
    for batch in (4, 16, 64, 256):
        ours[f"batch.{batch}"] = batch * _mean_ratio(single, _cycles(PAPER, batch=batch))
    default = _cycles(PAPER)
    small = replace(PAPER, rows=8, columns=16, wbuf_bytes=16384, ibuf_bytes=16384, obuf_bytes=8192)
    large = replace(PAPER, rows=32, columns=32, wbuf_bytes=131072, ibuf_bytes=65536)
    ours["array.8x16"] = _mean_ratio(default, _cycles(small))
    ours["array.32x32"] = _mean_ratio(default, _cycles(large))
    for short, name in REGULAR.items():
        for act_bits in (2, 4, 8):
            for wgt_bits in (2, 4, 8):
                report = _run(PAPER, build_table(name).with_bits(act_bits, wgt_bits))
                ours[f"uniform.{short}.{act_bits}x{wgt_bits}"] = report.cycles / 1e6
    for name, (cycles, energy_pj) in EYERISS.items():
        report = _run(PAPER, build_table(name))
        ours[f"eyeriss.speed.{name}"] = cycles / report.cycles
        ours[f"eyeriss.energy.{name}"] = energy_pj / report.total_energy_pj
    return ours | {"area.total": _run(PAPER, build_table(EIGHT[0])).total_area_mm2}


def _run(config: Config, table: LayerTable) -> Report:
    return estimate_batch([config], best_plans([config], [table]))[0]


def _eight(config: Config, batch: int = 16) -> list[Report]:
    tables = [build_table(name).with_batch(batch) for name in EIGHT]
    configs = [config] * len(tables)
    return estimate_batch(configs, best_plans(configs, tables))


def _cycles(config: Config, batch: int = 16) -> list[int]:
    return [report.cycles for report in _eight(config, batch)]


def _mean_ratio(above: list[int], below: list[int]) -> float:
    return float(np.exp(np.mean(np.log(np.array(above) / np.array(below)))))
