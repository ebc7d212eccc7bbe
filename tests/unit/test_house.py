"""Data flows one way: a room imports only rooms to its left, and the front door imports nothing before it must."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOW = ("workloads", "accel", "mappers", "searchers", "sextant")
ALLOWED = {room: {*FLOW[: FLOW.index(room) + 1]} for room in FLOW}
ALLOWED["validation"] = {"validation", "workloads", "accel", "mappers", "searchers"}
ALLOWED["sextant"].add("validation")
OURS = {*ALLOWED, "tests", "benchmarks", "examples"}
NOT_IN_ACCEL = {"pandas", "matplotlib", "networkx", "pymoo", "click"}
HEAVY = ("numba", "numpy", "matplotlib", "scipy")


def imported(source: str, room: str) -> set[str]:
    """Return the top-level packages that a module of a room imports, wherever in it."""
    packages = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            packages |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            packages.add(room if node.level else (node.module or "").split(".")[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            packages |= {str(part.value).split(".")[0] for part in ast.walk(node) if isinstance(part, ast.Constant)}
    return packages


def trespasses(source: str, room: str) -> set[str]:
    """Return the packages that a module of a room must not import and does."""
    found = imported(source, room)
    wrong = (found & OURS) - ALLOWED[room]
    return wrong | (found & NOT_IN_ACCEL if room == "accel" else set())


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", FLOW)
def test_every_room_is_there(room: str) -> None:
    assert (ROOT / room / "__init__.py").exists()
    assert len(modules(room)) > 1


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_rooms_to_its_left(room: str) -> None:
    wrong = {str(path.relative_to(ROOT)): trespasses(path.read_text(encoding="utf-8"), room) for path in modules(room)}
    assert {path: found for path, found in wrong.items() if found} == {}


@pytest.mark.parametrize(
    ("room", "source", "found"),
    [
        ("accel", "import searchers", {"searchers"}),
        ("accel", "from mappers.bitfusion import best_plan", {"mappers"}),
        ("accel", "import numpy as np, pandas as pd", {"pandas"}),
        ("accel", "def draw():\n    from matplotlib import pyplot", {"matplotlib"}),
        ("accel", "try:\n    import networkx\nexcept ImportError:\n    pass", {"networkx"}),
        ("accel", "if TYPE_CHECKING:\n    import click", {"click"}),
        ("accel", "from importlib import import_module\nimport_module('pymoo.core')", {"pymoo"}),
        ("workloads", "import importlib\nimportlib.import_module(f'accel.{name}')", {"accel"}),
        ("workloads", "from accel.config import read_toml", {"accel"}),
        ("mappers", "import searchers.space", {"searchers"}),
        ("searchers", "from sextant import __version__", {"sextant"}),
        ("searchers", "import validation", {"validation"}),
        ("validation", "import sextant.simulate", {"sextant"}),
        ("sextant", "from tests.oracles import bitfusion", {"tests"}),
    ],
)
def test_the_check_catches_a_trespass(room: str, source: str, found: set[str]) -> None:
    assert trespasses(source, room) == found


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("accel", "from workloads.layers import LayerTable\nfrom accel.config import Whole\nimport numba"),
        ("workloads", "import networkx\nfrom . import errors\nfrom .layers import Layer"),
        ("mappers", "from accel import bitfusion"),
        ("searchers", "import matplotlib, pymoo, mappers, accel, workloads"),
        ("validation", "import searchers, mappers, accel, workloads"),
        ("sextant", "import click, validation, searchers, mappers, accel, workloads"),
    ],
)
def test_the_check_lets_the_rest_pass(room: str, source: str) -> None:
    assert trespasses(source, room) == set()


def loaded(statement: str) -> set[str]:
    """Return the top-level packages that a fresh interpreter holds after a statement."""
    code = f"import sys\n{statement}\nprint('loaded:', *sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return {name.split(".")[0] for name in ran.stdout.rpartition("loaded: ")[2].split()}


@pytest.mark.parametrize("machine", sorted(path.parent.name for path in (ROOT / "accel").glob("*/model.py")))
def test_a_machine_needs_nothing_that_draws_searches_or_talks(machine: str) -> None:
    assert loaded(f"import accel.{machine}") & NOT_IN_ACCEL == set()


RUN = "from sextant.__main__ import main\ntry:\n    main({})\nexcept SystemExit as leave:\n    assert not leave.code"


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["list", "--help"], ["list", "networks"], ["list", "machines"]],
    ids=" ".join,
)
def test_what_only_prints_names_imports_nothing_heavy(arguments: list[str]) -> None:
    packages = loaded(RUN.format(arguments))
    assert "click" in packages
    assert packages & set(HEAVY) == set()


@pytest.mark.parametrize("command", ["simulate", "sweep", "cosearch", "resume", "export", "plot"])
def test_the_help_of_a_command_imports_no_compiler_and_no_plotter(command: str) -> None:
    assert loaded(RUN.format([command, "--help"])) & {"numba", "matplotlib", "scipy"} == set()
