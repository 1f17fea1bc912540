"""ASHA: successive halving that never waits: promote a cell of the top 1/eta of a rung, or begin a new one.

Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020 (arXiv:1810.05934), Algorithm 2;
eta = 3 as for the other strategies with rungs (the paper's experiments use 4, from memory). Charges trainings only,
from where a cell's last one ended if the benchmark resumes them.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

import numpy as np

from nasbench.records import Cell, Outcome, Status, Trial
from nasbench.runs.strategy import Problem

from .rungs import check_eta, choose_rungs


@dataclass(frozen=True)
class Settings:
    """eta: one cell in so many of a rung may go on to the next, which trains about that many times as long."""

    eta: int = 3

    def __post_init__(self) -> None:
        check_eta(self.eta)


class Asha:
    """Asynchronous halving from the lowest rung; a failed training counts for its rung and is never promoted.

    Once every cell of the space has been begun, the best that wait are promoted one by one.
    """

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        self._space, self._rng, self._eta = problem.space, rng, settings.eta
        self._rungs = choose_rungs(problem, settings.eta, "asha")
        self._results: list[list[tuple[float, Cell]]] = [[] for _ in self._rungs]
        self._asked: list[set[Cell]] = [set() for _ in self._rungs]
        self._flying = 0

    def ask(self) -> Trial | None:
        found = self._promote(self._eta)
        if found is None:
            cell = self._space.sample_except(self._asked[0], self._rng)
            found = (0, cell) if cell is not None else None if self._flying else self._promote(1)
        if found is None:
            return None
        self._flying += 1
        self._asked[found[0]].add(found[1])
        return Trial(found[1], self._rungs[found[0]])

    def _promote(self, eta: int) -> tuple[int, Cell] | None:
        """The best cell of the highest rung that has one to promote, with the rung it goes to."""
        for rung in range(len(self._rungs) - 2, -1, -1):
            results = self._results[rung]
            for value, cell in results[: len(results) // eta]:
                if value > -np.inf and cell not in self._asked[rung + 1]:
                    return rung + 1, cell
        return None

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        self._flying -= 1
        value = outcome.val_acc if outcome.status is Status.OK else -np.inf
        results = self._results[self._rungs.index(trial.epochs)]
        insort(results, (value, trial.cell), key=lambda result: -result[0])
