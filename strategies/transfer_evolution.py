"""Regularised evolution whose first population is what is best on other tasks.

Warm starts of evolution from source tasks are as old as case-based reasoning in genetic algorithms (Louis and
McDonnell, "Learning with Case-Injected Genetic Algorithms", IEEE TEC 2004); evolution itself is Real et al., AAAI 2019.
Charges trainings; the sources' cost stands on a line of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench.records import Trial
from nasbench.runs.strategy import Problem

from . import regularized_evolution
from .candidates import Candidates
from .transfer import mean_standing, source_tasks


@dataclass(frozen=True)
class Settings(regularized_evolution.Settings):
    """Those of `regularized_evolution`."""


class TransferEvolution(regularized_evolution.RegularizedEvolution):
    """Evolution from the sources' best cells, the best of them first."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        super().__init__(problem, rng, settings)
        self._sources = source_tasks(problem, "transfer_evolution")
        self._candidates = Candidates(problem, rng)
        self._first: list[int] | None = None

    def ask(self) -> Trial:
        if self._first is None:
            order = np.argsort(-mean_standing(self._sources, self._candidates), kind="stable")
            self._first = order[: self._settings.population_size].tolist()
        if self._first:
            self._started += 1
            return Trial(self._candidates.cell(self._first.pop(0)), self._full)
        return super().ask()
