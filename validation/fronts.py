"""Fronts of accuracy against latency, searched anew with a seed: small searches, for figures and comparisons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import moocore
import numpy as np

from searchers.algorithms.nsga2 import NSGA2
from searchers.oracles.proxies import bit_operations
from searchers.problems.layer_problem import LayerProblem
from searchers.sections import read_problem
from searchers.space import Genomes

POPULATION, SEED = 80, 1
IMAGE_SIZES = [160, 176, 192, 208, 224]  # the oracle's
UNBUILDABLE = 1e30


@dataclass(frozen=True, slots=True)
class Design:
    """A network on a machine.

    Attributes
    ----------
    genome : ndarray, shape (genes,)
    milliseconds, millijoules : float
        For one image; no energy where the machine counts none.
    accuracy, sigma : float
        What the oracle says of its top-1, and that number's standard deviation [%].
    """

    genome: Genomes
    milliseconds: float
    millijoules: float
    accuracy: float
    sigma: float

    @classmethod
    def of(cls, genome: Genomes, quantities: Mapping[str, float]) -> Design:
        """Return a design by its genome (genes,) and what was found of it."""
        return cls(
            genome, quantities["seconds"] * 1e3, quantities.get("energy_pj", math.nan) * 1e-9, quantities["accuracy"],
            quantities["oracle_sigma"],
        )  # fmt: skip


def once_for_all(machine: Mapping[str, Any], regime: str, bits: list[int] | None = None) -> LayerProblem:
    """Return the Once-for-All family on a machine; with bits to choose from, for weights and activations by block."""
    text: dict[str, Any] = {
        "network": {"family": "once-for-all", "image_size": IMAGE_SIZES},
        "machine": machine,
        "accuracy": {"oracle": "imagenet", "regime": regime},
    }
    if bits is not None:
        text["bits"] = {"activations": bits, "weights": bits, "per": "block"}
    problem = read_problem(text, "fronts")
    assert isinstance(problem, LayerProblem)
    return problem


def designs(problem: LayerProblem, genomes: Genomes) -> list[Design | None]:
    """Return the designs of genomes (n, genes); None where the machine cannot run one."""
    found = [outcome.quantities for outcome in problem.evaluate(genomes)]
    return [Design.of(one, of) if of else None for one, of in zip(genomes, found, strict=True)]


def front(problem: LayerProblem, generations: int) -> list[Design]:
    """Search with NSGA-II; return the designs that none found is both faster and more accurate than, fastest first."""
    search = NSGA2(problem.space, objectives=2, seed=SEED, population=POPULATION)
    seen: list[Design] = []
    for _ in range(generations):
        asked = search.ask()
        found = designs(problem, asked)
        costs = [(one.milliseconds, -one.accuracy) if one else (UNBUILDABLE, UNBUILDABLE) for one in found]
        search.tell(asked, np.array(costs), np.array([0.0 if one else 1.0 for one in found]))
        seen += [one for one in found if one]
    best = moocore.is_nondominated(np.array([(one.milliseconds, -one.accuracy) for one in seen]), keep_weakly=False)
    return sorted((one for one, is_best in zip(seen, best, strict=True) if is_best), key=lambda one: one.milliseconds)


def giga_bit_operations(problem: LayerProblem, design: Design) -> float:
    """Return what APQ counts: multiply-accumulates times the bits of both operands [10^9]."""
    (_, table), *_ = problem.situations(design.genome)
    return bit_operations(table) / 1e9
