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
            self._sampler = _make_sampler(
                seed=seed,
                multivariate=True,
                constant_liar=False,  # a generation's candidates do not know of each other
                n_startup_trials=population,
                constraints_func=_lacking,
            )
        self._study = optuna.create_study(directions=["minimize"] * objectives, sampler=self._sampler)
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
        self._sampler.built.clear()


def _make_sampler(**settings: Any) -> Any:
    """Return Optuna's sampler, which builds what a generation is drawn from once, not for every candidate."""
    import optuna

    class Sampler(optuna.samplers.TPESampler):  # type: ignore[misc]
        """Nothing is told within a generation, so that the densities of good and of other candidates stay the same."""

        def __init__(self) -> None:
            super().__init__(**settings)
            self.built: dict[tuple[bool, tuple[str, ...]], Any] = {}

        def _build_parzen_estimator(self, study: Any, search_space: Any, trials: Any, handle_below: bool) -> Any:
            key = handle_below, tuple(search_space)
            if key not in self.built:
                self.built[key] = super()._build_parzen_estimator(study, search_space, trials, handle_below)
            return self.built[key]

    return Sampler()


def _lacking(trial: Any) -> tuple[float]:
    return (float(trial.user_attrs[LACKING]),)
