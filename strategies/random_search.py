"""Random search: cells drawn uniformly, with replacement; a cell drawn again costs nothing.

Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 2012; as a baseline for architecture
search, Li and Talwalkar, UAI 2019 (arXiv:1902.07638). Charges trainings only.
"""

from __future__ import annotations

import numpy as np

from nasbench.records import Outcome, Trial
from nasbench.runs.strategy import Problem


class RandomSearch:
    """Asks for full trainings of uniformly drawn cells."""

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        self._sample, self._full, self._rng = problem.space.sample, problem.full, rng

    def ask(self) -> Trial:
        return Trial(self._sample(self._rng), self._full)

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Random search does not learn."""
