"""A store that is damaged, full, read-only, held by another or of another release says so or loses nothing."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from searchers.outcome import Outcome
from searchers.run import run_study
from searchers.storage import store as stores
from searchers.storage.kept import Kept, kept_points, kept_study
from searchers.storage.results import write_points
from searchers.storage.store import FILE, Point, Reader, Store
from searchers.sweeps.sweep import run_sweep
from searchers.sweeps.sweep_file import read_sweep
from tests.command_line import Ran, sextant
from tests.fault.processes import HOUSE, finish, start, wait_until
from workloads.errors import StoreError

ASSETS = Path(__file__).parent / "assets"
SWEEP = """
workloads = ["lenet5-bitfusion"]
[machine]
name = "systolic"
rows = { low = 4, high = 43, step = 1 }
columns = [4, 8, 16]
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep; to be read only."""
    home = tmp_path_factory.mktemp("finished")
    (home / "sweep.toml").write_text(SWEEP, encoding="utf-8")
    ran = sextant("sweep", home / "sweep.toml", "--out", home / "out")
    assert ran.code == 0, ran
    return home / "out"


@pytest.fixture
def swept(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished sweep, to be spoiled."""
    return Path(shutil.copytree(finished, tmp_path / "out"))


def one_line(ran: Ran, code: int) -> str:
    assert ran.code == code, ran
    assert ran.err.splitlines()[-1].startswith("sextant: ")
    assert "Traceback" not in ran.err
    return ran.err.splitlines()[-1]


def check_damage(folder: Path, damages: Iterator[bytes]) -> None:
    """See that no damage is passed over: a command says so, or the table is what it was."""
    whole, results = (folder / FILE).read_bytes(), (folder / "results.csv").read_bytes()
    refused = 0
    for damaged in damages:
        assert damaged != whole
        (folder / FILE).write_bytes(damaged)
        (folder / "results.csv").unlink(missing_ok=True)
        for command in ("export", "resume"):
            ran = sextant(command, folder)
            if ran.code:
                refused += one_line(ran, 4).startswith(f"sextant: {folder}")
            else:
                assert (folder / "results.csv").read_bytes() == results, "damage was passed over"
    assert refused > 0


def flips(data: bytes, count: int) -> Iterator[bytes]:
    draw = random.Random(5)
    for _ in range(count):
        place, bit = draw.randrange(len(data)), draw.randrange(8)
        yield data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def cuts(data: bytes, count: int) -> Iterator[bytes]:
    draw = random.Random(6)
    for _ in range(count):
        yield data[: draw.randrange(1, len(data))]


@pytest.mark.parametrize("count", [10, pytest.param(50, marks=pytest.mark.drill)])
def test_flipped_bits_are_noticed_or_harmless(swept: Path, count: int) -> None:
    check_damage(swept, flips((swept / FILE).read_bytes(), count))


@pytest.mark.parametrize("count", [5, pytest.param(50, marks=pytest.mark.drill)])
def test_a_truncated_store_is_noticed(swept: Path, count: int) -> None:
    check_damage(swept, cuts((swept / FILE).read_bytes(), count))


def test_a_log_that_lost_its_end_costs_points_that_are_computed_again(swept: Path, tmp_path: Path) -> None:
    """What SQLite had not yet moved into the database when the process died, and the disk then lost."""
    results = (swept / "results.csv").read_bytes()
    sweep, folder = read_sweep(swept / "sweep.toml"), tmp_path / "again"
    folder.mkdir()
    copied: list[bytes] = []

    def copy(_: object) -> None:
        copied[:] = [(folder / name).read_bytes() for name in (FILE, f"{FILE}-wal")]

    run_sweep(sweep, folder, progress=copy)
    database, log = copied
    (folder / FILE).write_bytes(database)
    (folder / f"{FILE}-wal").write_bytes(log[: len(log) // 2])
    shutil.copy(swept / "sweep.toml", folder)
    assert sextant("resume", folder).code == 0
    assert (folder / "results.csv").read_bytes() == results


def test_a_row_that_is_gone_is_missed(swept: Path) -> None:
    with sqlite3.connect(swept / FILE) as connection:
        connection.execute("DELETE FROM points WHERE number = 7")
    connection.close()
    for command in ("export", "resume"):
        assert "points of generation 0 are missing" in one_line(sextant(command, swept), 4)


def test_a_newer_store_is_refused_and_left_alone(swept: Path) -> None:
    with sqlite3.connect(swept / FILE) as connection:
        connection.execute("PRAGMA user_version=3")
    connection.close()
    before = (swept / FILE).read_bytes()
    for command in ("export", "resume"):
        said = one_line(sextant(command, swept), 4)
        assert said.endswith("schema version 3 (a newer release wrote it), need 1..2")
    assert (swept / FILE).read_bytes() == before


def test_a_second_writer_is_told_who_holds_the_folder(swept: Path) -> None:
    script = f"""
import sys, time
from pathlib import Path
from searchers.storage.lock import FolderLock
lock = FolderLock(Path({str(swept)!r}))
print("held", flush=True)
time.sleep(60)
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(HOUSE)}
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        (swept / "lock").write_text(json.dumps({"pid": holder.pid, "host": "elsewhere", "since": time.time() - 7300}))
        said = one_line(sextant("resume", swept), 4)
        assert f"(process {holder.pid} on elsewhere, for 2 h), need it to end first" in said
        assert sextant("export", swept).code == 0  # reading is free
    finally:
        holder.kill()
        holder.communicate()
    assert sextant("resume", swept).code == 0


def test_a_full_database_stops_the_sweep_and_keeps_what_it_had(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Store.add

    def in_little_room(store: Store, *rest: object) -> None:
        store._connection.execute("PRAGMA max_page_count=24")
        add(store, *rest)  # type: ignore[arg-type]

    folder = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Store, "add", in_little_room)
        said = one_line(sextant("sweep", finished / "sweep.toml", "--out", folder), 4)
    assert said.endswith("cannot be written: database or disk is full, need room and a folder to write to")
    assert sextant("resume", folder).code == 0
    assert (folder / "results.csv").read_bytes() == (finished / "results.csv").read_bytes()


def in_namespace(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script where it may mount file systems that nobody else sees."""
    able = shutil.which("unshare") and subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0
    if not able:
        pytest.skip("file systems cannot be mounted here")
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        env={**os.environ, "PYTHONPATH": str(HOUSE), "S": f"{sys.executable} -m sextant", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_full_disk_stops_the_sweep_and_keeps_what_it_had(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    script = """
mount -t tmpfs -o size=128k tmpfs $D || exit 99
$S sweep $F --out $D/out; echo code $?
mount -o remount,size=8m $D
$S resume $D/out >/dev/null; echo code $?
cp $D/out/results.csv $R
"""
    results = tmp_path / "results.csv"
    ran = in_namespace(script, D=str(tmp_path / "disk"), F=str(finished / "sweep.toml"), R=str(results))
    if ran.returncode == 99:
        pytest.skip("no file system can be mounted here")
    assert [line for line in ran.stdout.splitlines() if line.startswith("code")] == ["code 4", "code 0"], ran
    assert "Traceback" not in ran.stderr
    assert results.read_bytes() == (finished / "results.csv").read_bytes()


def test_a_read_only_folder_is_refused_for_writing_and_can_be_read(swept: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.csv"
    script = """
mount --bind $D $D && mount -o remount,bind,ro $D || exit 99
$S resume $D; echo code $?
$S sweep $D/sweep.toml --out $D/below; echo code $?
$S export $D --csv $R >/dev/null; echo code $?
"""
    ran = in_namespace(script, D=str(swept), R=str(results))
    if ran.returncode == 99:
        pytest.skip("no file system can be mounted here")
    assert [line for line in ran.stdout.splitlines() if line.startswith("code")] == ["code 4", "code 4", "code 0"], ran
    refusals = [line for line in ran.stderr.splitlines() if line.startswith("sextant: ")]
    assert len(refusals) == 2
    assert all(": Read-only file system, need " in line for line in refusals)
    assert "Traceback" not in ran.stderr
    assert results.read_bytes() == (swept / "results.csv").read_bytes()


# Stores of earlier releases


@pytest.fixture
def of_schema_1(tmp_path: Path) -> Path:
    """The folder of a study as the first release left it, with 40 points."""
    return Path(shutil.copytree(ASSETS / "schema1", tmp_path / "schema1"))


def test_a_store_of_schema_1_can_be_read_without_being_changed(of_schema_1: Path) -> None:
    before = (of_schema_1 / FILE).read_bytes()
    study = kept_study(of_schema_1)
    points = kept_points(study, of_schema_1)
    write_points(study, points, of_schema_1 / "results.csv")
    whole = (of_schema_1 / "results_of_90.csv").read_text(encoding="utf-8")
    assert len(points) == 40
    assert whole.startswith((of_schema_1 / "results.csv").read_text(encoding="utf-8"))
    kept = Kept(of_schema_1)
    assert len(kept.frame()) == len(kept.origins()) == 40
    kept.close()
    assert (of_schema_1 / FILE).read_bytes() == before


def test_a_store_of_schema_1_is_resumed_to_the_results_it_would_have_had(of_schema_1: Path) -> None:
    study = kept_study(of_schema_1, budget=90)
    points = run_study(study, of_schema_1)
    write_points(study, points, of_schema_1 / "results.csv")
    assert (of_schema_1 / "results.csv").read_bytes() == (of_schema_1 / "results_of_90.csv").read_bytes()
    with Reader(of_schema_1) as store:
        origins = store.origins()
    assert origins[:40] == [{}] * 40  # nothing is known of what computed these
    assert all(origin["seed"] == 3 and origin["models"] for origin in origins[40:])


# States


def test_points_are_pending_then_running_then_done_or_failed(tmp_path: Path) -> None:
    points = [Point(0, place, (float(place),), Outcome({})) for place in range(4)]
    done, failed = Point(0, 0, (0.0,), Outcome({"a": 1.0})), Point(0, 1, (1.0,), Outcome({}, "no"))
    with Store(tmp_path, "key", origin={"seed": 1}) as store:
        store.plan(points)
        store.start(points[:3])
        assert [state for _, state in store.states()] == ["running", "running", "running", "pending"]
        store.add([done, failed])
        assert store.points() == [done, failed]
        assert store.counts() == {"pending": 1, "running": 1, "done": 1, "failed": 1}
    with Store(tmp_path, "key") as store:  # what ran when the process ended is to be done again
        assert store.counts() == {"pending": 2, "running": 0, "done": 1, "failed": 1}
        store.plan(points)
        assert store.points() == [done, failed]


def test_where_shared_memory_cannot_be_relied_on_there_is_no_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stores.file_system(Path("/proc/self")) == "proc"
    monkeypatch.setattr(stores, "file_system", lambda _: "nfs4")
    with Store(tmp_path, "key") as store:
        store.add([Point(0, 0, (0.0,), Outcome({"a": 1.0}))])
        assert not (tmp_path / f"{FILE}-wal").exists()


def test_a_store_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    with Store(tmp_path, "key") as store:
        store.add([Point(0, 0, (0.0,), Outcome({"a": 1.0}))])
        with Reader(tmp_path) as reader:
            assert len(reader.points()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", FILE]
    with pytest.raises(StoreError, match="No such file"):
        Reader(tmp_path / "none")


def test_the_signal_of_a_scheduler_stops_a_sweep_as_control_and_c_does(tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text(SWEEP.replace("43", "203"), encoding="utf-8")
    process = start(tmp_path / "log", 0.01, "sweep", tmp_path / "sweep.toml", "--out", tmp_path / "out",
                    script="logged_sweep.py")  # fmt: skip
    wait_until(lambda: (tmp_path / "log").exists() and (tmp_path / "log").stat().st_size > 0, process)
    process.terminate()
    code, _, err = finish(process)
    assert code == 3, err
    assert err.splitlines()[-1].startswith("sextant: stopped; ")
    assert sextant("export", tmp_path / "out").code == 0
