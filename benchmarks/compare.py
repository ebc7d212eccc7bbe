"""What changed between the figures of two commits: every one that moved by more than 15 %.

``python -m benchmarks.compare [BEFORE AFTER]`` takes the two that were measured last where they are not named. Whether
more is better depends on the figure, so that both directions are shown.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.timing import RESULTS

NOTABLE = 0.15


def measured() -> list[Path]:
    """Return the folders of figures, the last measured last."""
    folders = [path for path in RESULTS.glob("*") if path.is_dir() and any(path.glob("*.json"))]
    return sorted(folders, key=lambda folder: max(file.stat().st_mtime for file in folder.glob("*.json")))


def figures(folder: Path) -> dict[str, float]:
    """Return all figures of a commit, by benchmark and name."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        for name, value in json.loads(path.read_text(encoding="utf-8")).items():
            if isinstance(value, int | float):
                found[f"{path.stem}: {name}"] = float(value)
    return found


def moved(before: dict[str, float], after: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Return the figures of both that differ by more than is noise, the largest change first."""
    both = {name: (before[name], after[name]) for name in before if name in after and before[name] > 0 < after[name]}
    notable = {name: pair for name, pair in both.items() if abs(pair[1] / pair[0] - 1) > NOTABLE}
    return dict(sorted(notable.items(), key=lambda item: -abs(item[1][1] / item[1][0] - 1)))


def main() -> None:
    """Print what moved."""
    folders = [RESULTS / name for name in sys.argv[1:]] or measured()[-2:]
    if len(folders) != 2 or not all(folder.is_dir() for folder in folders):
        sys.exit(f"need figures of two commits in {RESULTS}, each made by: make bench")
    before, after = (figures(folder) for folder in folders)
    print(f"{folders[0].name} -> {folders[1].name}: {len(before.keys() & after.keys())} figures of both")
    for name, (old, new) in moved(before, after).items():
        print(f"{name:<66}{old:>12.4g} -> {new:<12.4g}{new / old - 1:+.0%}")


if __name__ == "__main__":
    main()
