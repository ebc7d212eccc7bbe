"""BitFusion's parameters: the published point, what each field allows, and what the parts cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from accel.bitfusion import PRESETS, kernels
from accel.bitfusion.config import Config, costs
from accel.config import configure, content_key, limits
from accel.technology import fusion_array, sram_bank
from workloads.errors import ConfigError

PAPER = PRESETS["paper"]


def test_paper_is_the_published_machine() -> None:
    published = Config(
        rows=16, columns=32, wbuf_bytes=64 * 1024, ibuf_bytes=32 * 1024, obuf_bytes=16 * 1024,
        dram_bits_per_cycle=192, clock_hz=500e6, dram_pj_per_bit=15.0,
        wide_outputs=True, output_preload=True, full_edge_tiles=True, unshared_input_reads=True,
    )  # fmt: skip
    assert published == PAPER


def test_fields_scripts_rely_on_are_there() -> None:
    fixed = {"rows", "columns", "wbuf_bytes", "ibuf_bytes", "obuf_bytes", "dram_bits_per_cycle", "clock_hz"}
    assert fixed <= set(limits(Config))


@pytest.mark.parametrize("field", ["rows", "columns", "wbuf_bytes", "ibuf_bytes", "obuf_bytes", "dram_bits_per_cycle"])
@pytest.mark.parametrize("value", [0, -1, 2**30, 1.5, True])
def test_impossible_sizes_are_refused(field: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(PAPER, **{field: value})
    assert str(caught.value).startswith(f"bitfusion: {field} = {value}, need a whole number, 1..")


@pytest.mark.parametrize(("field", "value"), [("clock_hz", 0), ("clock_hz", 1e11), ("dram_pj_per_bit", 0.0)])
def test_impossible_rates_are_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"^bitfusion: {field} = .*, need a number, "):
        replace(PAPER, **{field: value})


def test_zero_rows_are_refused_from_a_command_line_by_its_name() -> None:
    with pytest.raises(ConfigError) as caught:
        configure(PAPER, {"rows": "0"}, "--set")
    assert str(caught.value) == "--set: rows = 0, need a whole number, 1..1024"


def test_the_kernels_row_names_every_column() -> None:
    row = replace(PAPER, output_preload=False, unshared_input_reads=False, obuf_bytes=4097).machine_row()
    assert row.dtype == np.int64
    assert row.shape == (kernels.MACHINE_COLUMNS,)
    assert (row[kernels.ROWS], row[kernels.UNITS_COLUMNS], row[kernels.DRAM_BITS]) == (16, 32, 192)
    halves = (kernels.WBUF_HALF_BITS, kernels.IBUF_HALF_BITS, kernels.OBUF_HALF_BITS)
    assert row[list(halves)].tolist() == [64 * 1024 * 4, 32 * 1024 * 4, 4097 * 4]
    assert (row[kernels.WIDE_OUTPUTS], row[kernels.OUTPUT_PRELOAD]) == (1, 0)
    assert (row[kernels.FULL_EDGE_TILES], row[kernels.UNSHARED_INPUT_READS]) == (1, 0)


def test_content_key_tells_machines_apart() -> None:
    changes = [{"rows": 8}, {"clock_hz": 1e9}, {"wide_outputs": False}, {"output_preload": False}, {}]
    assert len({content_key(replace(PAPER, **change)) for change in changes}) == len(changes)
    assert content_key(replace(PAPER, clock_hz=500_000_000)) == content_key(PAPER)


def test_costs_are_those_of_the_banks_and_the_array() -> None:
    cost = costs(PAPER)
    wbuf, ibuf = sram_bank(128, 0, "wbuf_bytes"), sram_bank(2048, 0, "ibuf_bytes")
    obuf = sram_bank(512, 1, "obuf_bytes")
    accesses = [pj for bank in (wbuf, ibuf, obuf) for pj in (bank.read_pj_per_bit, bank.write_pj_per_bit)]
    assert cost.unit_pj.tolist() == [fusion_array(16, 32).pj_per_cycle, *accesses, 15.0, 15.0]
    assert cost.area_mm2 == {
        "core": fusion_array(16, 32).area_mm2,
        "wbuf": 512 * wbuf.area_mm2,
        "ibuf": 16 * ibuf.area_mm2,
        "obuf": 32 * obuf.area_mm2,
    }


@pytest.mark.parametrize(("field", "banks"), [("wbuf_bytes", 16 * 32), ("ibuf_bytes", 16), ("obuf_bytes", 32)])
def test_buffers_whose_banks_have_no_known_cost_are_refused(field: str, banks: int) -> None:
    assert costs(replace(PAPER, **{field: 16 * banks})).unit_pj.min() > 0
    assert costs(replace(PAPER, **{field: 262144 * banks})).unit_pj.min() > 0
    for size in (16 * banks - 1, 262144 * banks + 1):
        if size <= 2**28:
            allowed = f"{16 * banks}..{262144 * banks} bytes for its {banks} banks"
            with pytest.raises(ConfigError) as caught:
                costs(replace(PAPER, **{field: size}))
            assert str(caught.value) == f"bitfusion: {field} = {size}, need {allowed}"
