"""What BitFusion cannot run is refused by name; what it can is counted, the widest operands included."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from accel.bitfusion import PRESETS, Config, Plan, estimate, estimate_batch, peak_gops
from mappers.bitfusion import best_plan, best_plans, search
from workloads.errors import ConfigError, WorkloadError
from workloads.layers import Layer, LayerTable

PAPER = PRESETS["paper"]
ROOMY = replace(PAPER, rows=2, columns=3, wbuf_bytes=8192, ibuf_bytes=8192, obuf_bytes=8192, dram_bits_per_cycle=64)


def conv(**changes: object) -> Layer:
    fields: dict[str, object] = {
        "name": "conv1", "kind": "conv", "in_h": 32, "in_w": 30, "in_c": 5, "out_h": 9, "out_w": 8, "out_c": 7,
        "kernel_h": 5, "kernel_w": 7, "stride": 3, "act_bits": 7, "wgt_bits": 5,
    }  # fmt: skip
    return Layer(**(fields | changes))  # type: ignore[arg-type]


def table(*layers: Layer) -> LayerTable:
    return LayerTable.of("net", layers)


# One image, one output, one input channel, one pass over three columns; a tile may use half a buffer.
# Weights: 35 taps padded to lanes of 2 (5 and 7 bits: one product a unit) = 36, times 3 columns, 5 bits.
# Activations: 35 taps of 7 bits. Outputs: 3 columns of 32 bits.
SMALLEST = {"wbuf_bytes": 2 * 36 * 3 * 5 // 8, "ibuf_bytes": -(-2 * 35 * 7 // 8), "obuf_bytes": 2 * 3 * 32 // 8}


def refusal(config: Config, *layers: Layer) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        best_plan(config, table(*layers))
    return caught.value


@pytest.mark.parametrize("field", ["wbuf_bytes", "ibuf_bytes"])
def test_a_buffer_too_small_is_named_and_the_named_size_is_enough(field: str) -> None:
    need = SMALLEST[field]
    layers = conv(name="easy", kernel_h=1, kernel_w=1), conv()
    error = refusal(replace(ROOMY, **{field: need - 1}), *layers)
    told = f"bitfusion, layer conv1 of net: {field} = {need - 1}, need at least {need} bytes for its smallest tile"
    assert str(error) == told
    enough = replace(ROOMY, **{field: need})
    assert estimate(enough, best_plan(enough, table(*layers))).cycles > 0


def test_the_smallest_output_banks_of_known_cost_hold_the_smallest_tile() -> None:
    assert SMALLEST["obuf_bytes"] <= 3 * 16
    assert refusal(replace(ROOMY, obuf_bytes=3 * 16 - 1), conv()).field == "obuf_bytes"
    enough = replace(ROOMY, obuf_bytes=3 * 16)
    assert estimate(enough, best_plan(enough, table(conv()))).cycles > 0


@pytest.mark.parametrize("reads_input", [0, 1])
@pytest.mark.parametrize("kind", ["conv", "depthwise"])
def test_sizes_the_errors_ask_for_lead_to_a_plan(kind: str, reads_input: int) -> None:
    changes = {"kind": kind, "groups": 5, "out_c": 5} if kind == "depthwise" else {}
    layer = conv(reads_input=reads_input, act_bits=16, wgt_bits=16, kernel_h=11, kernel_w=11, **changes)
    config = replace(ROOMY, rows=1, columns=2, wbuf_bytes=32, ibuf_bytes=16, obuf_bytes=32)
    asked = []
    for _ in range(4):
        plan = search((config,), (table(layer),))[0][0]
        if isinstance(plan, Plan):
            break
        need = int(plan.need.split()[2])
        refused = replace(config, **{plan.field: need - 1})
        assert refusal(refused, layer).need == plan.need
        config = replace(config, **{plan.field: need})
        asked.append(plan.field)
    assert asked == ["wbuf_bytes", "ibuf_bytes"]
    assert estimate(config, best_plan(config, table(layer))).cycles > 0


def test_one_impossible_design_does_not_spoil_the_others() -> None:
    tight = replace(ROOMY, ibuf_bytes=SMALLEST["ibuf_bytes"] - 1)
    plans, _ = search((ROOMY, tight, ROOMY), (table(conv()),) * 3)
    assert isinstance(plans[0], Plan)
    assert isinstance(plans[2], Plan)
    np.testing.assert_array_equal(plans[0].mappings, plans[2].mappings)
    assert isinstance(plans[1], ConfigError)
    assert plans[1].field == "ibuf_bytes"
    with pytest.raises(ConfigError, match="ibuf_bytes"):
        best_plans((ROOMY, tight, ROOMY), (table(conv()),) * 3)


@pytest.mark.parametrize("field", ["act_bits", "wgt_bits"])
def test_operands_of_seventeen_bits_are_refused_by_search_and_model(field: str) -> None:
    widest, wide = conv(**{field: 16}), conv(name="wide", **{field: 17})
    plan = best_plan(PAPER, table(widest, widest))
    assert estimate(PAPER, plan).cycles > 0
    message = f"net, layer wide: {field} = 17, need 1..16 on bitfusion"
    too_wide = Plan(table(widest, wide), plan.mappings)
    for refused in (
        lambda: best_plan(PAPER, too_wide.table),
        lambda: estimate(PAPER, too_wide),
        lambda: estimate_batch((PAPER,), (too_wide,)),
    ):
        with pytest.raises(WorkloadError) as caught:
            refused()
        assert str(caught.value) == message


def test_a_plan_has_a_mapping_for_every_layer() -> None:
    plan = best_plan(PAPER, table(conv(), conv()))
    with pytest.raises(ValueError, match="mappings of shape"):
        Plan(table(conv()), plan.mappings)


def test_a_plan_says_how_a_layer_is_laid() -> None:
    plan = Plan(table(conv()), np.array([[1, 8, 9, 5, 7, 0]]))
    assert plan.describe(0) == "b/1 > w/8 > h/9 > ic/5 > oc/7"


@pytest.mark.parametrize(("act", "wgt", "gops"), [(8, 8, 512), (2, 2, 8192), (4, 8, 1024), (1, 3, 4096)])
def test_peak_rate_is_that_of_the_composed_units(act: int, wgt: int, gops: float) -> None:
    assert peak_gops(PAPER, act, wgt) == gops


@pytest.mark.parametrize(("act", "wgt", "passes"), [(16, 16, 4), (9, 8, 2), (8, 16, 2)])
def test_peak_rate_counts_the_passes_of_wide_operands(act: int, wgt: int, passes: int) -> None:
    assert peak_gops(PAPER, act, wgt) == 512 / passes
