"""One writer at a time: a folder is held by a lock that ends with its process, and says whose it is."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from workloads.errors import StoreError

LOCK = "lock"
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


class FolderLock:
    """A folder held for writing, from construction to ``close``.

    The lock is the operating system's: it ends with the process, however that ends. The file's content is for people.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    StoreError
        If the folder cannot be written, or another process holds it: which, where, and for how long.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._file = (folder / LOCK).open("a+", encoding="utf-8")
        except OSError as error:
            raise StoreError(f"{folder}: {error.strerror}, need a folder that can be written") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file.truncate(0)
            self._file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}))
            self._file.flush()
        except BlockingIOError:
            held = _holder(self._file.name)
            self._file.close()
            raise StoreError(
                f"{folder}: another process is working on this study{held}, need it to end first"
            ) from None
        except OSError as error:
            self._file.close()
            raise StoreError(f"{folder}: {error.strerror}, need a folder that can be written and locked") from error

    def close(self) -> None:
        """Let go of the folder."""
        with suppress(OSError):  # what could not be written then is for people only
            self._file.close()


def _holder(path: str) -> str:
    """Return who holds a lock, as far as its file says."""
    try:
        holder = json.loads(Path(path).read_text(encoding="utf-8"))
        return f" (process {int(holder['pid'])} on {holder['host']}, for {_age(time.time() - float(holder['since']))})"
    except (OSError, ValueError, TypeError, KeyError):
        return ""  # it is about to be written


def _age(seconds: float) -> str:
    """Return a duration in its largest unit."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "0 s"
