"""Regularised (ageing) evolution: mutate the best of a small sample, and let the oldest member die.

Real et al., "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019 (arXiv:1802.01548). The paper's
population of 100 would spend half of 200 evaluations on random search; the default is a smaller one. Charges
trainings only.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from nasbench.errors import NasbenchError
from nasbench.records import Cell, Outcome, Status, Trial
from nasbench.runs.strategy import Problem


@dataclass(frozen=True)
class Settings:
    """population_size: members alive; sample_size: members drawn, with replacement, to find a parent."""

    population_size: int = 20
    sample_size: int = 10

    def __post_init__(self) -> None:
        if not 1 <= self.sample_size <= self.population_size:
            raise NasbenchError(
                f"regularised evolution samples 1 to population_size={self.population_size} members, "
                f"not {self.sample_size}."
            )


class RegularizedEvolution:
    """Steady-state evolution by mutation alone; a failed training joins the population as its worst."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        self._space, self._full, self._rng, self._settings = problem.space, problem.full, rng, settings
        self._population: deque[tuple[float, Cell]] = deque(maxlen=settings.population_size)
        self._started = 0

    def ask(self) -> Trial:
        if self._started < self._settings.population_size or not self._population:
            self._started += 1
            return Trial(self._space.sample(self._rng), self._full)
        return Trial(self._space.mutate(self.parent(), self._rng), self._full)

    def parent(self) -> Cell:
        """The best of a random sample of the population."""
        size = len(self._population)
        drawn = self._rng.random(self._settings.sample_size).tolist()
        return max([self._population[int(u * size)] for u in drawn], key=itemgetter(0))[1]

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        value = outcome.val_acc if outcome.status is Status.OK else -np.inf
        self._population.append((value, trial.cell))
