"""How every benchmark measures: CPU seconds of this process, rivals interleaved, minimum of several rounds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

RESULTS = Path("build/bench")


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


def keep(name: str, figures: Mapping[str, float]) -> None:
    """Write a benchmark's figures as JSON, for comparison between commits."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def show(what: str, figure: str, asked: str = "") -> None:
    """Print one figure beside the one that was aimed at."""
    print(f"{what:<66}{figure:>16}   {asked}")
