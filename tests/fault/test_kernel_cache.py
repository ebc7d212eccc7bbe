"""Machine code on disk: damage, many cold starts at once and edits anywhere cost a compilation, never an answer."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fault.processes import HOUSE

PRODUCT = """
import json
from accel.bitfusion.kernels import macs_per_unit
from accel.systolic import PRESETS as ARRAYS, estimate as count
from mappers.systolic import best_plan
from workloads.source import open_layers
report = count(ARRAYS["paper"], best_plan(ARRAYS["paper"], open_layers("lenet5-bitfusion")))
print(json.dumps([report.cycles, int(macs_per_unit(4, 2))]))
"""
KERNELS = """
from accel.constant import SIZE
from accel.helper import shifted
from accel.jit import kernel, inlined_kernel

@inlined_kernel
def twice(x):
    return x * 2

@kernel
def size_of(x):
    return twice(shifted(x)) * SIZE
"""
HELPER = "from accel.jit import kernel\n\n@kernel\ndef shifted(x):\n    return x + {}\n"
ASK = "from accel.user import size_of\nprint(int(size_of(3)))"


def python(code: str, cache: Path, house: Path = HOUSE) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SEXTANT_")}
    return subprocess.Popen(
        [sys.executable, "-B", "-P", "-W", "error", "-c", code],
        env={**environment, "PYTHONPATH": str(house), "SEXTANT_CACHE_DIR": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out.strip()


@pytest.mark.parametrize("damages", [2, pytest.param(20, marks=pytest.mark.drill)])
def test_damaged_files_are_compiled_again(tmp_path: Path, damages: int) -> None:
    expected = told(python(PRODUCT, tmp_path))
    draw = random.Random(2)
    for damage in range(damages):
        path = draw.choice(sorted(tmp_path.rglob("*.nbc")))
        data = bytearray(path.read_bytes())
        if damage % 2:
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(data if damage % 2 else data[: draw.randrange(len(data))])
        assert told(python(PRODUCT, tmp_path)) == expected


@pytest.mark.parametrize("count", [3, pytest.param(16, marks=pytest.mark.drill)])
def test_many_cold_starts_at_once(tmp_path: Path, count: int) -> None:
    answers = [told(process) for process in [python(PRODUCT, tmp_path) for _ in range(count)]]
    assert len(set(answers)) == 1
    assert json.loads(answers[0])[1] == 8
    assert not list(tmp_path.rglob("*.tmp.*"))


@pytest.mark.parametrize("edits", [2, pytest.param(10, marks=pytest.mark.drill)])
def test_edits_of_helpers_and_constants_are_noticed(tmp_path: Path, edits: int) -> None:
    house, cache = tmp_path / "house", tmp_path / "cache"
    for room in ("accel", "mappers", "workloads"):
        shutil.copytree(HOUSE / room, house / room, ignore=shutil.ignore_patterns("__pycache__"))
    (house / "accel" / "user.py").write_text(KERNELS)
    constant, added = 1, 0
    for edit in range(edits + 1):
        constant, added = (constant + edit, added) if edit % 2 else (constant, added + edit)
        (house / "accel" / "constant.py").write_text(f"SIZE = {constant}\n")
        (house / "accel" / "helper.py").write_text(HELPER.format(added))
        assert int(told(python(ASK, cache, house))) == (3 + added) * 2 * constant
