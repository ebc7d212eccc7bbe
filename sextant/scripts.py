"""What the scripts of ``examples/`` share: what is asked of a search, and errors in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from searchers.algorithms.algorithm import check_algorithm
from workloads.errors import SextantError, StudyError

WHERE = "command line"


def run_script(main: Callable[[], None]) -> None:
    """Run a script; say in one line what cannot be, and leave as the command line does for bad input."""
    try:
        main()
    except SextantError as error:
        print(error, file=sys.stderr)
        sys.exit(SextantError.exit_code)


def asked(evaluations: int, algorithms: Sequence[str]) -> tuple[int, list[str]]:
    """Return what stands on the command line, ``[EVALUATIONS [ALGORITHM]...]``, or these.

    Raises
    ------
    StudyError
        If the first is no whole number from 1, an algorithm does not exist, or its packages are not installed.
    """
    word, *names = sys.argv[1:] or [str(evaluations)]
    if not word.isdecimal() or int(word) < 1:
        raise StudyError(WHERE, "EVALUATIONS", word, "a whole number from 1")
    for name in names:
        check_algorithm(name, WHERE)
    return int(word), names or list(algorithms)
