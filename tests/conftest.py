"""Fixtures that every kind of test shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of stored and published results; tests that need it are skipped where it is missing."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    data = Path(os.environ.get("SEXTANT_DATA", beside))
    if not data.is_dir():
        pytest.skip(f"no data folder at {data}; name it with SEXTANT_DATA")
    return data
