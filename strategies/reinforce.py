"""REINFORCE: a softmax policy per decision, moved towards decisions that were better than a running mean.

Williams, "Simple Statistical Gradient-Following Algorithms", Machine Learning 1992; for cells as in Dong and Yang,
"NAS-Bench-201", ICLR 2020 (Adam and an exponential moving baseline; settings not checked against it). Charges
trainings only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench.records import Cell, Outcome, Status, Trial
from nasbench.runs.strategy import Problem

DRAWS = 200
"""Draws from the policy for a cell that is valid and new, before one is taken uniformly instead."""


@dataclass(frozen=True)
class Settings:
    """learning_rate: Adam's step size; momentum: of the reward baseline; start: spread of the first logits."""

    learning_rate: float = 0.1
    momentum: float = 0.9
    start: float = 1e-3


class Reinforce:
    """One categorical distribution per decision of the space, trained by the score-function gradient.

    Rewards are accuracies as fractions; a failed training is rewarded with 0. A cell that was asked for before is drawn
    again: its reward is known, and learning from it once more would only make the policy collapse onto it. A policy
    that has collapsed after some hundreds of evaluations goes on with uniform draws, at many draws a trial.
    """

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        self._space, self._full, self._rng, self._settings = problem.space, problem.full, rng, settings
        sizes = np.array(problem.space.choices)
        self._allowed = np.arange(sizes.max()) < sizes[:, None]
        self._logits = np.where(self._allowed, settings.start * rng.standard_normal(self._allowed.shape), -np.inf)
        self._first, self._second = np.zeros(self._allowed.shape), np.zeros(self._allowed.shape)
        self._updates, self._rewards = 0, 0.0
        self._probabilities = _softmax(self._logits)
        self._asked: set[Cell] = set()
        self._uniform: set[Cell] = set()

    def ask(self) -> Trial:
        cumulative = np.cumsum(self._probabilities, axis=1)
        cumulative[:, -1] = 1.0
        cell = None
        for _ in range(DRAWS if len(self._asked) < len(self._space) else 0):
            decisions = (self._rng.random((len(cumulative), 1)) >= cumulative).sum(axis=1)
            cell = self._space.from_choices(decisions.tolist())
            if cell is not None and cell not in self._asked:
                break
        else:
            cell = self._space.sample(self._rng)
            self._uniform.add(cell)
        self._asked.add(cell)
        return Trial(cell, self._full)

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        if trial.cell in self._uniform:
            return  # not drawn from the policy, so no estimate of its gradient
        settings = self._settings
        reward = outcome.val_acc / 100 if outcome.status is Status.OK else 0.0
        self._rewards = settings.momentum * self._rewards + (1 - settings.momentum) * reward
        baseline = self._rewards / (1 - settings.momentum ** (self._updates + 1))
        decisions = np.array(self._space.to_choices(trial.cell))
        gradient = self._probabilities.copy()
        gradient[np.arange(len(decisions)), decisions] -= 1
        gradient *= reward - baseline
        self._adam(gradient)

    def _adam(self, gradient: np.ndarray) -> None:
        """Kingma and Ba, ICLR 2015, with the paper's beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8."""
        self._updates += 1
        self._first = 0.9 * self._first + 0.1 * gradient
        self._second = 0.999 * self._second + 0.001 * gradient**2
        first = self._first / (1 - 0.9**self._updates)
        second = self._second / (1 - 0.999**self._updates)
        self._logits = self._logits - self._settings.learning_rate * first / (np.sqrt(second) + 1e-8)
        self._probabilities = _softmax(self._logits)


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
