"""Bayesian optimisation on a surrogate that has learned on other tasks: no random start, the first cell is its guess.

As in Shala et al., "Transfer NAS with Meta-learned Bayesian Surrogates", ICLR 2023. The surrogate is `gp_transfer`, a
Gaussian process around the sources' mean rank, or any other of surrogates.meta: `meta_bo-deep_kernel` has the paper's
kind. The acquisition is an upper confidence bound. Charges trainings; the sources' cost stands on a line of its own,
and meta-training is shown as overhead of the first run in a process, as further runs use what it learned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import surrogates
from nasbench.errors import NasbenchError
from nasbench.runs.strategy import Problem
from surrogates.acquisition import upper_confidence_bound

from .model_based import ModelBased
from .transfer import source_tasks


@dataclass(frozen=True)
class Settings:
    """predictor: of surrogates.CATALOGUE, one that sees tasks; weight: deviations that the bound lies above the mean;
    patience: results after which one more cell is asked for between two fits."""

    predictor: str = "gp_transfer"
    weight: float = 0.5
    patience: int = 10

    def __post_init__(self) -> None:
        entry = surrogates.CATALOGUE.get(self.predictor)
        if entry is None or entry.sees != "tasks":
            raise NasbenchError(f"meta_bo needs a predictor that learns on other tasks, not {self.predictor!r}.")
        if self.patience < 1:
            raise NasbenchError(f"patience = {self.patience}: at least 1 is needed.")


class MetaBayesianOptimisation(ModelBased):
    """One proposal a step, later some, by the meta-learned surrogate."""

    least = 0

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        super().__init__(problem, rng, 0)
        self._settings, self._learned = settings, False
        self._predictor = surrogates.build(settings.predictor, problem.space.whole)
        self._sources = source_tasks(problem, "meta_bo", self._predictor.least_sources)
        self._predictor.check_sources(self._sources)

    def propose(self, rows: np.ndarray, accuracies: np.ndarray) -> list[int]:
        if not self._learned:
            self._predictor.meta_fit(self._sources)
            self._learned = True
        self._predictor.fit(self.candidates.decisions[rows], accuracies)
        mean, spread = self._predictor.standing(self.candidates.decisions)
        self.batch = 1 + len(rows) // self._settings.patience
        return self.best_of(upper_confidence_bound(mean, spread, self._settings.weight))
