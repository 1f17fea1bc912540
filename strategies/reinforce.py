"""REINFORCE: a softmax policy per decision, moved towards decisions that were better than a running mean.

Williams, "Simple Statistical Gradient-Following Algorithms", Machine Learning 1992; for cells as in Dong and Yang,
"NAS-Bench-201", ICLR 2020 (Adam and an exponential moving baseline; settings not checked against it). Charges
trainings only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench.records import Outcome, Status, Trial
from nasbench.runs.strategy import Problem

from .policy import Policy


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
        self._space, self._full, self._settings = problem.space, problem.full, settings
        self.policy = Policy(problem.space, rng, settings.learning_rate, settings.start)
        self._updates, self._rewards = 0, 0.0

    def ask(self) -> Trial:
        return Trial(self.policy.draw(), self._full)

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        if not self.policy.drew(trial.cell):
            return
        settings = self._settings
        reward = outcome.val_acc / 100 if outcome.status is Status.OK else 0.0
        self._updates += 1
        self._rewards = settings.momentum * self._rewards + (1 - settings.momentum) * reward
        baseline = self._rewards / (1 - settings.momentum**self._updates)
        decisions = np.array(self._space.to_choices(trial.cell))
        gradient = self.policy.probabilities.copy()
        gradient[np.arange(len(decisions)), decisions] -= 1
        gradient *= reward - baseline
        self.policy.step(gradient)
