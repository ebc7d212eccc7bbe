"""Corners pruned as they are satisfied: candidates are evaluated where it matters, and everywhere before they count.

Source: after Shi et al., "RobustAnalog", MLCAD 2022, which trains on the corners that matter and prunes those that are
satisfied. A candidate counts by its worst situation, a workload at a corner of the machine. What it is in some of them
is therefore a bound: it is no better in all. Each generation is evaluated in the situations that have decided a
candidate so far; one whose bound breaks a limit, or is beaten by a design that was evaluated everywhere, cannot be on
the front whatever the others say, and is left at its bound. Every other one is evaluated everywhere, so the front is
what it would be if all had been. A situation that decides one of them matters from then on.

What a generation is evaluated in depends on earlier generations alone, so that results do not depend on workers or on
where a study was stopped. Every point says in its reason what it was evaluated in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import moocore
import numpy as np

from searchers.evaluation.workers import Step, Workers
from searchers.outcome import BOUND, Outcome
from searchers.problems.problem import Problem
from searchers.storage.store import Point
from searchers.study import Study

Genome = tuple[float, ...]
BETWEEN = "; "
DECIDED = "decided by "
_COUNTED = re.compile(r"in (\d+) of \d+ situations")


@dataclass(frozen=True, slots=True)
class Situations:
    """A problem's candidates as workers evaluate them: payloads are a genome and the place of a situation."""

    problem: Problem

    def evaluate(self, payloads: Sequence[tuple[Genome, int]]) -> list[Outcome]:
        """Return the outcome of each genome in its situation, in order."""
        outcomes = [Outcome({})] * len(payloads)
        for situation in sorted({situation for _, situation in payloads}):
            here = [place for place, (_, of) in enumerate(payloads) if of == situation]
            genomes = np.array([payloads[place][0] for place in here], dtype=float)
            for place, outcome in zip(here, self.problem.evaluate_in(genomes, situation), strict=True):
                outcomes[place] = outcome
        return outcomes


class PrunedCorners:
    """Workers that evaluate candidates in as many situations as matter.

    Parameters
    ----------
    study : Study
    pool : Workers
        Of ``Situations``.
    """

    def __init__(self, study: Study, pool: Workers) -> None:
        self._study, self._pool, self._names = study, pool, study.problem.situation_names
        self._deciding: set[int] = set()
        self._front = np.empty((0, len(study.objectives)))

    def evaluate(self, genomes: Sequence[Genome]) -> Iterator[Step]:
        """Evaluate a generation; all of it is started first, and all is settled last."""
        yield Step([], list(range(len(genomes))))
        everywhere = range(len(self._names))
        first = sorted(self._deciding) or list(everywhere)
        found = self._run(genomes, dict.fromkeys(range(len(genomes)), first))
        counting = [place for place in found if len(first) == len(everywhere) or self._may_count(found[place])]
        others = [situation for situation in everywhere if situation not in first]
        for place, more in self._run(genomes, dict.fromkeys(counting, others)).items():
            found[place] |= more
        yield Step([(place, self._outcome(found[place])) for place in found], [])

    def learn(self, outcomes: Iterable[Outcome]) -> None:
        """Take note of a generation, evaluated now or kept: what decided it, and what its designs can beat."""
        checked = [outcome for outcome in outcomes if outcome.quantities and not outcome.is_bound]
        for outcome in checked:
            names = outcome.reason.partition(DECIDED)[2].split(BETWEEN)
            self._deciding |= {self._names.index(name) for name in names}
        costs = [self._study.costs(outcome) for outcome in checked if self._study.feasible(outcome)]
        if costs:
            everyone = np.concatenate([self._front, costs])
            self._front = everyone[moocore.is_nondominated(everyone, keep_weakly=False)]

    def _run(self, genomes: Sequence[Genome], wanted: Mapping[int, Sequence[int]]) -> dict[int, dict[int, Outcome]]:
        """Return the outcomes of genomes, by place, in the situations wanted of each."""
        pairs = sorted(
            ((place, situation) for place in wanted for situation in wanted[place]), key=lambda pair: pair[1]
        )
        found: dict[int, dict[int, Outcome]] = {place: {} for place in wanted}
        payloads = [(genomes[place], situation) for place, situation in pairs]
        for step in self._pool.evaluate(payloads, groups=[situation for _, situation in pairs]):
            for index, outcome in step.settled:
                place, situation = pairs[index]
                found[place][situation] = outcome
        return found

    def _may_count(self, found: Mapping[int, Outcome]) -> bool:
        """Return whether a candidate may be on the front, by what it is in some situations."""
        if not all(outcome.quantities for outcome in found.values()):
            return False
        bound = Outcome(self._combined(found))
        beaten = (self._front <= np.array(self._study.costs(bound))).all(axis=1).any()
        return self._study.violation(bound) == 0.0 and not beaten

    def _combined(self, found: Mapping[int, Outcome]) -> dict[str, float]:
        return self._study.problem.combined([found[situation].quantities for situation in sorted(found)])

    def _outcome(self, found: Mapping[int, Outcome]) -> Outcome:
        """Return what is known of a candidate, with where it is known from."""
        for situation in sorted(found):
            if not found[situation].quantities:
                return found[situation]
        quantities = self._combined(found)
        counted = f"in {len(found)} of {len(self._names)} situations"
        if len(found) < len(self._names):
            names = BETWEEN.join(self._names[situation] for situation in sorted(found))
            return Outcome(quantities, f"{BOUND}{counted}, {names}")
        names = BETWEEN.join(self._names[situation] for situation in sorted(self._deciders(quantities, found)))
        return Outcome(quantities, f"{counted}, {DECIDED}{names}")

    def _deciders(self, quantities: Mapping[str, float], found: Mapping[int, Outcome]) -> set[int]:
        """Return as few situations as decide a candidate: its objectives, or the limits that it breaks."""
        study = self._study
        broken = [part.quantity for part in study.constraints if part.violation(quantities[part.quantity]) > 0.0]
        attaining = [
            [situation for situation in sorted(found) if found[situation].quantities[name] == quantities[name]]
            for name in broken or study.objectives
        ]
        deciders: set[int] = set()
        for situations in sorted(attaining, key=len):
            if not deciders.intersection(situations):
                deciders.add(situations[0])
        return deciders


def summary(study: Study, points: Sequence[Point]) -> str:
    """Return how much of a study was evaluated, and where it mattered."""
    names = study.problem.situation_names
    built = [point.outcome for point in points if point.outcome.quantities]
    evaluated = sum(int(match[1]) for outcome in built if (match := _COUNTED.search(outcome.reason)))
    checked = [outcome for outcome in built if not outcome.is_bound]
    deciding = {name for outcome in checked for name in outcome.reason.partition(DECIDED)[2].split(BETWEEN)}
    return (
        f"{evaluated} of {len(built) * len(names)} situations of {len(built)} designs were evaluated; all {len(names)} "
        f"for {len(checked)} designs, those of the front among them; decided by "
        f"{BETWEEN.join(name for name in names if name in deciding)}"
    )
