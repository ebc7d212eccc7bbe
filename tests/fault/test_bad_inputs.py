"""Whatever is wrong with a file: one line, a code that says so, soon, and nothing written outside its folder."""

from __future__ import annotations

import time
from pathlib import Path

from tests.command_line import sextant
from tests.fault.bad_inputs import inputs


def test_two_hundred_bad_inputs_are_two_hundred_lines(tmp_path: Path) -> None:
    sextant("simulate", "sparch", "uniform:rows=10,per_row=2")  # what is imported and compiled once is not counted
    seen, wrong = 0, []
    (tmp_path / "inputs").mkdir()
    for command in inputs(tmp_path / "inputs"):
        began = time.process_time()
        ran = sextant(*command)
        took = time.process_time() - began
        lines = ran.err.splitlines()
        errors = [line for line in lines if line.startswith("sextant: ")]
        if ran.code not in (2, 4) or len(errors) != 1 or "Traceback" in ran.err or took > 2.0:
            wrong.append((command, ran, took))
        seen += 1
    assert wrong == []
    assert seen >= 200
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inputs"]
