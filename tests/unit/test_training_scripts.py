"""Scripts that make the measured tables say in one line what they lack."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from searchers.oracles.training import extra

SCRIPTS = {
    "train_digits": ["{}/table.csv"],
    "export_digits": ["0"],
    "train_characters": ["weights"],
    "train_language": ["weights"],
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_the_extra_a_script_says_so(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"searchers.oracles.training.{script}"
    for package in ("torch", "sklearn"):
        monkeypatch.setitem(sys.modules, package, None)  # an import of it fails
    monkeypatch.setattr(extra, "find_spec", lambda package: None)
    monkeypatch.delitem(sys.modules, name, raising=False)
    module = import_module(name)  # even the script itself is read without them
    ran = CliRunner().invoke(module.main, [argument.format(tmp_path) for argument in SCRIPTS[script]])
    assert ran.exit_code == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith("Error: no package torch")
    assert ran.stderr.endswith("need the extra train: pip install 'sextant[train]'\n")
    assert ran.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
