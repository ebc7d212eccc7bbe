"""What the README and examples/ show runs, and shows what it says."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from searchers.algorithms.random_search import random_shares
from searchers.study import read_study

HOUSE = Path(__file__).resolve().parents[2]


def run(script: Path, folder: Path, *arguments: str) -> str:
    ran = subprocess.run([sys.executable, script, *arguments], cwd=folder, capture_output=True, text=True, check=False)
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


@pytest.mark.parametrize("recipe", sorted(HOUSE.glob("examples/*.toml")), ids=lambda path: path.stem)
def test_every_study_can_be_run(recipe: Path) -> None:
    study = read_study(recipe)
    problem = study.problem
    tried = problem.evaluate(problem.space.random(random_shares(study.seed, 0, 6, len(problem.space)))[::2])
    assert any(outcome.quantities for outcome in tried), tried[0].reason


def test_haq_on_every_machine(tmp_path: Path) -> None:
    lines = run(HOUSE / "examples" / "haq.py", tmp_path, "100").splitlines()
    with (tmp_path / "build/haq/across.csv").open(encoding="utf-8") as file:
        five_bits, *rows = [[float(cell) for cell in row[1:]] for row in list(csv.reader(file))[1:]]
    across = np.array(rows)
    assert (across.argmin(axis=0) == np.arange(3)).all()
    assert (across.diagonal() < five_bits).all()
    assert lines[-1] == "wrote build/haq/across.csv and build/haq/bits.png"


def test_hat_on_every_device(tmp_path: Path) -> None:
    lines = run(HOUSE / "examples" / "hat.py", tmp_path, "1").splitlines()
    with (tmp_path / "build/hat/across.csv").open(encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    shares = np.array([[float(cell) for cell in row[2:]] for row in rows])
    assert [row[0] for row in rows] == header[2:]
    assert (shares.diagonal() <= 1.0).all()
    table = lines.index("most multiply-accumulates [G] within a limit, 1 iterations of 125") + 2
    for line, row in zip(lines[table : table + len(rows)], rows, strict=True):
        random, evolved, optimum = map(float, line.split()[-3:])
        assert max(random, evolved) <= optimum
        assert float(row[1]) == pytest.approx(evolved, abs=5e-4)
        assert (tmp_path / "build/hat" / f"{row[0].lower().replace(' ', '_')}.json").is_file()


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        *(f"docs/{name}.md" for name in ("bitfusion", "bitserial", "systolic", "spatial", "studies")),
        *(f"docs/recipes/{path.name}" for path in (HOUSE / "docs" / "recipes").glob("*.md")),
    ],
)
def test_links_lead_somewhere(page: str) -> None:
    path = HOUSE / page
    targets = [part.split(")")[0] for part in path.read_text(encoding="utf-8").split("](")[1:]]
    assert [target for target in targets if not (path.parent / target).exists()] == []
