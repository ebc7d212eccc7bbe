"""Gradient search: choices become probabilities, and a differentiable table of costs says which way to change them.

Source: Cai et al., "ProxylessNAS", ICLR 2019: the expected cost is the sum over genes of probability times cost, so its
gradient moves probabilities towards cheap values, and the loss holds the cost as a factor (cost / reference)^beta.
There the table is measured beforehand, and the network's own loss has a gradient too. Here nothing has: the table is
learned from what was told, by least squares over the values of every gene, one column for each objective and one for
what is lacking of the limits, and the loss is their weighted sum. What genes do to each other no column can hold. A
cost that is known beforehand, as a latency is from a table, enters the loss as that factor.

Each candidate has weights for the objectives, drawn at random, so that together they cover the front.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from searchers.algorithms.ranking import ranks
from searchers.space import Genomes, Space
from workloads.errors import StudyError

LEVELS = 5  # a real gene takes one of these values while its cost is learned
RIDGE = 1.0
DESCENT_STEPS, LEARNING_RATE = 60, 0.15
ENTROPY = 0.5  # keeps probabilities from closing before the table is right
EXPLORED = 0.2  # of a generation, drawn uniformly
MOST_LEARNED = 4000  # latest candidates the table is made from

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class KnownCost:
    """A cost that sums over genes, known beforehand.

    Attributes
    ----------
    of_values : ndarray, shape (values,)
        Of each value of the first gene, then of the second, and so on, from 0; in any unit.
    rest : float
        What every candidate costs beside; above 0.
    reference : float
        What a candidate should cost, in the same unit, above 0.
    beta : float
        Exponent of (cost / reference) in the loss: how much cost matters.

    Raises
    ------
    StudyError
        If a cost or the reference is not above 0.
    """

    of_values: Floats
    rest: float
    reference: float
    beta: float

    def __post_init__(self) -> None:
        for field in ("rest", "reference"):
            if not getattr(self, field) > 0.0:
                raise StudyError("known cost", field, getattr(self, field), "a number above 0")
        if not (self.of_values >= 0.0).all():
            raise StudyError("known cost", "of_values", float(self.of_values.min()), "numbers from 0")


class GradientSearch:
    """Descent on choice probabilities over a learned additive table, with torch.

    Parameters
    ----------
    known : KnownCost, optional
        The loss is then exp(learned cost) (known cost / reference)^beta, where the learned cost is a share of what was
        told before that is better, from the middle.
    """

    def __init__(
        self, space: Space, *, objectives: int, seed: int, population: int, known: KnownCost | None = None
    ) -> None:
        self._known = known
        self._space, self._population, self._objectives = space, population, objectives
        self._random = np.random.default_rng(np.random.SeedSequence(seed))
        self._levels = np.where(space.places > 0, space.places, LEVELS)
        self._first = np.concatenate([[0], np.cumsum(self._levels)[:-1]])
        self._gene_of = np.repeat(np.arange(len(space)), self._levels)
        self._seen: Genomes = np.empty((0, len(space)))
        self._costs: Floats = np.empty((0, objectives + 1))

    def ask(self) -> Genomes:
        """Return candidates drawn from probabilities that descended the table's costs."""
        if not len(self._seen):
            return self._space.random(self._random.random((self._population, len(self._space))))
        probabilities = self._descend(self._table())
        drawn = self._random.random((self._population, len(self._space)))
        cumulative = np.cumsum(probabilities, axis=1)
        genomes = np.empty_like(drawn)
        for gene, (first, levels) in enumerate(zip(self._first, self._levels, strict=True)):
            before = cumulative[:, first - 1] if first else np.zeros(self._population)
            inside = cumulative[:, first : first + levels] - before[:, None]
            place = np.minimum((inside < drawn[:, gene, None]).sum(axis=1), levels - 1)
            genomes[:, gene] = place if self._space.places[gene] else place / (LEVELS - 1)
        anew = self._random.random(self._population) < EXPLORED
        uniform = self._space.random(self._random.random(genomes.shape))
        return self._space.canonical(np.where(anew[:, None], uniform, genomes))

    def tell(self, genomes: Genomes, objectives: Floats, violations: Floats) -> None:
        """Add candidates to what the table is learned from."""
        told = np.concatenate([objectives, violations[:, None]], axis=1)
        self._seen = np.concatenate([self._seen, genomes])[-MOST_LEARNED:]
        self._costs = np.concatenate([self._costs, told])[-MOST_LEARNED:]

    def _table(self) -> Floats:
        """Return each value's share of every objective and of what is lacking, shape (values, objectives + 1)."""
        levels = np.where(self._space.places > 0, self._seen, np.round(self._seen * (LEVELS - 1))).astype(int)
        held = np.zeros((len(self._seen), len(self._gene_of)))
        np.put_along_axis(held, levels + self._first, 1.0, axis=1)
        lacking = self._costs[:, -1]
        # Places instead of values: costs of candidates that cannot be built, and orders of magnitude, would rule.
        targets: Any = (
            np.stack(
                [ranks(column[:, None], np.zeros(len(column))) for column in (*self._costs[:, :-1].T, lacking)], axis=1
            )
            / len(lacking)
            - 0.5
        )
        targets[:, -1] *= (lacking > 0.0).any()
        normal = held.T @ held + RIDGE * np.eye(held.shape[1])
        table: Floats = np.linalg.solve(normal, held.T @ targets)
        return table

    def _descend(self, table: Floats) -> Floats:
        """Return probabilities of every gene's values, shape (population, values)."""
        import torch

        torch.set_num_threads(1)  # sums in one order on every machine
        weights = self._random.dirichlet(np.ones(self._objectives), self._population)
        share_lacking = float((self._costs[:, -1] > 0.0).mean())
        weights = np.concatenate([weights, np.full((self._population, 1), 2.0 * share_lacking)], axis=1)
        costs = torch.tensor(weights @ table.T * len(self._space))
        gene_of = torch.tensor(self._gene_of)
        logits = torch.zeros(costs.shape, dtype=torch.float64, requires_grad=True)
        optimiser = torch.optim.Adam([logits], lr=LEARNING_RATE)
        for _ in range(DESCENT_STEPS):
            optimiser.zero_grad()
            probabilities = self._softmax(logits, gene_of)
            surprise = (probabilities * torch.log(probabilities + 1e-12)).sum()
            (self._loss(probabilities, costs) + ENTROPY * surprise).backward()
            optimiser.step()
        with torch.no_grad():
            found: Floats = self._softmax(logits, gene_of).numpy()
        return found

    def _loss(self, probabilities: Any, costs: Any) -> Any:
        """Return the loss of all rows of probabilities; costs are of all genes and so ``len(space)`` times too high."""
        import torch

        if self._known is None:
            return (probabilities * costs).sum()
        genes, known = len(self._space), self._known
        learned = (probabilities * costs).sum(dim=1) / genes
        share = (known.rest + probabilities @ torch.tensor(known.of_values)) / known.reference
        return genes * (torch.exp(learned) * share**known.beta).sum()

    def _softmax(self, logits: Any, gene_of: Any) -> Any:
        """Return the softmax within every gene."""
        import torch

        powers = torch.exp(logits - logits.detach().max())
        sums = torch.zeros(len(logits), len(self._space), dtype=powers.dtype).index_add(1, gene_of, powers)
        return powers / sums[:, gene_of]
