"""Proximal policy optimisation: several steps on each batch of cells, cut short where the policy has moved too far.

Schulman et al., "Proximal Policy Optimization Algorithms", arXiv:1707.06347, 2017: the clipped objective with the
paper's clip of 0.2, on a softmax policy for each decision as in `reinforce`. Batch and learning rate were chosen from 6
settings by the regret on digits (seeds 1000-1029); steps and entropy are not checked against the paper. Charges
trainings only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench.errors import NasbenchError
from nasbench.records import Cell, Outcome, Status, Trial
from nasbench.runs.strategy import Problem

from .policy import Policy


@dataclass(frozen=True)
class Settings:
    """How the policy learns.

    Attributes:
        batch: outcomes that are learned from together.
        steps: gradient steps on a batch.
        clip: how far the probability ratio of a cell may move from 1 and still be rewarded.
        entropy: weight of the policy's entropy in the objective.
        learning_rate: Adam's step size.
        start: spread of the first logits.
    """

    batch: int = 5
    steps: int = 10
    clip: float = 0.2
    entropy: float = 0.01
    learning_rate: float = 0.05
    start: float = 1e-3

    def __post_init__(self) -> None:
        if self.batch < 1 or self.steps < 1 or not 0 < self.clip < 1 or self.entropy < 0:
            raise NasbenchError(f"ppo needs a batch, steps and a clip between 0 and 1, not {self}.")


class Ppo:
    """Advantages are rewards less their batch's mean, in units of their spread; a failed training's reward is 0."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        self._space, self._full, self._settings = problem.space, problem.full, settings
        self._policy = Policy(problem.space, rng, settings.learning_rate, settings.start)
        self._batch: list[tuple[Cell, float]] = []

    def ask(self) -> Trial:
        return Trial(self._policy.draw(), self._full)

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        if self._policy.drew(trial.cell):
            self._batch.append((trial.cell, outcome.val_acc / 100 if outcome.status is Status.OK else 0.0))
        if len(self._batch) >= self._settings.batch:
            self._learn()
            self._batch = []

    def _learn(self) -> None:
        """Ascend E[min(r A, clip(r) A)] + entropy, where r is the cell's probability over that before the batch."""
        settings, policy = self._settings, self._policy
        values = np.array([self._space.to_choices(cell) for cell, _ in self._batch])
        rewards = np.array([reward for _, reward in self._batch])
        advantage = (rewards - rewards.mean()) / (rewards.std() + 1e-8)
        places = np.arange(values.shape[1])
        before = policy.probabilities[places, values].prod(axis=1)
        chosen = np.arange(policy.probabilities.shape[1]) == values[:, :, None]
        for _ in range(settings.steps):
            chances = policy.probabilities
            ratio = chances[places, values].prod(axis=1) / before
            moves = np.where(advantage > 0, ratio < 1 + settings.clip, ratio > 1 - settings.clip)
            weight = ratio * advantage * moves / len(values)
            gradient = (weight[:, None, None] * (chosen - chances)).sum(axis=0)
            surprise = -np.log(np.maximum(chances, 1e-300))
            entropy = (chances * surprise).sum(axis=1, keepdims=True)
            policy.step(-gradient - settings.entropy * chances * (surprise - entropy))
