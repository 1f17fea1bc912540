"""Random search for two objectives: the baseline of multi-objective search. Charges trainings only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench.records import Outcome, Trial
from nasbench.runs.strategy import Problem


@dataclass(frozen=True)
class Settings:
    """objective: what is to be small besides a large accuracy: `latency_seconds`, `parameters` or `flops`."""

    objective: str = "latency_seconds"


class RandomPareto:
    """Uniform draws; the report makes the front of them."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        problem.require(settings.objective, "random_pareto")
        self._space, self._full, self._rng = problem.space, problem.full, rng

    def ask(self) -> Trial:
        return Trial(self._space.sample(self._rng), self._full)

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Random search does not learn."""
