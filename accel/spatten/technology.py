"""What SpAtten costs: energy by component from event counts, area by module.

At the published configuration the areas add up to the published total, of which the top-k engine has its published
share. SRAMs cost what CACTI says of banks one word wide, side by side; the rest, whose split is not known, grows with
the multipliers, the top-k engine with its comparators. A 12-bit multiplication lies on the power law through those of
8 and 32 bits. A score takes eight floating-point multiplications and additions: one to become floating point, five of
the series, one to be added up, one for the quotient. A comparison costs an addition.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

from accel.spatten.config import OPERAND_BITS, PRESETS, Config
from accel.technology import MemoryBank, sram_bank, tables
from workloads.units import BITS_PER_BYTE

COMPONENTS = ("qk", "softmax", "topk", "pv", "key_sram", "value_sram", "dram")
FLOAT_STEPS = 8  # multiplications and additions of a score
WORD_BYTES = 4
LARGEST_BANK_BYTES = 65536


@cache
def area_mm2(config: Config) -> dict[str, float]:
    """Return the area of every module [mm2]."""
    published, paper = _published(), PRESETS["paper"]
    top_k = published["total_mm2"] * published["topk_share"]
    rest = published["total_mm2"] - top_k - 2 * _sram_mm2(paper)
    return {
        "key_sram": _sram_mm2(config),
        "value_sram": _sram_mm2(config),
        "topk": top_k * config.topk_lanes / paper.topk_lanes,
        "datapath": rest * config.multipliers / paper.multipliers,
    }


def energy_pj(
    config: Config, head_dim: int, units: Mapping[str, int], dram_bytes: Mapping[str, int]
) -> dict[str, float]:
    """Return the energy of every component [pJ].

    Parameters
    ----------
    config : Config
    head_dim : int
    units : mapping of str to int
        Busy cycles of every unit, as ``work.unit_cycles`` counts them.
    dram_bytes : mapping of str to int
        By stream.
    """
    published, multiply = _published(), _multiply_pj()
    score = FLOAT_STEPS * (published["multiply_float32_pj"] + published["add_float32_pj"])
    bank = _bank(config)
    line_bits = OPERAND_BITS * config.multipliers
    used = config.keys_per_cycle(head_dim) * head_dim
    return {
        "qk": units["qk_cycles"] * used * multiply,
        "softmax": units["softmax_cycles"] * config.softmax_lanes * score,
        "topk": units["topk_cycles"] * 2 * config.topk_lanes * published["add_32_bit_pj"],
        "pv": units["pv_cycles"] * used * multiply,
        "key_sram": units["qk_cycles"] * line_bits * bank.read_pj_per_bit
        + (dram_bytes["k_msb_read"] + dram_bytes["k_lsb_read"]) * BITS_PER_BYTE * bank.write_pj_per_bit,
        "value_sram": units["pv_cycles"] * line_bits * bank.read_pj_per_bit
        + dram_bytes["v_read"] * BITS_PER_BYTE * bank.write_pj_per_bit,
        "dram": sum(dram_bytes.values()) * 1e12 / published["hbm_bytes_per_joule"],
    }


def fully_connected_pj(config: Config, macs: int, weights: int, dram_bytes: int) -> dict[str, float]:
    """Return the energy of layers around attention [pJ]: half on either array; a weight is written and read once."""
    bank = _bank(config)
    moved = weights * OPERAND_BITS * (bank.read_pj_per_bit + bank.write_pj_per_bit)
    return {
        "qk": macs * _multiply_pj() / 2,
        "pv": macs * _multiply_pj() / 2,
        "key_sram": moved / 2,
        "value_sram": moved / 2,
        "dram": dram_bytes * 1e12 / _published()["hbm_bytes_per_joule"],
    }


def _multiply_pj() -> float:
    """Return what a 12-bit multiplication and its addition cost."""
    published = _published()
    exponent = math.log(published["multiply_32_bit_pj"] / published["multiply_8_bit_pj"]) / math.log(32 / 8)
    return float(published["multiply_8_bit_pj"] * (OPERAND_BITS / 8) ** exponent + published["add_32_bit_pj"])


@cache
def _published() -> dict[str, float]:
    return {quantity: value for quantity, value, _ in tables()["spatten_40nm"]["rows"]}


def _banks(config: Config) -> int:
    """Words of a line: each in a bank of its own."""
    return -(-OPERAND_BITS * config.multipliers // (BITS_PER_BYTE * WORD_BYTES))


@cache
def _bank(config: Config) -> MemoryBank:
    """Return one of an SRAM's banks; a bank beyond the largest is made of several, of which one is used."""
    return sram_bank(min(config.sram_bytes / _banks(config), LARGEST_BANK_BYTES), 0, "sram_bytes")


def _sram_mm2(config: Config) -> float:
    size = config.sram_bytes / _banks(config)
    return _banks(config) * _bank(config).area_mm2 * max(1.0, size / LARGEST_BANK_BYTES)
