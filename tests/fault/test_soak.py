"""Twenty minutes of sweeps and studies: memory stays where it was, and nothing is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fault.processes import HOUSE


@pytest.mark.drill
def test_nothing_grows_and_nothing_is_left(tmp_path: Path) -> None:
    minutes = float(os.environ.get("SEXTANT_SOAK_MINUTES", "20"))
    (tmp_path / "work").mkdir()
    (tmp_path / "temporary").mkdir()
    ran = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "soak.py"), str(tmp_path / "work"), str(minutes)],
        env={**os.environ, "PYTHONPATH": str(HOUSE), "TMPDIR": str(tmp_path / "temporary")},
        capture_output=True,
        text=True,
        timeout=60 * minutes + 300,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    settled = [held for seconds, held in told["samples"] if seconds >= 60 * minutes / 10]
    print(f"{told['rounds']} rounds, {settled[0]:.1f} MB after a tenth of the time, {settled[-1]:.1f} MB at the end")
    assert max(settled[-10:]) < 1.05 * max(settled[:10])
    assert told["descriptors"][0] == told["descriptors"][1]
    assert told["children"] == []
    assert list((tmp_path / "temporary").iterdir()) == []
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["study.toml", "sweep.toml"]
