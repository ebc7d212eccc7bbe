"""Compiled kernels: damage on disk heals, an edit anywhere is noticed, and the switches do what they say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from accel import jit
from workloads.errors import ConfigError

HOUSE = Path(__file__).resolve().parents[2]

ONE_CALL = """
import json
from accel.bitfusion.kernels import macs_per_unit
from accel.jit import cache_folder
answers = [int(macs_per_unit(act, wgt)) for act in (1, 2, 3, 4, 8, 16) for wgt in (2, 4, 8)]
stats = getattr(macs_per_unit, "stats", None)
hits, misses = (sum(stats.cache_hits.values()), sum(stats.cache_misses.values())) if stats else (0, 0)
print(json.dumps({"answers": answers, "folder": str(cache_folder()), "hits": hits, "misses": misses}))
"""
ANSWERS = [16, 8, 4, 16, 8, 4, 8, 4, 2, 8, 4, 2, 4, 2, 1, 4, 2, 1]


def run(code: str, house: Path = HOUSE, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with warnings as errors, in an environment of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEXTANT_", "NUMBA_"))}
    return subprocess.run(
        [sys.executable, "-B", "-P", "-W", "error", "-c", code],
        env={**kept, "PYTHONPATH": str(house), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def answer(code: str, house: Path = HOUSE, **environment: str) -> dict[str, object]:
    done = run(code, house, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


HEALING = """
import json, sys
from pathlib import Path
from accel.bitfusion import kernels
from accel.jit import cache_folder, kernel

expected = kernels.macs_per_unit(4, 2)
source = kernels.macs_per_unit.py_func

def files(suffix):
    return sorted(cache_folder().rglob("*macs_per_unit*" + suffix))

def flipped(data, bit):
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]

(path,) = files(".nbc")
assert not files(".nbi")
whole = path.read_bytes()
size = len(whole)
damages = [(f"cut at {at}", whole[:at]) for at in (0, 1, 20, 32, 40, size // 2, size - 1)]
damages += [(f"bit {bit}", flipped(whole, bit)) for bit in range(5, 8 * size, 8 * size // 22)]
damages += [("other bytes", b"\\x80" * size)]
outcomes = []
for damage, data in damages:
    path.write_bytes(data)
    damaged = kernel(source)
    given = int(damaged(4, 2))
    again = kernel(source)
    again(4, 2)
    outcomes.append((damage, given, sum(damaged.stats.cache_hits.values()),
                     sum(again.stats.cache_hits.values())))
print(json.dumps({"expected": int(expected), "outcomes": outcomes}))
"""


def test_damaged_cache_files_heal_and_give_the_same_answer(tmp_path: Path) -> None:
    told = answer(HEALING, SEXTANT_CACHE_DIR=str(tmp_path))
    assert told["expected"] == 8
    assert len(told["outcomes"]) >= 30
    for damage, given, _, hits_after in told["outcomes"]:
        assert given == 8, damage
        assert hits_after == 1, f"{damage}: not repaired on disk"
    for damage, _, hits, _ in told["outcomes"]:
        assert hits == 0, f"{damage}: damaged machine code was run"


def test_second_process_loads_what_the_first_compiled(tmp_path: Path) -> None:
    first = answer(ONE_CALL, SEXTANT_CACHE_DIR=str(tmp_path))
    second = answer(ONE_CALL, SEXTANT_CACHE_DIR=str(tmp_path))
    assert first["answers"] == second["answers"] == ANSWERS
    assert first["folder"] == second["folder"]
    assert (first["hits"], first["misses"]) == (0, 1)
    assert (second["hits"], second["misses"]) == (1, 0)
    assert Path(second["folder"]).parent == tmp_path


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Copy of the library with a kernel of our own, which takes a constant from another file."""
    house = tmp_path / "house"
    for room in ("accel", "mappers", "workloads"):
        shutil.copytree(HOUSE / room, house / room, ignore=shutil.ignore_patterns("__pycache__"))
    (house / "accel" / "user.py").write_text(USER)
    (house / "accel" / "constant.py").write_text("SIZE = 1\n")
    return house


USER = """
from accel.constant import SIZE
from accel.jit import kernel

@kernel
def size_of(x):
    return x * SIZE
"""
SIZE_OF_TWO = """
import json
from accel import user
from accel.jit import cache_folder
print(json.dumps({"folder": cache_folder().name, "answer": int(user.size_of(2))}))
"""


def test_edit_in_another_file_gives_a_new_folder_and_the_new_answer(house: Path, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    before = answer(SIZE_OF_TWO, house, SEXTANT_CACHE_DIR=cache)
    (house / "accel" / "constant.py").write_text("SIZE = 7\n")
    after = answer(SIZE_OF_TWO, house, SEXTANT_CACHE_DIR=cache)
    assert (before["answer"], after["answer"]) == (2, 14)
    assert before["folder"] != after["folder"]
    assert not list(house.rglob("*.nb[ci]")), "machine code lies among the sources"


def test_without_compiler_kernels_are_plain_functions_with_the_same_answers(tmp_path: Path) -> None:
    told = answer(ONE_CALL, SEXTANT_JIT="0", SEXTANT_CACHE_DIR=str(tmp_path))
    assert told["answers"] == ANSWERS
    assert (told["hits"], told["misses"]) == (0, 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["2", "", "yes", "-1"])
def test_any_other_switch_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SEXTANT_JIT", value)
    with pytest.raises(ConfigError) as caught:
        jit.kernel(len)
    assert str(caught.value) == f"environment: SEXTANT_JIT = {value}, need 0 or 1"


def test_wrong_switch_stops_a_program_with_the_error(tmp_path: Path) -> None:
    done = run(ONE_CALL, SEXTANT_JIT="2", SEXTANT_CACHE_DIR=str(tmp_path))
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1] == ("workloads.errors.ConfigError: environment: SEXTANT_JIT = 2, need 0 or 1")


def test_edit_in_another_file_is_noticed_when_the_cache_folder_is_unusable(house: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    cache = str(tmp_path / "file" / "cache")
    before = answer(SIZE_OF_TWO, house, SEXTANT_CACHE_DIR=cache)
    (house / "accel" / "constant.py").write_text("SIZE = 7\n")
    after = answer(SIZE_OF_TWO, house, SEXTANT_CACHE_DIR=cache)
    assert (before["answer"], after["answer"]) == (2, 14)
    assert (tmp_path / "file").read_text() == "not a folder"


def test_nowhere_to_keep_machine_code_costs_a_compilation_not_a_traceback(house: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    (house / "accel" / "__pycache__").write_text("not a folder")
    nowhere = str(tmp_path / "file" / "below")
    told = answer(SIZE_OF_TWO, house, SEXTANT_CACHE_DIR=nowhere, HOME=nowhere, XDG_CACHE_HOME=nowhere)
    assert told["answer"] == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="everything is writable for the superuser")
def test_read_only_cache_folder_costs_a_compilation_not_a_traceback(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(0o500)
    try:
        assert answer(ONE_CALL, SEXTANT_CACHE_DIR=str(folder))["answers"] == ANSWERS
    finally:
        folder.chmod(0o700)


FULL_DISK = """
import json
import numba.core.caching as caching
def full(self, *rest):
    raise OSError(28, "No space left on device")
caching.IndexDataCacheFile._open_for_write = full
from accel.bitfusion.kernels import macs_per_unit
print(json.dumps({"answer": int(macs_per_unit(4, 2))}))
"""


def test_full_disk_costs_a_compilation_not_a_traceback(tmp_path: Path) -> None:
    assert answer(FULL_DISK, SEXTANT_CACHE_DIR=str(tmp_path)) == {"answer": 8}
    assert not list(tmp_path.rglob("*.nb[ci]"))


def test_users_own_numba_cache_is_left_where_it_is(tmp_path: Path) -> None:
    code = """
import json, numba
from accel.bitfusion.kernels import macs_per_unit
print(json.dumps({"folder": numba.config.CACHE_DIR}))
"""
    users = str(tmp_path / "users")
    told = answer(code, NUMBA_CACHE_DIR=users, SEXTANT_CACHE_DIR=str(tmp_path / "ours"))
    assert told["folder"] == users


PRUNING = """
import json, os, time
from pathlib import Path
from accel.jit import cache_folder
root = cache_folder().parent
for number, days in enumerate([1, 8, 9, 10, 11, 12]):
    (root / f"kernels-{number}").mkdir(parents=True)
    os.utime(root / f"kernels-{number}", (time.time() - 86400 * days,) * 2)
(root / "other").mkdir()
os.utime(root / "other", (0, 0))
from accel.bitfusion.kernels import macs_per_unit
macs_per_unit(4, 2)
print(json.dumps({"left": sorted(p.name for p in root.iterdir() if p != cache_folder())}))
"""


def test_machine_code_of_builds_nobody_uses_is_removed(tmp_path: Path) -> None:
    told = answer(PRUNING, SEXTANT_CACHE_DIR=str(tmp_path))
    assert told["left"] == ["kernels-0", "kernels-1", "kernels-2", "other"]
