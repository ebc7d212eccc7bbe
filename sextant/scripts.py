"""What the scripts of ``examples/`` share with the command line: errors in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable

from workloads.errors import SextantError


def run_script(main: Callable[[], None]) -> None:
    """Run a script; say in one line what cannot be, and leave as the command line does for bad input."""
    try:
        main()
    except SextantError as error:
        print(error, file=sys.stderr)
        sys.exit(SextantError.exit_code)
