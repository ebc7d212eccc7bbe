"""The first study: joint candidates per second on one core, every layer's mapping searched.

``evaluate`` begins with nothing remembered, as a study does. The rival is the same batch by plans and reports, as it
was done before layers were looked up and remembered: the same answers.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from accel.bitfusion import estimate_batch
from benchmarks.timing import cpu_seconds, keep, show
from mappers.bitfusion import search
from searchers.algorithms.random_search import random_shares
from searchers.run import run_study
from searchers.study import read_study
from workloads.errors import ConfigError

STUDY = Path(__file__).parent.parent / "examples" / "edge_vision.toml"
CANDIDATES, GENERATION = 600, 100
ASKED = "at least 2000"


def main() -> None:
    """Measure and print candidates per second."""
    study = read_study(STUDY, budget=CANDIDATES)
    space = study.problem.space
    genomes = space.random(random_shares(7, 0, CANDIDATES, len(space)))
    situations = [pair for genome in genomes for pair in _situations(study, genome)]
    configs, tables = [config for config, _ in situations], [table for _, table in situations]

    def evaluate(remembering: bool) -> None:
        problem = study.problem if remembering else read_study(STUDY).problem
        for start in range(0, CANDIDATES, GENERATION):
            problem.evaluate(genomes[start : start + GENERATION])

    def by_reports() -> None:
        plans, _ = search(configs, tables)
        both = zip(configs, plans, strict=True)
        laid = [(config, plan) for config, plan in both if not isinstance(plan, ConfigError)]
        estimate_batch([config for config, _ in laid], [plan for _, plan in laid])

    def whole_study(algorithm: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            run_study(read_study(STUDY, budget=CANDIDATES, algorithm=algorithm), Path(folder))

    seconds = cpu_seconds(
        {
            "evaluate": lambda: evaluate(False),
            "read": lambda: read_study(STUDY),
            "evaluate again": lambda: evaluate(True),
            "build": lambda: [_situations(study, genome) for genome in genomes],
            "by reports": by_reports,
            "random study": lambda: whole_study("random"),
            "nsga2 study": lambda: whole_study("nsga2"),
        },
        rounds=3,
    )
    for name in ("evaluate", "random study", "nsga2 study"):
        seconds[name] -= seconds["read"]  # once a study, whatever its budget
    figures = {name: CANDIDATES / value for name, value in seconds.items() if name != "read"}
    keep("candidate_speed", figures)
    show("candidates evaluated, mapping inside [1/s]", f"{figures['evaluate']:.0f}", ASKED)
    show("  the same once more, all layers remembered [1/s]", f"{figures['evaluate again']:.0f}")
    rival = 1.0 / (1.0 / figures["build"] + 1.0 / figures["by reports"])
    show("  rival: one by one, plans and reports [1/s]", f"{rival:.0f}")
    show("whole study, random, store included [1/s]", f"{figures['random study']:.0f}", ASKED)
    show("whole study, NSGA-II, store included [1/s]", f"{figures['nsga2 study']:.0f}", ASKED)


def _situations(study, genome):
    try:
        return study.problem.situations(genome)
    except ConfigError:
        return []


if __name__ == "__main__":
    main()
