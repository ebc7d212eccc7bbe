"""Every public name says what it is, every array what its axes are, and the reference holds them all.

That Sphinx reaches every name of these modules is asked by ``make docs``; kernels are left out, as docs/conf.py says.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("workloads", "accel", "mappers", "searchers", "validation", "sextant")
AXES = re.compile(r"shape|\((\w[\w ]*|\.\.\.)(, ?\w[\w ]*)*,?\)|arguments as of")

Definition = ast.FunctionDef | ast.ClassDef


class Public(NamedTuple):
    """A public name: where it is, what it is, and the class that it is of."""

    where: str
    node: Definition
    of: ast.ClassDef | None


def definitions(tree: ast.AST, where: str, of: ast.ClassDef | None = None) -> Iterator[Public]:
    """Yield the public functions and classes of a module, and their public methods."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Definition) and not node.name.startswith("_"):
            name = f"{where}, {node.name}"
            yield Public(name, node, of)
            if isinstance(node, ast.ClassDef):
                yield from definitions(node, name, node)


@pytest.fixture(scope="module")
def modules() -> dict[str, ast.Module]:
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@pytest.fixture(scope="module")
def public(modules: dict[str, ast.Module]) -> list[Public]:
    return [found for path, tree in modules.items() for found in definitions(tree, path)]


def arrays_of(function: ast.FunctionDef, kinds: set[str]) -> list[str]:
    """Return the parameters that are arrays, and not any sequence of numbers."""
    given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    words = {part.arg: set(re.findall(r"\w+", ast.unparse(part.annotation))) for part in given if part.annotation}
    return [name for name, of in words.items() if of & kinds and "Sequence" not in of]


def test_every_public_name_has_a_docstring(modules: dict[str, ast.Module], public: list[Public]) -> None:
    assert [path for path, tree in modules.items() if not ast.get_docstring(tree)] == []
    assert [found.where for found in public if not ast.get_docstring(found.node)] == []
    assert len(public) > 1000


def test_every_array_that_is_taken_has_its_axes_said(modules: dict[str, ast.Module], public: list[Public]) -> None:
    """By the function or, where it implements a contract, by the contract."""
    kinds = {"NDArray", "ArrayLike", "ndarray"}
    for tree in modules.values():
        for node in tree.body:
            if isinstance(node, ast.Assign) and "NDArray" in ast.unparse(node.value):
                kinds |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    said, silent = set(), []
    for where, node, of in public:
        if isinstance(node, ast.FunctionDef) and arrays_of(node, kinds):
            if AXES.search(ast.get_docstring(node) or ""):
                contract = of is not None and {"Protocol", "ABC"} & {ast.unparse(base) for base in of.bases}
                said |= {node.name} if contract else set()
            else:
                silent.append((where, node.name if of else ""))
    assert [where for where, name in silent if name not in said] == []


def test_the_reference_has_every_module() -> None:
    spec = importlib.util.spec_from_file_location("documentation", ROOT / "docs" / "conf.py")
    assert spec is not None
    assert spec.loader is not None
    conf: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conf)
    for room in ROOMS:
        files = [path for path in (ROOT / room).rglob("*.py") if path.stem != "__main__"]
        assert len(conf.modules(room)) == len(files)
        assert room in conf.ROOMS
    assert conf.members("validation.figures") == ["   :members: Entry, make_figure"]
