"""TPE: draws each gene where good candidates are dense and others are not.

Source: Bergstra et al., NeurIPS 2011; Ozaki et al., JAIR 2022 for several objectives; Optuna's implementation.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from searchers.space import Genomes, Space

LACKING = "lacking"


class TPE:
    """Optuna's multivariate TPE behind the ask/tell contract."""

    def __init__(self, space: Space, *, objectives: int, seed: int, population: int) -> None:
        import optuna
        from optuna.distributions import FloatDistribution, IntDistribution

        self._space, self._population = space, population
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # multivariate and constrained sampling are marked experimental
            sampler = optuna.samplers.TPESampler(
                seed=seed, multivariate=True, n_startup_trials=population, constraints_func=_lacking
            )
        self._study = optuna.create_study(directions=["minimize"] * objectives, sampler=sampler)
        self._distributions: dict[str, Any] = {
            f"gene{gene}": IntDistribution(0, int(places) - 1) if places else FloatDistribution(0.0, 1.0)
            for gene, places in enumerate(space.places)
        }
        self._trials: list[Any] = []

    def ask(self) -> Genomes:
        """Return candidates drawn from what was told; the first generation is random."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._trials = [self._study.ask(self._distributions) for _ in range(self._population)]
        drawn = [trial.params for trial in self._trials]  # copies, each time they are asked for
        return self._space.canonical(np.array([[params[name] for name in self._distributions] for params in drawn]))

    def tell(self, genomes: Genomes, objectives: npt.NDArray[np.float64], violations: npt.NDArray[np.float64]) -> None:
        """Add candidates to what is known."""
        for trial, costs, lacking in zip(self._trials, objectives.tolist(), violations.tolist(), strict=True):
            trial.set_user_attr(LACKING, lacking)
            self._study.tell(trial, costs)


def _lacking(trial: Any) -> tuple[float]:
    return (float(trial.user_attrs[LACKING]),)
