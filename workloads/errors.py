"""What Sextant says when it is given something it cannot use: one line, what, where, what is allowed."""

from __future__ import annotations

LONGEST_SHOWN = 120


class SextantError(Exception):
    """Base of every error a user can cause. ``exit_code`` is what the command line returns."""

    exit_code = 2


class InputError(SextantError):
    """A value that is not allowed.

    Parameters
    ----------
    where : str
        File, option or object the value stands in, e.g. ``hw.toml`` or ``table.csv, line 3``.
    field : str
        Name of the value. Empty when the place as a whole is wrong.
    got : object
        What was given; None when nothing was.
    need : str
        What is allowed.
    """

    def __init__(self, where: str, field: str, got: object, need: str) -> None:
        self.where, self.field, self.got, self.need = where, field, got, need
        what = _said(got) if not field else f"{field} is missing" if got is None else f"{field} = {_said(got)}"
        super().__init__(" ".join(f"{where}: {what}, need {need}".split()))

    def at(self, where: str) -> InputError:
        """Return the same error, said of the place the user wrote it in."""
        return type(self)(where, self.field, self.got, self.need)


def _said(value: object) -> str:
    """Return a value on one readable line, whatever a file held."""
    try:
        text = str(value)
    except ValueError:  # Python does not write out whole numbers of thousands of digits
        text = "a number too long to print"
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."


class WorkloadError(InputError):
    """A workload that cannot be run: a bad layer table, an impossible shape, an unknown network."""


class ConfigError(InputError):
    """A machine configuration that cannot be built."""


class StudyError(InputError):
    """A study that cannot be searched."""


class OracleError(InputError):
    """An accuracy oracle that is not there, or is asked what it cannot know."""


class OutputError(SextantError):
    """A file or folder that cannot be written."""


class StoreError(SextantError):
    """A study's folder or database that cannot be used."""

    exit_code = 4


class Interrupted(SextantError):  # noqa: N818 - it is a state, not a fault
    """Work stopped by the user; what was finished is kept."""

    exit_code = 3
