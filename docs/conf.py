"""How the documentation is built: pages in Markdown, the reference from the docstrings; every warning is an error.

The reference holds every public name, with one exception: kernels, which are compiled and state contracts for their
callers, not sections. ``make docs`` asks Sphinx for what it missed, and fails if that is anything.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import scipy.stats  # noqa: F401 - asks what torch is when it is imported: before torch is mocked

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from sextant import __version__  # noqa: E402 - the path comes first

project = "Sextant"
author = "the Sextant developers"
copyright = author
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.coverage", "sphinx_click", "numpydoc"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {
    "description": "design space exploration of AI and sparse accelerators",
    "page_width": "1080px",
    "sidebar_width": "240px",
    "fixed_sidebar": True,
}
html_static_path: list[str] = []
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc's sections say them
autodoc_mock_imports = [
    "torch",
    "transformers",
    "onnx",
    "gymnasium",
    "stable_baselines3",
    "optuna",
    "dask",
    "distributed",
]
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

ROOMS = ("workloads", "accel", "mappers", "searchers", "validation", "sextant")


def modules(room: str) -> list[str]:
    """Return the public modules of a room, by name."""
    found = []
    for path in sorted((ROOT / room).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if "._" not in name:  # the entry point, sextant.__main__, is what the page command_line shows
            found.append(name)
    return found


coverage_modules = list(ROOMS)  # and all modules in them
coverage_show_missing_items = True
coverage_statistics_to_stdout = False


def members(name: str) -> list[str]:
    """Return the option that lists a module's members; of a package only what it defines, not what it hands on."""
    package = ROOT / name.replace(".", "/") / "__init__.py"
    if not package.exists():
        return ["   :members:"]
    tree = ast.parse(package.read_text(encoding="utf-8"))
    defined = [part.name for part in tree.body if isinstance(part, ast.ClassDef | ast.FunctionDef)]
    public = [part for part in defined if not part.startswith("_")]
    return [f"   :members: {', '.join(public)}"] if public else []


def write_reference(_: Any) -> None:
    """Write a page for each room, a section for each of its modules."""
    folder = HERE / "reference"
    folder.mkdir(exist_ok=True)
    for room in ROOMS:
        lines = [f"# {room}", ""]
        for name in modules(room):
            lines += [f"## `{name}`", "", "```{eval-rst}", f".. automodule:: {name}", *members(name), "```", ""]
        page, text = folder / f"{room}.md", "\n".join(lines)
        if not page.exists() or page.read_text(encoding="utf-8") != text:  # a page that is new is read again
            page.write_text(text, encoding="utf-8")


def leave_out(_: Any, what: str, name: str, member: Any, skip: bool, options: Any) -> bool:
    """Leave out what is not ours, and kernels."""
    ours = str(getattr(member, "__module__", None) or ROOMS[0]).partition(".")[0] in ROOMS
    return skip or not ours or hasattr(member, "py_func")


def setup(app: Any) -> None:
    """Have the reference written before anything is read."""
    app.connect("builder-inited", write_reference)
    app.connect("autodoc-skip-member", leave_out)
