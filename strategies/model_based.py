"""What searches with a model of the results share: a random start, then batches of what the model likes best.

A subclass says in `propose` which candidates it wants next, given all results so far. Failed trainings count as the
worst result seen. Several trials may be in flight: the model then works with those that are back.
"""

from __future__ import annotations

import abc

import numpy as np

from nasbench.records import Cell, Outcome, Status, Trial
from nasbench.runs.strategy import Problem

from .candidates import Candidates


class ModelBased(abc.ABC):
    """Asks for `initial` random cells, then for `batch` proposals at a time.

    Attributes:
        rows: positions among the candidates whose results are known, in the order in which they came.
        values: [n] their validation accuracies in percent, -inf where the training failed.
        least: results that the model needs.
    """

    least = 2

    def __init__(self, problem: Problem, rng: np.random.Generator, initial: int, batch: int = 1) -> None:
        self.problem, self.rng, self.initial, self.batch = problem, rng, initial, batch
        self.candidates = Candidates(problem, rng)
        self.rows: list[int] = []
        self.values: list[float] = []
        self._asked: dict[Cell, int] = {}
        self._queue: list[int] = []

    @abc.abstractmethod
    def propose(self, rows: np.ndarray, accuracies: np.ndarray) -> list[int]:
        """Positions of open candidates, most wanted first; the first `batch` are asked for.

        Args:
            rows: [n] positions of the cells that were trained.
            accuracies: [n] what they reached, percent.
        """

    def ask(self) -> Trial | None:
        position = self._next()
        if position is None:
            return None
        self.candidates.open[position] = False
        cell = self.candidates.cell(position)
        self._asked[cell] = position
        return Trial(cell, self.problem.full)

    def _next(self) -> int | None:
        if self._queue:
            return self._queue.pop(0)
        known = np.isfinite(self.values)
        if len(self._asked) < self.initial or known.sum() < self.least or not self.candidates.open.any():
            return self.candidates.draw(self.rng)
        values = np.array(self.values)
        accuracies = np.where(known, values, np.min(values[known], initial=100.0))
        self._queue = self.propose(np.array(self.rows, np.int64), accuracies)[: self.batch]
        return self._queue.pop(0) if self._queue else self.candidates.draw(self.rng)

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        self.rows.append(self._asked[trial.cell])
        self.values.append(outcome.val_acc if outcome.status is Status.OK else -np.inf)

    def mutants(self, parents: np.ndarray, children: int) -> np.ndarray:
        """Positions of open candidates one edit from the parents, each parent mutated `children` times."""
        found = set()
        for parent in parents:
            cell = self.candidates.cell(int(parent))
            for _ in range(children):
                position = self.candidates.position(self.problem.space.mutate(cell, self.rng))
                if position is not None and self.candidates.open[position]:
                    found.add(position)
        return np.array(sorted(found), np.int64)

    def best_of(self, wanted: np.ndarray) -> list[int]:
        """Open positions by falling `wanted` [m], ties in random order; only as many as a batch needs are sorted."""
        wanted = np.where(self.candidates.open & ~np.isnan(wanted), wanted, -np.inf)
        count = min(self.batch, int(self.candidates.open.sum()))
        if count < 1:
            return []
        border = np.partition(wanted, -count)[-count]
        near = np.flatnonzero((wanted >= border) & self.candidates.open)
        order = np.lexsort((self.rng.random(len(near)), -wanted[near]))
        chosen: list[int] = near[order].tolist()
        return chosen
