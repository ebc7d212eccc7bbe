"""Finalists of a study, really trained: what they reach beside what was predicted, and what the search has missed.

A search picks by an oracle's prediction, so what it picks is likely to be predicted too well. Here some networks of the
front are trained as the oracle's own were. Two regrets are what was lost: by picking the one predicted best of the
finalists, and, for each finalist, beside the best network of the oracle's table that would have been no dearer on the
same machine, within the same limits.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from searchers.front import front_of
from searchers.oracles.accuracy import Bits
from searchers.oracles.digits import COLUMNS, Digits, Measured, measured, seed_sigma, words_of
from searchers.oracles.training.rows import whole_rows
from searchers.problems.layer_problem import LayerProblem
from searchers.problems.problem import MACHINE
from searchers.quantities import ACCURACY, ACCURACY_BOUND, SIGMA
from searchers.storage.lock import FolderLock
from searchers.storage.store import Point
from searchers.study import Study
from workloads.errors import Interrupted, OutputError, StudyError
from workloads.networks.tiny_residual import Architecture

TRAINED, FINALISTS = "retrained.csv", "finalists.csv"
NETWORK, SEED = COLUMNS[0], COLUMNS[1]
WORDS = COLUMNS[2:]
CORRECT, TESTED = "correct", "tested"
OF_THE_ORACLE = (ACCURACY, ACCURACY_BOUND, SIGMA)
PACKAGES = ("torch", "sklearn")
Network = tuple[str, ...]  # as the table writes it
Measure = Callable[[Architecture, Bits, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Finalist:
    """A design of the front whose network is trained.

    Attributes
    ----------
    design : int
        Its number among the study's points.
    point : Point
    architecture : Architecture
    bits : Bits
    """

    design: int
    point: Point
    architecture: Architecture
    bits: Bits

    @property
    def words(self) -> Network:
        """What names the network."""
        return words_of(self.architecture, self.bits)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a finalist; percentages.

    Attributes
    ----------
    finalist : Finalist
    predicted, predicted_sigma : float
    reached : float
        Mean over the seeds.
    reached_sigma : float
        Standard deviation of that mean, from how much trainings of the table differ.
    rival : Measured or None
        The best network of the table that costs no more on the finalist's machine, within the limits.
    """

    finalist: Finalist
    predicted: float
    predicted_sigma: float
    reached: float
    reached_sigma: float
    rival: Measured | None

    @property
    def regret(self) -> float | None:
        """What the rival reaches more; None without one."""
        return None if self.rival is None else self.rival.mean - self.reached


def choose(study: Study, points: Sequence[Point], count: int) -> list[Finalist]:
    """Return finalists, best predicted first: different networks, evenly spread over the front by prediction.

    Raises
    ------
    StudyError
        If the study's networks cannot be trained, or none is feasible.
    """
    problem = study.problem
    if not isinstance(problem, LayerProblem) or problem.oracle_name != Digits.name:
        given = problem.oracle_name if isinstance(problem, LayerProblem) and problem.oracle_name else None
        raise StudyError(study.name, "accuracy.oracle", given, f"{Digits.name}: only its networks can be trained here")
    numbers = {(point.generation, point.place): design for design, point in enumerate(points)}
    different: dict[Network, Finalist] = {}
    best_first = sorted(front_of(study, points), key=lambda point: -point.outcome.quantities[ACCURACY_BOUND])
    for point in best_first:
        asked = problem.subject(point.genome)
        assert asked is not None
        network, bits = asked
        assert isinstance(bits, Bits)
        finalist = Finalist(numbers[point.generation, point.place], point, network.architecture, bits)
        different.setdefault(finalist.words, finalist)
    if not different:
        raise StudyError(study.name, "", f"{len(points)} points, none feasible", "at least one feasible point")
    candidates = list(different.values())
    places = np.unique(np.linspace(0, len(candidates) - 1, min(count, len(candidates))).round().astype(int))
    return [candidates[place] for place in places]


def train(
    finalists: Sequence[Finalist], seeds: int, folder: Path, *, progress: Callable[[int, int], None] | None = None
) -> Mapping[Network, tuple[float, ...]]:
    """Return what each network reaches from every seed [%]; what the folder holds is not trained again.

    Every training is a row of ``retrained.csv``, kept as soon as it is done.

    Parameters
    ----------
    finalists : sequence of Finalist
    seeds : int
        Trainings of each.
    folder : Path
        The study's.
    progress : callable, optional
        Called with how many trainings are done and how many there are, after every one.

    Raises
    ------
    StudyError
        If PyTorch or scikit-learn is missing.
    Interrupted
        If the user stops it; what is finished is kept.
    """
    wanted = [(finalist, seed) for finalist in finalists for seed in range(seeds)]
    lock = FolderLock(folder)
    try:
        known = dict(_kept(folder / TRAINED))
        missing = [(finalist, seed) for finalist, seed in wanted if (finalist.words, seed) not in known]
        trained = _trained(missing, folder / TRAINED) if missing else ()
        for done, (words, seed, percent) in enumerate(trained, len(wanted) - len(missing) + 1):
            known[words, seed] = percent
            if progress is not None:
                progress(done, len(wanted))
    except KeyboardInterrupt:
        done = len(_reached(finalists, seeds, dict(_kept(folder / TRAINED))))
        again = f"sextant retrain {folder} --finalists {len(finalists)} --seeds {seeds}"
        said = f"stopped; {done} of {len(finalists)} networks are trained; continue with: {again}"
        raise Interrupted(said) from None
    except OSError as error:
        raise OutputError(f"{folder / TRAINED}: {error.strerror}, need a file that can be written") from error
    finally:
        lock.close()
    return _reached(finalists, seeds, known)


def _reached(
    finalists: Sequence[Finalist], seeds: int, known: Mapping[tuple[Network, int], float]
) -> dict[Network, tuple[float, ...]]:
    """Return those networks of which every seed is known."""
    found = {}
    for one in finalists:
        percent = [known[one.words, seed] for seed in range(seeds) if (one.words, seed) in known]
        if len(percent) == seeds:
            found[one.words] = tuple(percent)
    return found


def _kept(path: Path) -> Iterator[tuple[tuple[Network, int], float]]:
    for row in whole_rows(path):
        yield (tuple(row[name] for name in WORDS), int(row[SEED])), 100 * int(row[CORRECT]) / int(row[TESTED])


def _trained(missing: Sequence[tuple[Finalist, int]], path: Path) -> Iterator[tuple[Network, int, float]]:
    """Train networks, one after another, and keep each."""
    measure = _measure()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            writer.writerow((*COLUMNS, CORRECT, TESTED))
        for finalist, seed in missing:
            correct, tested = measure(finalist.architecture, finalist.bits, seed)
            writer.writerow((finalist.design, seed, *finalist.words, correct, tested))
            file.flush()
            os.fsync(file.fileno())
            yield finalist.words, seed, 100 * correct / tested


def _measure() -> Measure:
    """Return what trains and tests a network, once everything it needs is there."""
    for package in PACKAGES:
        if find_spec(package) is None:
            raise StudyError("retrain", package, "not installed", "pip install 'sextant[train]'")
    from searchers.oracles.training import train_digits

    train_digits.train_the_same_everywhere()
    return partial(train_digits.measure, images=train_digits.load_images())


def results(study: Study, finalists: Sequence[Finalist], reached: Mapping[Network, tuple[float, ...]]) -> list[Result]:
    """Return what became of the finalists, in their order."""
    sigma = seed_sigma(measured())
    found = []
    for finalist in finalists:
        percent, known = reached[finalist.words], finalist.point.outcome.quantities
        mean, deviation = sum(percent) / len(percent), sigma / len(percent) ** 0.5
        found.append(Result(finalist, known[ACCURACY], known[SIGMA], mean, deviation, _rival(study, finalist)))
    return found


def _rival(study: Study, finalist: Finalist) -> Measured | None:
    """Return the best network of the table that is no dearer than a finalist, on its machine and within the limits."""
    space, genomes, networks = study.problem.space, [], []
    for network in measured():
        choice = {
            "network.depth": network.architecture.depths,
            "network.kernel": network.architecture.kernels,
            "network.expansion": network.architecture.expansions,
            "network.keep": network.architecture.keeps,
            "bits.activations": network.bits.activations,
            "bits.weights": network.bits.weights,
        }
        try:
            genome = space.genome(choice)
        except ValueError:  # the study does not choose among such values
            continue
        for knob in space.knobs:
            if knob.startswith(MACHINE):
                genome[space.genes(knob)] = np.array(finalist.point.genome)[space.genes(knob)]
        genomes.append(genome)
        networks.append(network)
    if not genomes:
        return None
    outcomes = study.problem.evaluate(space.canonical(np.array(genomes)))
    compared = [place for place, name in enumerate(study.objectives) if name not in OF_THE_ORACLE]
    most = np.array(study.costs(finalist.point.outcome))[compared]
    affordable = [
        network
        for network, outcome in zip(networks, outcomes, strict=True)
        if study.feasible(outcome) and (np.array(study.costs(outcome))[compared] <= most).all()
    ]
    return max(affordable, key=lambda network: network.mean, default=None)


def write(results_: Sequence[Result], path: Path) -> None:
    """Write what became of the finalists as CSV.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    header = ["design", "predicted", "predicted_sigma", "reached", "reached_sigma"]
    header += ["rival_network", "rival_reached", "regret", *WORDS]
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            for one in results_:
                rival = ("", "", "") if one.rival is None else (one.rival.index, one.rival.mean, one.regret)
                told = one.predicted, one.predicted_sigma, one.reached, one.reached_sigma
                writer.writerow((one.finalist.design, *told, *rival, *one.finalist.words))
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}, need a file that can be written") from error
