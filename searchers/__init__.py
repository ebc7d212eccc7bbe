"""Which point next: spaces, algorithms, accuracy oracles, studies and their store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from searchers.storage.kept import Kept


def open_study(folder: str | Path) -> Kept:
    """Open the study or sweep a folder holds, to be read: ``open_study("out").frame()`` is a pandas DataFrame.

    Raises
    ------
    StoreError
        If the folder holds none, or its database is damaged.
    """
    from searchers.storage.kept import Kept  # what only lists machines needs nothing of it

    return Kept(folder)
