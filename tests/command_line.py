"""Running the command line inside the test's own process."""

from __future__ import annotations

import contextlib
import io
from typing import Any, NamedTuple

from sextant.__main__ import main


class Ran(NamedTuple):
    code: int
    out: str
    err: str


def sextant(*arguments: object) -> Ran:
    """Run the command in this process; a warning or an error that is not caught fails the test."""
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as leave:
            code = leave.code or 0
    return Ran(code, out.getvalue(), err.getvalue())
