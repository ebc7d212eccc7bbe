"""The command line, slowed down, with a log of the points that are begun: ``logged_sweep.py LOG SECONDS ARGUMENTS``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence

from searchers.outcome import Outcome
from searchers.sweeps import sweep
from searchers.sweeps.sweep_file import Task
from sextant.__main__ import main

evaluate = sweep.Evaluator.evaluate


def logged(evaluator: sweep.Evaluator, payloads: Sequence[Task]) -> Iterator[Outcome]:
    for task in payloads:
        os.write(log, f"{task.config.rows} {task.config.columns}\n".encode())
        time.sleep(seconds)
        yield from evaluate(evaluator, [task])


if __name__ == "__main__":
    log, seconds = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT), float(sys.argv[2])
    sweep.Evaluator.evaluate = logged  # type: ignore[method-assign]
    main(sys.argv[3:])
