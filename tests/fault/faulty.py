"""Points that go wrong on purpose; workers import them by name."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from searchers.outcome import Outcome

FAULTS = ("hang", "raise", "memory", "kill", "crash", "leave")
REASONS = {
    "hang": "took longer than workers.time_limit_s = 2",
    "raise": "RuntimeError: point {place} is bad",
    "memory": "memory",
    "kill": "its worker was killed by SIGKILL, as when memory runs out",
    "crash": "its worker was killed by SIGSEGV",
    "leave": "its worker ended with exit code 7",
}


class Faulty:
    """Squares numbers; a payload may name a fault instead."""

    def evaluate(self, payloads: Sequence[tuple[int, str]]) -> Iterator[Outcome]:
        for place, fault in payloads:
            if fault:
                go_wrong(place, fault)
            yield Outcome({"square": place * place})


def go_wrong(place: int, fault: str) -> None:
    match fault:
        case "hang":
            time.sleep(3600)
        case "raise":
            raise RuntimeError(f"point {place}\nis bad")
        case "memory":
            held = []
            while True:
                held.append(bytearray(b"x") * 50_000_000)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "crash":
            ctypes.string_at(0)
        case "leave":
            os._exit(7)
        case once:  # a path: dies the first time only
            if not Path(once).exists():
                Path(once).touch()
                os.kill(os.getpid(), signal.SIGKILL)
