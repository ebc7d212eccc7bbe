"""Small random layers and BitFusion machines that can just, or easily, run them."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from accel.bitfusion import Config
from accel.bitfusion.config import costs
from tests.oracles.bitfusion import BUFFERS, Machine, dimensions, footprints
from workloads.layers import KINDS, Layer

SWITCHES = ("wide_outputs", "output_preload", "full_edge_tiles", "unshared_input_reads")
SWITCH_SETTINGS = tuple(product((False, True), repeat=4))
SMALLEST_BANK_BYTES, LARGEST_BANK_BYTES = 16, 262144
ROOMY_BYTES = 2**24


def random_layer(
    rng: np.random.Generator, kind: str | None = None, widest_bits: int = 16, *, small: bool = False
) -> Layer:
    """Any kind of layer: uneven maps and windows, strides, groups, every width of operands."""

    def draw(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    kind = kind or KINDS[draw(0, 3)]
    most_channels, most_outputs = (5, 4) if small else (int(rng.choice((3, 9, 24))), 7)
    groups, in_c, out_c = draw(1, 3), draw(1, most_channels), draw(1, 2 * most_channels)
    out_h, out_w, kernel_h, kernel_w, stride = (
        draw(1, most_outputs),
        draw(1, most_outputs),
        draw(1, 3),
        draw(1, 3),
        draw(1, 3),
    )
    if kind == "linear":
        out_h = out_w = kernel_h = kernel_w = stride = groups = 1
    elif kind == "matmul":
        out_w = kernel_h = kernel_w = stride = 1
    elif kind == "depthwise":
        groups = in_c = out_c
    if kind in ("conv", "matmul"):
        in_c, out_c = groups * in_c, groups * out_c
    return Layer(
        name="random",
        kind=kind,
        batch=draw(1, most_outputs - 1),
        in_h=max(1, (out_h - 1) * stride - kernel_h + 2 + draw(0, kernel_h)),
        in_w=max(1, (out_w - 1) * stride - kernel_w + 2 + draw(0, kernel_w)),
        in_c=in_c,
        out_h=out_h,
        out_w=out_w,
        out_c=out_c,
        kernel_h=kernel_h,
        kernel_w=kernel_w,
        stride=stride,
        groups=groups,
        act_bits=draw(1, widest_bits),
        wgt_bits=draw(1, widest_bits),
        reads_input=draw(0, 1) if kind != "matmul" else 0,
        dilation=1 + (out_h + out_c) % 3 // 2,
    )


def random_config(rng: np.random.Generator, layer: Layer) -> Config:
    """Any machine the layer fits on: small and odd arrays, odd DRAM ports, buffers from just enough to huge."""
    config = Config(
        rows=int(rng.choice((1, 1, 2, 3, 4, 8, 16))),
        columns=int(rng.choice((1, 2, 3, 5, 8, 16))),
        wbuf_bytes=ROOMY_BYTES,
        ibuf_bytes=ROOMY_BYTES,
        obuf_bytes=ROOMY_BYTES,
        dram_bits_per_cycle=int(rng.choice((1, 7, 13, 32, 100, 192, 333, 4096))),
        clock_hz=500e6,
        dram_pj_per_bit=float(rng.uniform(1.0, 20.0)),
        **dict(zip(SWITCHES, map(bool, rng.integers(0, 2, 4)), strict=True)),
    )
    least = least_bytes(layer, config)
    extra = {field: int(rng.choice((0, 0, 1, size // 2, size, 3 * size, 50 * size))) for field, size in least.items()}
    sizes = {field: min(size + extra[field], most_bytes(config)[field]) for field, size in least.items()}
    return replace(config, **sizes)


def least_bytes(layer: Layer, config: Config) -> dict[str, int]:
    """Capacities [bytes] with which the smallest tile fits half of every buffer and every bank has a known cost."""
    machine = as_machine(config)
    channels = 1 if layer.reads_input else min(config.columns, dimensions(layer)["oc"])
    needs = footprints(layer, machine, (1, 1, 1, 1, channels))
    return {
        f"{buffer}_bytes": max(SMALLEST_BANK_BYTES * banks, -(-2 * needs[buffer] // 8))
        for buffer, banks in zip(BUFFERS, banks_of(config), strict=True)
    }


def most_bytes(config: Config) -> dict[str, int]:
    """Largest capacities [bytes] whose banks have a known cost."""
    return {
        f"{buffer}_bytes": min(LARGEST_BANK_BYTES * banks, 2**28)
        for buffer, banks in zip(BUFFERS, banks_of(config), strict=True)
    }


def banks_of(config: Config) -> tuple[int, int, int]:
    """Banks of the weight, input and output buffer."""
    return config.rows * config.columns, config.rows, config.columns


def as_machine(config: Config) -> Machine:
    """Return the oracle's description of a machine."""
    sizes = (config.wbuf_bytes, config.ibuf_bytes, config.obuf_bytes, config.dram_bits_per_cycle)
    return Machine(config.rows, config.columns, *sizes, *(getattr(config, switch) for switch in SWITCHES))


def prices(config: Config) -> dict[str, float]:
    """Return what the oracle pays for cycles and bits [pJ]."""
    accesses = [f"{buffer}_{access}" for buffer in BUFFERS for access in ("read", "write")]
    core, *buffers, dram_read, dram_write = costs(config).unit_pj.tolist()
    assert dram_read == dram_write
    return {"core_pj_per_cycle": core, **dict(zip(accesses, buffers, strict=True)), "dram": dram_read}
