"""Where data that Sextant does not ship is looked for: published matrices that a user fetched, mostly."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "SEXTANT_DATA"


def data_folder() -> Path:
    """Return the folder that ``SEXTANT_DATA`` names, or the user's own; it may not be there."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "sextant"
