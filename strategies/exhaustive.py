"""Exhaustive (linear) search: every cell once, in the space's own order from a random first cell on.

NAS-Bench-201's published order is itself a random one, so this is random search without replacement there. Charges
trainings only, and ends `finished` when the space is used up.
"""

from __future__ import annotations

import numpy as np

from nasbench.records import Outcome, Trial
from nasbench.runs.strategy import Problem


class Exhaustive:
    """Asks for full trainings of all cells, none twice."""

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        self._space, self._full = problem.space, problem.full
        self._first, self._asked = int(rng.random() * len(problem.space)), 0

    def ask(self) -> Trial | None:
        if self._asked == len(self._space):
            return None
        index = (self._first + self._asked) % len(self._space)
        self._asked += 1
        return Trial(self._space.cell(index), self._full)

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Exhaustive search does not learn."""
