"""Running the command line as a process of its own, to be killed, stopped and looked at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]
LONG_S = 120  # a busy machine needs more than an idle one, and a test that waits longer has failed


def heed_interrupts() -> None:
    """Take back what a shell gives those that it starts in the background, which is to ignore control and C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(*arguments: object, script: str | None = None, **options: object) -> subprocess.Popen[str]:
    """Start ``sextant``, or a script of this folder."""
    program = ["-m", "sextant"] if script is None else [str(Path(__file__).parent / script)]
    return subprocess.Popen(
        [sys.executable, *program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HOUSE)},
        preexec_fn=heed_interrupts,
        **options,  # type: ignore[call-overload]
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a process; return its exit code, and what it printed."""
    out, err = process.communicate(timeout=LONG_S)
    return process.returncode, out, err


def run(*arguments: object, script: str | None = None) -> tuple[int, str, str]:
    return finish(start(*arguments, script=script))


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Wait until something holds, or the process has ended."""
    end = time.monotonic() + LONG_S
    while not holds() and (process is None or process.poll() is None):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    """Return the processes below one, however deep."""
    below: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            direct = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        below += [*direct, *(deep for child in direct for deep in children(child))]
    return below


def alive(pid: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False
