"""Sweeps and studies again and again for some minutes: ``soak.py FOLDER MINUTES``; prints what was held as JSON."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import time
from pathlib import Path

from searchers.evaluation.execution import PROCESSES, Execution
from searchers.run import run_study
from searchers.study import read_study
from searchers.sweeps.sweep import run_sweep
from searchers.sweeps.sweep_file import read_sweep
from tests.fault.processes import children
from tests.fault.test_same_results import STUDY, SWEEP

MB = 1e6


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / MB


def descriptors() -> list[str]:
    """Return what this process holds open, sockets and pipes included."""
    held = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            held.append(os.readlink(link).split(":")[0])
        except OSError:
            continue  # the listing's own
    return sorted(held)


def soak(folder: Path, minutes: float) -> dict[str, object]:
    (folder / "sweep.toml").write_text(SWEEP, encoding="utf-8")
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    began, rounds = time.monotonic(), 0
    samples: list[tuple[float, float]] = []
    opened: list[str] = []
    while (now := time.monotonic() - began) < 60 * minutes:
        execution = Execution(count=2) if rounds % 8 else Execution(executor=PROCESSES, count=2)
        run_sweep(read_sweep(folder / "sweep.toml"), folder / "sweep", workers=execution)
        run_study(read_study(folder / "study.toml"), folder / "study", workers=execution)
        for name in ("sweep", "study"):
            shutil.rmtree(folder / name)
        rounds += 1
        samples.append((now, resident_mb()))
        opened = opened or descriptors()
    return {
        "rounds": rounds,
        "samples": samples,
        "descriptors": [opened, descriptors()],
        "children": children(os.getpid()),
    }


if __name__ == "__main__":
    print(json.dumps(soak(Path(sys.argv[1]), float(sys.argv[2]))))
