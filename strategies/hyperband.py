"""Hyperband: successive halving from every rung in turn, as nobody knows how soon a training shows its worth.

Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", JMLR 2018 (arXiv:1603.06560), with
the paper's eta = 3 and its bracket sizes. Charges trainings only, from where a cell's last one ended if the benchmark
resumes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench.records import Cell, Outcome, Trial
from nasbench.runs.strategy import Problem

from .rungs import Brackets, check_eta, choose_rungs, hyperband_plans


@dataclass(frozen=True)
class Settings:
    """eta: one cell in so many goes on to the next rung, which trains about that many times as long."""

    eta: int = 3

    def __post_init__(self) -> None:
        check_eta(self.eta)


class Hyperband:
    """Brackets of uniformly drawn cells, the most aggressive one first, over and over."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        self._space, self._rng = problem.space, rng
        self._brackets = Brackets(hyperband_plans(choose_rungs(problem, settings.eta, "hyperband"), settings.eta))

    def ask(self) -> Trial | None:
        return self._brackets.ask(self._draw)

    def _draw(self, epochs: int) -> Cell | None:
        return self._space.sample_except(self._brackets.taken(epochs), self._rng)

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        self._brackets.tell(trial, outcome)
