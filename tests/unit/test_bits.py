"""Words in kernels: what the processor's instructions give, what loops give without them, and what Python gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from accel import bits

HOUSE = Path(__file__).resolve().parents[2]
RANDOM = np.random.default_rng(1)
WORDS = [0, 1, 2**63, 2**64 - 1, *(int(word) for word in RANDOM.integers(0, 2**64, 200, np.uint64))]
MASKS = [0, 2**64 - 1, 0x5555555555555555, *(int(word) & (int(word) >> 7) for word in WORDS)]


@numba.njit
def compiled(word, mask):
    gathered, spread = bits.gather_bits(word, mask), bits.spread_bits(word, mask)
    return gathered, spread, bits.multiply_high(word, mask), bits.count_ones(word)


@numba.njit
def compared(lanes, left, right):
    bits.fetch_early(lanes, right)
    return bits.compare_lanes(lanes, left, right)


def check() -> None:
    """Compare what is compiled with plain Python."""
    for lanes in (*RANDOM.integers(0, 2**32, (20, 80), np.uint32), np.arange(80, dtype=np.uint32) % 3 << 15):
        for left, right in RANDOM.integers(0, 49, (10, 2), np.uint64):
            halves = lanes.view(np.uint16)
            ours, theirs = (halves[2 * int(at) : 2 * int(at) + 64].tolist() for at in (left, right))
            expected = sum((a >= b) << n for n, (a, b) in enumerate(zip(ours, theirs, strict=True)))
            assert int(compared(lanes, left, right)) == expected == int(bits.compare_lanes(lanes, left, right))
    for word, mask in zip(WORDS, MASKS, strict=False):
        expected = (bits.gather_bits(word, mask), bits.spread_bits(word, mask), word * mask >> 64, word.bit_count())
        assert tuple(int(part) for part in compiled(np.uint64(word), np.uint64(mask))) == expected, (word, mask)


def test_words_in_kernels_are_words_in_python() -> None:
    check()
    kept = bits.gather_bits(0b1011, 0b1110)
    assert (kept, bits.spread_bits(kept, 0b1110)) == (0b101, 0b1010)


def test_without_the_instructions_loops_give_the_same() -> None:
    code = "from tests.unit.test_bits import bits, check; assert not bits._has_bmi2(); check()"
    environment = {**os.environ, "PYTHONPATH": str(HOUSE), "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=300)


@pytest.mark.parametrize("divisor", [1, 2, 3, 5, 7, 16, 100, 641, 2**20 - 1, 2**31, 2**61 + 1])
def test_a_reciprocal_divides(divisor: int) -> None:
    magic, shift = bits.reciprocal(divisor)
    assert 0 < magic < 2**64
    for number in (0, 1, divisor - 1, divisor, 2 * divisor - 1, 2**62, 2**63 - 1, *(word >> 1 for word in WORDS)):
        assert bits.multiply_high(number << 1, magic) >> shift == number // divisor, number
