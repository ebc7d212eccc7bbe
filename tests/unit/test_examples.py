"""What the README and examples/ show runs, and shows what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]


def run(script: Path, folder: Path) -> str:
    ran = subprocess.run([sys.executable, script], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_bits_per_layer(tmp_path: Path) -> None:
    lines = run(HOUSE / "examples" / "bits_per_layer.py", tmp_path).splitlines()
    assert lines[0].startswith("MobileNetV2, batch 16, 8 bits everywhere: ")
    assert len(lines) == 11
    assert all(" saves " in line for line in lines[1:])


def test_sweep_array(tmp_path: Path) -> None:
    assert run(HOUSE / "examples" / "sweep_array.py", tmp_path) == "wrote build/sweep_array.png\n"
    assert (tmp_path / "build" / "sweep_array.png").stat().st_size > 10_000


def test_the_script_of_the_readme(tmp_path: Path) -> None:
    text = (HOUSE / "README.md").read_text(encoding="utf-8")
    script = tmp_path / "readme.py"
    script.write_text(text.split("```python\n")[1].split("```")[0], encoding="utf-8")
    assert [line.split()[0] for line in run(script, tmp_path).splitlines()] == ["8", "16", "32"]


def test_the_script_of_the_page_on_studies(tmp_path: Path) -> None:
    text = (HOUSE / "docs" / "studies.md").read_text(encoding="utf-8")
    script = tmp_path / "study.py"
    script.write_text(text.split("```python\n")[1].split("```")[0].replace("500", "60"), encoding="utf-8")
    (tmp_path / "examples").symlink_to(HOUSE / "examples")
    assert len(run(script, tmp_path).splitlines()) == 5


@pytest.mark.parametrize(
    "page", ["README.md", *(f"docs/{name}.md" for name in ("bitfusion", "bitserial", "systolic", "studies"))]
)
def test_links_lead_somewhere(page: str) -> None:
    path = HOUSE / page
    targets = [part.split(")")[0] for part in path.read_text(encoding="utf-8").split("](")[1:]]
    assert [target for target in targets if not (path.parent / target).exists()] == []
