"""How every benchmark measures: CPU seconds of this process, rivals interleaved, minimum of several rounds.

Figures are kept as JSON in ``build/bench/COMMIT/``, so that ``python -m benchmarks.compare`` can show what changed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

RESULTS = Path("build/bench")
UNCOMMITTED = "uncommitted"


def cpu_seconds(contenders: Mapping[str, Callable[[], object]], rounds: int = 5) -> dict[str, float]:
    """Return the least CPU time of each contender; each is run once before to compile and to fill caches."""
    for contender in contenders.values():
        contender()
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):
        for name, contender in contenders.items():
            started = time.process_time()
            contender()
            best[name] = min(best[name], time.process_time() - started)
    return best


def number_printed(program: str, **environment: str) -> float:
    """Return the number that a program prints in a process of its own."""
    ran = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return float(ran.stdout)


def keep(name: str, figures: Mapping[str, float]) -> None:
    """Write a benchmark's figures as JSON, under the commit they belong to."""
    folder = RESULTS / commit()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def commit() -> str:
    """Return the checked-out commit, or that something is changed beside it."""
    try:
        changed = _git("status", "--porcelain", "--untracked-files=no")
        return UNCOMMITTED if changed else _git("rev-parse", "--short=12", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return UNCOMMITTED


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def show(what: str, figure: str, asked: str = "") -> None:
    """Print one figure beside the one that was aimed at."""
    print(f"{what:<66}{figure:>16}   {asked}")
