"""Successive halving: train many cells a little, keep the best share of them, train these longer, and so on.

Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS 2016
(arXiv:1502.07943). The paper halves once over a budget; here a bracket is the smallest that ends in full training, one
cell in eta goes on, and brackets follow one another, so that the run has an answer at any time. Charges trainings
only, from where a cell's last one ended if the benchmark resumes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench.errors import NasbenchError
from nasbench.records import Cell, Outcome, Trial
from nasbench.runs.strategy import Problem

from .rungs import Brackets, Plan, check_eta, choose_rungs


@dataclass(frozen=True)
class Settings:
    """eta: one cell in so many goes on to the next rung; cells: how many begin a bracket, 0 for eta^(rungs - 1)."""

    eta: int = 3
    cells: int = 0

    def __post_init__(self) -> None:
        check_eta(self.eta)
        if self.cells < 0:
            raise NasbenchError(f"a bracket begins with at least 1 cell, or 0 for the fewest, not {self.cells}.")


class SuccessiveHalving:
    """Brackets of uniformly drawn cells, all from the lowest rung."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        self._space, self._rng = problem.space, rng
        rungs = choose_rungs(problem, settings.eta, "successive halving")
        cells = settings.cells or settings.eta ** (len(rungs) - 1)
        sizes = [max(1, cells // settings.eta**i) for i in range(len(rungs))]
        self._brackets = Brackets([Plan(rungs, tuple(sizes))])

    def ask(self) -> Trial | None:
        return self._brackets.ask(self._draw)

    def _draw(self, epochs: int) -> Cell | None:
        return self._space.sample_except(self._brackets.taken(epochs), self._rng)

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        self._brackets.tell(trial, outcome)
