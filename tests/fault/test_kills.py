"""A sweep that is killed at any moment loses no finished point, computes none twice, and ends as if never killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from searchers.storage.store import DONE, Reader
from tests.command_line import sextant
from tests.fault.processes import alive, children, finish, run, start, wait_until
from workloads.errors import StoreError

SWEEP = """
name = "killed"
workloads = ["lenet5-bitfusion"]
[machine]
name = "systolic"
rows = { low = 4, high = 103, step = 4 }
columns = { low = 5, high = 24, step = 1 }
[workers]
"""
POINTS = 500


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.toml"
    path.write_text(SWEEP, encoding="utf-8")
    return path


def finished(folder: Path) -> dict[int, str]:
    """Return the points a folder holds as done, and what they are."""
    try:
        with Reader(folder) as store:
            return {point.place: repr(point) for point, state in store.states() if state == DONE}
    except StoreError:
        return {}


def log_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def kill_after(process: subprocess.Popen[str], log: Path, begun: int, seconds: float) -> None:
    """Kill a sweep some time after it has begun so many points, and see its workers die with it."""
    wait_until(lambda: len(log_of(log)) > begun, process)
    time.sleep(seconds)
    workers = children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not any(map(alive, workers)))


def kill_often(sweep_file: Path, folder: Path, kills: int, seconds: float, options: tuple[str, ...]) -> None:
    """Kill a sweep again and again, each time after some more points or none; then let it end."""
    draw = random.Random(1)
    log = sweep_file.with_name("log")
    names = [f"{row} {column}" for row in range(4, 104, 4) for column in range(5, 25)]
    done: dict[int, str] = {}
    for kill in range(kills):
        command = ("resume", folder) if (folder / "sweep.toml").exists() else ("sweep", sweep_file, "--out", folder)
        began = len(log_of(log))
        process = start(log, seconds, *command, *options, script="logged_sweep.py")
        kill_after(process, log, began + int((POINTS - began) * draw.random() / (kills - kill)), draw.random() * 0.05)
        again = {names[place] for place in done} & set(log_of(log)[began:])
        assert not again, "finished points were computed again"
        now = finished(folder)
        assert {place: now.get(place) for place in done} == done, "finished points were lost"
        done = now
    code, _, err = run(log, seconds, "resume", folder, *options, script="logged_sweep.py")
    assert code == 0, err
    assert finished(folder).items() >= done.items()


def check(sweep_file: Path, kills: int, seconds: float, options: tuple[str, ...]) -> None:
    whole, killed = sweep_file.with_name("whole"), sweep_file.with_name("killed")
    assert sextant("sweep", sweep_file, "--out", whole).code == 0
    kill_often(sweep_file, killed, kills, seconds, options)
    assert (killed / "results.csv").read_bytes() == (whole / "results.csv").read_bytes()
    assert sorted(path.name for path in killed.iterdir()) == ["lock", "results.csv", "study.sqlite", "sweep.toml"]


def test_four_kills(sweep_file: Path) -> None:
    check(sweep_file, 4, 0.004, ("--workers", "2"))


@pytest.mark.drill
def test_a_hundred_kills(sweep_file: Path) -> None:
    check(sweep_file, 100, 0.01, ("--workers", "2"))


@pytest.mark.parametrize("executor", ["threads", "processes", pytest.param("dask", marks=pytest.mark.drill)])
def test_control_and_c_stops_within_two_seconds(sweep_file: Path, executor: str) -> None:
    folder, log = sweep_file.with_name("stopped"), sweep_file.with_name("log")
    points = POINTS
    if executor != "threads":  # not over too soon
        points, text = 4 * POINTS, SWEEP.replace("lenet5-bitfusion", "resnet50").replace("step = 4", "step = 1")
        sweep_file.write_text(text, encoding="utf-8")
    # Threads are stopped in the middle of points that take longer than the test waits for.
    seconds = 30 if executor == "threads" else 0
    arguments = ("sweep", sweep_file, "--out", folder, "--workers", "2", "--executor", executor)
    process = start(log, seconds, *arguments, script="logged_sweep.py", start_new_session=True)
    wait_until(lambda: bool(log_of(log)) if seconds else len(finished(folder)) > 0, process)
    workers = children(process.pid)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    code, _, err = finish(process)
    took = time.monotonic() - began
    assert code == 3, err
    assert err.splitlines()[-1].endswith(f"points are kept; continue with: sextant resume {folder}")
    assert took < 2.0
    wait_until(lambda: not any(map(alive, workers)))
    assert sextant("resume", folder).code == 0
    assert len(finished(folder)) == points
