"""How the documentation is built: pages in Markdown, the reference from the docstrings; every warning is an error."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from sextant import __version__  # noqa: E402 - the path comes first

project = "Sextant"
author = "the Sextant developers"
copyright = author
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
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

ROOMS = ("workloads", "accel", "mappers", "searchers", "validation")
PRIVATE = ("kernels", "__main__")


def modules(room: str) -> list[str]:
    """Return the public modules of a room, by name."""
    found = []
    for path in sorted((ROOT / room).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if not name.endswith(PRIVATE) and "._" not in name:
            found.append(name)
    return found


def write_reference(_: Any) -> None:
    """Write a page for each room, a section for each of its modules."""
    folder = HERE / "reference"
    folder.mkdir(exist_ok=True)
    for room in ROOMS:
        lines = [f"# {room}", ""]
        for name in modules(room):
            # What a package hands on is described where it is defined.
            members = [] if (ROOT / name.replace(".", "/")).is_dir() else ["   :members:"]
            lines += [f"## `{name}`", "", "```{eval-rst}", f".. automodule:: {name}", *members, "```", ""]
        (folder / f"{room}.md").write_text("\n".join(lines), encoding="utf-8")


def leave_out(_: Any, what: str, name: str, member: Any, skip: bool, options: Any) -> bool:
    """Leave out what is not ours, and kernels: they state contracts for callers, not sections of a reference."""
    ours = str(getattr(member, "__module__", None) or ROOMS[0]).partition(".")[0] in ROOMS
    return skip or not ours or hasattr(member, "py_func")


def setup(app: Any) -> None:
    """Have the reference written before anything is read."""
    app.connect("builder-inited", write_reference)
    app.connect("autodoc-skip-member", leave_out)
