"""The tutorial's commands, run as they stand; what they print is what the page shows."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import shlex
from pathlib import Path

import pytest

from tests.command_line import sextant

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
HOW = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks(kind: str) -> list[str]:
    return [text for found, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if found == kind]


def commands() -> list[tuple[str, str]]:
    """Return every command of the page and what it is said to print."""
    found = []
    for block in blocks("console"):
        for part in re.split(r"^\$ sextant ", block, flags=re.M)[1:]:
            line, _, shown = part.partition("\n")
            found.append((line, shown))
    return found


def same(shown: str, printed: str) -> bool:
    """Tell whether what is shown is what was printed; a line of dots is any lines, also none."""
    return doctest.OutputChecker().check_output(shown, printed, HOW)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tutorial") / "study"


@pytest.mark.parametrize(("line", "shown"), commands(), ids=[line for line, _ in commands()])
def test_a_command_prints_what_is_shown(line: str, shown: str, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    ran = sextant(*shlex.split(line.replace("STUDY", str(study))))
    printed = (ran.out or ran.err).replace(str(study), "STUDY")
    assert same(shown, printed), f"the page shows\n{shown}\nbut it prints\n{printed}\n{ran.err}"


def test_the_script_prints_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (script,), (shown,) = blocks("python"), blocks("text")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(script, "tutorial", "exec"), {})
    assert same(shown, printed.getvalue()), printed.getvalue()


def test_a_wrong_line_would_be_noticed() -> None:
    assert same("a\n...\nz\n", "a\nb\nc\nz\n")
    assert not same("a\n...\ny\n", "a\nb\nc\nz\n")
