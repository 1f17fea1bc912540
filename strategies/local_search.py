"""Local search: climb from a random cell to better neighbours until there is none, then start again elsewhere.

White, Nolen and Savani, "Exploring the Loss Landscape in Neural Architecture Search", UAI 2021 (arXiv:2005.02960).
The paper looks at all neighbours before it moves to the best of them (`move="best"`); moving to the first better one
(`move="first"`) reaches the same optima on fewer evaluations and is the default. Charges trainings only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench.errors import unknown
from nasbench.records import Cell, Outcome, Status, Trial
from nasbench.runs.strategy import Problem

MOVES = ("first", "best")


@dataclass(frozen=True)
class Settings:
    """move: "first" goes on from the first better neighbour, "best" from the best of all neighbours."""

    move: str = "first"

    def __post_init__(self) -> None:
        if self.move not in MOVES:
            raise unknown("move of local search", self.move, MOVES)


class LocalSearch:
    """Hill climbing with random restarts; neighbours are visited in random order, none twice."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        self._space, self._full, self._rng = problem.space, problem.full, rng
        self._first = settings.move == "first"
        self._seen: dict[Cell, float] = {}
        self._restart()

    def _restart(self) -> None:
        self._centre: Cell = self._space.sample(self._rng)
        self._best, self._value = self._centre, -np.inf
        self._queue: list[Cell] = [self._centre]
        self._flying = 0

    def _surround(self, cell: Cell) -> None:
        self._centre = cell
        around = [c for c in self._space.neighbours(cell) if c not in self._seen]
        self._queue = [around[i] for i in self._rng.permutation(len(around)).tolist()]

    def ask(self) -> Trial | None:
        if not self._queue:
            if self._flying:
                return None
            if self._best != self._centre:
                self._surround(self._best)
            if not self._queue:
                self._restart()
        self._flying += 1
        return Trial(self._queue.pop(), self._full)

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        self._flying -= 1
        value = outcome.val_acc if outcome.status is Status.OK else -np.inf
        fresh = trial.cell not in self._seen
        self._seen[trial.cell] = value
        if value > self._value:
            self._best, self._value = trial.cell, value
            if self._first or trial.cell == self._centre:
                self._surround(trial.cell)
        elif fresh and trial.cell == self._centre:
            self._queue = []
