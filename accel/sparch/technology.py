"""What SpArch costs: energy by component from event counts, area by module.

At the published configuration the areas are the published ones. Elsewhere they follow what a module is made of: the
look-ahead FIFO, the lines of the prefetch buffer, the multipliers, the writer's FIFO; and for the merge tree, a memory
bank for each FIFO and comparators for each merger. A merger of width N with low-level arrays of m x m has
``(N/m)^2 + (2 N/m - 1) m^2`` comparators: N^(4/3) at the best m.

An element that a merger takes costs what the published energy of computation leaves after the multiplications, shared
out over six layers, and in proportion to comparators per element at other widths. FIFOs and buffers cost what CACTI
says of banks of their size, at 45 nm.
"""

from __future__ import annotations

from accel.sparch.config import PRESETS, Config
from accel.technology import MemoryBank, sram_bank, tables
from workloads.units import BITS_PER_BYTE, OPERATIONS_PER_MAC, PJ_PER_NJ

SMALLEST_BANK_BYTES, LARGEST_BANK_BYTES = 16, 65536
BUFFER_BANK_BYTES = 36864  # a sixteenth of the published prefetch buffer: one bank for each fetcher


def comparators(width: int, block: int) -> float:
    """Return the comparators of a merger of arrays of ``block`` x ``block``; of one array if that is wider."""
    block = min(block, width)
    chunks = -(-width // block)
    top = chunks**2 if chunks > 1 else 0
    return top + (2 * chunks - 1) * block**2


def area_mm2(config: Config) -> dict[str, float]:
    """Return the area of every module [mm2]."""
    published, paper = _published(), PRESETS["paper"]

    def buffer(one: Config) -> int:
        return one.prefetch_lines * one.prefetch_line_elements * one.element_bytes

    merger = (published["merge_tree_mm2"] - _fifos_mm2(paper)) / paper.merge_layers
    wider = comparators(config.merge_width, config.merge_block) / comparators(paper.merge_width, paper.merge_block)
    return {
        "column_fetcher": published["column_fetcher_mm2"] * config.look_ahead / paper.look_ahead,
        "row_prefetcher": published["row_prefetcher_mm2"] * buffer(config) / buffer(paper),
        "multiplier_array": published["multiplier_array_mm2"] * config.multipliers / paper.multipliers,
        "merge_tree": merger * config.merge_layers * wider + _fifos_mm2(config),
        "partial_matrix_writer": published["partial_matrix_writer_mm2"]
        * config.spill_fifo_elements
        / paper.spill_fifo_elements,
    }


def energy_pj(
    config: Config, *, multiplies: int, merged: int, pushed: int, buffered: int, looked_ahead: int, dram_bytes: int
) -> dict[str, float]:
    """Return the energy of every component [pJ].

    Parameters
    ----------
    config : Config
    multiplies : int
        Products.
    merged : int
        Elements that mergers took, over all layers.
    pushed : int
        Elements that went through FIFOs of the merge tree.
    buffered : int
        Elements of B written to the prefetch buffer.
    looked_ahead : int
        Elements of A that went through the look-ahead FIFO.
    dram_bytes : int
        Bytes of all streams.
    """
    published, paper = _published(), PRESETS["paper"]
    per_product = OPERATIONS_PER_MAC * published["computation_nj_per_flop"] * PJ_PER_NJ
    per_element = (per_product - published["multiply_add_pj"]) / paper.merge_layers
    effort = comparators(config.merge_width, config.merge_block) / config.merge_width
    effort /= comparators(paper.merge_width, paper.merge_block) / paper.merge_width
    fifo_read, fifo_write = _pj_per_byte(config.fifo_depth * config.spill_element_bytes)
    line_read, line_write = _pj_per_byte(BUFFER_BANK_BYTES)
    ahead_read, ahead_write = _pj_per_byte(config.look_ahead * config.element_bytes)
    return {
        "multiply": multiplies * published["multiply_add_pj"],
        "merge": merged * per_element * effort,
        "merge_fifos": pushed * config.spill_element_bytes * (fifo_read + fifo_write),
        "row_buffer": config.element_bytes * (multiplies * line_read + buffered * line_write),
        "look_ahead_fifo": looked_ahead * config.element_bytes * (ahead_read + ahead_write),
        "dram": dram_bytes * 1e12 / published["hbm_bytes_per_joule"],
    }


def _published() -> dict[str, float]:
    return {quantity: value for quantity, value, _ in tables()["sparch_40nm"]["rows"]}


def _fifos_mm2(config: Config) -> float:
    """Return the area of the tree's FIFOs; the root's belongs to the writer."""
    size = config.fifo_depth * config.spill_element_bytes
    return (2 * config.leaves - 2) * _bank(size).area_mm2 * max(1.0, size / LARGEST_BANK_BYTES)


def _pj_per_byte(size: int) -> tuple[float, float]:
    """Return what reading and writing a byte of a memory of some bytes costs."""
    bank = _bank(size)
    return bank.read_pj_per_bit * BITS_PER_BYTE, bank.write_pj_per_bit * BITS_PER_BYTE


def _bank(size: int) -> MemoryBank:
    """Return a bank of some bytes; memories beyond one bank's size are made of several, of which one is used."""
    return sram_bank(float(min(max(size, SMALLEST_BANK_BYTES), LARGEST_BANK_BYTES)), 0, "sparch memory")
