"""What training needs and searching does not: the packages of the extra ``train``."""

from __future__ import annotations

from importlib.util import find_spec

import click


class MissingExtra(click.ClickException):
    """A package that is not installed; one line, as for any bad input."""

    exit_code = 2


def need(*packages: str) -> None:
    """Check that a script's packages are installed.

    Raises
    ------
    MissingExtra
        Naming those that are not.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise MissingExtra(f"no package {', '.join(missing)}, need the extra train: pip install 'sextant[train]'")
