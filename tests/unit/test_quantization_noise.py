"""The noise proxy ranks bit widths: more bits are quieter, everywhere and always, and its numbers are by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searchers.oracles.quantization_noise import quantization_noise_db
from searchers.quantities import NOISE, QUANTITIES
from workloads.layers import Layer, LayerTable

WIDTHS = st.lists(st.tuples(st.integers(1, 15), st.integers(1, 15)), min_size=3, max_size=3)


def table(widths: list[tuple[int, int]], sizes: tuple[int, ...] = (10, 40, 50)) -> LayerTable:
    return LayerTable.of(
        "three",
        [
            Layer(
                name=f"fc{index}", kind="linear", in_h=1, in_w=1, in_c=size, out_h=1, out_w=1, out_c=1,
                act_bits=act_bits, wgt_bits=wgt_bits,
            )
            for index, (size, (act_bits, wgt_bits)) in enumerate(zip(sizes, widths, strict=False))
        ],
    )  # fmt: skip


def test_one_layer_by_hand() -> None:
    # 1/16 of the activations and 1/4 of the weights: 5/16, twice that in a network half as large as the largest.
    assert quantization_noise_db(table([(2, 1)]), 10.0) == pytest.approx(10 * math.log10(5 / 16))
    assert quantization_noise_db(table([(2, 1)]), 20.0) == pytest.approx(10 * math.log10(5 / 8))


def test_layers_weigh_as_much_as_they_multiply() -> None:
    noise = (10 * (4.0**-2 + 4.0**-8) + 40 * (4.0**-4 + 4.0**-4) + 50 * (4.0**-8 + 4.0**-2)) / 100
    expected = 10 * math.log10(noise * 200 / 100)
    assert quantization_noise_db(table([(2, 8), (4, 4), (8, 2)]), 200.0) == pytest.approx(expected)


@settings(max_examples=50, deadline=None)
@given(widths=WIDTHS, layer=st.integers(0, 2), operand=st.integers(0, 1))
def test_a_bit_more_anywhere_is_quieter(widths: list[tuple[int, int]], layer: int, operand: int) -> None:
    more = [list(pair) for pair in widths]
    more[layer][operand] += 1
    # The comparison is with the noise itself: far below the loudest layer the decibels cannot tell.
    noise, less = (
        10 ** (quantization_noise_db(table([(pair[0], pair[1]) for pair in chosen]), 100.0) / 10)
        for chosen in (widths, more)
    )
    assert less < noise * (1 + 1e-12)
    if widths[layer][operand] <= 5:
        assert less < noise


@settings(max_examples=30, deadline=None)
@given(act_bits=st.integers(1, 16), wgt_bits=st.integers(1, 16))
def test_a_bit_more_everywhere_is_six_decibels(act_bits: int, wgt_bits: int) -> None:
    noise, less = (quantization_noise_db(table([(act_bits + more, wgt_bits + more)] * 3), 100.0) for more in (0, 1))
    assert noise - less == pytest.approx(10 * math.log10(4))


def test_a_larger_network_of_the_family_is_quieter_at_equal_widths() -> None:
    widths = [(4, 4)] * 3
    small, large = (quantization_noise_db(table(widths, sizes), 100.0) for sizes in ((10, 20, 30), (10, 40, 50)))
    assert large < small


def test_it_says_that_it_only_ranks() -> None:
    assert "rank only" in QUANTITIES[NOISE].axis
