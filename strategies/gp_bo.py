"""Bayesian optimisation: a Gaussian process on the ways through a cell, and the cell of largest expected improvement.

Jones, Schonlau and Welch, "Efficient Global Optimization", Journal of Global Optimization 1998; the features are the
space's encoding `summary`. Targets are the closeness to the best result so far (surrogates.targets), so that the long
tail of bad cells does not decide what the model looks like among the good ones. Charges trainings only; its own work
is shown as overhead.

Chosen on NAS-Bench-201's three tasks with seeds from 1000 on (10 to 24 each): closeness against ranks and accuracies,
`summary` against two larger sets of features, 5 or 10 first cells; the bound at one deviation is a variant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench.errors import NasbenchError, unknown
from nasbench.runs.strategy import Problem
from surrogates.acquisition import expected_improvement, upper_confidence_bound
from surrogates.finite_process import FiniteProcess
from surrogates.targets import Targets

from .model_based import ModelBased

ACQUISITIONS = ("improvement", "bound")


@dataclass(frozen=True)
class Settings:
    """initial: random cells at the start; acquisition: expected "improvement", or an upper confidence "bound" of
    `weight` deviations; targets: as in surrogates.targets."""

    initial: int = 10
    acquisition: str = "improvement"
    weight: float = 1.0
    targets: str = "closeness"

    def __post_init__(self) -> None:
        if self.acquisition not in ACQUISITIONS:
            raise unknown("acquisition", self.acquisition, ACQUISITIONS)
        if self.initial < 2:
            raise NasbenchError(f"initial = {self.initial}: a Gaussian process needs at least 2 first cells.")


class GaussianProcessSearch(ModelBased):
    """One proposal a step, from the process given everything that is known."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        super().__init__(problem, rng, settings.initial)
        self._settings = settings
        self._process: FiniteProcess | None = None

    def process(self) -> FiniteProcess:
        """The model, before it has seen anything."""
        return FiniteProcess(self.candidates.encode("summary"))

    def propose(self, rows: np.ndarray, accuracies: np.ndarray) -> list[int]:
        if self._process is None:
            self._process = self.process()
        _, learned = Targets.of(accuracies, self._settings.targets)
        mean, spread = self._process.posterior(rows, learned)
        if self._settings.acquisition == "bound":
            return self.best_of(upper_confidence_bound(mean, spread, self._settings.weight))
        return self.best_of(expected_improvement(mean, spread, learned.max()))
