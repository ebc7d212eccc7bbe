"""The first study: joint candidates per second on one core, every layer's mapping searched.

The rival is the same batch with the mapping search exhaustive instead of bounded: the same answers.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from accel.bitfusion import estimate_batch
from benchmarks.timing import cpu_seconds, keep, show
from mappers.bitfusion import search
from searchers.random_search import random_shares
from searchers.run import run_study
from searchers.study import read_study
from workloads.errors import ConfigError

STUDY = Path(__file__).parent.parent / "examples" / "edge_vision.toml"
CANDIDATES = 600


def main() -> None:
    study = read_study(STUDY, budget=CANDIDATES)
    space = study.problem.space
    genomes = space.random(random_shares(7, 0, CANDIDATES, len(space)))
    built = [pair for pair in map(_built(study), genomes) if pair is not None]
    configs, tables = [config for config, _ in built], [table for _, table in built]
    laid = [
        (config, plan)
        for config, plan in zip(configs, search(configs, tables)[0], strict=True)
        if not isinstance(plan, ConfigError)
    ]

    def whole_study(algorithm: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            run_study(read_study(STUDY, budget=CANDIDATES, algorithm=algorithm), Path(folder))

    seconds = cpu_seconds(
        {
            "evaluate": lambda: study.problem.evaluate(genomes),
            "build": lambda: [_built(study)(genome) for genome in genomes],
            "map": lambda: search(configs, tables),
            "map exhaustively": lambda: search(configs, tables, bounded=False),
            "estimate": lambda: estimate_batch([config for config, _ in laid], [plan for _, plan in laid]),
            "random study": lambda: whole_study("random"),
            "nsga2 study": lambda: whole_study("nsga2"),
        },
        rounds=3,
    )
    figures = {name: CANDIDATES / value for name, value in seconds.items()}
    keep("candidate_speed", figures)
    show("candidates evaluated, mapping inside [1/s]", f"{figures['evaluate']:.0f}", "bar 500, goal 3000")
    for part in ("build", "map", "map exhaustively", "estimate"):
        show(f"  of which: {part} [1/s]", f"{figures[part]:.0f}")
    show("whole study, random, with the store [1/s]", f"{figures['random study']:.0f}", "bar 500, goal 3000")
    show("whole study, NSGA-II, with the store [1/s]", f"{figures['nsga2 study']:.0f}", "bar 500, goal 3000")


def _built(study):
    def build(genome):
        try:
            return study.problem.build(genome)
        except ConfigError:
            return None

    return build


if __name__ == "__main__":
    main()
