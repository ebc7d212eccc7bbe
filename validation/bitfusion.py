"""What Sextant's BitFusion gives for every published number of it, and how far its two fidelities are apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.stats import gmean

from accel.bitfusion import PRESETS, Config, estimate_batch, simulate
from accel.config import configure
from accel.eyeriss import PRESETS as EYERISS_PRESETS
from accel.eyeriss import estimate as eyeriss_estimate
from accel.report import Report
from mappers.bitfusion import best_plans
from mappers.eyeriss import best_plan as eyeriss_plan
from workloads.catalog import build_table
from workloads.layers import Layer, LayerTable

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
RANDOM_LAYERS, MOST_RANDOM_MACS = 2000, 2**20
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
    for name, table in zip(EIGHT, _tables(), strict=True):
        ours[f"macs.{name}"] = float(table.macs.sum()) / 1e9
    ours["eyeriss.speed.mean"], ours["eyeriss.energy.mean"] = _over_our_eyeriss()
    area = _run(PAPER, build_table(EIGHT[0])).area_mm2
    ours |= {f"area.{component}": square for component, square in area.items()} | {"area.total": sum(area.values())}
    return ours | closed_form_errors()


def _over_our_eyeriss() -> tuple[float, float]:
    """Return speed and energy over Eyeriss by our own model, means of eight; Eyeriss runs the regular widths."""
    config, reports = EYERISS_PRESETS["bitfusion-baseline"], _eight(PAPER)
    tables = [build_table(name.removesuffix("-2x")).with_batch(16) for name in EIGHT]
    others = [eyeriss_estimate(config, eyeriss_plan(config, table)) for table in tables]
    speed = [other.counters["compute_cycles"] / report.cycles for other, report in zip(others, reports, strict=True)]
    energy = [other.total_energy_pj / report.total_energy_pj for other, report in zip(others, reports, strict=True)]
    return float(gmean(speed)), float(gmean(energy))


def closed_form_errors() -> dict[str, float]:
    """Return cycles in closed form over cycles simulated with values: the middle and the worst 1 % of random layers."""
    random = np.random.default_rng(0)
    tables: list[LayerTable] = []
    configs: list[Config] = []
    while len(tables) < RANDOM_LAYERS:
        layer = random_layer(random)
        if layer.macs <= MOST_RANDOM_MACS:
            tables.append(LayerTable.of("random", [layer]))
            configs.append(random_machine(random))
    plans = best_plans(configs, tables)
    simulated = np.array([simulate(config, plan).cycles for config, plan in zip(configs, plans, strict=True)])
    counted = estimate_batch([replace(config, model="cycle") for config in configs], plans)
    errors = np.array([report.cycles for report in counted]) / simulated - 1.0
    return {
        "closed_form.median": 1.0 + float(np.median(errors)),
        "closed_form.p99": 1.0 + float(np.quantile(np.abs(errors), 0.99)),
    }


def random_layer(random: np.random.Generator) -> Layer:
    """Draw a layer such as networks have: any kind, any width of operands, few to many channels."""
    kind = str(random.choice(("conv", "conv", "depthwise", "linear", "matmul")))
    in_c, out_c = (int(2 ** random.uniform(0, 10)) for _ in range(2))
    out_h, out_w = (int(size) for size in random.integers(1, 57, 2))
    kernel, stride = int(random.choice((1, 3, 5, 7))), int(random.choice((1, 1, 2)))
    if kind in ("linear", "matmul"):
        out_w = kernel = stride = 1
    if kind == "depthwise":
        out_c = in_c
    act_bits, wgt_bits = (int(bits) for bits in random.integers(1, 17, 2))
    return Layer(
        name="random",
        kind=kind,
        batch=int(random.integers(1, 17)),
        in_h=(out_h - 1) * stride + 1,
        in_w=(out_w - 1) * stride + 1,
        in_c=in_c,
        out_h=out_h,
        out_w=out_w,
        out_c=out_c,
        kernel_h=kernel,
        kernel_w=kernel,
        stride=stride,
        groups=in_c if kind == "depthwise" else 1,
        act_bits=act_bits,
        wgt_bits=wgt_bits,
        reads_input=int(kind != "matmul" and random.integers(0, 4) == 0),
    )


def random_machine(random: np.random.Generator) -> Config:
    """Draw an array, a port and channels; buffers from a half to four times the published."""
    rows, columns = (int(size) for size in random.choice((8, 12, 16, 32), 2))
    drawn = {
        name: int(getattr(PAPER, name) * 2 ** random.uniform(-1, 2))
        for name in ("wbuf_bytes", "ibuf_bytes", "obuf_bytes")
    }
    width, channels = int(random.choice((32, 100, 192, 512))), int(random.integers(1, 9))
    port = {"dram_bits_per_cycle": width, "dram_channels": channels}
    return configure(PAPER, {"rows": rows, "columns": columns, **drawn, **port}, "validation")


def _run(config: Config, table: LayerTable) -> Report:
    return estimate_batch([config], best_plans([config], [table]))[0]


def _tables(batch: int = 16) -> list[LayerTable]:
    return [build_table(name).with_batch(batch) for name in EIGHT]


def _eight(config: Config, batch: int = 16) -> list[Report]:
    tables = _tables(batch)
    configs = [config] * len(tables)
    return estimate_batch(configs, best_plans(configs, tables))


def _cycles(config: Config, batch: int = 16) -> list[int]:
    return [report.cycles for report in _eight(config, batch)]


def _mean_ratio(above: list[int], below: list[int]) -> float:
    return float(gmean(np.array(above) / np.array(below)))
