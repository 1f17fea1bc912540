"""Bayesian optimisation of two objectives: expected improvement of a randomly weighted sum.

Knowles, "ParEGO", IEEE TEC 2006: every step draws a weight, and the augmented Tchebycheff sum of the normalised
objectives is what the Gaussian process of `gp_bo` improves. The second objective is known for every cell beforehand, so
only accuracy is modelled. Charges trainings only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench.errors import NasbenchError
from nasbench.runs.strategy import Problem
from surrogates.acquisition import expected_improvement
from surrogates.finite_process import FiniteProcess
from surrogates.targets import Targets

from .model_based import ModelBased

AUGMENTATION = 0.05
"""Weight of the plain sum beside the smaller term (ParEGO's rho)."""
DRAWS = 16
"""Draws from the process, from which the expected improvement of a sum is estimated."""


@dataclass(frozen=True)
class Settings:
    """objective: what is to be small: `latency_seconds`, `parameters` or `flops`; initial: random cells at the
    start."""

    objective: str = "latency_seconds"
    initial: int = 10

    def __post_init__(self) -> None:
        if self.initial < 2:
            raise NasbenchError(f"initial = {self.initial}: a Gaussian process needs at least 2 first cells.")


class MultiObjectiveBO(ModelBased):
    """One weight and one proposal a step."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        super().__init__(problem, rng, settings.initial)
        problem.require(settings.objective, "mo_bo")
        self._measure = problem.measures[settings.objective]
        self._process: FiniteProcess | None = None

    def propose(self, rows: np.ndarray, accuracies: np.ndarray) -> list[int]:
        if self._process is None:
            self._process = FiniteProcess(self.candidates.encode("summary"))
            # Where latencies are timed instead of looked up, this takes 10 ms a cell.
            self._costs = np.array([self._measure(self.candidates.cell(i)) for i in range(len(self.candidates))])
        _, learned = Targets.of(accuracies, "closeness")
        mean, spread = self._process.posterior(rows, learned)
        weight = self.rng.random()
        cheap = 1 - (self._costs - np.nanmin(self._costs)) / (np.ptp(self._costs[~np.isnan(self._costs)]) or 1.0)
        low, width = learned.min(), np.ptp(learned) or 1.0

        def both(accuracy: np.ndarray, cheapness: np.ndarray) -> np.ndarray:
            good = (accuracy - low) / width
            terms = weight * good, (1 - weight) * cheapness
            joined: np.ndarray = np.minimum(*terms) + AUGMENTATION * (terms[0] + terms[1])
            return joined

        best = np.nanmax(both(learned, cheap[rows]))
        draws = both(mean + spread * self.rng.standard_normal((DRAWS, 1)), cheap)
        gain = np.maximum(draws - best, 0).mean(axis=0)
        return self.best_of(gain + 1e-9 * expected_improvement(mean, spread, learned.max()))  # the latter breaks ties
